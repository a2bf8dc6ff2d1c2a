"""Product quantization: a vector as its length and the codes of its parts."""

from typing import Any, ClassVar

import numpy as np

from fastrec.compression.codec import Floats, Rows, VectorCodec
from fastrec.compression.kmeans import (
    align,
    fit_centroids,
    in_parts,
    join_centroids,
    part_sizes,
    squared_lengths,
    unit_rows,
)
from fastrec.compression.steps import STEPS_FIELD, make_steps, name_steps
from fastrec.fields import Array, Fields, Sizes
from fastrec.kernels.codes import CENTROIDS, FEW_CENTROIDS, Layout
from fastrec.matrix.arrays import readonly
from fastrec.options import Choice, Integer, Options, Seed

LEARNED_FROM = 65_536  # the maximum number of vectors for learning centroids
SPARE = 1.5  # scales reach so far beyond the lengths: joined centroids do not have exactly length 1
SWEEPS = 2  # sweeps over the parts of a vector, after the nearest centroid of each part


class ProductQuantizer(VectorCodec):
    """Encodes each part of a vector as one of 256 (or 16) centroids, with a byte for its length: a sixteenth of the
    bytes.

    The direction is quantized: x ≈ s · (c₁, …, c_m), with centroids of vectors scaled to length 1, each with the weight
    of its squared length. Item vectors differ in length as items do in popularity. Without the scaling, most centroids
    would serve the short vectors; without the weights, they would serve all equally, although the long ones are in most
    lists. The scale gives x̂ the length of x, so the codes with the least error have the direction nearest to x. They
    are found a part at a time, starting from the nearest centroids of the parts.

    Parameters
    ----------
    subvectors : int or None
        The number of parts, m, as equal as possible, at most d. None: the number that makes a sixteenth of float32 with
        the length, d / 4 - 1 with 8 bits (d / 2 - 2 with 4), and at least one.
    bits : {8, 4}
        The bits of a code: 256 or 16 centroids.
    rotation : {"opq", "random"} or None
        "opq" learns the rotation with the least error (Ge et al. 2013); "random" spreads the variance over all parts;
        None keeps the vectors unchanged.
    iterations : int
        The iterations of k-means.
    random_state : int, RandomState or None
        The seed of rotation and k-means.

    Attributes
    ----------
    centroids_ : float32 array of shape (subvectors, 2 ** bits, dimensions of the widest part)
    steps_ : float32 array of shape (256,)
        The lengths that a byte encodes, the first one 0.

    References
    ----------
    Jégou, Douze, Schmid: Product quantization for nearest neighbor search. IEEE TPAMI 33, 2011.

    Ge, He, Ke, Sun: Optimized product quantization. IEEE TPAMI 36, 2014.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(1000, 32)) * np.linspace(2, 0, 32)
    >>> codec = ProductQuantizer(rotation=None).fit(X)
    >>> codec.bytes_per_vector_, codec.reconstruction_error(X) < 0.2
    (8, True)
    """

    _options: ClassVar[Options] = {
        "subvectors": Integer(1, memory=True, also=(None,)),
        "bits": Choice((8, 4)),
        "rotation": Choice(("opq", "random", None)),
        "iterations": Integer(1),
        "random_state": Seed(),
    }
    _learned: ClassVar[Fields] = {
        "centroids_": Array(("parts", "names", "widest")),
        "steps_": STEPS_FIELD,
    }

    centroids_: Floats
    steps_: Floats

    def __init__(
        self,
        *,
        subvectors: int | None = None,
        bits: int = 8,
        rotation: str | None = "opq",
        iterations: int = 16,
        random_state: Any = 0,
    ) -> None:
        self.subvectors = subvectors
        self.bits = bits
        self.rotation = rotation
        self.iterations = iterations
        self.random_state = random_state

    def _learn(self, coordinates: Floats, random: np.random.RandomState) -> None:
        chosen = np.sort(random.permutation(len(coordinates))[:LEARNED_FROM])
        units, weights = unit_rows(coordinates[chosen]), squared_lengths(coordinates[chosen])
        self.centroids_ = readonly(fit_centroids(units, weights, self._parts, 2**self.bits, self.iterations, random))
        lengths = np.linalg.norm(coordinates.astype(np.float64), axis=1)
        self.steps_ = make_steps(np.append(lengths / SPARE, lengths.max(initial=0.0) * SPARE), self._reach)

    @property
    def _parts(self) -> int:
        d = self._d
        if self.subvectors is not None:
            return min(d, self.subvectors)
        return max(1, d // 4 - 1) if self.bits == 8 else max(1, d // 2 - 2)

    @property
    def _width(self) -> int:
        return (self._parts if self.bits == 8 else -(-self._parts // 2)) + 1

    def _encode(self, coordinates: Floats) -> Rows:
        codes = align(in_parts(unit_rows(coordinates), self._parts), self.centroids_, SWEEPS)
        again = join_centroids(codes, self.centroids_, self._d).astype(np.float64)
        lengths, norms = np.linalg.norm(coordinates.astype(np.float64), axis=1), np.linalg.norm(again, axis=1)
        scales = lengths / np.where(norms > 0, norms, 1)
        if self.bits == 4:
            even = codes if codes.shape[1] % 2 == 0 else np.pad(codes, ((0, 0), (0, 1)))
            codes = even[:, ::2] | even[:, 1::2] * np.uint8(16)
        return np.column_stack([codes, name_steps(self.steps_, scales)])

    def _layout(self, start: int) -> Layout:
        kind = CENTROIDS if self.bits == 8 else FEW_CENTROIDS
        parts, k, group = self.centroids_.shape
        tables = readonly(np.concatenate([self.steps_, self.centroids_.reshape(-1)]))
        return Layout(kind, start, group, np.float32(1), tables, parts, k)

    def _sizes(self) -> Sizes:
        widest = int(part_sizes(self._d, self._parts).max())
        return super()._sizes() | {"parts": self._parts, "names": 2**self.bits, "widest": widest}
