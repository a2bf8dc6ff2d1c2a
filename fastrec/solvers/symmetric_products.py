"""The product of a symmetric matrix with a sparse one, in the memory of the first."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.symmetric_products import STRIP, multiply_strip, read_strip, write_strip
from fastrec.matrix.arrays import Floats, aligned_zeros, readonly
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import transpose
from fastrec.parallel import run_pieces

BLOCK = 1024  # rows of a strip, 256 KB, which stay in a core's own cache
ROUND = 16  # strips that are read before the products of the first are written


def multiply_in_place(lower: Floats, sparse: CodeMatrix, n_jobs: int) -> None:
    """Replaces a symmetric matrix P by its product P S with a sparse matrix S.

    Overwritten rows of P are not read again, since the columns of P come from its lower triangle.

    Parameters
    ----------
    lower
        P: float32, C-contiguous, of shape (n, n); only the lower triangle is read.
    sparse
        S, of shape (n, n), with ascending codes in each row.
    n_jobs
        Threads. The bits do not depend on it.

    Examples
    --------
    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> matrix = np.array([[4.0, 0.0], [2.0, 2.0]], np.float32)
    >>> multiply_in_place(matrix, check_matrix([[1, 0], [0, 3]]), 1)
    >>> matrix
    array([[4., 6.],
           [2., 6.]], dtype=float32)
    """
    n, turned = len(lower), transpose(sparse, n_jobs)
    cuts, codes, values = readonly(_cut_rows(turned)), readonly(turned.indices), readonly(turned.data)
    strips, products = (aligned_zeros(ROUND, n * STRIP) for _ in range(2))

    def multiply(strip: Floats, product: Floats, left: int) -> None:
        multiply_strip(cuts, codes, values, readonly(strip), product)
        write_strip(product, left, lower)

    for first in range(0, n, ROUND * STRIP):
        lefts = range(first, min(first + ROUND * STRIP, n), STRIP)
        run_pieces(lambda part: read_strip(lower, part[1], part[0]), zip(strips, lefts, strict=False), n_jobs)
        run_pieces(lambda part: multiply(*part), zip(strips, products, lefts, strict=False), n_jobs)


def _cut_rows(matrix: CodeMatrix) -> NDArray[np.int64]:
    """The places at which the entries of each row begin whose codes are in each block: of shape (blocks + 1, rows).

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> _cut_rows(check_matrix([[1, 0], [1, 1]]))
    array([[0, 1],
           [1, 3]])
    """
    n, columns = matrix.shape
    blocks = -(-columns // BLOCK)
    cells = matrix.indices // BLOCK + row_numbers(matrix) * blocks
    counts = np.bincount(cells, minlength=n * blocks).reshape(n, blocks)
    ends = np.cumsum(counts, axis=1).T + matrix.indptr[:-1]
    return np.concatenate([matrix.indptr[None, :-1], ends])
