"""The base of codecs: from vectors to rows of bytes and back, with measures of cost and error."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import TransformerTags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastrec.compression.rotation import learn_rotation, random_rotation
from fastrec.fields import Array, Field, Fields, Side, Sizes, Value, check_fields, check_shape, fields_of
from fastrec.kernels.codes import NOTHING, Coded, Layout, decode_rows, rotate_rows
from fastrec.kernels.lanes import padded_width
from fastrec.matrix.arrays import readonly
from fastrec.options import Choice, OptionsMixin
from fastrec.validation import check_integer, name_options

Floats = NDArray[np.float32]
Rows = NDArray[np.uint8]

ROWS_AT_ONCE = 4096  # vectors encoded, decoded or measured at a time
HEADROOM = 8  # float16 numbers are scaled so that the largest of `fit` is below 2 to this power, of 16
REACH = 32000  # in units: longer vectors may have numbers beyond float16
NO_TABLE = readonly(np.zeros(1, np.float32))
NO_LAYOUT = Layout(NOTHING, 0, 1, np.float32(1), NO_TABLE, 1, 0)


@dataclass(frozen=True)
class Level(Field):
    """A codec within another one, with the same number of dimensions."""

    size: Side

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, VectorCodec) or isinstance(getattr(value, "coarse_", None), VectorCodec):
            raise ValueError(f"{name} must be a codec of one level, got {type(value).__name__}")
        value.check(ranges=ranges)
        check_shape(name, (value._d, value.exact_columns_), (self.size, 0), sizes)

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "codec", "", f"of {self.size} dimensions, with its own arrays"


ROTATION = Choice((None, "random"))
"""The rotations of most codecs."""


class VectorCodec(OptionsMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The base of codecs: a scikit-learn transformer from vectors of shape (n, d) to rows of bytes.

    A row is a complete vector, its own steps included, so rows can be cut, joined, saved and memory-mapped like any
    array. A family defines ``__init__``, ``_learn``, ``_width``, ``_encode`` and ``_layout``. Codes encode coordinates,
    after a rotation that all vectors may share.

    Attributes
    ----------
    n_features_in_ : int
        The dimensions of a vector, d.
    exact_columns_ : int
        The number of last columns that are kept as float32.
    bytes_per_vector_ : int
        The bytes stored for a vector: codes, and its own steps. `shared_bytes_` counts the parts that vectors share.
    rotation_ : square float32 array or None
        Coordinates are X · rotation; exact columns stay out of it.
    unit_ : float
        A power of two, the unit of float16 numbers, which keeps them away from both ends of their range.
    """

    _learned: ClassVar[Fields] = {
        "n_features_in_": Value(int, least=1, most=1 << 24),
        "exact_columns_": Value(int, least=0),
        "rotation_": Array(("d", "d"), least=-1.001, most=1.001, optional=True),
        "unit_": Value(float, least=2.0**-149, most=2.0**127),
    }
    """The fields of a fitted codec and its file; each class declares only its own."""

    n_features_in_: int
    exact_columns_: int
    rotation_: Floats | None
    unit_: float
    _reach: float = 0.0  # the length that codes must reach, if the vectors of `fit` are shorter

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = name_options(cls.__init__)  # type: ignore[method-assign]

    # -- what a family defines

    def _learn(self, coordinates: Floats, random: np.random.RandomState) -> None:
        """Learns the parts that vectors share, from coordinates of shape (n, d)."""

    @property
    @abstractmethod
    def _width(self) -> int:
        """The bytes of a row."""

    @abstractmethod
    def _encode(self, coordinates: Floats) -> Rows:
        """Encodes coordinates as rows of bytes; each row depends on its own coordinates alone."""

    @abstractmethod
    def _layout(self, start: int) -> Layout:
        """Returns the layout with which kernels read a row from byte `start` on."""

    # -- scikit-learn

    def fit(self, X: ArrayLike, y: Any = None, *, exact_columns: int = 0) -> Self:
        """Learns the parts that all vectors share: steps, rotation, centroids.

        Parameters
        ----------
        X
            Vectors of shape (n, d), taken as float32.
        y
            Not used; accepted because scikit-learn passes it.
        exact_columns
            The number of last columns that are kept as float32 numbers, at 4 bytes each: for biases, which are large
            relative to factors and would widen all steps.

        Returns
        -------
        The fitted codec itself.

        Raises
        ------
        ValueError, TypeError
            If an option is invalid, or a vector is not finite.
        """
        vectors = self._begin(X, exact_columns)
        random = check_random_state(getattr(self, "random_state", 0))
        largest = max([self._reach, *(float(_lengths(part).max()) for part in _parts(vectors))])
        self.unit_ = 2.0 ** max(-126, math.frexp(largest)[1] - HEADROOM) if largest > 0 else 1.0
        self.rotation_ = self._find_rotation(vectors, random)
        self._learn(self._turn(vectors), random)
        return self

    def transform(self, X: ArrayLike) -> Rows:
        """Encodes vectors as rows of bytes, uint8, of shape (n, bytes_per_vector_).

        Parameters
        ----------
        X
            Vectors of shape (n, d), taken as float32.

        Raises
        ------
        ValueError
            If a vector is not finite, or so much longer than any of `fit` that float16 cannot hold it.
        """
        check_is_fitted(self)
        vectors = self._read(X, reset=False)
        rows = np.empty((len(vectors), self.bytes_per_vector_), np.uint8)
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            part = vectors[start : start + ROWS_AT_ONCE]
            coded, exact = part[:, : self._d], part[:, self._d :]
            longest = _lengths(coded)
            if not longest.max() < REACH * self.unit_:
                row = start + int(np.argmax(longest))
                raise ValueError(
                    f"X has a vector of length {longest.max():.3g} in row {row}, far beyond those of fit: fit the "
                    "codec to such vectors"
                )
            rows[start : start + len(part), : self._width] = self._encode(self._turn(coded))
            rows[start : start + len(part), self._width :] = np.ascontiguousarray(exact, "<f4").view(np.uint8)
        return rows

    def shorten(self, X: ArrayLike) -> Floats:
        """Shortens vectors that are too long for `transform`; their directions stay.

        Their inner products order items as before, so an extreme event makes no update fail.

        Parameters
        ----------
        X
            Finite vectors of shape (n, d). The exact columns stay unchanged.
        """
        check_is_fitted(self)
        vectors = self._read(X, reset=False)
        coded = vectors[:, : self._d].astype(np.float64)
        reach = 0.99 * REACH * self.unit_
        lengths = np.maximum(np.linalg.norm(coded, axis=1, keepdims=True), reach)
        shorter = (coded * (reach / lengths)).astype(np.float32)
        return np.where(lengths > reach, np.hstack([shorter, vectors[:, self._d :]]), vectors)

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Decodes rows of bytes to vectors, float32, of shape (n, d).

        Parameters
        ----------
        X
            The output of `transform`, of shape (n, bytes_per_vector_).

        Raises
        ------
        ValueError, TypeError
            If X has another shape, or is not uint8.
        """
        check_is_fitted(self)
        rows = self.check_rows(X)
        codes = np.arange(len(rows), dtype=np.int32)
        return self.decode(self.coded(rows), codes)

    # -- what kernels read

    def check_rows(self, rows: ArrayLike) -> Rows:
        """Checks rows in the form for kernels: uint8, of this codec's width, C-contiguous, read-only."""
        array = np.asarray(rows)
        if array.dtype != np.uint8:
            raise TypeError(f"rows of codes must be of uint8, got {array.dtype}")
        if array.ndim != 2 or array.shape[1] != self.bytes_per_vector_:
            raise ValueError(f"rows of codes must be of shape (n, {self.bytes_per_vector_}), got {array.shape}")
        return readonly(array)

    def coded(self, rows: Rows) -> Coded:
        """Returns rows with their layout."""
        return Coded(rows, self.n_features_in_, self.exact_columns_, self._width, self._layout(0), NO_LAYOUT)

    def decode(self, coded: Coded, codes: NDArray[np.int32]) -> Floats:
        """The vectors of some of the rows, float32, of shape (len(codes), d)."""
        vectors = np.empty((len(codes), self.n_features_in_), np.float32)
        decode_rows(coded, readonly(codes), vectors)
        return self.turn_back(vectors)

    def turn(self, queries: Floats) -> Floats:
        """Rotates queries into the coordinates of the codes; inner products stay the same."""
        if self.exact_columns_ == 0:
            return readonly(self._turn(queries))
        return readonly(np.concatenate([self._turn(queries[:, : self._d]), queries[:, self._d :]], axis=1))

    def turn_back(self, coordinates: Floats) -> Floats:
        """Rotates coordinates back to vectors."""
        if self.rotation_ is None:
            return coordinates
        return np.concatenate([_rotate(coordinates[:, : self._d], self.rotation_.T), coordinates[:, self._d :]], axis=1)

    # -- what it costs, and what it changes

    @property
    def bytes_per_vector_(self) -> int:
        """The bytes that are stored for each vector."""
        check_is_fitted(self)
        return self._width + 4 * self.exact_columns_

    @property
    def shared_bytes_(self) -> int:
        """The bytes that all vectors share: rotation, steps and centroids."""
        check_is_fitted(self)
        return sum(array.nbytes for array in self._arrays())

    def reconstruction_error(self, X: ArrayLike) -> float:
        """Returns the lost share of the vectors' squares, Σ‖x - x̂‖² / Σ‖x‖²; 0 is no loss.

        Parameters
        ----------
        X
            Vectors of shape (n, d).
        """
        vectors = self._read(X, reset=False)
        lost = total = 0.0
        for part in _parts(vectors):
            lost += float(np.square(part.astype(np.float64) - self._again(part)).sum())
            total += float(np.square(part, dtype=np.float64).sum())
        return lost / total if total > 0 else 0.0

    def inner_product_error(self, X: ArrayLike, queries: ArrayLike) -> float:
        """Returns the root mean square of ⟨q, x̂⟩ - ⟨q, x⟩ over all pairs, in units of that of ⟨q, x⟩.

        Parameters
        ----------
        X
            Vectors of shape (n, d).
        queries
            Vectors of shape (m, d).
        """
        vectors, asked = self._read(X, reset=False), self._read(queries, reset=False).astype(np.float64)
        gramian = asked.T @ asked
        lost = total = 0.0
        for part in _parts(vectors):
            off = part.astype(np.float64) - self._again(part)
            lost += float(np.einsum("ij,jk,ik->", off, gramian, off, optimize=True))
            wide = part.astype(np.float64)
            total += float(np.einsum("ij,jk,ik->", wide, gramian, wide, optimize=True))
        return math.sqrt(lost / total) if total > 0 else 0.0

    def score_bounds(self, X: ArrayLike) -> NDArray[np.float64]:
        """Returns for each vector a bound b with `|⟨q, x⟩ - ⟨q, x̂⟩| ≤ ‖q‖ · b` for every query q, of shape (n,).

        It is ‖x - x̂‖ (Cauchy-Schwarz), and reached if q points in the direction of the error.

        Parameters
        ----------
        X
            Vectors of shape (n, d).
        """
        vectors = self._read(X, reset=False)
        bounds = [np.linalg.norm(part.astype(np.float64) - self._again(part), axis=1) for part in _parts(vectors)]
        return np.concatenate([*bounds, np.empty(0)])

    # -- within

    @property
    def _d(self) -> int:
        """The number of coded dimensions."""
        return self.n_features_in_ - self.exact_columns_

    def _begin(self, X: ArrayLike, exact_columns: int) -> Floats:
        """Checks the arguments of `fit`; returns the columns to code."""
        self._check_options()
        vectors = self._read(X, reset=True)
        self.exact_columns_ = check_integer("exact_columns", exact_columns, minimum=0, maximum=vectors.shape[1] - 1)
        return readonly(vectors[:, : self._d])

    def _read(self, X: ArrayLike, *, reset: bool) -> Floats:
        with np.errstate(over="ignore"):
            vectors: Floats = validate_data(self, X, dtype=np.float32, order="C", reset=reset)
        return readonly(vectors)

    def _again(self, vectors: Floats) -> NDArray[np.float64]:
        return self.inverse_transform(self.transform(vectors)).astype(np.float64)

    def _find_rotation(self, vectors: Floats, random: np.random.RandomState) -> Floats | None:
        kind = getattr(self, "rotation", None)
        if kind is None or vectors.shape[1] == 1:
            return None
        if kind == "random":
            return readonly(random_rotation(vectors.shape[1], random))
        return readonly(learn_rotation(vectors, self._parts, random))

    @property
    def _parts(self) -> int:
        """The parts of a vector with their own centroids, for which a rotation is learned."""
        return 1

    def _turn(self, vectors: Floats) -> Floats:
        return vectors if self.rotation_ is None else _rotate(vectors, self.rotation_)

    def _arrays(self) -> Iterator[NDArray[Any]]:
        for name in fields_of(type(self)):
            value = vars(self).get(name)
            if isinstance(value, np.ndarray):
                yield value
            elif isinstance(value, VectorCodec):
                yield from value._arrays()

    def _sizes(self) -> Sizes:
        """The sizes of the symbols in the shapes of `_learned`."""
        return {"d": self._d}

    def check(self, *, ranges: bool) -> None:
        """Raises a ValueError or TypeError if a value from a file is invalid."""
        self._check_options()
        fields = fields_of(type(self))
        plain = {name: field for name, field in fields.items() if isinstance(field, Value)}
        check_fields(plain, vars(self), {}, ranges=ranges)  # before `_sizes` reads them
        if self.exact_columns_ >= self.n_features_in_:
            raise ValueError(f"a codec must keep fewer than {self.n_features_in_} columns, got {self.exact_columns_}")
        check_fields(fields, vars(self), self._sizes(), ranges=ranges)

    @property
    def _n_features_out(self) -> int:
        return self.bytes_per_vector_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        return tags


def _lengths(vectors: Floats) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return lengths


def _parts(vectors: Floats) -> Iterator[Floats]:
    return (vectors[start : start + ROWS_AT_ONCE] for start in range(0, len(vectors), ROWS_AT_ONCE))


def _rotate(vectors: Floats, rotation: Floats) -> Floats:
    """Multiplies vectors by the rotation in a fixed order: with BLAS, a row's last bits would depend on its
    neighbours.
    """
    d = rotation.shape[1]
    wide = np.zeros((len(rotation), padded_width(d)), np.float32)
    wide[:, :d] = rotation
    out = np.empty((len(vectors), wide.shape[1]), np.float32)
    rotate_rows(readonly(vectors), readonly(wide), out)
    return np.ascontiguousarray(out[:, :d])
