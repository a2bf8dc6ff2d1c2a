"""The sparse matrix that all parts of the package share: int32 codes and float32 values, made, checked and cut here."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from fastrec.matrix.arrays import LARGEST_CODE, readonly, starts_of, to_float32


class CodeMatrix(csr_array):
    """A csr_array with int32 codes under an int64 `indptr`, which SciPy's own conversion to COO cannot read.

    Its entries are events; a stored zero is an event of value 0. In all other matrices a zero, stored or not, is no
    entry.

    Printing, `nonzero`, `reshape` and broadcasts use that conversion. Operations return matrices with SciPy's types.
    """

    def tocoo(self, copy: bool = True) -> Any:
        """The entries as a coo_array."""
        return csr_array((self.data, self.indices, self.indptr), shape=self.shape).tocoo(copy=copy)


def assemble_csr(data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], shape: tuple[int, int]) -> CodeMatrix:
    """A csr_array around sorted, unique, valid arrays: no copy, no check, and each index array keeps its own type.

    SciPy's constructor converts `indices` and `indptr` to one type, so int32 codes under an int64 `indptr` would be
    copied to int64. It also takes longer than an answer to one user, so it runs only once: everything else that it sets
    is the same in each matrix.

    >>> assemble_csr(np.ones(1, "f4"), np.zeros(1, "i4"), np.array([0, 1], "i8"), (1, 3)).indices.dtype
    dtype('int32')
    """
    matrix = CodeMatrix.__new__(CodeMatrix)
    vars(matrix).update(_constructed(), _shape=(int(shape[0]), int(shape[1])))
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def from_dense(matrix: NDArray[np.float32]) -> CodeMatrix:
    """The numbers of a dense matrix that are not 0.

    >>> from_dense(np.array([[0, 2], [0, 0]], np.float32)).toarray()
    array([[0., 2.],
           [0., 0.]], dtype=float32)
    """
    sparse = csr_array(matrix)
    return assemble_csr(sparse.data, sparse.indices.astype(np.int32), sparse.indptr.astype(np.int64), matrix.shape)


@cache
def _constructed() -> dict[str, Any]:
    """The attributes of a matrix from SciPy's constructor, with sorted and unique entries."""
    matrix = CodeMatrix((0, 0), dtype=np.float32)
    matrix.has_sorted_indices = True
    matrix.has_canonical_format = True
    return vars(matrix)


def keep_entries(matrix: CodeMatrix, kept: NDArray[np.bool_], width: int | None = None) -> CodeMatrix:
    """The matrix with only those entries for which `kept`, of shape (nnz,), is True.

    `width` is the number of columns, if the kept entries need fewer.

    >>> keep_entries(check_matrix([[1, 2]]), np.array([False, True])).toarray()
    array([[0., 2.]], dtype=float32)
    """
    shape = (matrix.shape[0], matrix.shape[1] if width is None else width)
    codes = matrix.indices[kept]
    starts = np.array([0, len(codes)]) if shape[0] == 1 else starts_of(kept)[matrix.indptr]
    return assemble_csr(matrix.data[kept], codes, starts, shape)


def drop_zeros(matrix: CodeMatrix) -> CodeMatrix:
    """The matrix without stored zeros; the matrix itself if it has none.

    >>> data, indices, indptr = np.array([0, 2], "f4"), np.array([0, 1], "i4"), np.array([0, 2], "i8")
    >>> drop_zeros(assemble_csr(data, indices, indptr, (1, 2))).nnz
    1
    """
    if np.count_nonzero(matrix.data) == len(matrix.data):
        return matrix
    kept = keep_entries(matrix, matrix.data != 0)
    return assemble_csr(readonly(kept.data), readonly(kept.indices), readonly(kept.indptr), kept.shape)


Policy: TypeAlias = Literal["sum", "last", "max"]
"""The policies to merge several events of a user and an item."""


def check_matrix(
    X: Any,
    *,
    name: str = "X",
    negative: Literal["refuse", "accept"] = "refuse",
    zeros: Literal["keep", "drop", "events"] = "keep",
    duplicates: Policy = "sum",
    copy: bool = False,
    minimum_rows: int = 0,
) -> CodeMatrix:
    """Returns `X` as the one kind of matrix that kernels take.

    Parameters
    ----------
    X
        Interactions, any SciPy sparse matrix or array, or a dense array or frame, of shape (n_users, n_items).
        Repeated entries of a sparse matrix are summed, as in SciPy; zeros of a dense one are no entries.
    name
        The name of X in errors.
    negative
        Whether values below zero are an error.
    zeros
        Whether stored zeros are kept as entries: all, none, or only the events among them, which Interactions and their
        CodeMatrix have. For models a zero of any other matrix, stored or not, is no entry.
    duplicates
        The policy for repeated pairs of Interactions without their own policy.
    copy
        Whether the result must not share memory that its caller could change. Read-only arrays, such as those of
        Interactions, are shared all the same.
    minimum_rows
        The minimum number of rows.

    Returns
    -------
    csr_array of shape (n_users, n_items)
        float32 values, int32 indices (sorted and unique in each row), int64 indptr; read-only views of X's own arrays
        if possible.

    Raises
    ------
    ValueError
        If a value is NaN, infinite, too large for float32 or negative, with its row and column in the message. If X is
        not two-dimensional, empty, complex, or has indices out of range.

    Examples
    --------
    >>> check_matrix([[0.0, 2.0], [1.0, float("nan")]])
    Traceback (most recent call last):
    ...
    ValueError: X contains NaN in row 1, column 1
    """
    if hasattr(type(X), "n_interactions"):  # Interactions: this layer is below the one that defines them
        raw, checked = X.matrix_by(duplicates), True
    elif issparse(X):
        raw, checked = _csr_of_sparse(X, name), False
    else:
        raw, checked = _csr_of_dense(X, name), False
    _check_shape(name, raw.shape, minimum_rows)
    matrix = raw if checked else canonical(raw)
    data = _float32_values(matrix, name)
    if negative == "refuse" and data.size and data.min() < 0:
        _refuse_value(name, matrix, data < 0, "a negative value", getattr(X, "describe_cell", None))
    matrix = assemble_csr(data, matrix.indices, matrix.indptr, matrix.shape)
    if zeros == "drop" or (zeros == "events" and not (checked or isinstance(X, CodeMatrix))):
        matrix = drop_zeros(matrix)
    arrays = [matrix.data, matrix.indices.astype(np.int32, copy=False), matrix.indptr.astype(np.int64, copy=False)]
    if copy:
        arrays = [array.copy() if _may_change(array, X) else array for array in arrays]
    data, indices, indptr = map(readonly, arrays)
    return assemble_csr(data, indices, indptr, matrix.shape)


