"""What is left out and what is allowed, as the arrays that kernels read."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from fastrec.kernels.topk import Filter
from fastrec.validation import check_codes, readonly

NO_MASK = readonly(np.empty(0, np.uint8))
NO_STARTS = readonly(np.empty(0, np.int64))
NO_CODES = readonly(np.empty(0, np.int32))


NOTHING_CLOSED = Filter(NO_MASK, NO_STARTS, NO_CODES)


class Filters(NamedTuple):
    """What a search may choose: read-only arrays, empty where they filter nothing."""

    closed: Filter  # what is left out, of all answers or of each
    allow_starts: NDArray[np.int64]  # (n_queries + 1,) into allow_codes: all that a query may choose
    allow_codes: NDArray[np.int32]
    allowed: NDArray[np.int32] | None  # sorted codes, the same for all queries, where they are few


NOTHING = Filters(NOTHING_CLOSED, NO_STARTS, NO_CODES, None)


class Mask(NamedTuple):
    """What all queries may choose: 1 or 0 for each item, and the codes where they are few."""

    mask: NDArray[np.uint8]
    allowed: NDArray[np.int32] | None


class Rows(NamedTuple):
    """What each query may not choose, checked and sorted: query i leaves out codes[starts[i] : starts[i + 1]]."""

    starts: NDArray[np.int64]
    codes: NDArray[np.int32]


def read_filters(exclude: Any, allow: Any, n_queries: int, n: int) -> Filters:
    """The filters of a search over `n` items.

    Parameters
    ----------
    exclude
        A sparse matrix of shape (n_queries, n), whose stored entries are left out; codes, left out of every answer;
        `Rows`; or None.
    allow
        A sparse matrix of the same shape, whose stored entries are all that may be chosen; codes, or a bool mask of
        shape (n,), for all queries, or a `Mask` of them; or None.

    Raises
    ------
    ValueError, TypeError
        Where a shape is wrong or a code is out of range.
    """
    if exclude is None and allow is None:
        return NOTHING
    mask, allowed = NO_MASK, None
    exclude_starts, exclude_codes = NO_STARTS, NO_CODES
    allow_starts, allow_codes = NO_STARTS, NO_CODES
    if issparse(allow):
        allow_starts, allow_codes = read_rows("allow", allow, n_queries, n)
    elif allow is not None:
        mask, allowed = allow if isinstance(allow, Mask) else read_mask(allow, n)
    if isinstance(exclude, Rows):
        exclude_starts, exclude_codes = exclude
    elif issparse(exclude):
        exclude_starts, exclude_codes = read_rows("exclude", exclude, n_queries, n)
    elif exclude is not None:
        mask = np.ones(n, np.uint8) if mask is NO_MASK else mask.copy()
        mask[check_codes("exclude", exclude, n)] = 0
    return Filters(Filter(readonly(mask), exclude_starts, exclude_codes), allow_starts, allow_codes, allowed)


def candidate_lists(filters: Filters, rows: slice) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Where each row's own candidates start, their number (-1: everything), and the codes that both point into."""
    n_rows = rows.stop - rows.start
    if len(filters.allow_starts):
        starts = filters.allow_starts[rows.start : rows.stop + 1]
        return starts[:-1].copy(), np.diff(starts), filters.allow_codes
    if filters.allowed is not None:
        return np.zeros(n_rows, np.int64), np.full(n_rows, len(filters.allowed)), filters.allowed
    return np.zeros(n_rows, np.int64), np.full(n_rows, -1), NO_CODES


def read_rows(name: str, matrix: Any, n_rows: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The structure of a sparse matrix of shape (n_rows, n): where rows start, and their sorted codes."""
    if matrix.shape != (n_rows, n):
        raise ValueError(f"{name} must be a matrix of shape ({n_rows}, {n}), got {matrix.shape}")
    if matrix.format != "csr":
        matrix = matrix.tocsr()
    indices = matrix.indices
    if len(indices) and (indices.min() < 0 or indices.max() >= n):
        raise ValueError(f"{name} holds codes from {indices.min()} to {indices.max()}; they must be from 0 to {n - 1}")
    # A new object over the same arrays: the flags on the caller's (sorted, canonical) may be out of date.
    fresh = csr_array((matrix.data, indices, matrix.indptr), shape=matrix.shape)
    fresh.check_format(full_check=True)
    if not fresh.has_canonical_format:
        fresh = fresh.copy()
        fresh.sum_duplicates()
    return readonly(fresh.indptr.astype(np.int64, copy=False)), readonly(fresh.indices.astype(np.int32, copy=False))


def read_mask(allow: Any, n: int) -> Mask:
    """`allow` for all queries, as a bool mask or codes, checked: who asks often keeps it instead of what it is of."""
    allow = np.asarray(allow)
    if allow.dtype == bool:
        if allow.shape != (n,):
            raise ValueError(f"allow as a mask must be of shape ({n},), got {allow.shape}")
        mask = np.ascontiguousarray(allow).view(np.uint8)
        few = 2 * int(np.count_nonzero(allow)) <= n
    else:
        codes = check_codes("allow", allow, n)
        mask = np.zeros(n, np.uint8)
        mask[codes] = 1
        few = 2 * len(codes) <= n
    return Mask(mask, readonly(np.flatnonzero(mask).astype(np.int32)) if few else None)
