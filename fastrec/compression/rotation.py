"""Rotations before quantization: at random, or learned for a product quantizer (OPQ)."""

import numpy as np
from numpy.typing import NDArray

from fastrec.compression.kmeans import (
    assign,
    fit_centroids,
    in_parts,
    join_centroids,
    part_sizes,
    squared_lengths,
    unit_rows,
)
from fastrec.parallel import one_blas_thread

Floats = NDArray[np.float32]

LEARNED_FROM = 32_768  # the maximum number of vectors for learning a rotation
ROUNDS = 12
FLOOR = 1e-9  # the smallest variance, as a share of the largest
LARGEST = 4096  # the maximum number of dimensions; a larger rotation takes too much memory


def random_rotation(d: int, random: np.random.RandomState) -> Floats:
    """A random rotation of d dimensions: of the Haar measure, by QR (Mezzadri 2007).

    Raises
    ------
    ValueError
        If d is so large that the rotation alone would take more than 64 MiB.
    """
    if d > LARGEST:
        raise ValueError(f"rotation must be None for vectors of more than {LARGEST} dimensions, got {d}")
    with one_blas_thread():
        basis, upper = np.linalg.qr(random.normal(size=(d, d)))
    rotation: Floats = (basis * np.sign(np.diagonal(upper))).astype(np.float32)
    return rotation


def learn_rotation(vectors: Floats, parts: int, random: np.random.RandomState) -> Floats:
    """Learns the rotation in which product quantization of directions loses least.

    Starting from the principal axes, centroids and rotation are fitted in turn; the rotation that maps X nearest to its
    quantized form Y is U Vᵀ of XᵀY = U S Vᵀ (Ge, He, Ke, Sun: Optimized product quantization. CVPR 2013, section 3.1;
    the orthogonal Procrustes problem).
    """
    chosen = np.sort(random.permutation(len(vectors))[:LEARNED_FROM])
    sample, weights = unit_rows(vectors[chosen]), squared_lengths(vectors[chosen])
    weighted = (sample * weights[:, None]).T
    centroids = None
    with one_blas_thread():
        rotation = deal_axes(weighted @ sample, parts)
        for _ in range(ROUNDS):
            turned = np.ascontiguousarray(sample @ rotation)
            centroids = fit_centroids(turned, weights, parts, 256, 2, random, centroids)
            codes = assign(in_parts(turned, parts), centroids)
            left, _, right = np.linalg.svd(weighted @ join_centroids(codes, centroids, turned.shape[1]))
            rotation = np.ascontiguousarray(left @ right, np.float32)
    return rotation


def deal_axes(moment: NDArray[np.float64], parts: int) -> Floats:
    """Deals the principal axes of a second moment to parts so that the products of their variances are similar.

    Each part then carries the same information with the same bits (Ge et al. 2013, section 3.2). The largest axes are
    dealt first, each to the part with the smallest product that has room.
    """
    values, basis = np.linalg.eigh(moment)
    values = np.maximum(values, FLOOR * max(values[-1], np.finfo(np.float64).tiny))
    sizes, products = part_sizes(len(moment), parts), np.zeros(parts)
    dealt: list[list[int]] = [[] for _ in range(parts)]
    for axis in range(len(moment) - 1, -1, -1):
        place = min((p for p in range(parts) if len(dealt[p]) < sizes[p]), key=lambda p: products[p])
        dealt[place].append(axis)
        products[place] += np.log(values[axis] / values[0])
    return np.ascontiguousarray(basis[:, [axis for own in dealt for axis in own]], np.float32)
