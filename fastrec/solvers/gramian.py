"""The dense Gramian of a sparse matrix, dealt to threads."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.ease import fill_gramian
from fastrec.matrix.arrays import Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import transpose
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.neighbors import PIECES, products_of, rows_of


def fill_lower(matrix: CodeMatrix, diagonal: NDArray[np.float64], gramian: Floats, jobs: int) -> None:
    """Fills the lower triangle of XᵀX + diag(diagonal), and sets what is right of it to zero.

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
