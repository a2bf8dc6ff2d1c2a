"""The contributions of users to sums, in whole steps: vectors no longer than the unit, for any user's data.

Whole numbers are made of floating-point ones by truncation towards zero, once these were made smaller by far more than
their rounding, so that no rounding lifts a length above the unit.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.ease import fill_gramian
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import readonly
from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import transpose
from fastrec.parallel import balanced_cuts, run_pieces

BELOW = 1 - 2.0**-40
LARGEST_SUM = 2**51
"""The limit below which float64 adds whole numbers exactly."""
LARGEST_SCALE = 2**24
"""The limit below which float32 represents whole numbers exactly."""
PIECES = 64


def count_shares(matrix: CodeMatrix, unit: int) -> NDArray[np.int64]:
    """For each item, a sum over its users of unit / √(items of the user), of shape (n_items,).

    A user adds a vector of length `unit` at most. `unit` times users must be below `LARGEST_SUM`.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> count_shares(check_matrix([[1, 1, 0], [1, 0, 0]]), 1000)
    array([1706,  707,    0])
    """
    shares = np.floor(unit * BELOW / np.sqrt(np.maximum(np.diff(matrix.indptr), 1)))
    sums: NDArray[np.int64] = (_make_ones(matrix).T @ shares).astype(np.int64)
    return sums


def sum_pairs(matrix: CodeMatrix, weights: NDArray[np.int64], unit: int, n_jobs: int) -> NDArray[np.int64]:
    """The sum over users of what each has of pairs of different items: a Gramian below its diagonal, row by row.

    Of a user with a set S of items, it is s w_i w_j for each pair of S. With s = unit / √(Σ w_i² w_j²), a sum over the
    pairs, rounded down, that is a vector whose Euclidean length is `unit` at most.

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
    ndarray of int64, of shape (n_items · (n_items - 1) / 2,)

    Examples
    --------
    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> sum_pairs(check_matrix([[1, 1, 0], [1, 1, 1], [0, 1, 0]]), np.array([1, 1, 1]), 1000, 1)
    array([1576,  577,  577])
    """
    n = matrix.shape[1]
    squares = weights.astype(np.float64) ** 2
    of_two, of_four = (_make_ones(matrix) @ np.column_stack([squares, squares**2])).astype(np.int64).T
    twice = of_two**2 - of_four  # each pair in both orders
    scales = np.floor(math.sqrt(2) * BELOW * unit / np.sqrt(np.maximum(twice, 1)))
    scales = np.where(twice > 0, np.minimum(scales, LARGEST_SCALE), 0)
    sums = _add_pairs(matrix, scales, n_jobs)
    lower = np.empty(n * (n - 1) // 2, np.int64)
    for row, part in enumerate(rows_of_lower(lower, n)):
        np.multiply(sums[row, :row], weights[:row] * weights[row], out=part, casting="unsafe")
    return lower


def rows_of_lower(lower: NDArray[Any], n: int) -> Iterator[NDArray[Any]]:
    """The rows of what lies below the diagonal of a square of n rows: views, of 0 to n - 1 numbers.

    >>> [row.tolist() for row in rows_of_lower(np.array([10, 20, 21]), 3)]
    [[], [10], [20, 21]]
    """
    return (lower[row * (row - 1) // 2 : row * (row + 1) // 2] for row in range(n))


def _make_ones(matrix: CodeMatrix) -> CodeMatrix:
    """A matrix with 1 where there is an entry, in float64, whose products are sums."""
    return assemble_csr(np.ones(matrix.nnz), matrix.indices, matrix.indptr, matrix.shape)


def _add_pairs(matrix: CodeMatrix, scales: NDArray[np.float64], n_jobs: int) -> NDArray[np.float64]:
    """Sums over users of their scale, for all pairs of their items, in the lower triangle: whole, and so exact."""
    n = matrix.shape[1]
    each = repeat_by_row(matrix, scales.astype(np.float32))
    turned = transpose(assemble_csr(each, matrix.indices, matrix.indptr, matrix.shape), n_jobs)
    items = Entries(readonly(turned.indptr), readonly(turned.indices), readonly(turned.data.astype(np.float64)))
    users = Entries(readonly(matrix.indptr), readonly(matrix.indices), readonly(np.ones(1)))
    sums, nothing = np.empty((n, n)), readonly(np.zeros(n))
    cuts = balanced_cuts(np.diff(turned.indptr) + n / 16, PIECES)

    def fill_piece(piece: int) -> None:
        fill_gramian(items, users, nothing, int(cuts[piece]), int(cuts[piece + 1]), sums)

    run_pieces(fill_piece, range(PIECES), n_jobs)
    return sums
