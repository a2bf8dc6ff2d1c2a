"""Checks before the kernels: Numba does not look at bounds, so what passes here must be right."""

import difflib
import functools
import inspect
import numbers
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

Function = TypeVar("Function", bound=Callable[..., Any])

SMALLEST = np.finfo(np.float32).tiny  # the smallest normal number, above 0
LARGEST_CODE = 2**31 - 1


def check_integer(name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """`value` as an int within its bounds, or a ValueError or TypeError that names it.

    >>> check_size("ImplicitALS.factors", 0)
    Traceback (most recent call last):
    ...
    ValueError: ImplicitALS.factors must be an integer of at least 1, got 0
    """
    if type(value) is int and (minimum is None or value >= minimum) and (maximum is None or value <= maximum):
        return value  # the way of every good call: no sentence is made
    wanted = "an integer" + _bounds(minimum, maximum, False)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be {wanted}, got {_shown(value)}")
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise ValueError(f"{name} must be {wanted}, got {_shown(value)}")
    return int(value)


def check_size(name: str, value: Any, *, minimum: int = 1, each: int = 8) -> int:
    """`value` as an integer of at least `minimum`, if the memory of this machine holds `each` bytes for every one.

    >>> check_size("k", 10**15)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: k must be a number that memory holds, got 1000000000000000: that takes ... GB, and there are ... GB
    """
    number = check_integer(name, value, minimum=minimum)
    if number * each > memory_bytes():
        raise ValueError(
            f"{name} must be a number that memory holds, got {number}: that takes {number * each // 10**9} GB, and "
            f"there are {memory_bytes() // 10**9} GB"
        )
    return number


@functools.cache
def memory_bytes() -> int:
    """The memory of this machine; a terabyte where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 1 << 40


def check_number(
    name: str, value: Any, *, minimum: float | None = None, maximum: float | None = None, above: bool = False
) -> float:
    """`value` as a finite float within its bounds (`above`: the minimum itself is excluded), or an error naming it.

    >>> check_number("alpha", float("nan"), minimum=0)
    Traceback (most recent call last):
    ...
    ValueError: alpha must be a finite number of at least 0, got nan
    """
    wanted = "a finite number" + _bounds(minimum, maximum, above)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {wanted}, got {_shown(value)}")
    number = float(value)
    low = minimum is not None and (number <= minimum if above else number < minimum)
    if not (abs(number) < float("inf")) or low or (maximum is not None and number > maximum):
        raise ValueError(f"{name} must be {wanted}, got {_shown(value)}")
    return number


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """`value` if it is one of `choices`, or a ValueError that lists them.

    >>> check_choice("solver", "lu", ("auto", "cg"))
    Traceback (most recent call last):
    ...
    ValueError: solver must be one of 'auto', 'cg', got 'lu'
    """
    for choice in choices:
        if value is choice:  # the way of every good call: the same constant
            return value
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool, or a TypeError that names it.

    >>> check_flag("exclude_seen", 1)
    Traceback (most recent call last):
    ...
    TypeError: exclude_seen must be True or False, got 1
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_codes(name: str, codes: Any, size: int) -> NDArray[np.int32]:
    """`codes` as a one-dimensional int32 array, all from 0 to `size` - 1, or an error that names the first bad one.

    Raises
    ------
    TypeError
        Where the codes are not integers.
    ValueError
        Where one is below 0 or not below `size`, or where the codes are not one-dimensional.

    Examples
    --------
    >>> check_codes("users", [0, 7], 5)
    Traceback (most recent call last):
    ...
    ValueError: users must be codes from 0 to 4, got 7 at position 1
    """
    array = np.asarray(codes)
    if array.ndim != 1:
        got = f"{array.ndim} dimensions" if array.ndim else type(codes).__name__
        raise ValueError(f"{name} must be one-dimensional, a list or an array of codes, got {got}")
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integer codes, got {_kind_of(array)}")
    # One pass: what is below 0 is a large number without its sign.
    unsigned = array.view(array.dtype.str.replace("i", "u"))
    if np.maximum.reduce(unsigned, axis=None) >= size:
        position = int(np.argmax((array < 0) | (array >= size)))
        span = f"codes from 0 to {size - 1}" if size else "empty, since there is nothing to point at"
        raise ValueError(f"{name} must be {span}, got {array[position]} at position {position}")
    return array.astype(np.int32, copy=False)


def _kind_of(array: NDArray[Any]) -> str:
    first = next((item for item in array.flat if not isinstance(item, numbers.Integral)), array.flat[0])
    return f"{first!r}" if array.dtype.kind in "OUST" else f"an array of {array.dtype}"


def readonly(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view of `array`, C-contiguous and aligned; a copy only where it was neither.

    Kernels are compiled once for read-only arrays, which memory-mapped models are, so all arrays go to them as such.

    >>> readonly(np.zeros(3)).flags.writeable
    False
    """
    flags = array.flags
    view = array.view() if flags.c_contiguous and flags.aligned else np.require(array, requirements=["C", "A"]).view()
    view.flags.writeable = False
    return view


class CodeMatrix(csr_array):
    """A csr_array with int32 codes under an int64 `indptr`, which SciPy's own conversion to COO cannot read.

    Its entries are what took place, a stored zero among them: an event of value 0. In all other matrices a zero, stored
    or not, is no entry.

    Printing, `nonzero`, `reshape` and broadcasts go by that conversion. What operations make of it are matrices with
    SciPy's types.
    """

    def tocoo(self, copy: bool = True) -> Any:
        """The entries as a coo_array."""
        return csr_array((self.data, self.indices, self.indptr), shape=self.shape).tocoo(copy=copy)


def assemble_csr(data: NDArray[Any], indices: NDArray[Any], indptr: NDArray[Any], shape: tuple[int, int]) -> CodeMatrix:
    """A csr_array around sorted, unique, valid arrays: no copy, no check, and each index array keeps its own type.

    SciPy's constructor brings `indices` and `indptr` to one type, so int32 codes under an int64 `indptr` would be
    copied to int64.

    >>> assemble_csr(np.ones(1, "f4"), np.zeros(1, "i4"), np.array([0, 1], "i8"), (1, 3)).indices.dtype
    dtype('int32')
    """
    matrix = CodeMatrix(shape, dtype=data.dtype)
    matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    matrix.has_sorted_indices = True
    matrix.has_canonical_format = True
    return matrix


def to_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers as float32; what is not 0 does not become 0, but the smallest normal number of its sign.

    >>> to_float32(np.array([1e-50, -1e-50, 0.0, 0.5]))
    array([ 1.1754944e-38, -1.1754944e-38,  0.0000000e+00,  5.0000000e-01],
          dtype=float32)
    """
    with np.errstate(over="ignore", under="ignore"):
        narrow: NDArray[np.float32] = values.astype(np.float32, copy=False)
    if narrow is values or values.dtype.kind != "f":
        return narrow
    return keep_nonzero(narrow, values)


def keep_nonzero(values: NDArray[np.float32], before: NDArray[Any]) -> NDArray[np.float32]:
    """The values, where those that were not 0 `before` are not 0 either, but have the sign that they had.

    >>> keep_nonzero(np.array([0, 0, 2], "f4"), np.array([-3.0, 0.0, 1.0]))
    array([-1.1754944e-38,  0.0000000e+00,  2.0000000e+00], dtype=float32)
    """
    lost = (values == 0) & (before != 0)
    return np.where(lost, np.copysign(SMALLEST, before), values).astype(np.float32) if lost.any() else values


def keep_entries(matrix: CodeMatrix, kept: NDArray[np.bool_], width: int | None = None) -> CodeMatrix:
    """The matrix with only those entries for which `kept`, of shape (nnz,), is True.

    `width` is the number of columns, where the entries kept need fewer.

    >>> keep_entries(check_matrix([[1, 2]]), np.array([False, True])).toarray()
    array([[0., 2.]], dtype=float32)
    """
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept, dtype=np.int64)])
    shape = (matrix.shape[0], matrix.shape[1] if width is None else width)
    return assemble_csr(matrix.data[kept], matrix.indices[kept], before[matrix.indptr], shape)


def drop_zeros(matrix: CodeMatrix) -> CodeMatrix:
    """The matrix without stored zeros; itself where it has none.

    >>> data, indices, indptr = np.array([0, 2], "f4"), np.array([0, 1], "i4"), np.array([0, 2], "i8")
    >>> drop_zeros(assemble_csr(data, indices, indptr, (1, 2))).nnz
    1
    """
    if np.count_nonzero(matrix.data) == matrix.nnz:
        return matrix
    kept = keep_entries(matrix, matrix.data != 0)
    return assemble_csr(readonly(kept.data), readonly(kept.indices), readonly(kept.indptr), kept.shape)


def check_matrix(
    X: Any,
    *,
    name: str = "X",
    negative: Literal["refuse", "accept"] = "refuse",
    zeros: Literal["keep", "drop", "events"] = "keep",
    duplicates: Literal["sum", "last"] = "sum",
    copy: bool = False,
    minimum_rows: int = 0,
) -> CodeMatrix:
    """`X` as the one kind of matrix that kernels take.

    Parameters
    ----------
    X
        Interactions, any SciPy sparse matrix or array, or a dense array or frame, of shape (n_users, n_items).
        Repeated entries of a sparse matrix are summed, as SciPy itself reads them; zeros of a dense one are no entries.
    name
        How errors call it.
    negative
        Whether values below zero are an error.
    zeros
        Whether stored zeros are kept as entries: all, none, or those alone that are events, which Interactions and
        the CodeMatrix made of them have. To models a zero of any other matrix, stored or not, is no entry.
    duplicates
        What becomes of repeated pairs of Interactions, where these do not say it.
    copy
        Whether the result must not share memory that its caller could change. Arrays that nobody can write to, such as
        those of Interactions, are shared even so.
    minimum_rows
        The fewest rows allowed.

    Returns
    -------
    csr_array of shape (n_users, n_items)
        float32 values, int32 indices (sorted and unique in each row), int64 indptr; read-only views of X's own arrays
        where these will do.

    Raises
    ------
    ValueError
        Where a value is NaN, infinite, too large for float32 or negative, naming its row and column; where X is not
        two-dimensional, empty, complex, or has indices out of its range.

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
        _refuse_value(name, matrix, data < 0, "a negative value")
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
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead: {name} must be of shape (n_users, n_items)")
    _check_kind(X.dtype, name)
    if X.format != "csr":
        return csr_array(X.tocsr())
    return check_structure(X)


def check_structure(matrix: Any) -> Any:
    """A CSR matrix as a new object over the same arrays, since the flags on the caller's may be out of date.

    Raises
    ------
    ValueError
        Where row starts or codes are not what they must be.
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
    """Half and extended precision as float64, and any byte order as this machine's."""
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
    """The matrix with rising codes in each row, each of them once: itself, or a copy."""
    if matrix.has_canonical_format:
        return matrix
    matrix = matrix.copy()
    matrix.sum_duplicates()
    return matrix


def _float32_values(matrix: Any, name: str) -> NDArray[np.float32]:
    raw = matrix.data
    data = to_float32(raw)
    # The extremes carry NaN and infinity along, and need no array of flags as np.isfinite would.
    if data.size and not (np.isfinite(data.min()) and np.isfinite(data.max())):
        if raw.dtype.kind == "f":
            _refuse_value(name, matrix, np.isnan(raw), "NaN")
            _refuse_value(name, matrix, np.isinf(raw), "inf, an infinite value,")
        _refuse_value(name, matrix, np.isinf(data), "a value too large for float32")
    return data


NEGATIVE_ADVICE = (
    ": leave dislikes out, or take a model that learns from them; what was had and not rated is an event of value 0 in "
    "Interactions"
)


def _refuse_value(name: str, matrix: Any, bad: NDArray[np.bool_], what: str) -> None:
    if bad.any():
        place = int(np.argmax(bad))
        row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
        # Sentences about negatives are begun as scikit-learn begins them, which its own checks look for.
        lead = "Negative values in data passed: " if "negative" in what else ""
        advice = NEGATIVE_ADVICE if lead else ""
        raise ValueError(f"{lead}{name} contains {what} in row {row}, column {int(matrix.indices[place])}{advice}")


def _may_change(array: NDArray[Any], X: Any) -> bool:
    """Whether somebody could change the memory of `array`, a part or a conversion of X."""
    if hasattr(type(X), "n_interactions"):  # they are immutable, and their matrix is made by themselves
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


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _bounds(minimum: float | None, maximum: float | None, above: bool) -> str:
    if minimum is not None and maximum is not None:
        return f" {'above' if above else 'from'} {minimum} {'and at most' if above else 'to'} {maximum}"
    if minimum is not None:
        return f" above {minimum}" if above else f" of at least {minimum}"
    return f" of at most {maximum}" if maximum is not None else ""


# What users of other libraries call our options. Where a name has several meanings, the first that the function has.
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "factors": (
        "n_factors", "num_factors", "no_components", "n_components", "num_components", "rank", "dim", "dims",
        "embedding_dim", "embedding_size", "latent_dim", "latent_factors", "features", "embedding", "k", "K",
    ),
    "regularization": (
        "reg", "l2", "reg_param", "regParam", "lambda_", "lambda_reg", "lmbda", "weight_decay", "l2_reg", "reg_all",
        "user_alpha", "item_alpha",
    ),
    "iterations": (
        "n_epochs", "epochs", "num_epochs", "n_iter", "n_iters", "n_iterations", "num_iterations", "max_iter",
        "maxIter", "iters", "niter", "steps",
    ),
    "learning_rate": ("lr", "lr_all", "eta", "eta0", "step_size"),
    "n_negatives": ("max_sampled", "neg_prop", "negative_count", "num_negatives", "num_ng"),
    "n_jobs": ("num_threads", "n_threads", "nthreads", "threads", "workers", "num_workers", "n_cores", "njobs"),
    "random_state": ("seed", "random_seed", "rng", "random"),
    "verbose": ("show_progress", "progress", "verbosity", "use_progress_bar"),
    "alpha": ("confidence", "confidence_weight", "weight", "scale"),
    "k": (
        "N", "n", "K", "top_k", "topk", "top_n", "topn", "num_items", "n_items", "count", "howmany", "how_many",
        "num_recommendations", "n_recommendations",
    ),
    "exclude_seen": (
        "filter_already_liked_items", "filter_seen", "filter_viewed", "remove_seen", "exclude_known", "remove_known",
        "filter_interacted", "exclude_already_liked", "filter_previous", "remove_already_seen",
    ),
    "deny": ("filter_items", "exclude", "exclude_items", "blacklist", "blocklist", "denylist", "filter_out", "ban"),
    "allow": ("items", "item_ids", "items_to_recommend", "whitelist", "allowlist", "include", "candidates", "selector"),
    "users": (
        "user", "userid", "userids", "user_id", "user_ids", "user_items", "uid", "uids", "recalculate_user", "dataset",
    ),
    "user": ("users", "userid", "user_id", "user_ids", "uid"),
    "items": ("item", "itemid", "itemids", "item_id", "item_ids", "iid", "iids"),
    "item": ("items", "itemid", "item_id", "item_ids", "iid"),
    "on_unknown": ("unknown", "handle_unknown", "cold_start_strategy", "coldStartStrategy"),
    "dtype": ("precision", "storage_dtype"),
    "half_life": ("halflife", "decay", "time_decay", "tau"),
    "X": ("user_items", "data", "interactions", "train", "ratings", "matrix", "trainset", "dataset"),
}  # fmt: skip


