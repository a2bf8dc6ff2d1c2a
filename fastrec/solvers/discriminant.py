"""The first rows of a fold-in: the direction that best tells a history's items from all others.

It is Fisher's linear discriminant (1936): C⁻¹ times the sum of y_i − m over the history. Here m is the mean and C the
covariance of the items' vectors. A ridge of C's mean eigenvalue keeps directions without spread finite.
"""

from dataclasses import dataclass

import numpy as np

from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import with_data
from fastrec.parallel import one_blas_thread
from fastrec.solvers.truncated_svd import SparseProduct, add_dense_products

SPREAD = 0.5  # the standard deviation of a first row's scores, if the items' vectors spread alike in all directions
TINY = np.float32(1e-12)


@dataclass(frozen=True)
class Discriminant:
    """The items, as the first rows of a fold-in need them.

    Parameters
    ----------
    rows
        The items' vectors, padded with zeros, of shape (n_items, width).
    center
        Their mean, of shape (width,).
    whitening
        The inverse of their covariance, of shape (width, width).
    length
        The length of a first row.
    """

    rows: Floats
    center: Floats
    whitening: Floats
    length: np.float32

    @classmethod
    def of(cls, rows: Floats, pool: Codes) -> "Discriminant":
        """Compares the vectors of the items of `pool`, of which there is at least one."""
        vectors = rows[pool].astype(np.float64)
        center = vectors.mean(axis=0)
        vectors -= center
        with one_blas_thread():
            covariance = vectors.T @ vectors / len(vectors)
            used = max(1, int(np.count_nonzero(np.diagonal(covariance))))
            mean = max(np.trace(covariance) / used, 1e-30)
            inverse = np.linalg.inv(covariance / mean + np.eye(len(covariance)))
        length = SPREAD / np.sqrt(mean) if mean > 1e-12 else 0.0
        return cls(rows, center.astype(np.float32), inverse.astype(np.float32), np.float32(length))

    def first_rows(self, histories: CodeMatrix, weights: Floats, n_jobs: int) -> Floats:
        """The first rows of these histories, of shape (n, width); an empty history's is zero.

        `weights`, one for each entry or one for all, multiply the items' vectors.
        """
        data = np.resize(weights, histories.nnz)
        sums = SparseProduct(with_data(histories, data)).times(self.rows, n_jobs)
        users = repeat_by_row(histories, np.arange(histories.shape[0]))
        totals = np.bincount(users, data, histories.shape[0]).astype(np.float32)
        sums -= totals[:, None] * self.center
        out = np.zeros_like(sums)
        add_dense_products(sums, self.whitening, out, n_jobs)
        lengths = np.sqrt((out * out).sum(axis=1, keepdims=True))
        out *= self.length / np.maximum(lengths, TINY)
        return out
