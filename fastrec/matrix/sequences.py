"""Order: the place of each entry in its row by time, kept beside the matrix.

An order is int32, of shape (nnz,): 0 for the oldest entry of a row, the row's length less 1 for the newest.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import keep_nonzero, starts_of
from fastrec.matrix.cells import cell_keys, cell_numbers, find_cells, repeat_by_row, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, keep_entries
from fastrec.matrix.pairs import number_cells
from fastrec.matrix.rows import pick_rows, rows_of_lists, spread_evenly, with_data

Order = NDArray[np.int32]


class Sequences(NamedTuple):
    """Items one after the other, the oldest first; an item occurs as often as it was met.

    Parameters
    ----------
    starts
        int64, of shape (n + 1,): the start of each sequence, and the end of the last one.
    items
        int32: the codes.
    """

    starts: NDArray[np.int64]
    items: NDArray[np.int32]


class HistoryRow(NamedTuple):
    """One user's history: ascending codes, int32, their values, float32, and their order, if there is one."""

    codes: NDArray[np.int32]
    values: NDArray[np.float32]
    order: Order | None


class Ties(NamedTuple):
    """The number of entries with an earlier one in their row, and the share of these with its time."""

    neighbors: int
    share: float


def order_entries(matrix: CodeMatrix, *keys: NDArray[np.generic]) -> Order:
    """The order of the entries by keys, each of shape (nnz,): by the first, where that is equal by the next.

    Entries with equal keys follow the order of their codes.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> order_entries(check_matrix([[1, 1, 1], [0, 1, 1]]), np.array([30, 10, 20, 5, 5]))
    array([2, 0, 1, 0, 1], dtype=int32)
    """
    sorted_entries = np.lexsort((*reversed(keys), row_numbers(matrix)))
    order = np.empty(matrix.nnz, np.int32)
    order[sorted_entries] = np.arange(matrix.nnz) - repeat_by_row(matrix, matrix.indptr[:-1])
    return order


def order_by_rank(matrix: CodeMatrix, ranks: NDArray[np.int64], n: int) -> Order:
    """The order of the entries by distinct ranks below n, of shape (nnz,): by counting, without a sort.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> order_by_rank(check_matrix([[1, 1, 1], [0, 1, 1]]), np.array([5, 0, 3, 7, 2]), 8)
    array([2, 0, 1, 1, 0], dtype=int32)
    """
    entry_of_rank = np.full(n, -1, np.int64)
    entry_of_rank[ranks] = np.arange(matrix.nnz)
    entries = entry_of_rank[entry_of_rank >= 0]
    rows = row_numbers(matrix)[entries].astype(np.int32)
    by_row, _ = number_cells(rows, np.zeros(len(rows), np.int32), (matrix.shape[0], 1))
    order = np.empty(matrix.nnz, np.int32)
    order[entries[by_row]] = np.arange(matrix.nnz) - repeat_by_row(matrix, matrix.indptr[:-1])
    return order


def count_ties(matrix: CodeMatrix, order: Order, times: NDArray[np.int64]) -> Ties:
    """The ties of entries with the given times, of shape (nnz,).

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> count_ties(check_matrix([[1, 1, 1], [0, 0, 1]]), np.array([2, 0, 1, 0], "i4"), np.array([7, 5, 7, 7]))
    Ties(neighbors=2, share=0.5)
    """
    sorted_times = np.empty(matrix.nnz, np.int64)
    sorted_times[repeat_by_row(matrix, matrix.indptr[:-1]) + order] = times
    follows = np.ones(matrix.nnz, bool)
    follows[matrix.indptr[:-1][np.diff(matrix.indptr) > 0]] = False
    tied = follows[1:] & (sorted_times[1:] == sorted_times[:-1])
    n = int(np.count_nonzero(follows))
    return Ties(n, float(np.count_nonzero(tied) / n) if n else float("nan"))


def pick_order(matrix: CodeMatrix, order: Order, rows: NDArray[np.generic] | slice) -> Order:
    """The order of the given rows of a matrix, as `pick_rows` picks them.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> pick_order(check_matrix([[1, 1], [1, 1]]), np.array([0, 1, 1, 0], "i4"), np.array([1]))
    array([1, 0], dtype=int32)
    """
    if not isinstance(rows, slice) and rows.dtype != bool and len(rows) == 1:  # a single row needs no matrix
        return order[matrix.indptr[rows[0]] : matrix.indptr[rows[0] + 1]]
    picked: Order = pick_rows(with_data(matrix, order), rows).data
    return picked


