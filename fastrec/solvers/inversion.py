"""The inverse of a positive definite matrix, in its own memory: Cholesky by tiles, run by threads.

LAPACK's spotrf and spotri do the same on their own threads, whose number changes the last bits. Here, every tile is one
product in a fixed order on one BLAS thread, and our threads share the tiles.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import lapack

from fastrec.matrix.arrays import Floats
from fastrec.parallel import one_blas_thread, run_pieces

LARGEST_TILE = 1024
SMALLEST_TILE = 128
PARTS = 4  # the minimum number of parts of right sides: wide products are fast, and threads have enough to share


class NotPositiveDefiniteError(ArithmeticError):
    """An error: the matrix has no Cholesky factor, as far as float32 can tell."""


def invert_lower(matrix: Floats, n_jobs: int, advance: Callable[[], object] = lambda: None) -> None:
    """Puts the lower triangle of the inverse of a positive definite matrix in place of its own.

    Parameters
    ----------
    matrix
        float32, C-contiguous, of shape (n, n); only the lower triangle is read. The upper one is overwritten within the
        tiles on the diagonal.
    n_jobs
        Threads. The bits do not depend on it.
    advance
        Called 3 · `count_tiles(n)` times on the way.

    Raises
    ------
    NotPositiveDefiniteError
        If the matrix is not positive definite, as far as float32 can tell.

    Examples
    --------
    >>> matrix = np.array([[4.0, 0.0], [2.0, 2.0]], np.float32)
    >>> invert_lower(matrix, 1)
    >>> np.tril(matrix)
    array([[ 0.5,  0. ],
           [-0.5,  1. ]], dtype=float32)
    """
    tiles = _tiles(len(matrix))
    with one_blas_thread():
        for number in range(len(tiles)):
            _factor_column(matrix, tiles, number, n_jobs)
            advance()
        for number in range(len(tiles)):
            _invert_row(matrix, tiles, number, n_jobs)
            advance()
        for number in range(len(tiles)):
            _multiply_row(matrix, tiles, number, n_jobs)
            advance()


def count_tiles(n: int) -> int:
    """The number of tiles that a side of n is cut into.

    >>> count_tiles(41_000)
    41
    """
    return len(_tiles(n))


def _tiles(n: int) -> list[slice]:
    # from n alone, so that sums do not depend on the threads; with enough tiles for two threads
    size = min(LARGEST_TILE, max(SMALLEST_TILE, -(-n // 16)))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _factor_column(A: Floats, tiles: list[slice], number: int, n_jobs: int) -> None:
    """A column of tiles of L, where L Lᵀ = A; the tile on the diagonal becomes the inverse of its own."""
    here = tiles[number]
    before = slice(0, here.start)

    def subtract(rows: slice) -> None:
        if here.start:
            A[rows, here] -= A[rows, before] @ A[here, before].T

    subtract(here)
    inverse = _inverse_factor(A[here, here])

    def finish(rows: slice) -> None:
        subtract(rows)
        A[rows, here] = A[rows, here] @ inverse.T

    run_pieces(finish, tiles[number + 1 :], n_jobs)
    A[here, here] = inverse


def _inverse_factor(tile: Floats) -> Floats:
    """The inverse of the Cholesky factor of a small matrix, zeros above its diagonal."""
    # in float64, since this inverse multiplies all tiles below
    factor, fault = lapack.dpotrf(tile.astype(np.float64), lower=1, clean=1)
    if fault == 0:
        factor, fault = lapack.dtrtri(factor, lower=1)
    if fault != 0 or not np.isfinite(factor).all():
        raise NotPositiveDefiniteError
    return np.ascontiguousarray(factor, np.float32)


def _invert_row(A: Floats, tiles: list[slice], number: int, n_jobs: int) -> None:
    """A row of tiles of W = L⁻¹, from the rows above it: W_ij = -W_ii Σ_k L_ik W_kj over k from j to i - 1."""
    here = tiles[number]
    old = A[here, : here.start].copy()
    inverse = A[here, here]

    def invert(columns: slice) -> None:
        inner = slice(columns.start, here.start)
        A[here, columns] = -(inverse @ (old[:, inner] @ A[inner, columns]))

    run_pieces(invert, tiles[:number], n_jobs)


def _multiply_row(A: Floats, tiles: list[slice], number: int, n_jobs: int) -> None:
    """A row of tiles of WᵀW: P_ij = Σ_k (W_ki)ᵀ W_kj over k from i on; the rows below are still W."""
    here = tiles[number]
    below = slice(here.start, len(A))
    left = A[below, here].T

    def multiply(columns: slice) -> None:
        A[here, columns] = left @ A[below, columns]

    run_pieces(multiply, tiles[:number], n_jobs)
    A[here, here] = left @ A[below, here]


def solve_in_place(matrix: Floats, right: Floats, n_jobs: int, advance: Callable[[], object] = lambda: None) -> None:
    """Puts the solution X of A X = B in the place of B, for a positive definite matrix A.

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
    >>> right = np.array([[2.0], [2.0]], np.float32)
    >>> solve_in_place(np.array([[4.0, 0.0], [2.0, 2.0]], np.float32), right, 1)
    >>> right
    array([[0.],
           [1.]], dtype=float32)
    """
    tiles, width = _tiles(len(matrix)), min(LARGEST_TILE, max(SMALLEST_TILE, -(-right.shape[1] // PARTS)))
    columns = [slice(first, first + width) for first in range(0, right.shape[1], width)]
    with one_blas_thread():
        for number in range(len(tiles)):
            _factor_column(matrix, tiles, number, n_jobs)
            advance()

        def substitute(part: slice) -> None:
            some = right[:, part]
            room = np.empty(some.shape, np.float32)
            _solve_lower(matrix, tiles, some, room)
            _solve_upper(matrix, tiles, some, room)

        run_pieces(substitute, columns, n_jobs)
        for _ in range(2 * len(tiles)):
            advance()


def _solve_lower(A: Floats, tiles: list[slice], right: Floats, room: Floats) -> None:
    """Solves L Y = B in the rows of some tiles, with Y in the place of B: by halves, since large products are
    fastest.
    """
    half = len(tiles) // 2
    if not half:
        return _multiply_triangle(A[tiles[0], tiles[0]], right[tiles[0]], room, lower=True)
    upper, lower = slice(tiles[0].start, tiles[half].start), slice(tiles[half].start, tiles[-1].stop)
    _solve_lower(A, tiles[:half], right, room)
    right[lower] -= np.matmul(A[lower, upper], right[upper], out=room[: lower.stop - lower.start])
    _solve_lower(A, tiles[half:], right, room)


def _solve_upper(A: Floats, tiles: list[slice], right: Floats, room: Floats) -> None:
    """Solves Lᵀ X = Y in the rows of some tiles, with X in the place of Y."""
    half = len(tiles) // 2
    if not half:
        return _multiply_triangle(A[tiles[0], tiles[0]].T, right[tiles[0]], room, lower=False)
    upper, lower = slice(tiles[0].start, tiles[half].start), slice(tiles[half].start, tiles[-1].stop)
    _solve_upper(A, tiles[half:], right, room)
    right[upper] -= np.matmul(A[lower, upper].T, right[lower], out=room[: upper.stop - upper.start])
    _solve_upper(A, tiles[:half], right, room)


def _multiply_triangle(triangle: Floats, rows: Floats, room: Floats, *, lower: bool) -> None:
    """Multiplies rows by a triangle, in place: the half that reads all of them, then the one that reads its own."""
    half = len(rows) // 2
    first, second = slice(half), slice(half, None)
    wide, narrow = (second, first) if lower else (first, second)
    for part, read in ((wide, slice(None)), (narrow, narrow)):
        rows[part] = np.matmul(triangle[part, read], rows[read], out=room[: len(rows[part])])
