"""Rotations that vectors are quantized in: at random, or learned for a product quantizer (OPQ)."""

import numpy as np
from numpy.typing import NDArray

from fastrec.compression.kmeans import fit_centroids, nearest_centroids, unit_rows
from fastrec.parallel import one_blas_thread

Floats = NDArray[np.float32]

LEARNED_FROM = 32_768  # vectors at most that a rotation is learned from
ROUNDS = 12
LARGEST = 4096  # dimensions; a rotation of more takes too much memory


def random_rotation(d: int, random: np.random.RandomState) -> Floats:
    """A random rotation of d dimensions: of the Haar measure, by QR (Mezzadri 2007).

    Raises
    ------
    ValueError
        Where d is so large that the rotation alone would take more than 64 MiB.
    """
    if d > LARGEST:
        raise ValueError(f"rotation must be None for vectors of more than {LARGEST} dimensions, got {d}")
    with one_blas_thread():
        basis, upper = np.linalg.qr(random.normal(size=(d, d)))
    rotation: Floats = (basis * np.sign(np.diagonal(upper))).astype(np.float32)
    return rotation


def learn_rotation(vectors: Floats, start: Floats, group: int, random: np.random.RandomState) -> Floats:
    """The rotation in which the directions of vectors lose least by product quantization, from `start` on.

    Centroids and rotation are fitted in turn; the rotation that brings X nearest to its quantized form Y is U Vᵀ of
    XᵀY = U S Vᵀ (Ge, He, Ke, Sun: Optimized product quantization. CVPR 2013, section 3.1; the orthogonal Procrustes
    problem).
    """
    chosen = np.sort(random.permutation(len(vectors))[:LEARNED_FROM])
    sample = unit_rows(vectors[chosen])
    rotation = start
    centroids = None
    with one_blas_thread():
        for _ in range(ROUNDS):
            turned = np.ascontiguousarray(sample @ rotation)
            centroids = fit_centroids(turned, group, 256, 2, random, centroids)
            left, _, right = np.linalg.svd(sample.T @ nearest_centroids(turned, centroids))
            rotation = left @ right
    return rotation
