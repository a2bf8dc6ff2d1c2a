"""k-means in each of the parts that vectors are cut into: the codebooks of product quantization."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.codes import assign_centroids
from fastrec.validation import readonly

Floats = NDArray[np.float32]

LANES = 16
SPREAD = 1e-3  # of an empty part's centroid, which begins beside the fullest one


def unit_rows(vectors: Floats) -> Floats:
    """The rows brought to length 1; zeros stay.

    >>> unit_rows(np.array([[3, 4], [0, 0]], "f4"))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: Floats = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return scaled


def fit_centroids(
    vectors: Floats, group: int, k: int, iterations: int, random: np.random.RandomState, start: Floats | None = None
) -> Floats:
    """Lloyd's k-means in each part of `group` dimensions; returns centroids of shape (parts, k, group).

    It begins from `start`, or from k of the vectors. A centroid that nothing is nearest to moves beside the one that
    most is. Where there are fewer vectors than k, the rest of the centroids is zeros.
    """
    cut = in_parts(vectors, group)
    n, parts = cut.shape[:2]
    if start is None:
        chosen = random.permutation(n)[:k]
        start = np.zeros((parts, k, group), np.float32)
        start[:, : len(chosen)] = cut[chosen].swapaxes(0, 1)
    centroids = start.copy()
    used = min(n, k)
    for _ in range(iterations):
        codes = assign(cut, centroids)
        for part in range(parts):
            counts = np.bincount(codes[:, part], minlength=k)
            sums = [np.bincount(codes[:, part], cut[:, part, j], minlength=k) for j in range(group)]
            known = counts > 0
            means = (np.array(sums).T / np.maximum(counts, 1)[:, None]).astype(np.float32)
            centroids[part, known] = means[known]
            empty = np.flatnonzero(~known[:used])
            fullest = np.argsort(-counts, kind="stable")[: len(empty)]
            shift = SPREAD * random.normal(size=(len(empty), group)) * np.abs(centroids[part]).max()
            centroids[part, empty] = centroids[part, fullest] + shift.astype(np.float32)
    return centroids


def assign(cut: Floats, centroids: Floats) -> NDArray[np.uint8]:
    """The codes of the nearest centroids, of shape (n, parts), for vectors of shape (n, parts, group)."""
    parts, k, group = centroids.shape
    width = -(-k // LANES) * LANES
    beside = np.zeros((parts, group, width), np.float32)
    beside[:, :, :k] = centroids.swapaxes(1, 2)
    halves = np.full((parts, width), np.inf, np.float32)
    halves[:, :k] = np.square(centroids, dtype=np.float64).sum(axis=2) / 2
    codes = np.empty((len(cut), parts), np.uint8)
    lanes = np.empty(LANES, np.float32)
    assign_centroids(readonly(cut.reshape(len(cut), -1)), readonly(beside), readonly(halves), lanes, codes)
    return codes


def nearest_centroids(vectors: Floats, centroids: Floats) -> Floats:
    """The vectors that their nearest centroids make up, of the shape of `vectors`."""
    codes = assign(in_parts(vectors, centroids.shape[2]), centroids)
    picked = centroids[np.arange(len(centroids)), codes]
    whole: Floats = np.ascontiguousarray(picked.reshape(len(vectors), -1)[:, : vectors.shape[1]])
    return whole


def in_parts(vectors: Floats, group: int) -> Floats:
    """Vectors of shape (n, d) cut into parts of `group` dimensions, the last one filled up with zeros."""
    n, d = vectors.shape
    parts = -(-d // group)
    if parts * group != d:
        vectors = np.pad(vectors, ((0, 0), (0, parts * group - d)))
    return np.ascontiguousarray(vectors).reshape(n, parts, group)
