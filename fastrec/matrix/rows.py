"""Rows of matrices of codes: picked, joined, transposed and made from lists, with their index types kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.sparse import count_columns, place_entries
from fastrec.matrix.arrays import readonly, starts_of
from fastrec.matrix.cells import cell_keys, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, keep_entries
from fastrec.matrix.hashing import hash_cells
from fastrec.parallel import balanced_cuts, run_pieces


def pick_rows(matrix: CodeMatrix, rows: NDArray[Any] | slice) -> CodeMatrix:
    """Picks the given rows of a matrix, in that order: views of its arrays for consecutive rows, otherwise copies.

    Parameters
    ----------
    matrix
        The matrix, of shape (n, n_items).
    rows
        Codes of shape (m,), a bool mask of shape (n,), or a slice of step 1.

    Examples
    --------
    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> pick_rows(check_matrix([[1, 0], [0, 2], [3, 0]]), np.array([2, 1])).toarray()
    array([[3., 0.],
           [0., 2.]], dtype=float32)
    """
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(matrix.shape[0])
        bounds = matrix.indptr[start : stop + 1]
        part = slice(int(bounds[0]), int(bounds[-1]))
        return assemble_csr(
            matrix.data[part], matrix.indices[part], bounds - bounds[0], (stop - start, matrix.shape[1])
        )
    if rows.dtype == bool:
        rows = np.flatnonzero(rows)
    if len(rows) == 1 or (len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (rows[1:] > rows[:-1]).all()):
        return pick_rows(matrix, slice(int(rows[0]), int(rows[-1]) + 1))
    starts = matrix.indptr[rows]
    lengths = matrix.indptr[rows.astype(np.int64) + 1] - starts
    indptr = starts_of(lengths)
    places = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)
    return assemble_csr(matrix.data[places], matrix.indices[places], indptr, (len(rows), matrix.shape[1]))


def with_data(matrix: CodeMatrix, data: NDArray[Any]) -> CodeMatrix:
    """The entries of a matrix with other values, of shape (nnz,).

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> with_data(check_matrix([[1, 0, 1]]), np.array([5, 7])).toarray()
    array([[5, 0, 7]])
    """
    return assemble_csr(data, matrix.indices, matrix.indptr, matrix.shape)


def rows_of_lists(codes: NDArray[np.int32], lengths: Sequence[int] | NDArray[np.int64], width: int) -> CodeMatrix:
    """Makes a matrix of ones with a row for each list; all lists lie in `codes` one after the other.

    Codes below 0 are left out, repeated ones count once.

    >>> rows_of_lists(np.array([2, 0, 2, -1], "i4"), [3, 1], 3).toarray()
    array([[1., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    rows = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    places = np.unique(cell_keys(rows[codes >= 0], codes[codes >= 0], width))
    indptr = np.searchsorted(places, np.arange(len(lengths) + 1) * width).astype(np.int64)
    indices = (places % width).astype(np.int32)
    return assemble_csr(np.ones(len(indices), np.float32), indices, indptr, (len(lengths), width))


def join_rows(first: CodeMatrix | None, second: CodeMatrix | None) -> CodeMatrix | None:
    """A matrix of ones where one of the two has an entry; None if both are None.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> join_rows(check_matrix([[0, 5]]), check_matrix([[1, 1]])).toarray()
    array([[1., 1.]], dtype=float32)
    """
    if first is None or second is None:
        return first if second is None else second
    codes = np.concatenate([first.indices, second.indices])
    rows = np.concatenate([row_numbers(first), row_numbers(second)])
    order = np.argsort(rows, kind="stable")
    return rows_of_lists(codes[order], np.diff(first.indptr) + np.diff(second.indptr), first.shape[1])


def hide_part(matrix: CodeMatrix, share: float = 0.2) -> tuple[CodeMatrix, CodeMatrix]:
    """Splits each row in two: the visible entries, and a hidden share (at least one, if there are two or more).

    A hash of the row's own items chooses the hidden ones: the same in every run and on every machine, in any order or
    selection of rows.
    """
    rows, keys = row_numbers(matrix), hash_cells(matrix)
    order = np.lexsort((keys, rows))
    lengths = np.diff(matrix.indptr)
    # Slightly more than the product, which rounding may put below a whole number.
    hidden_lengths = np.minimum(np.maximum(1, (lengths * share + 1e-9).astype(np.int64)), lengths - 1)
    hidden = np.empty(len(keys), bool)
    hidden[order] = np.arange(len(keys)) - matrix.indptr[rows] < hidden_lengths[rows]
    return keep_entries(matrix, ~hidden), keep_entries(matrix, hidden)


def transpose_arrays(
    matrix: CodeMatrix, n_jobs: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The transposed matrix, as (indptr, indices, data); `data` is one value if all are equal."""
    n_columns = matrix.shape[1]
    cuts = balanced_cuts(np.diff(matrix.indptr), n_jobs)
    counts = np.zeros((n_jobs, n_columns), np.int64)
    indptr, indices = readonly(matrix.indptr), readonly(matrix.indices)

    def count(piece: int) -> None:
        count_columns(indices, indptr[cuts[piece]], indptr[cuts[piece + 1]], counts[piece])

    run_pieces(count, range(n_jobs), n_jobs)
    starts = starts_of(counts.sum(axis=0))
    places = starts[:-1] + np.cumsum(counts, axis=0) - counts
    shared = shared_value(matrix.data)
    values = readonly(shared if len(shared) > 1 or matrix.nnz <= 1 else np.empty(0, np.float32))
    rows, placed = np.empty(matrix.nnz, np.int32), np.empty(len(values), np.float32)

    def place(piece: int) -> None:
        place_entries(indptr, indices, values, cuts[piece], cuts[piece + 1], places[piece], rows, placed)

    run_pieces(place, range(n_jobs), n_jobs)
    return starts, rows, placed if len(values) else shared


def transpose(matrix: CodeMatrix, n_jobs: int) -> CodeMatrix:
    """The transposed matrix, each entry with its value.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> transpose(check_matrix([[1, 0, 2], [0, 3, 0]]), 1).toarray()
    array([[1., 0.],
           [0., 3.],
           [2., 0.]], dtype=float32)
    """
    indptr, indices, data = transpose_arrays(matrix, n_jobs)
    data = np.ascontiguousarray(np.broadcast_to(data, len(indices))) if len(data) == 1 else data
    return assemble_csr(data, indices, indptr, matrix.shape[::-1])


def shared_value(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """One value if all are equal, otherwise all of them."""
    return values[:1] if len(values) and values[0] == values[-1] and (values == values[0]).all() else values


def spread_evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the rows, evenly spread.

    >>> spread_evenly(np.arange(10), 3)
    array([0, 4, 9])
    """
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def mark_rows(matrix: CodeMatrix, rows: Sequence[int]) -> NDArray[np.bool_]:
    """Marks the entries of some rows, of shape (nnz,); reads only those rows.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> mark_rows(check_matrix([[1, 1], [0, 1]]), [0])
    array([ True,  True, False])
    """
    marked = np.zeros(matrix.nnz, bool)
    for row in rows:
        marked[matrix.indptr[row] : matrix.indptr[row + 1]] = True
    return marked


def empty_rows(matrix: CodeMatrix, rows: Sequence[int]) -> CodeMatrix:
    """The matrix without the entries of some rows.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> empty_rows(check_matrix([[1, 1], [0, 1]]), [0]).toarray()
    array([[0., 0.],
           [0., 1.]], dtype=float32)
    """
    kept, lengths = ~mark_rows(matrix, rows), np.diff(matrix.indptr)
    lengths[list(rows)] = 0
    return assemble_csr(matrix.data[kept], matrix.indices[kept], starts_of(lengths), matrix.shape)