def _csr_of_sparse(X: Any, name: str) -> Any:
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: {name} must be of shape (n_users, n_items). The history "
            "of a single user, as one row, is X[[user]], not X[user]."
        )
    _check_kind(X.dtype, name)
    if X.format != "csr":
        return csr_array(X.tocsr())
    return check_structure(X)


def check_structure(matrix: Any) -> Any:
    """Returns a CSR matrix as a new object over the same arrays, since the caller's flags may be out of date.

    Raises
    ------
    ValueError
        If row starts or codes are invalid.
    """
    fresh = csr_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape, copy=False)
    fresh.check_format(full_check=True)
    return fresh


def _csr_of_dense(X: Any, name: str) -> Any:
    array = np.asarray(X)
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: {name} must be of shape (n_users, n_items). Reshape "
            "your data with array.reshape(1, -1) if it is a single user's row."
        )
    _check_kind(array.dtype, name)
    if array.dtype.kind in "OUST":
        try:
            array = array.astype(np.float64)
        except TypeError as error:
            raise TypeError(f"{name} must hold numbers: {error}, argument must be a string or a number") from None
        except ValueError as error:
            raise ValueError(f"{name} must hold numbers: {error}") from None
    return csr_array(_as_scipy_takes_it(array))


def _as_scipy_takes_it(array: NDArray[Any]) -> NDArray[Any]:
    """Converts half and extended precision to float64, and any byte order to this machine's."""
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_kind(dtype: Any, name: str) -> None:
    if dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold real numbers")
    if dtype.kind in "mM":
        raise ValueError(f"{name} must hold numbers, got {dtype}")


def _check_shape(name: str, shape: tuple[int, ...], minimum_rows: int) -> None:
    if shape[0] < minimum_rows:
        raise ValueError(
            f"{name} has {shape[0]} sample(s) (shape={shape}) while a minimum of {minimum_rows} is required."
        )
    if shape[1] < 1:
        raise ValueError(f"{name} has 0 feature(s) (shape={shape}) while a minimum of 1 is required.")
    if max(shape) > LARGEST_CODE:
        raise ValueError(f"{name} has shape {shape}: at most {LARGEST_CODE} users and items have int32 codes")


def canonical(matrix: Any) -> Any:
    """The matrix with ascending, unique codes in each row: itself, or a copy."""
    if matrix.has_canonical_format:
        return matrix
    matrix = matrix.copy()
    matrix.sum_duplicates()
    return matrix


def _float32_values(matrix: Any, name: str) -> NDArray[np.float32]:
    raw = matrix.data
    data = to_float32(raw)
    # The extremes pass on NaN and infinity, and need no array of flags, unlike np.isfinite.
    if data.size and not (np.isfinite(data.min()) and np.isfinite(data.max())):
        if raw.dtype.kind == "f":
            _refuse_value(name, matrix, np.isnan(raw), "NaN")
            _refuse_value(name, matrix, np.isinf(raw), "inf, an infinite value,")
        _refuse_value(name, matrix, np.isinf(data), "a value too large for float32")
    return data


NEGATIVE_ADVICE = (
    ": leave dislikes out, or take a model that learns from them. An item that was had and not rated is an event of "
    "value 0 in Interactions. If every event is to count alike, read the file without its values"
)


def _refuse_value(
    name: str, matrix: Any, bad: NDArray[np.bool_], what: str, describe: Callable[[int, int], str] | None = None
) -> None:
    if bad.any():
        place = int(np.argmax(bad))
        row, column = int(np.searchsorted(matrix.indptr, place, side="right")) - 1, int(matrix.indices[place])
        # Messages about negatives start like scikit-learn's, which its own checks look for.
        lead = "Negative values in data passed: " if "negative" in what else ""
        advice = NEGATIVE_ADVICE if lead else ""
        where = f"in row {row}, column {column}"
        if describe is not None:
            where = f"{matrix.data[place]:g} ({where}, {describe(row, column)}; {np.count_nonzero(bad):,} such in all)"
        raise ValueError(f"{lead}{name} contains {what} {where}{advice}")


def _may_change(array: NDArray[Any], X: Any) -> bool:
    """Tells whether somebody could change the memory of `array`, a part or a conversion of X."""
    if hasattr(type(X), "n_interactions"):  # Interactions are immutable, and make their matrix themselves
        return False
    if not any(np.may_share_memory(array, part) for part in _parts(X)):
        return False
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return True
        owner = owner.base
    return owner is not None  # a memory map or a foreign buffer: its file or its owner may change it


def _parts(source: Any) -> Iterable[NDArray[Any]]:
    parts = (getattr(source, part, None) for part in ("data", "indices", "indptr"))
    return [part for part in parts if isinstance(part, np.ndarray)]
