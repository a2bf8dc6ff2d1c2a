"""Binary codes: the sign of each coordinate; and codes of two levels, the finer one for the residual of the coarser
one.
"""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from fastrec.compression.codec import NO_LAYOUT, ROTATION, Floats, Level, Rows, VectorCodec
from fastrec.compression.scalar import Int8Codec
from fastrec.compression.steps import STEPS_FIELD, make_steps, name_steps
from fastrec.fields import Fields
from fastrec.kernels.codes import SIGNS, Coded, Layout, decode_rows
from fastrec.matrix.arrays import readonly
from fastrec.options import Integer, Options, Other, Seed, check_options


class BinaryCodec(VectorCodec):
    """Encodes the sign of each coordinate, and a byte for the size of all: a thirtieth of the bytes (128 dimensions).

    Vectors are first rotated at random, which maximises the information in the signs: x ≈ s · sign(x) with s = ‖x‖² /
    Σ|x|, so that scores are right on average over rotations. Queries stay in float32. Alone it ranks roughly; with a
    finer codec for the residual (`ResidualCodec`), its best are ranked again.

    Parameters
    ----------
    rotation : {"random"} or None
        None takes the signs of the unrotated vectors.
    random_state : int, RandomState or None
        The seed of the rotation.

    References
    ----------
    Gao, Long: RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for approximate nearest
    neighbor search. SIGMOD 2024.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 64))
    >>> codec = BinaryCodec().fit(X)
    >>> codec.bytes_per_vector_, codec.reconstruction_error(X) < 0.6
    (9, True)
    """

    _options: ClassVar[Options] = {"rotation": ROTATION, "random_state": Seed()}
    _learned: ClassVar[Fields] = {"steps_": STEPS_FIELD}

    steps_: Floats

    def __init__(self, *, rotation: str | None = "random", random_state: Any = 0) -> None:
        self.rotation = rotation
        self.random_state = random_state

    @property
    def _width(self) -> int:
        return -(-self._d // 8) + 1

    def _learn(self, coordinates: Floats, random: np.random.RandomState) -> None:
        self.steps_ = make_steps(self._scales(coordinates), self._reach)

    @staticmethod
    def _scales(coordinates: Floats) -> NDArray[np.float64]:
        """The scales ‖x‖² / Σ|x| of the rows, and 0 for a zero row."""
        wide = np.abs(coordinates.astype(np.float64))
        sums = wide.sum(axis=1)
        sizes: NDArray[np.float64] = np.square(wide).sum(axis=1) / np.where(sums > 0, sums, 1)
        return sizes

    def _encode(self, coordinates: Floats) -> Rows:
        bits = np.packbits(coordinates >= 0, axis=1, bitorder="little")
        return np.column_stack([bits, name_steps(self.steps_, self._scales(coordinates))])

    def _layout(self, start: int) -> Layout:
        return Layout(SIGNS, start, 1, np.float32(1), self.steps_, 1, 0)


def _check_level(name: str, codec: Any) -> None:
    if not isinstance(codec, VectorCodec) or isinstance(codec, ResidualCodec):
        raise TypeError(f"{name} must be a codec of one level, got {codec!r}")
    check_options(codec)


class ResidualCodec(VectorCodec):
    """Combines two codecs, the finer one for the residual of the coarser one: the coarse codes are scanned, both rank
    again.

    A row has both codes. A search scans only the coarse ones and ranks the best `depth` again by both. So the scanned
    memory is small, and the answer is nearly as good as the finer codec's.

    Parameters
    ----------
    coarse : VectorCodec or None
        The coarse codec, whose rotation both share. None is ``BinaryCodec()``.
    fine : VectorCodec or None
        The codec of x - x̂ in the coordinates of the coarse one; its own rotation is not used. None is ``Int8Codec()``.
    depth : int
        The number of best vectors by the coarse codes that are ranked again for each query; at least k.

    Attributes
    ----------
    coarse_, fine_ : VectorCodec
        The fitted codecs.

    Examples
    --------
    >>> from fastrec.compression import Int4Codec
    >>> X = np.random.default_rng(0).normal(size=(100, 64))
    >>> codec = ResidualCodec(BinaryCodec(), Int4Codec()).fit(X)
    >>> codec.bytes_per_vector_, codec.scanned_bytes_, codec.reconstruction_error(X) < 0.01
    (42, 9, True)
    """

    _options: ClassVar[Options] = {
        "coarse": Other("VectorCodec", _check_level, also=(None,)),
        "fine": Other("VectorCodec", _check_level, also=(None,)),
        "depth": Integer(1, memory=True, log=True),
    }
    _learned: ClassVar[Fields] = {"coarse_": Level("d"), "fine_": Level("d")}

    coarse_: VectorCodec
    fine_: VectorCodec

    def __init__(self, coarse: Any = None, fine: Any = None, *, depth: int = 200) -> None:
        self.coarse = coarse
        self.fine = fine
        self.depth = depth

    def fit(self, X: ArrayLike, y: Any = None, *, exact_columns: int = 0) -> Self:
        """Learns the coarse codec, and then the fine one from the residuals.

        Parameters
        ----------
        X
            Vectors of shape (n, d), taken as float32.
        y
            Not used; accepted because scikit-learn passes it.
        exact_columns
            The number of last columns that are kept as float32 numbers.

        Returns
        -------
        The fitted codec itself.
        """
        vectors = self._begin(X, exact_columns)
        self.coarse_ = clone(self.coarse if self.coarse is not None else BinaryCodec()).fit(vectors)
        fine = clone(self.fine if self.fine is not None else Int8Codec())
        if "rotation" in fine.get_params(deep=False):
            fine.set_params(rotation=None)
        self.rotation_, self.unit_ = self.coarse_.rotation_, self.coarse_.unit_
        # The coarse codec may leave almost no residual of these vectors, but much of others.
        fine._reach = float(np.linalg.norm(vectors.astype(np.float64), axis=1).max())
        self.fine_ = fine.fit(self._left(self._turn(vectors), self.coarse_._encode(self._turn(vectors))))
        return self

    def _left(self, coordinates: Floats, rows: Rows) -> Floats:
        """The residuals: the coordinates less the decoded coarse codes."""
        again = np.empty(coordinates.shape, np.float32)
        coded = Coded(readonly(rows), self._d, 0, 0, self.coarse_._layout(0), NO_LAYOUT)
        decode_rows(coded, readonly(np.arange(len(rows), dtype=np.int32)), again)
        return np.subtract(coordinates, again)

    @property
    def scanned_bytes_(self) -> int:
        """The bytes of each vector that a search scans."""
        return self.coarse_._width

    @property
    def _width(self) -> int:
        return self.coarse_._width + self.fine_._width

    def _encode(self, coordinates: Floats) -> Rows:
        rows = self.coarse_._encode(coordinates)
        return np.concatenate([rows, self.fine_._encode(self._left(coordinates, rows))], axis=1)

    def _layout(self, start: int) -> Layout:
        return self.coarse_._layout(start)

    def coded(self, rows: Rows) -> Coded:
        """Returns rows, with the layouts of both levels."""
        fine = self.fine_._layout(self.coarse_._width)
        return Coded(rows, self.n_features_in_, self.exact_columns_, self._width, self.coarse_._layout(0), fine)
