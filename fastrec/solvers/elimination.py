"""Positive definite systems whose last rows are sparse: their unknowns are eliminated first, by sparse products.

With F the unknowns of the sparse rows and R the others, A X = B is

    (A_RR - A_RF A_FF⁻¹ A_FR) X_R = B_R - A_RF A_FF⁻¹ B_F,        X_F = A_FF⁻¹ (B_F - A_FR X_R).

What is left to solve takes fewer operations, by the square of its size. A_FR stays as sparse as it was, where a factor
of the whole of A would fill up.
"""

from collections.abc import Callable, Iterator

import numpy as np

from fastrec.kernels.filters import STRIP, multiply_rows
from fastrec.matrix.arrays import Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix, from_dense
from fastrec.matrix.rows import transpose
from fastrec.parallel import one_blas_thread, run_pieces
from fastrec.solvers.inversion import count_tiles, invert_lower, solve_in_place

FEW = 0.07  # the largest mean share of numbers other than 0 in the rows that are eliminated
MOST = 1 / 3  # the largest share of the rows that are eliminated, since A_FF is taken for dense
WIDTH = 3 * STRIP  # columns that are changed at a time: parts of them stay in a core's own cache


def solve_sparse_last(matrix: Floats, right: Floats, n_jobs: int, advance: Callable[[], object] = lambda: None) -> None:
    """Puts the solution X of A X = B in the place of B, as `solve_in_place` does, sooner if the last rows are sparse.

    Parameters
    ----------
    matrix
        A: float32, C-contiguous, of shape (n, n); only the lower triangle is read, and it is overwritten.
    right
        B: float32, C-contiguous, of shape (n, m).
    n_jobs
        Threads. The bits do not depend on it.
    advance
        Called 3 · `count_tiles(n)` times on the way.

    Raises
    ------
    NotPositiveDefiniteError
        If A is not positive definite, as far as float32 can tell.

    Examples
    --------
    >>> matrix, right = np.eye(30, dtype=np.float32), np.ones((30, 1), np.float32)
    >>> matrix[29, 0] = 0.5
    >>> solve_sparse_last(matrix, right, 1)
    >>> right[[0, 1, 29], 0].round(3)
    array([0.667, 1.   , 0.667], dtype=float32)
    """
    first = find_sparse_last(matrix)
    if first == len(matrix):
        return solve_in_place(matrix, right, n_jobs, advance)
    links, own = matrix[first:, :first], right[first:]
    others, rest = matrix[:first, :first], right[:first]
    forth = from_dense(links)
    back = transpose(forth, n_jobs)
    inverse = _inverse_of(matrix[first:, first:])

    def reduce(known: Floats, target: Floats, top: int) -> None:
        """Multiplies A_FF⁻¹ by some columns of what is known, and subtracts A_RF times the product."""
        room = np.zeros((len(known), WIDTH), np.float32)
        known[:] = np.matmul(inverse, known, out=room[:, : known.shape[1]])
        target[top:] -= _multiply(back, room, top)[top:, : known.shape[1]]

    def complete(known: Floats, solved: Floats) -> None:
        room = np.zeros((first, WIDTH), np.float32)
        room[:, : known.shape[1]] = solved
        known -= inverse @ _multiply(forth, room)[:, : known.shape[1]]

    with one_blas_thread():
        # Of A_RR - A_RF A_FF⁻¹ A_FR, the lower triangle alone is needed: each part's rows begin on the diagonal.
        run_pieces(lambda part: reduce(links[:, part], others[:, part], part.start), _parts(first), n_jobs)
        run_pieces(lambda part: reduce(own[:, part], rest[:, part], 0), _parts(right.shape[1]), n_jobs)
        solve_in_place(others, rest, n_jobs, advance)
        run_pieces(lambda part: complete(own[:, part], rest[:, part]), _parts(right.shape[1]), n_jobs)
    for _ in range(3 * (count_tiles(len(matrix)) - count_tiles(first))):
        advance()


def find_sparse_last(matrix: Floats) -> int:
    """Finds the row from which on a symmetric matrix is sparse, by its lower triangle; n if it is so nowhere.

    >>> find_sparse_last(np.eye(30, dtype=np.float32))
    20
    """
    n = len(matrix)
    first = n - int(n * MOST)
    filled = np.count_nonzero(matrix[first:, :first], axis=1)[::-1] / max(first, 1)
    means = np.cumsum(filled) / np.arange(1, len(filled) + 1)
    return n - int(np.flatnonzero(means <= FEW).max(initial=-1) + 1)


def _inverse_of(lower: Floats) -> Floats:
    inverse = lower.copy()
    invert_lower(inverse, 1)
    return np.tril(inverse) + np.tril(inverse, -1).T


def _parts(columns: int) -> Iterator[slice]:
    return (slice(left, min(left + WIDTH, columns)) for left in range(0, columns, WIDTH))


def _multiply(sparse: CodeMatrix, dense: Floats, top: int = 0) -> Floats:
    """The product with a dense array of `WIDTH` columns; rows above `top` are not made."""
    out = np.empty((sparse.shape[0], WIDTH), np.float32)
    indptr, codes, values = readonly(sparse.indptr), readonly(sparse.indices), readonly(sparse.data)
    vectors, flat = readonly(dense.reshape(-1)), out.reshape(-1)
    multiply_rows(indptr, codes, values, top, len(out), WIDTH, 0, WIDTH, vectors, flat)
    return out