def splice_order(
    before: CodeMatrix, order: Order, rows: NDArray[np.int32], added: CodeMatrix, added_order: Order, after: CodeMatrix
) -> Order:
    """Returns the order of a matrix in which rows were extended or replaced: the added entries are the newest.

    Parameters
    ----------
    before, order
        The old matrix, of the shape of `after`, and its order.
    rows
        The changed rows, ascending, of shape (m,).
    added, added_order
        The entries added to them, of shape (m, n_items), and their order. An entry that was there before becomes the
        newest.
    after
        The new matrix.

    Examples
    --------
    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> before, added, after = (check_matrix([row]) for row in ([1, 1, 0], [1, 0, 1], [2, 1, 1]))
    >>> splice_order(before, np.array([0, 1], "i4"), np.array([0], "i4"), added, np.array([1, 0], "i4"), after)
    array([2, 0, 1], dtype=int32)
    """
    changed = np.zeros(after.shape[0], bool)
    changed[rows] = True
    spliced = np.empty(after.nnz, np.int32)
    spliced[~repeat_by_row(after, changed)] = order[~repeat_by_row(before, changed)]
    now, was = pick_rows(after, rows), pick_rows(before, rows)
    places = find_cells(now, added)
    age = np.zeros(now.nnz, np.int64)  # places in the old order, then those in the new one after them
    old = find_cells(now, was)
    known = places < 0
    age[known] = pick_order(before, order, rows)[old[known]]
    age[~known] = added_order[places[~known]] + np.int64(after.shape[1])
    spliced[repeat_by_row(after, changed)] = order_entries(now, age)
    return spliced


def drop_from_order(matrix: CodeMatrix, order: Order, kept: NDArray[np.bool_]) -> Order:
    """The order of `keep_entries(matrix, kept)`.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> drop_from_order(check_matrix([[1, 1, 1]]), np.array([2, 0, 1], "i4"), np.array([True, False, True]))
    array([1, 0], dtype=int32)
    """
    return order_entries(keep_entries(matrix, kept), order[kept])


def drop_zeros_from_order(matrix: CodeMatrix, order: Order | None, kept: CodeMatrix) -> Order | None:
    """The order of `kept`, which is the matrix, or the matrix without its zeros; None if there is no order.

    >>> from fastrec.matrix.code_matrix import check_matrix, drop_zeros
    >>> matrix = with_data(check_matrix([[1, 1, 1]]), np.array([5, 0, 7], "f4"))
    >>> drop_zeros_from_order(matrix, np.array([2, 0, 1], "i4"), drop_zeros(matrix))
    array([1, 0], dtype=int32)
    """
    if order is None or kept.nnz == matrix.nnz:
        return order
    return drop_from_order(matrix, order, matrix.data != 0)


def is_order(matrix: CodeMatrix, order: Order) -> bool:
    """Tells whether the numbers of each row are those from 0 to its length less 1, each once.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> is_order(check_matrix([[1, 1]]), np.array([1, 0])), is_order(check_matrix([[1, 1]]), np.array([1, 1]))
    (True, False)
    """
    if order.shape != (matrix.nnz,):
        return False
    lengths = repeat_by_row(matrix, np.diff(matrix.indptr))
    if ((order < 0) | (order >= lengths)).any():
        return False
    met = np.zeros(matrix.nnz, bool)
    met[repeat_by_row(matrix, matrix.indptr[:-1]) + order] = True
    return bool(met.all())


def places_of_lists(codes: NDArray[np.int32], lengths: Sequence[int] | NDArray[np.int64], width: int) -> CodeMatrix:
    """A matrix with a row for each list, whose values are the places of the items in it, from 1 on.

    All lists lie in `codes` one after the other. Codes below 0 are left out; a repeated code gets its last place.

    >>> places_of_lists(np.array([2, 0, 2, -1], "i4"), [3, 1], 3).toarray()
    array([[2., 0., 3.],
           [0., 0., 0.]], dtype=float32)
    """
    matrix, known = rows_of_lists(codes, lengths, width), codes >= 0
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(codes)) - np.repeat(starts_of(np.asarray(lengths))[:-1], lengths) + 1
    found = np.searchsorted(cell_numbers(matrix), cell_keys(rows[known], codes[known], width))
    data = np.zeros(matrix.nnz, np.float32)
    np.maximum.at(data, found, places[known].astype(np.float32))
    return with_data(matrix, data)


def order_of_list(codes: NDArray[np.int32]) -> Order:
    """The order of the distinct items of a list, numbered by their codes: by the last place of each.

    >>> order_of_list(np.array([7, 2, 9, 7], "i4"))
    array([0, 2, 1], dtype=int32)
    """
    _, last = np.unique(codes[::-1], return_index=True)
    order = np.empty(len(last), np.int32)
    order[np.argsort(-last)] = np.arange(len(last))
    return order


