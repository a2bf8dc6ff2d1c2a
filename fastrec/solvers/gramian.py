"""The Gramian XᵀX of a matrix's columns: its lower triangle, dense or sparse, or the whole."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.ease import fill_gramian, gather_lower
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows, transpose
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.neighbors import PIECES, products_of, rows_of

Doubles = NDArray[np.float64]

TILE = 512  # rows and columns that are mirrored at a time


def squared_norms(matrix: CodeMatrix) -> Doubles:
    """The squared norm of each column."""
    squares = np.bincount(matrix.indices, weights=matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[1])
    return squares.astype(np.float64, copy=False)


def by_popularity(matrix: CodeMatrix, n_jobs: int) -> tuple[CodeMatrix, Codes]:
    """The columns as rows, the most popular first, and their codes.

    The popular items predict most others: side by side, their rows of the Gramian stay in the cache.
    """
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    return pick_rows(transpose(matrix, n_jobs), order), order


def fill_lower(matrix: CodeMatrix, diagonal: NDArray[np.float64], gramian: Floats, jobs: int) -> None:
    """Fills the lower triangle of XᵀX + diag(diagonal), and sets the part right of it to zero.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> gramian = np.empty((2, 2), np.float32)
    >>> fill_lower(check_matrix([[1, 2], [0, 3]]), np.zeros(2), gramian, 1)
    >>> gramian
    array([[ 1.,  0.],
           [ 2., 13.]], dtype=float32)
    """
    items, users = rows_of(transpose(matrix, jobs)), rows_of(matrix)
    cuts = balanced_cuts(products_of(items, users) + len(gramian) / 16, PIECES)
    fixed = readonly(diagonal.astype(np.float32))

    def fill_piece(piece: int) -> None:
        fill_gramian(items, users, fixed, int(cuts[piece]), int(cuts[piece + 1]), gramian)

    run_pieces(fill_piece, range(PIECES), jobs)


def gather_entries(
    items: CodeMatrix, users: CodeMatrix, scales: Doubles, threshold: float, jobs: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
    """Gathers the Gramian's entries below its diagonal; they are counted first, to allocate exactly their memory."""
    rows, features = rows_of(items), rows_of(users)
    n = items.shape[0]
    cuts = balanced_cuts(products_of(rows, features) + 1, PIECES)
    fixed, counts = readonly(scales.astype(np.float32)), np.empty(n, np.int64)

    def gather(starts: NDArray[np.int64], codes: NDArray[np.int32], values: Floats) -> None:
        def gather_piece(piece: int) -> None:
            first, last = cuts[piece], cuts[piece + 1]
            gather_lower(rows, features, fixed, np.float32(threshold), starts, first, last, counts, codes, values)

        run_pieces(gather_piece, range(PIECES), jobs)

    gather(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    starts = starts_of(counts)
    lower = starts, np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    gather(*lower)
    return lower


def whole_gramian(matrix: CodeMatrix, n_jobs: int) -> Floats:
    """XᵀX of a matrix with n columns, dense, of shape (n, n)."""
    n = matrix.shape[1]
    gramian = np.empty((n, n), np.float32)
    fill_lower(matrix, np.zeros(n), gramian, n_jobs)
    for start in range(0, n, TILE):
        stop = min(start + TILE, n)
        tile = gramian[start:stop, start:stop]
        tile += np.tril(tile, -1).T
        gramian[start:stop, stop:] = gramian[stop:, start:stop].T
    return gramian
