"""Codecs of single numbers: float16, and integers of eight or four bits times a step."""

from typing import Any

import numpy as np

from fastrec.compression.codec import NO_TABLE, Floats, Rows, VectorCodec
from fastrec.kernels.codes import BYTES, HALVES, NIBBLES, SHIFTED_BYTES, Layout, encode_nibbles
from fastrec.validation import check_flag, check_integer, readonly


class Float16Codec(VectorCodec):
    """Each number as a float16, scaled by one power of two: half the bytes, and nothing lost that can be measured.

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

    def _check_options(self) -> None:
        pass

    @property
    def _width(self) -> int:
        return 2 * self._d

    def _encode(self, coordinates: Floats) -> Rows:
        return (coordinates * np.float32(1 / self.unit_)).astype("<f2").view(np.uint8)

    def _layout(self, start: int) -> Layout:
        return Layout(HALVES, start, 1, np.float32(self.unit_), NO_TABLE, 0)


class Int8Codec(VectorCodec):
    """Each number as one of 255 equal steps (or 256), and a float32 step for each vector: a quarter of the bytes.

    Parameters
    ----------
    symmetric : bool
        True: x ≈ step · level with levels from -127 to 127, step = max|x| / 127: scanned as it lies, by the CPU's
        products of bytes. False: x ≈ lowest + step · level with levels from 0 to 255, for vectors whose numbers lie on
        one side of 0, and 4 bytes more.
    rotation : {None, "random"}
        "random" turns all vectors alike first, so that no coordinate stands out and widens the steps of the others.
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

    def __init__(self, *, symmetric: bool = True, rotation: str | None = None, random_state: Any = 0) -> None:
        self.symmetric = symmetric
        self.rotation = rotation
        self.random_state = random_state

    def _check_options(self) -> None:
        check_flag("Int8Codec.symmetric", self.symmetric)

    @property
    def _levels(self) -> int:
        """The bytes of the levels: whole fours, as products of bytes take them."""
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
        return Layout(BYTES if self.symmetric else SHIFTED_BYTES, start, 1, np.float32(1), NO_TABLE, 0)


class Int4Codec(VectorCodec):
    """Each number as one of 16 equal levels, two to a byte, in a range that loses least: an eighth of the bytes.

    The range of a vector, or of each group of its numbers, is searched for the least squared error (Guan et al. 2019)
    and then fitted by least squares to the levels chosen; its step and its lowest number are float16.

    Parameters
    ----------
    group_size : int or None
        How many numbers share a range, an even number; None is a whole vector. Groups cost 4 bytes each.
    rotation : {"random", None}
        "random" turns all vectors alike first, so that the numbers of a vector are of one size: then one range for all
        does better than groups.
    random_state : int, RandomState or None
        The seed of the rotation.

    References
    ----------
    Guan, Malevich, Yang, Park, Yuen: Post-training 4-bit quantization on embedding tables. arXiv 1911.02079, 2019.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 64))
    >>> codec = Int4Codec().fit(X)
    >>> codec.bytes_per_vector_, codec.reconstruction_error(X) < 0.015
    (36, True)
    """

    def __init__(
        self, *, group_size: int | None = None, rotation: str | None = "random", random_state: Any = 0
    ) -> None:
        self.group_size = group_size
        self.rotation = rotation
        self.random_state = random_state

    def _check_options(self) -> None:
        if self.group_size is not None:
            size = check_integer("Int4Codec.group_size", self.group_size, minimum=2)
            if size % 2:
                raise ValueError(f"Int4Codec.group_size must be an even number, got {size}")

    @property
    def _size(self) -> int:
        whole = self._d + self._d % 2
        return whole if self.group_size is None else min(self.group_size, whole)

    @property
    def _width(self) -> int:
        return -(-self._d // self._size) * (self._size // 2 + 4)

    def _encode(self, coordinates: Floats) -> Rows:
        rows = np.empty((len(coordinates), self._width), np.uint8)
        encode_nibbles(readonly(coordinates), self._size, self.unit_, np.empty(self._size), rows)
        return rows

    def _layout(self, start: int) -> Layout:
        return Layout(NIBBLES, start, self._size, np.float32(self.unit_), NO_TABLE, 0)
