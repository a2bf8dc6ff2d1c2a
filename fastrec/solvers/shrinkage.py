"""Item-to-item weights from a noised Gramian, whose eigenvalues are shrunk to undo the noise.

To a symmetric matrix G, noise adds a symmetric matrix E of independent numbers with standard deviation s off the
diagonal. The eigenvalues of E fill a semicircle up to 2 s √n; an eigenvalue of G below s √n is lost in it. A larger θ
appears as λ = θ + s² n / θ, with its eigenvector rotated by an angle with cos² = 1 - s² n / θ². With the observed
vector, the eigenvalue nearest to G in the Frobenius norm is θ cos² = √(λ² - 4 s² n) (Donoho, Gavish, Johnstone 2018).
All below 2 s √n becomes 0.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from fastrec.matrix.arrays import Floats
from fastrec.parallel import one_blas_thread


def edge_of_noise(n: int, deviation: float) -> float:
    """The approximate largest eigenvalue of symmetric noise of shape (n, n) with that deviation off the diagonal.

    >>> edge_of_noise(100, 0.5)
    10.0
    """
    return 2 * deviation * float(np.sqrt(n))


def solve_noised(gramian: NDArray[np.float64], edge: float, ridge: float) -> Floats:
    """Computes EASE's weights for the Gramian with its noise removed as far as possible.

    Parameters
    ----------
    gramian
        Symmetric, of shape (n, n); only the lower triangle is read.
    edge
        The largest eigenvalue of the noise.
    ridge
        λ, above 0, which is added to the diagonal.

    Returns
    -------
    ndarray of float32, of shape (n, n)
        B_ij = -P_ij / P_jj with P the inverse of the shrunk Gramian plus λ; zeros on the diagonal.

    Examples
    --------
    >>> solve_noised(np.array([[3.0, 2.0], [2.0, 3.0]]), 0.0, 1.0).round(3)
    array([[0. , 0.5],
           [0.5, 0. ]], dtype=float32)
    """
    if not len(gramian):
        return np.zeros((0, 0), np.float32)
    with one_blas_thread():
        values, vectors = eigh(
            gramian.astype(np.float32), lower=True, subset_by_value=(edge, np.inf), check_finite=False
        )
        shrunk = np.sqrt(np.maximum(np.square(values, dtype=np.float64) - edge * edge, 0))
        gains = (shrunk / (shrunk + ridge)).astype(np.float32)
        weights = (vectors * gains) @ vectors.T  # I - λ P, since P keeps the eigenvectors
    own = weights.diagonal().astype(np.float64)
    weights /= np.maximum(1 - own, 1e-6).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights, np.float32)
