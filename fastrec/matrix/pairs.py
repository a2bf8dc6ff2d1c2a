"""Events sorted into the cells of a matrix: counting sorts, then a merge of each cell's events by a policy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fastrec.kernels.cells import close_gaps, count_cells, scatter_rows, to_values
from fastrec.matrix.arrays import readonly

BLOCK = 1 << 18  # events read at a time


def build_csr(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    values: NDArray[Any] | None,
    shape: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]:
    """Sorts events by row and then column; those of one cell stay side by side in their old order.

    Two passes of a stable counting sort, O(events + rows + columns).

    Returns
    -------
    indptr : ndarray of int64, shape (rows + 1,)
    indices : ndarray of int32, shape (events,)
    values : ndarray, shape (events,)
        float32; ones if `values` is None.
    """
    if values is None:
        values = np.ones(len(rows), np.float32)
    if _is_sorted(rows, columns):
        indptr = np.searchsorted(rows, np.arange(shape[0] + 1)).astype(np.int64)
        return indptr, columns.copy(), values.copy()
    events = sparse.coo_array((values, (rows, columns)), shape=shape)
    events.has_canonical_format = True  # otherwise SciPy would merge the events of a cell here, whatever the policy
    by_row: Any = events.tocsc().tocsr()
    return by_row.indptr.astype(np.int64), by_row.indices.astype(np.int32, copy=False), by_row.data


def _is_sorted(rows: NDArray[np.int32], columns: NDArray[np.int32]) -> bool:
    """Tells whether events are sorted by row and then column; it stops at the first block that is not."""
    for first in range(0, len(rows), BLOCK):
        some = slice(first, first + BLOCK + 1)
        step = np.diff(rows[some])
        if not bool(np.all((step > 0) | ((step == 0) & (np.diff(columns[some]) >= 0)))):
            return False
    return True


def count_events(
    rows: NDArray[np.int32], columns: NDArray[np.int32], shape: tuple[int, int], policy: str
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], int]:
    """Makes the cells of events without values, as `build_csr` and `merge_repeated` would from ones.

    It needs 12 bytes for each event besides the codes, and no memory of SciPy.

    Returns
    -------
    indptr, indices, values
        The sorted cells.
    n_repeated
        The number of cells with several events.

    Examples
    --------
    >>> rows, columns = np.array([1, 0, 1], np.int32), np.array([2, 1, 2], np.int32)
    >>> indptr, indices, values, n_repeated = count_events(rows, columns, (2, 3), "sum")
    >>> indptr, indices, values, n_repeated
    (array([0, 1, 2]), array([1, 2], dtype=int32), array([1., 2.], dtype=float32), 1)
    """
    places = _starts(columns, shape[1])
    sorted_rows = np.empty(len(rows), np.int32)
    scatter_rows(rows, columns, places, sorted_rows)
    starts = _starts(rows, shape[0])
    ends, indptr = starts.copy(), np.empty(shape[0] + 1, np.int64)
    indices, counts = np.empty(len(rows), np.int32), np.empty(len(rows), np.int32)
    cells = count_cells(readonly(sorted_rows), readonly(places), readonly(starts), ends, indices, counts)
    del sorted_rows
    close_gaps(readonly(starts), readonly(ends), indptr, indices, counts)
    indices, counts = _cut(indices, cells), _cut(counts, cells)
    n_repeated = to_values(counts, counts, 0 if policy == "sum" else 1)
    return indptr, indices, counts.view(np.float32), n_repeated


def _starts(codes: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """The place of the first event of each code, once they are sorted, of shape (n,)."""
    counts = np.zeros(n + 1, np.int64)
    for first in range(0, len(codes), BLOCK):  # bincount converts its whole argument to int64
        counts[1:] += np.bincount(codes[first : first + BLOCK], minlength=n)
    return np.cumsum(counts)[:-1]


def _cut(array: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """The first numbers of an array; a new array if they are fewer."""
    return array if size == len(array) else array[:size].copy()


def find_repeated(indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tells for every sorted event whether the one before it is in the same cell."""
    repeated = np.zeros(len(indices), bool)
    np.equal(indices[1:], indices[:-1], out=repeated[1:])
    starts = indptr[:-1]
    repeated[starts[starts < len(indices)]] = False
    return repeated


def reduce_runs(values: NDArray[np.float32], first: NDArray[np.intp], policy: str) -> NDArray[np.float32]:
    """Returns one value for each run, which begins at `first`: the "sum" of its values, the "max" or the last.

    Sums are made in float64, one value after the other: adding them as they arrive gives the same bits.

    >>> reduce_runs(np.array([1, 3, 5], "f4"), np.array([0, 2]), "sum")
    array([4., 5.], dtype=float32)
    """
    if policy == "sum":
        runs = np.repeat(np.arange(len(first)), np.diff(first, append=len(values)))
        return np.bincount(runs, weights=values, minlength=len(first)).astype(np.float32)
    last = np.append(first[1:], len(values)) - 1
    chosen: NDArray[np.float32] = np.maximum.reduceat(values, first) if policy == "max" else values[last]
    return chosen


def merge_repeated(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    repeated: NDArray[np.bool_],
    policy: str,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Merges the events of each cell: the sum of their values, the "last" or the "max"; sums are made in float64.

    Raises
    ------
    ValueError
        If a sum is beyond float32.
    """
    first = np.flatnonzero(~repeated)
    with np.errstate(over="ignore"):
        merged = reduce_runs(values, first, policy)
    if policy == "sum" and not np.isfinite(merged).all():
        raise ValueError('the values of a repeated pair add up to more than float32 holds: use duplicates="max"')
    return np.searchsorted(first, indptr).astype(np.int64), indices[first], merged


def number_cells(
    rows: NDArray[np.int32], columns: NDArray[np.int32], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Returns the order that sorts events by cell, and for every sorted event whether it begins a new cell.

    Events of one cell keep their order.
    """
    numbers = np.arange(len(rows), dtype=np.int32 if len(rows) <= np.iinfo(np.int32).max else np.int64)
    indptr, indices, order = build_csr(rows, columns, numbers, shape)
    return order.astype(np.int64), ~find_repeated(indptr, indices)