def read_sequences(matrix: CodeMatrix, order: Order | None) -> Sequences:
    """The items of each row, the oldest first; in the order of the codes without an order.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> read_sequences(check_matrix([[1, 1, 1]]), np.array([2, 0, 1], "i4")).items
    array([1, 2, 0], dtype=int32)
    """
    starts = np.asarray(matrix.indptr, np.int64)
    if order is None:
        return Sequences(starts, matrix.indices)
    items = np.empty(matrix.nnz, np.int32)
    items[repeat_by_row(matrix, matrix.indptr[:-1]) + order] = matrix.indices
    return Sequences(starts, items)


def pick_sequences(sequences: Sequences, rows: NDArray[np.int64]) -> Sequences:
    """Some of the sequences.

    >>> pick_sequences(Sequences(np.array([0, 2, 3]), np.array([5, 6, 7], "i4")), np.array([1]))
    Sequences(starts=array([0, 1]), items=array([7], dtype=int32))
    """
    lengths = np.diff(sequences.starts)[rows]
    starts = starts_of(lengths)
    places = np.repeat(sequences.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
    return Sequences(starts, sequences.items[places])


def hide_newest(
    matrix: CodeMatrix, order: Order | None, share: float
) -> tuple[CodeMatrix, Order | None, CodeMatrix | None]:
    """Hides the newest entry of a share of the rows with at least three; returns matrix, order and the hidden entries.

    If the share covers no row, the hidden entries are None, and the rest is unchanged.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> kept, order, hidden = hide_newest(check_matrix([[1, 1, 1], [1, 0, 1]]), np.array([2, 0, 1, 0, 1], "i4"), 1.0)
    >>> kept.toarray().tolist(), order.tolist(), hidden.toarray().tolist()
    ([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]], [0, 1, 0, 1], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    """
    lengths = np.diff(matrix.indptr)
    long = np.flatnonzero(lengths >= 3)
    rows = spread_evenly(long, math.ceil(share * len(long)))
    if order is None or not len(rows):
        return matrix, order, None
    newest = np.full(len(lengths), -1)
    newest[rows] = lengths[rows] - 1
    hidden = order == repeat_by_row(matrix, newest)
    return keep_entries(matrix, ~hidden), order[~hidden], keep_entries(matrix, hidden)


def group_events(users: NDArray[np.int32], items: NDArray[np.int32], times: NDArray[np.int64], n: int) -> Sequences:
    """The events of each of n users by time, ties in the given order; an item occurs as often as it was met.

    >>> group_events(np.array([1, 0, 1], "i4"), np.array([7, 8, 9], "i4"), np.array([20, 5, 10]), 2)
    Sequences(starts=array([0, 1, 3]), items=array([8, 9, 7], dtype=int32))
    """
    return Sequences(starts_of(np.bincount(users, minlength=n)), items[np.lexsort((times, users))])


def drop_cells(sequences: Sequences, cells: CodeMatrix) -> Sequences:
    """The sequences without the events of the pairs that a matrix has.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> drop_cells(Sequences(np.array([0, 3]), np.array([2, 0, 2], "i4")), check_matrix([[0, 0, 1]])).items
    array([0], dtype=int32)
    """
    users = np.repeat(np.arange(cells.shape[0]), np.diff(sequences.starts))
    kept = ~np.isin(cell_keys(users, sequences.items, cells.shape[1]), cell_numbers(cells))
    return Sequences(starts_of(np.bincount(users[kept], minlength=cells.shape[0])), sequences.items[kept])


def fade(matrix: CodeMatrix, order: Order | None, memory: float) -> CodeMatrix:
    """Fades values: times `memory` to the power of the number of later entries of the row; unchanged without order.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> fade(check_matrix([[2, 0, 4]]), np.array([1, 0], "i4"), 0.5).toarray()
    array([[2., 0., 2.]], dtype=float32)
    """
    if order is None or memory == 1:
        return matrix
    return with_data(matrix, keep_nonzero(matrix.data * fade_ones(matrix, order, memory), matrix.data))


def fade_ones(matrix: CodeMatrix, order: Order | None, memory: float, least: float = 0.0) -> NDArray[np.float32]:
    """The powers of `memory` for the numbers of later entries of the row, of shape (nnz,); 0 below `least`.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> fade_ones(check_matrix([[1, 1, 1]]), np.array([1, 0, 2], "i4"), 0.5, 0.3)
    array([0.5, 0. , 1. ], dtype=float32)
    """
    if order is None or memory == 1:
        return np.ones(matrix.nnz, np.float32)
    # the fewest possible arrays for a single row
    newest = len(order) - 1 if matrix.shape[0] == 1 else repeat_by_row(matrix, np.diff(matrix.indptr) - 1)
    shares: NDArray[np.float32] = np.float32(memory) ** (newest - order).astype(np.float32)
    shares[shares < least] = 0
    return shares
