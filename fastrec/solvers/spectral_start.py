"""First rows for losses that rank: two steps of subspace iteration find the main directions of the interactions.

Take M = D_u^(-1/2) R D_i^(-1/2), where R has a one for each event and D holds the numbers of events of users and items.
X spans the leading right singular vectors of M, roughly (Halko, Martinsson, Tropp 2011). Users start along M X, and
items along the rows of X, where popular items have longer rows.
"""

import math

import numpy as np

from fastrec.matrix.arrays import Floats, aligned_zeros
from fastrec.matrix.cells import count_codes, repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import transpose, with_data
from fastrec.parallel import one_blas_thread
from fastrec.solvers.als import gramian, rotate
from fastrec.solvers.truncated_svd import SparseProduct

ROUNDS = 2
USER_LENGTH, ITEM_LENGTH = 1.5, 1.0  # the length of users' rows, and the root mean square of that of items' rows
POPULARITY_EXPONENT = 0.25
LEAST = 1e-6  # of the largest eigenvalue: directions below are rounding errors of float32


def add_spectral_rows(users: Floats, items: Floats, matrix: CodeMatrix, factors: int, seed: int, n_jobs: int) -> None:
    """Adds first rows to the first `factors` columns of `users` and `items`, whose other columns are padding.

    Rows without events stay as they are.
    """
    counts = count_codes(matrix.indices, matrix.shape[1])
    scales = [(1 / np.sqrt(np.maximum(n, 1))).astype(np.float32) for n in (np.diff(matrix.indptr), counts)]
    scaled = with_data(matrix, repeat_by_row(matrix, scales[0]) * scales[1][matrix.indices])
    rows, columns = SparseProduct(scaled), SparseProduct(transpose(scaled, n_jobs))
    basis = aligned_zeros(*items.shape)
    basis[:, :factors] = np.random.default_rng([seed, 0, 1]).standard_normal((len(items), factors), np.float32)
    with one_blas_thread():
        for _ in range(ROUNDS):
            basis = columns.times(rows.times(basis, n_jobs), n_jobs)
            _orthonormalize(basis, n_jobs)
        image = rows.times(basis, n_jobs)
        image *= USER_LENGTH / np.maximum(np.linalg.norm(image, axis=1, keepdims=True), np.float32(1e-12))
        users += image
        basis *= (counts**POPULARITY_EXPONENT).astype(np.float32)[:, None]
        length = float(np.linalg.norm(basis)) / math.sqrt(max(1, int(np.count_nonzero(counts))))
        basis *= np.float32(ITEM_LENGTH / max(length, 1e-12))
        items += basis


def _orthonormalize(basis: Floats, n_jobs: int) -> None:
    """Makes the columns orthonormal in place; directions that they hardly span become zero."""
    matrix = gramian(basis, n_jobs)
    lengths = np.sqrt(np.maximum(np.diagonal(matrix), 1e-30))
    values, vectors = np.linalg.eigh(matrix / lengths[:, None] / lengths)
    inverse_roots = np.where(values > LEAST * max(float(values[-1]), 1e-30), 1 / np.sqrt(np.maximum(values, 1e-30)), 0)
    turned = vectors * inverse_roots / lengths[:, None]
    rotate(basis, np.ascontiguousarray(turned[:, ::-1], np.float32), n_jobs)  # the padding stays last
