"""Codecs of single numbers: float16, and integers of eight or four bits times a step."""

from typing import Any, ClassVar

import numpy as np

from fastrec.compression.codec import NO_TABLE, ROTATION, Floats, Rows, VectorCodec
from fastrec.compression.steps import STEPS_FIELD, make_steps
from fastrec.fields import Fields
from fastrec.kernels.codes import BYTES, HALVES, NARROWEST, NIBBLES, SHIFTED_BYTES, Layout, encode_nibbles
from fastrec.matrix.arrays import readonly
from fastrec.options import Flag, Integer, Options, Seed


class Float16Codec(VectorCodec):
    """Encodes each number as a float16, scaled by one power of two: half the bytes, without measurable loss.

    The error of a number is at most 2⁻¹¹ of it, down to 2⁻²² of the longest vector; below, float16 has fewer digits.

    Examples
    --------
    >>> X = np.array([[1.0, -0.5], [0.25, 3.0]])
    >>> codec = Float16Codec().fit(X)
    >>> codec.bytes_per_vector_
    4
    >>> codec.inverse_transform(codec.transform(X))
    array([[ 1.  , -0.5 ],
           [ 0.25,  3.  ]], dtype=float32)
    """

    @property
    def _width(self) -> int:
        return 2 * self._d

    def _encode(self, coordinates: Floats) -> Rows:
        return (coordinates * np.float32(1 / self.unit_)).astype("<f2").view(np.uint8)

    def _layout(self, start: int) -> Layout:
        return Layout(HALVES, start, 1, np.float32(self.unit_), NO_TABLE, 1, 0)


class Int8Codec(VectorCodec):
    """Encodes each number as one of 255 (or 256) equal levels, with a float32 step for each vector: a quarter of the
    bytes.

    Parameters
    ----------
    symmetric : bool
        True: x ≈ step · level with levels from -127 to 127, step = max|x| / 127: the CPU's byte products scan the codes
        directly. False: x ≈ lowest + step · level with levels from 0 to 255, for vectors whose numbers lie on one side
        of 0, and 4 bytes more.
    rotation : {"random"} or None
        "random" first rotates all vectors, so that no coordinate stands out and widens the steps of the others.
    random_state : int, RandomState or None
        The seed of the rotation.

    Notes
    -----
    The error of a number is at most step / 2, so that of a score is at most ‖q‖ · step · √d / 2.

    Examples
    --------
    >>> X = np.array([[1.0, -0.5], [0.25, 3.0]])
    >>> codec = Int8Codec().fit(X)
    >>> codec.transform(X).shape
    (2, 8)
    >>> bool((codec.score_bounds(X) <= np.abs(X).max(axis=1) / 127 * np.sqrt(2) / 2).all())
    True
    """

    _options: ClassVar[Options] = {"symmetric": Flag(), "rotation": ROTATION, "random_state": Seed()}

    def __init__(self, *, symmetric: bool = True, rotation: str | None = None, random_state: Any = 0) -> None:
        self.symmetric = symmetric
        self.rotation = rotation
        self.random_state = random_state

    @property
    def _levels(self) -> int:
        """The bytes of the levels: multiples of four, for products of bytes."""
        return -(-self._d // 4) * 4

    @property
    def _width(self) -> int:
        return self._levels + (4 if self.symmetric else 8)

    def _encode(self, coordinates: Floats) -> Rows:
        wide, d = coordinates.astype(np.float64), self._d
        rows = np.full((len(wide), self._width), 128, np.uint8)
        if self.symmetric:
            lowest = np.zeros(len(wide), np.float32)
            step = (np.abs(wide).max(axis=1) / 127).astype(np.float32)
            shift, reach = 128, (1, 255)
        else:
            lowest = wide.min(axis=1).astype(np.float32)
            step = ((wide.max(axis=1) - lowest) / 255).astype(np.float32)
            shift, reach = 0, (0, 255)
        whole = np.where(step > 0, step, 1).astype(np.float64)
        levels = np.rint((wide - lowest[:, None]) / whole[:, None]) + shift
        rows[:, :d] = np.clip(levels, *reach)
        numbers = [step] if self.symmetric else [step, lowest]
        rows[:, self._levels :] = np.column_stack(numbers).astype("<f4").view(np.uint8)
        return rows

    def _layout(self, start: int) -> Layout:
        return Layout(BYTES if self.symmetric else SHIFTED_BYTES, start, 1, np.float32(1), NO_TABLE, 1, 0)


class Int4Codec(VectorCodec):
    """Encodes each number as one of 16 equal levels about 0, two to a byte, with optimal steps: an eighth of the bytes.

    x ≈ step · (level - 7.5) with levels from 0 to 15. The step of a vector, or of each group of its numbers, is the one
    of 255 with the least squared error (Guan et al. 2019 search in the same spirit), and a byte names it.

    Parameters
    ----------
    group_size : int or None
        The number of numbers that share a step, even; None is a whole vector. Each group costs a byte.
    rotation : {"random"} or None
        "random" first rotates all vectors, so that the numbers of a vector have similar sizes: then one step for all is
        better than groups.
    random_state : int, RandomState or None
        The seed of the rotation.

    Attributes
    ----------
    steps_ : float32 array of shape (256,)
        The steps that a byte encodes, the first one 0.

    References
    ----------
    Guan, Malevich, Yang, Park, Yuen: Post-training 4-bit quantization on embedding tables. arXiv 1911.02079, 2019.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 64))
    >>> codec = Int4Codec().fit(X)
    >>> codec.bytes_per_vector_, codec.reconstruction_error(X) < 0.015
    (33, True)
    """

    _options: ClassVar[Options] = {
        "group_size": Integer(2, memory=True, also=(None,)),
        "rotation": ROTATION,
        "random_state": Seed(),
    }
    _learned: ClassVar[Fields] = {"steps_": STEPS_FIELD}

    steps_: Floats

    def __init__(
        self, *, group_size: int | None = None, rotation: str | None = "random", random_state: Any = 0
    ) -> None:
        self.group_size = group_size
        self.rotation = rotation
        self.random_state = random_state

    def _check_options(self) -> None:
        super()._check_options()
        if self.group_size is not None and self.group_size % 2:
            raise ValueError(f"{type(self).__name__}.group_size must be an even number, got {self.group_size}")

    def _learn(self, coordinates: Floats, random: np.random.RandomState) -> None:
        groups = in_groups(np.abs(coordinates), self._size).max(axis=2) / 7.5
        largest = float(groups.max(initial=0.0))
        smallest = NARROWEST * groups[groups > 0].min(initial=largest)
        self.steps_ = make_steps(np.array([largest, smallest]), self._reach)

    @property
    def _size(self) -> int:
        whole = self._d + self._d % 2
        return whole if self.group_size is None else min(self.group_size, whole)

    @property
    def _width(self) -> int:
        return -(-self._d // self._size) * (self._size // 2 + 1)

    def _encode(self, coordinates: Floats) -> Rows:
        rows = np.empty((len(coordinates), self._width), np.uint8)
        encode_nibbles(readonly(coordinates), self._size, self.steps_, np.empty(self._size, np.uint8), rows)
        return rows

    def _layout(self, start: int) -> Layout:
        return Layout(NIBBLES, start, self._size, np.float32(1), self.steps_, 1, 0)


def in_groups(vectors: Floats, size: int) -> Floats:
    """Cuts vectors of shape (n, d) into groups of `size` numbers, the last one padded with zeros."""
    n, d = vectors.shape
    return np.pad(vectors, ((0, 0), (0, -d % size))).reshape(n, -1, size)
