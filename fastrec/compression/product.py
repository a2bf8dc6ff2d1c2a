"""Product quantization: a vector as its length and the codes of its parts."""

from typing import Any, ClassVar

import numpy as np

from fastrec.compression.codec import Floats, Rows, VectorCodec, unbiased_scales
from fastrec.compression.kmeans import assign, fit_centroids, in_parts, nearest_centroids, unit_rows
from fastrec.kernels.codes import CENTROIDS, FEW_CENTROIDS, Layout
from fastrec.validation import check_choice, check_integer, readonly

LEARNED_FROM = 65_536  # vectors at most that centroids are learned from


class ProductQuantizer(VectorCodec):
    """Each part of a vector as the nearest of 256 (or 16) centroids, and a float16 length: a sixteenth of the bytes.

    What is quantized is the direction: x ≈ s · (c₁, …, c_m), with centroids learned from vectors of length 1. Vectors
    of items differ in length as items do in popularity, so that without it most centroids would serve the short ones.
    The scale is s = ‖x‖² / ⟨x, c⟩, so that ⟨x, x̂⟩ = ‖x‖²: the score of a query that points the way of the vector, as
    those do whose best it is, is right (Gao, Long 2024); the scale of least error, ⟨x, c⟩ / ⟨c, c⟩, takes from all
    scores, and most from what is quantized worst.

    Parameters
    ----------
    subvectors : int or None
        How many parts, m, of equal size. None: four dimensions each with 8 bits, two with 4, which is a sixteenth.
    bits : {8, 4}
        Of a code: 256 or 16 centroids.
    rotation : {"opq", "random", None}
        "opq" learns the rotation in which least is lost (Ge et al. 2013); "random" spreads what there is over all
        parts; None leaves the vectors as they are.
    iterations : int
        Of k-means.
    random_state : int, RandomState or None
        The seed of rotation and k-means.

    Attributes
    ----------
    centroids_ : float32 array of shape (subvectors, 2 ** bits, dimensions of a part)

    References
    ----------
    Jégou, Douze, Schmid: Product quantization for nearest neighbor search. IEEE TPAMI 33, 2011.

    Ge, He, Ke, Sun: Optimized product quantization. IEEE TPAMI 36, 2014.

    Gao, Long: RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for approximate nearest
    neighbor search. SIGMOD 2024.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(1000, 16)) * np.linspace(2, 0, 16)
    >>> codec = ProductQuantizer(rotation=None).fit(X)
    >>> codec.bytes_per_vector_, codec.reconstruction_error(X) < 0.2
    (6, True)
    """

    rotations: ClassVar[tuple[str | None, ...]] = ("opq", "random", None)
    _learned: ClassVar[tuple[str, ...]] = ("centroids_",)

    centroids_: Floats

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

    def _check_options(self) -> None:
        if self.subvectors is not None:
            check_integer("ProductQuantizer.subvectors", self.subvectors, minimum=1)
        check_choice("ProductQuantizer.bits", self.bits, (8, 4))
        check_integer("ProductQuantizer.iterations", self.iterations, minimum=1)

    def _learn(self, coordinates: Floats, random: np.random.RandomState) -> None:
        chosen = np.sort(random.permutation(len(coordinates))[:LEARNED_FROM])
        units = unit_rows(coordinates[chosen])
        self.centroids_ = readonly(fit_centroids(units, self._group, 2**self.bits, self.iterations, random))

    @property
    def _group(self) -> int:
        d = self._d
        if self.subvectors is None:
            return min(d, self.bits // 2)
        return -(-d // min(self.subvectors, d))

    @property
    def _parts(self) -> int:
        return -(-self._d // self._group)

    @property
    def _width(self) -> int:
        return (self._parts if self.bits == 8 else -(-self._parts // 2)) + 2

    def _encode(self, coordinates: Floats) -> Rows:
        units = unit_rows(coordinates)
        codes = assign(in_parts(units, self._group), self.centroids_)
        again = nearest_centroids(units, self.centroids_).astype(np.float64)
        wide = coordinates.astype(np.float64)
        scales = unbiased_scales(wide, (wide * again).sum(axis=1), self.unit_)
        if self.bits == 4:
            even = codes if codes.shape[1] % 2 == 0 else np.pad(codes, ((0, 0), (0, 1)))
            codes = even[:, ::2] | even[:, 1::2] * np.uint8(16)
        return np.column_stack([codes, scales])

    def _layout(self, start: int) -> Layout:
        kind = CENTROIDS if self.bits == 8 else FEW_CENTROIDS
        flat = readonly(self.centroids_.reshape(-1))
        return Layout(kind, start, self._group, np.float32(self.unit_), flat, 2**self.bits)

    def _restored(self) -> None:
        super()._restored()
        shape = (self._parts, 2**self.bits, self._group)
        if self.centroids_.shape != shape or self.centroids_.dtype != np.float32:
            raise ValueError("a codec's centroids are not of the shape that they must be")
