"""k-means in each part of vectors: the codebooks of product quantization."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.codes import align_centroids, assign_centroids
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.matrix.arrays import readonly

Floats = NDArray[np.float32]

SPREAD = 1e-3  # an empty centroid starts at this distance from the fullest one


def unit_rows(vectors: Floats) -> Floats:
    """Scales rows to length 1; zeros stay.

    >>> unit_rows(np.array([[3, 4], [0, 0]], "f4"))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: Floats = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return scaled


def squared_lengths(vectors: Floats) -> NDArray[np.float64]:
    """‖x‖² of each row, in units of the largest.

    >>> squared_lengths(np.array([[3, 4], [0, 0]], "f4"))
    array([1., 0.])
    """
    squares: NDArray[np.float64] = np.square(vectors, dtype=np.float64).sum(axis=1)
    largest = squares.max(initial=0.0)
    return squares / largest if largest > 0 else squares


def fit_centroids(
    vectors: Floats,
    weights: NDArray[np.float64],
    parts: int,
    k: int,
    iterations: int,
    random: np.random.RandomState,
    start: Floats | None = None,
) -> Floats:
    """Lloyd's k-means in each of the parts of vectors; returns centroids of shape (parts, k, dimensions of the widest).

    It starts from `start`, or from k of the vectors. An empty centroid moves beside the one with the most weight. With
    fewer vectors than k, the remaining centroids are zeros.
    """
    cut = in_parts(vectors, parts)
    n, _, group = cut.shape
    if start is None:
        chosen = random.permutation(n)[:k]
        start = np.zeros((parts, k, group), np.float32)
        start[:, : len(chosen)] = cut[chosen].swapaxes(0, 1)
    centroids, sizes = start.copy(), part_sizes(vectors.shape[1], parts)
    used = min(n, k)
    for _ in range(iterations):
        codes = assign(cut, centroids)
        for part in range(parts):
            own = np.bincount(codes[:, part], weights, minlength=k)
            sums = [np.bincount(codes[:, part], weights * cut[:, part, j], minlength=k) for j in range(group)]
            known = own > 0
            means = (np.array(sums).T / np.where(known, own, 1)[:, None]).astype(np.float32)
            centroids[part, known] = means[known]
            empty = np.flatnonzero(~known[:used])
            fullest = np.argsort(-own, kind="stable")[: len(empty)]
            shift = SPREAD * random.normal(size=(len(empty), group)) * np.abs(centroids[part]).max()
            centroids[part, empty] = centroids[part, fullest] + shift.astype(np.float32)
            centroids[part, :, sizes[part] :] = 0
    return centroids


def assign(cut: Floats, centroids: Floats) -> NDArray[np.uint8]:
    """The codes of the nearest centroids, of shape (n, parts), for vectors of shape (n, parts, group)."""
    beside, squares = _side_by_side(centroids)
    codes = np.empty(cut.shape[:2], np.uint8)
    lanes = np.empty(LANES, np.float32)
    assign_centroids(readonly(cut.reshape(len(cut), -1)), beside, readonly(squares / 2), lanes, codes)
    return codes


def align(cut: Floats, centroids: Floats, sweeps: int) -> NDArray[np.uint8]:
    """Improves codes: the whole then points closer to its vector's direction than with the nearest centroids of its
    parts.
    """
    codes = assign(cut, centroids)
    beside, squares = _side_by_side(centroids)
    room = np.empty(squares.shape[1], np.float32)
    for _ in range(sweeps):
        align_centroids(readonly(cut.reshape(len(cut), -1)), beside, readonly(squares), room, codes)
    return codes


def _side_by_side(centroids: Floats) -> tuple[Floats, Floats]:
    """Centroids in the form for kernels, and their squared norms, infinite after the last one."""
    parts, k, group = centroids.shape
    width = padded_width(k)
    beside = np.zeros((parts, group, width), np.float32)
    beside[:, :, :k] = centroids.swapaxes(1, 2)
    squares = np.full((parts, width), np.inf, np.float32)
    squares[:, :k] = np.square(centroids, dtype=np.float64).sum(axis=2)
    return readonly(beside), squares


def join_centroids(codes: NDArray[np.uint8], centroids: Floats, d: int) -> Floats:
    """Joins centroids to vectors of d dimensions, for codes of shape (n, parts)."""
    picked = centroids[np.arange(len(centroids)), codes]
    whole: Floats = np.ascontiguousarray(picked[:, _places(d, len(centroids))])
    return whole


def part_sizes(d: int, parts: int) -> NDArray[np.int64]:
    """The dimensions of each part, as equal as possible.

    >>> part_sizes(14, 4)
    array([3, 4, 3, 4])
    """
    return np.diff(np.arange(parts + 1) * d // parts)


def in_parts(vectors: Floats, parts: int) -> Floats:
    """Cuts vectors of shape (n, d) into parts, each padded with zeros to the dimensions of the widest."""
    n, d = vectors.shape
    cut = np.zeros((n, parts, int(part_sizes(d, parts).max())), np.float32)
    cut[:, _places(d, parts)] = vectors
    return cut


def _places(d: int, parts: int) -> NDArray[np.bool_]:
    """The places in the parts that hold a dimension, of shape (parts, dimensions of the widest)."""
    sizes = part_sizes(d, parts)
    places: NDArray[np.bool_] = np.arange(sizes.max()) < sizes[:, None]
    return places