def suggest_option(wrong: str, options: Iterable[str]) -> str | None:
    """The one of `options` that is meant by a name from another library or a misspelt one, or None.

    >>> suggest_option("n_factors", ["factors", "n_jobs"])
    'factors'
    """
    options = list(options)
    for option in options:
        if wrong in _OTHER_NAMES.get(option, ()):
            return option
    folded = {option.lower(): option for option in options}
    close = difflib.get_close_matches(wrong.lower(), folded, n=1, cutoff=0.75)
    return folded[close[0]] if close else None


def name_options(function: Function) -> Function:
    """A decorator: an option that the function does not have is a TypeError that names the right one.

    Signature, name and docstring stay those of the function, so `inspect.signature` and scikit-learn's `get_params` see
    its own parameters.

    >>> @name_options
    ... def recommend(users, k=10): ...
    >>> recommend([1], N=5)
    Traceback (most recent call last):
    ...
    TypeError: recommend() has no option 'N'; here it is called 'k'
    """
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return function
    names = frozenset(parameters)
    owner, _, method = function.__qualname__.rpartition(".")
    label = owner if method == "__init__" else method

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if options and not names.issuperset(options):
            caller = type(args[0]).__name__ if method == "__init__" else label
            raise TypeError(_no_option(caller, next(name for name in options if name not in names), names, parameters))
        return function(*args, **options)

    checked.names_options = True  # type: ignore[attr-defined]
    return cast("Function", checked)


def _no_option(caller: str, wrong: str, names: frozenset[str], parameters: Iterable[str]) -> str:
    options = [name for name in parameters if name != "self" and name in names]
    right = suggest_option(wrong, options)
    if right is not None:
        return f"{caller}() has no option {wrong!r}; here it is called {right!r}"
    return f"{caller}() has no option {wrong!r}; it has {', '.join(options) or 'none'}"
