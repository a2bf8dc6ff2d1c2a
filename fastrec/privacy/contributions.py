"""What users add to sums, in whole steps: vectors of a length that is never above the unit, for any user's data.

Whole numbers are made of floating-point ones by truncation towards zero, once these were made smaller by far more than
their rounding, so that no rounding lifts a length above the unit.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.ease import fill_gramian
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import readonly
from fastrec.matrix.cells import repeat_by_row, sum_by_code
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import transpose
from fastrec.parallel import balanced_cuts, run_pieces

BELOW = 1 - 2.0**-40
LARGEST_SUM = 2**51
"""Whole numbers up to here are added up in float64 without rounding."""
LARGEST_SCALE = 2**24
"""Whole numbers up to here are float32 numbers."""
PIECES = 64


def count_shares(matrix: CodeMatrix, unit: int) -> NDArray[np.int64]:
    """For each item, a sum over its users of unit / √(items of the user), of shape (n_items,).

    A user adds a vector of length `unit` at most. `unit` times users must be below `LARGEST_SUM`.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> count_shares(check_matrix([[1, 1, 0], [1, 0, 0]]), 1000)
    array([1706,  707,    0])
    """
    shares = np.floor(unit * BELOW / np.sqrt(np.maximum(np.diff(matrix.indptr), 1)))
    return sum_by_code(matrix.indices, repeat_by_row(matrix, shares), matrix.shape[1]).astype(np.int64)


def sum_pairs(matrix: CodeMatrix, weights: NDArray[np.int64], unit: int, n_jobs: int) -> NDArray[np.int64]:
    """The sum over users of what each has of pairs of items: the lower triangle of a Gramian, row by row.

    Of a user with a set S of items, it is s w_i w_j for each pair of S, and 1 / √2 of that for an item with itself. A
    symmetric matrix has each number off the diagonal twice, so that this half of it has a Euclidean length of its
    Frobenius norm by √2: with s = √2 unit / Σ_S w², rounded down, that is `unit` at most, and noise of one size fits
    all of it.

    Parameters
    ----------
    matrix
        Whose entries count, whatever their values, of shape (n_users, n_items).
    weights
        w: whole numbers of at least 1, of shape (n_items,).
    unit
        Times users, it must be below `LARGEST_SUM`.
    n_jobs
        Threads. The sums do not depend on it.

    Returns
    -------
    ndarray of int64, of shape (n_items · (n_items + 1) / 2,)

    Examples
    --------
    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> sum_pairs(check_matrix([[1, 1], [0, 1]]), np.array([1, 1]), 1000, 1)
    array([ 499,  707, 1498])
    """
    n = matrix.shape[1]
    squares = weights * weights
    totals = np.diff(np.concatenate([[0], np.cumsum(squares[matrix.indices])])[matrix.indptr])
    scales = np.minimum(np.floor(math.sqrt(2) * BELOW * unit / np.maximum(totals, 1)), LARGEST_SCALE)
    each = repeat_by_row(matrix, scales)
    sums = _add_pairs(matrix, each, n_jobs).astype(np.int64) * (weights[:, None] * weights)
    own = np.floor(each * squares[matrix.indices] * (BELOW / math.sqrt(2)))
    np.fill_diagonal(sums, sum_by_code(matrix.indices, own, n).astype(np.int64))
    lower: NDArray[np.int64] = sums[np.tri(n, dtype=bool)]
    return lower


def _add_pairs(matrix: CodeMatrix, each: NDArray[np.float64], n_jobs: int) -> NDArray[np.float64]:
    """The lower triangle of sums over users of their number, for all pairs of their items: whole, and so exact."""
    n = matrix.shape[1]
    numbered = assemble_csr(each.astype(np.float32), matrix.indices, matrix.indptr, matrix.shape)
    turned = transpose(numbered, n_jobs)
    items = Entries(readonly(turned.indptr), readonly(turned.indices), readonly(turned.data.astype(np.float64)))
    users = Entries(readonly(matrix.indptr), readonly(matrix.indices), readonly(np.ones(1)))
    sums, nothing = np.empty((n, n)), readonly(np.zeros(n))
    costs = sum_by_code(matrix.indices, repeat_by_row(matrix, np.diff(matrix.indptr).astype(np.float64)), n)
    cuts = balanced_cuts(costs + n / 16, PIECES)

    def fill_piece(piece: int) -> None:
        fill_gramian(items, users, nothing, int(cuts[piece]), int(cuts[piece + 1]), sums)

    run_pieces(fill_piece, range(PIECES), n_jobs)
    return sums
