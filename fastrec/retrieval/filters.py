"""Filters of searches, as the arrays that kernels read."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from fastrec.kernels.topk import Filter
from fastrec.matrix.arrays import check_codes, readonly
from fastrec.matrix.code_matrix import canonical, check_structure

NO_MASK = readonly(np.empty(0, np.uint8))
NO_STARTS = readonly(np.empty(0, np.int64))
NO_CODES = readonly(np.empty(0, np.int32))


NOTHING_CLOSED = Filter(NO_MASK, NO_STARTS, NO_CODES)


class Filters(NamedTuple):
    """The items that a search may choose: read-only arrays, empty for no filter."""

    closed: Filter  # the excluded codes, of all answers or of each
    allow_starts: NDArray[np.int64]  # (n_queries + 1,) into allow_codes: the codes that a query may choose
    allow_codes: NDArray[np.int32]
    allowed: NDArray[np.int32] | None  # sorted codes, the same for all queries, if they are few


NOTHING = Filters(NOTHING_CLOSED, NO_STARTS, NO_CODES, None)


class Mask(NamedTuple):
    """The items that all queries may choose: 1 or 0 for each item, and the codes if they are few."""

    mask: NDArray[np.uint8]
    allowed: NDArray[np.int32] | None


class ExcludedCodes(NamedTuple):
    """The items that each query must not choose, checked and sorted: query i excludes codes[starts[i] : starts[i +
    1]].
    """

    starts: NDArray[np.int64]
    codes: NDArray[np.int32]


def read_filters(exclude: Any, allow: Any, n_queries: int, n: int) -> Filters:
    """Reads the filters of a search over `n` items.

    Parameters
    ----------
    exclude
        A sparse matrix of shape (n_queries, n), whose stored entries are left out; codes, or a bool mask of shape (n,),
        left out of every answer; `ExcludedCodes`; or None.
    allow
        A sparse matrix of the same shape, whose stored entries are the only choices; codes, or a bool mask of
        shape (n,), for all queries, or a `Mask` of them; or None.

    Raises
    ------
    ValueError, TypeError
        If a shape is wrong or a code is out of range.
    """
    if exclude is None and allow is None:
        return NOTHING
    mask, allowed = NO_MASK, None
    exclude_starts, exclude_codes = NO_STARTS, NO_CODES
    allow_starts, allow_codes = NO_STARTS, NO_CODES
    if issparse(allow):
        allow_starts, allow_codes = read_rows("allow", allow, n_queries, n)
    elif allow is not None:
        mask, allowed = allow if isinstance(allow, Mask) else read_allowed(allow, n)
    if isinstance(exclude, ExcludedCodes):
        exclude_starts, exclude_codes = exclude
    elif issparse(exclude):
        exclude_starts, exclude_codes = read_rows("exclude", exclude, n_queries, n)
    elif exclude is not None:
        out = _read_mask("exclude", exclude, n)
        mask = 1 - out if mask is NO_MASK else mask & (1 - out)
    return Filters(Filter(readonly(mask), exclude_starts, exclude_codes), allow_starts, allow_codes, allowed)


def candidate_lists(filters: Filters, rows: slice) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """The starts of each row's candidates, their number (-1: everything), and the codes that the starts point into."""
    n_rows = rows.stop - rows.start
    if len(filters.allow_starts):
        starts = filters.allow_starts[rows.start : rows.stop + 1]
        return starts[:-1].copy(), np.diff(starts), filters.allow_codes
    if filters.allowed is not None:
        return np.zeros(n_rows, np.int64), np.full(n_rows, len(filters.allowed)), filters.allowed
    return np.zeros(n_rows, np.int64), np.full(n_rows, -1), NO_CODES


def read_rows(name: str, matrix: Any, n_rows: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The structure of a sparse matrix of shape (n_rows, n): the starts of rows, and their sorted codes."""
    if matrix.shape != (n_rows, n):
        raise ValueError(f"{name} must be a matrix of shape ({n_rows}, {n}), got {matrix.shape}")
    given = matrix if matrix.format == "csr" else matrix.tocsr()
    if len(given.indices) and (given.indices.min() < 0 or given.indices.max() >= n):
        low, high = given.indices.min(), given.indices.max()
        raise ValueError(f"{name} holds codes from {low} to {high}; they must be from 0 to {n - 1}")
    try:
        whole = canonical(check_structure(given))
    except ValueError as error:
        raise ValueError(f"{name} is not a valid sparse matrix: {error}") from None
    return readonly(whole.indptr.astype(np.int64, copy=False)), readonly(whole.indices.astype(np.int32, copy=False))


def read_allowed(allow: Any, n: int) -> Mask:
    """Reads `allow` for all queries, as a bool mask or codes; frequent callers keep the checked result."""
    mask = _read_mask("allow", allow, n)
    few = 2 * int(np.count_nonzero(mask)) <= n
    return Mask(mask, readonly(np.flatnonzero(mask).astype(np.int32)) if few else None)


def _read_mask(name: str, given: Any, n: int) -> NDArray[np.uint8]:
    """1 for each item that is named by a bool mask or by codes, and 0 for the others."""
    array = np.asarray(given)
    if array.ndim == 2:
        raise ValueError(f"{name} for each query alone must be a sparse matrix, got an array of shape {array.shape}")
    if array.dtype != bool or array.ndim != 1:
        mask = np.zeros(n, np.uint8)
        mask[check_codes(name, given, n)] = 1
        return mask
    if array.shape != (n,):
        raise ValueError(f"{name} as a mask must be of shape ({n},), got {array.shape}")
    return np.ascontiguousarray(array).view(np.uint8)
