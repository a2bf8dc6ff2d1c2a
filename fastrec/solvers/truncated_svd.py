"""The leading singular vectors of a sparse matrix, and products of sparse rows with dense vectors, run by threads."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fastrec.kernels.filters import STRIP, add_products, multiply_rows
from fastrec.kernels.lanes import padded_width
from fastrec.matrix.arrays import Floats, aligned_zeros, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import transpose
from fastrec.parallel import balanced_cuts, one_blas_thread, run_pieces
from fastrec.solvers.als import BLOCK, gramian, rotate

PIECES = 16  # pieces of a product
SMALL = 1024  # a side up to which the Gramian is dense and its eigenvectors exact
OVERSAMPLING = 16  # directions that are iterated besides the wanted ones
DEGREES = (1, 2, 3, 6, 8)  # the degrees of the Chebyshev filters of the first rounds; the last one is repeated
PRODUCTS = 80  # products with the Gramian after which the iteration ends in any case
# In a round, the largest direction may outgrow the smallest wanted one by no more than this. float32 keeps seven
# digits, and if the largest fills them (a matrix with few very popular items), the others are lost.
GROWTH = 1e6


class SparseProduct:
    """A sparse matrix that threads multiply with dense arrays; a row's bits do not depend on other rows.

    Parameters
    ----------
    matrix
        float32, of shape (n, m).
    """

    def __init__(self, matrix: CodeMatrix) -> None:
        self.indptr, self.indices, self.data = map(readonly, (matrix.indptr, matrix.indices, matrix.data))
        self.shape = matrix.shape
        lengths = np.diff(matrix.indptr)
        self.cuts = np.unique(balanced_cuts(lengths + 4, PIECES)) if len(lengths) > 1 else np.arange(len(lengths) + 1)

    def times(self, dense: Floats, n_jobs: int) -> Floats:
        """The product with `dense`, of shape (m, width), width a multiple of sixteen; of shape (n, width)."""
        width = dense.shape[1]
        out = aligned_zeros(self.shape[0], width)
        vectors, flat = readonly(dense.reshape(-1)), out.reshape(-1)

        def multiply_piece(task: tuple[int, int]) -> None:
            left, piece = task
            first, last, right = self.cuts[piece], self.cuts[piece + 1], min(left + step, width)
            multiply_rows(self.indptr, self.indices, self.data, first, last, width, left, right, vectors, flat)

        step = max(width, STRIP) if self.shape[0] == 1 else STRIP  # a single row is one piece
        run_pieces(multiply_piece, itertools.product(range(0, width, step), range(len(self.cuts) - 1)), n_jobs)
        return out


def add_dense_products(vectors: Floats, matrix: Floats, out: Floats, n_jobs: int) -> None:
    """Adds `vectors @ matrix` to `out`, in place; an element's bits do not depend on its neighbours.

    Parameters
    ----------
    vectors, matrix, out
        Of shapes (n, depth), (depth, width) and (n, width), width a multiple of sixteen.
    n_jobs
        The number of threads.
    """
    depth, width = matrix.shape
    left, right, flat = readonly(vectors.reshape(-1)), readonly(matrix.reshape(-1)), out.reshape(-1)

    def add_piece(task: tuple[int, int]) -> None:
        strip, first = task
        add_products(left, depth, first, min(first + BLOCK, len(out)), width, strip, right, flat)

    run_pieces(add_piece, itertools.product(range(0, width, STRIP), range(0, len(out), BLOCK)), n_jobs)


def sum_vectors(matrix: CodeMatrix, vectors: Floats, n_jobs: int) -> Floats:
    """`matrix @ vectors` for any width: each row the sum, over its entries, of value times vector.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> sum_vectors(check_matrix([[1, 2], [0, 0]]), np.eye(2, dtype=np.float32), 1)
    array([[1., 2.],
           [0., 0.]], dtype=float32)
    """
    width = vectors.shape[1]
    padded = pad_columns(vectors)
    product = SparseProduct(matrix).times(padded, n_jobs if matrix.shape[0] > 1 else 1)
    return product if product.shape[1] == width else np.ascontiguousarray(product[:, :width])


def pad_columns(vectors: Floats) -> Floats:
    """The vectors padded with zeros to a multiple of sixteen columns for kernels; the vectors themselves if they
    fit.
    """
    width = padded_width(vectors.shape[1])
    if vectors.shape[1] == width:
        return np.require(vectors, np.float32, ["C", "A"])
    padded = aligned_zeros(len(vectors), width)
    padded[:, : vectors.shape[1]] = vectors
    return padded


@dataclass(frozen=True)
class TruncatedSVD:
    """The largest singular values, float64 of shape (k,), in descending order, and their right vectors, of shape
    (m, k).
    """

    values: NDArray[np.float64]
    vectors: Floats


def truncated_svd(matrix: CodeMatrix, k: int, *, random_state: int, n_jobs: int, tol: float = 1e-4) -> TruncatedSVD:
    """Computes the `k` largest singular values of a sparse matrix with their right singular vectors.

    If a side is short, they come from the eigenvectors of the dense Gramian. Otherwise from subspace iteration with
    Chebyshev filters (Rutishauser 1970; Zhou, Saad 2007) from random vectors. Each round multiplies the wanted
    directions by a polynomial of MᵀM that is small below the smallest Ritz value, until no wanted value moves by more
    than `tol` of the largest. The answer does not depend on `n_jobs`.

    Parameters
    ----------
    matrix
        The matrix, of shape (n, m).
    k
        The number of vectors; missing ones have value 0 and a vector of zeros.
    random_state
        The seed of the first vectors.
    n_jobs
        The number of threads.
    tol
        The tolerance that stops the iteration.

    Raises
    ------
    FloatingPointError
        If values are so large that float32 does not hold their products.
    """
    rank = min(k, *matrix.shape)
    with one_blas_thread():
        exact = min(matrix.shape) <= max(SMALL, rank + OVERSAMPLING)
        values, vectors = _exact(matrix, rank) if exact else _iterate(matrix, rank, random_state, n_jobs, tol)
    if not np.isfinite(values).all():
        raise FloatingPointError("the matrix's singular values are not finite: its values are too large for float32")
    values = np.where(values > 1e-6 * max(values[0], 1e-30), values, 0)
    vectors[:, values == 0] = 0
    largest = np.abs(vectors).argmax(axis=0)
    vectors *= np.where(vectors[largest, np.arange(rank)] < 0, np.float32(-1), np.float32(1))
    full = np.zeros((matrix.shape[1], k), np.float32)
    full[:, :rank] = vectors
    return TruncatedSVD(np.concatenate([values, np.zeros(k - rank)]), full)


def _exact(matrix: CodeMatrix, rank: int) -> tuple[NDArray[np.float64], Floats]:
    wide = csr_array((matrix.data.astype(np.float64), matrix.indices, matrix.indptr), shape=matrix.shape)
    by_rows = matrix.shape[0] < matrix.shape[1]
    small = (wide @ wide.T if by_rows else wide.T @ wide).toarray()
    squares, basis = np.linalg.eigh(small)
    squares, basis = np.maximum(squares[::-1][:rank], 0), basis[:, ::-1][:, :rank]
    values = np.sqrt(squares)
    if by_rows:
        basis = np.asarray(wide.T @ basis) / np.where(values > 0, values, 1)
    return values, basis.astype(np.float32)


def _iterate(
    matrix: CodeMatrix, rank: int, random_state: int, n_jobs: int, tol: float
) -> tuple[NDArray[np.float64], Floats]:
    rows, columns = SparseProduct(matrix), SparseProduct(transpose(matrix, n_jobs))
    width = padded_width(min(rank + OVERSAMPLING, *matrix.shape))
    rng = np.random.default_rng(random_state)
    X = aligned_zeros(matrix.shape[1], width)
    X[:] = rng.standard_normal(X.shape, np.float32)
    squares, products = np.zeros(width), 0
    for wanted in itertools.chain(DEGREES, itertools.repeat(DEGREES[-1])):
        degree = min(wanted, _highest_degree(squares))
        X = _apply_filters(rows, columns, X, degree, squares, n_jobs)
        _orthonormalize(X, n_jobs)
        before = squares
        squares, basis = np.linalg.eigh(gramian(rows.times(X, n_jobs), n_jobs))
        squares = np.maximum(squares[::-1], 0)
        rotate(X, np.ascontiguousarray(basis[:, ::-1], np.float32), n_jobs)
        products += degree + 1
        if np.abs(squares - before)[:rank].max() <= tol * squares[0] or products >= PRODUCTS:
            break
    return np.sqrt(squares[:rank]), np.ascontiguousarray(X[:, :rank])


def _highest_degree(squares: NDArray[np.float64]) -> int:
    """The largest degree of a filter within `GROWTH`: T_d(x) = cosh(d arcosh x) for x above 1."""
    if not squares[-1] > 0:
        return 1
    return max(1, int(math.acosh(GROWTH) / math.acosh(max(2 * squares[0] / squares[-1] - 1, 1 + 1e-6))))


def _apply_filters(
    rows: SparseProduct, columns: SparseProduct, X: Floats, degree: int, squares: NDArray[np.float64], n_jobs: int
) -> Floats:
    """Applies T_degree of the Gramian to X, with the interval [0, smallest Ritz value] mapped to [-1, 1]."""
    cut = max(float(squares[-1]), 1e-30)
    if degree == 1 or not squares[0] > 0:
        return columns.times(rows.times(X, n_jobs), n_jobs)

    def step(now: Floats, last: Floats | None, scale: float) -> Floats:
        product = columns.times(rows.times(now, n_jobs), n_jobs)

        def combine(first: int) -> None:
            block = slice(first, first + BLOCK)
            product[block] *= np.float32(2 / cut * scale)
            product[block] -= np.float32(scale) * now[block]
            if last is not None:
                product[block] -= last[block]

        run_pieces(combine, range(0, len(product), BLOCK), n_jobs)
        return product

    last, now = X, step(X, None, 1.0)
    for _ in range(degree - 1):
        last, now = now, step(now, last, 2.0)
    return now


def _orthonormalize(X: Floats, n_jobs: int) -> None:
    """Makes columns orthonormal in place: Cholesky QR of columns that are first scaled to one length."""
    for _ in range(2):
        matrix = gramian(X, n_jobs)
        lengths = np.sqrt(np.maximum(np.diagonal(matrix), 1e-30))
        scaled = matrix / lengths[:, None] / lengths
        values, basis = np.linalg.eigh(scaled)
        values = np.maximum(values, 1e-7 * values[-1])  # smaller values of a float32 Gramian are rounding errors
        rotate(X, (basis / np.sqrt(values) / lengths[:, None]).astype(np.float32), n_jobs)
