"""The cells of a matrix: the row and the number of each entry, comparisons of entries, and counts by code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.code_matrix import CodeMatrix, keep_entries

BLOCK = 1 << 20


def row_numbers(matrix: CodeMatrix) -> NDArray[np.int64]:
    """The row of each entry, of shape (nnz,)."""
    return repeat_by_row(matrix, np.arange(matrix.shape[0], dtype=np.int64))


def cell_numbers(matrix: CodeMatrix) -> NDArray[np.int64]:
    """The number of each entry's cell, counted row by row, of shape (nnz,)."""
    return cell_keys(row_numbers(matrix), matrix.indices, matrix.shape[1])


def cell_keys(rows: NDArray[Any], codes: NDArray[Any], n_columns: int) -> NDArray[np.int64]:
    """The number of each cell, counted row by row: one number for a row and a column.

    >>> cell_keys(np.array([0, 2]), np.array([1, 0]), 4)
    array([1, 8])
    """
    keys: NDArray[np.int64] = rows.astype(np.int64) * n_columns + codes
    return keys


def repeat_by_row(matrix: CodeMatrix, values: NDArray[Any]) -> NDArray[Any]:
    """The value of each entry's row, of shape (nnz,); `values` has one for each row.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> repeat_by_row(check_matrix([[1, 1], [0, 1]]), np.array([5, 7]))
    array([5, 5, 7])
    """
    return np.repeat(values, np.diff(matrix.indptr))


def common_entries(matrix: CodeMatrix, other: CodeMatrix) -> NDArray[np.bool_]:
    """Marks the entries of a matrix that another one of its shape has, too, of shape (nnz,).

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> common_entries(check_matrix([[1, 2, 0]]), check_matrix([[0, 3, 4]]))
    array([False,  True])
    """
    return find_cells(matrix, other) >= 0


def find_cells(matrix: CodeMatrix, other: CodeMatrix) -> NDArray[np.int64]:
    """The place of each entry of a matrix among the entries of another one of its shape, -1 if that has none.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> find_cells(check_matrix([[1, 2, 0]]), check_matrix([[0, 3, 4]]))
    array([-1,  0])
    """
    wanted, cells = cell_numbers(matrix), cell_numbers(other)
    places = np.searchsorted(cells, wanted)
    places[places == len(cells)] = -1
    if len(cells):
        places[cells[places] != wanted] = -1
    return places


def added_entries(before: CodeMatrix, after: CodeMatrix) -> CodeMatrix:
    """The entries of a matrix that an earlier one of its shape lacks, or has with another value.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> added_entries(check_matrix([[1, 2, 0]]), check_matrix([[1, 3, 4]])).toarray()
    array([[0., 3., 4.]], dtype=float32)
    """
    places = find_cells(after, before)
    known = places >= 0
    known[known] = before.data[places[known]] == after.data[known]
    return keep_entries(after, ~known)


def count_codes(codes: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """Counts each of the codes 0 to n - 1, of shape (n,).

    >>> count_codes(np.array([2, 0, 2], "i4"), 3)
    array([1, 0, 2])
    """
    counts = np.zeros(n, np.int64)
    # in blocks, since np.bincount copies its argument to int64, which for all at once takes as much as the whole matrix
    block = max(n, BLOCK)
    for start in range(0, len(codes), block):
        counts += np.bincount(codes[start : start + block], minlength=n)
    return counts


def sum_by_code(codes: NDArray[np.int32], values: NDArray[Any], n: int) -> NDArray[np.float64]:
    """The sum of the values of each of the codes 0 to n - 1, of shape (n,).

    >>> sum_by_code(np.array([2, 0, 2], "i4"), np.array([1.0, 2.0, 3.0]), 3)
    array([2., 0., 4.])
    """
    sums = np.zeros(n)
    block = max(n, BLOCK)
    for start in range(0, len(codes), block):
        part = slice(start, start + block)
        sums += np.bincount(codes[part], weights=values[part], minlength=n)
    return sums
