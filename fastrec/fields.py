"""The declarations of a file's arrays: each class declares its own once, and everything loaded is checked by them.

Kernels check no bounds, so nothing from a file may reach one before it is checked.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import LARGEST_CODE
from fastrec.matrix.code_matrix import CodeMatrix

Side: TypeAlias = int | str
"""The length of a side: a number, a symbol that stands for one number in the whole file, or "n + 1"."""
Sizes: TypeAlias = dict[str, int]
"""The values of the symbols."""

LARGEST = 1e15  # the largest learned number: products of two, and sums of these, stay well within float32
LARGEST_SUM = 1e38  # the largest sum of such products
AT_ONCE = 1 << 16  # numbers checked at a time, so that they are read from memory once


@dataclass(frozen=True)
class Field(ABC):
    """A part of a fitted object."""

    _: KW_ONLY
    optional: bool = False  # may be None
    absent: bool = False  # may be missing

    @abstractmethod
    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """Raises a ValueError unless the value is valid; without `ranges` no number of an array is read.

        Symbols without a size get theirs.
        """

    @abstractmethod
    def words(self) -> tuple[str, str, str]:
        """Returns type, shape and other conditions, for docs/reference/model-file.md."""

    @property
    def rows(self) -> Side | None:
        """Returns the length of the first side; None for a field without sides."""
        return None


Fields: TypeAlias = Mapping[str, Field]


@dataclass(frozen=True)
class Array(Field):
    """An array of numbers.

    Parameters
    ----------
    shape
        The length of each side.
    dtype
        The name of its type, or several names.
    least, most
        The smallest and the largest number. By default floats are from -1e15 to 1e15.
    below
        The length of the array that the numbers point into: all are below it.
    order
        "rising": no number is smaller than the one before; "distinct": none occurs twice; "ends": rising from 0 to
        the size `below`.
    finite
        Whether all numbers are finite; False allows NaN and infinity.
    """

    shape: tuple[Side, ...]
    dtype: str | tuple[str, ...] = "float32"
    _: KW_ONLY
    least: float | None = None
    most: float | None = None
    below: Side | None = None
    order: Literal["rising", "distinct", "ends"] | None = None
    finite: bool = True

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        dtypes = (self.dtype,) if isinstance(self.dtype, str) else self.dtype
        if not isinstance(value, np.ndarray) or value.dtype.name not in dtypes:
            raise ValueError(f"{name} must be an array of {' or '.join(dtypes)}, got {_kind(value)}")
        check_shape(name, value.shape, self.shape, sizes)
        if ranges and value.size:
            self._check_numbers(name, value, sizes)

    @property
    def rows(self) -> Side | None:
        """See `Field.rows`."""
        return self.shape[0]

    def _check_numbers(self, name: str, value: NDArray[Any], sizes: Sizes) -> None:
        floats = value.dtype.kind == "f"
        least, most = self.least, self.most
        if floats and self.finite:
            least, most = -LARGEST if least is None else least, LARGEST if most is None else most
        if self.order == "ends":
            least, most = 0, size_of(self.below or 0, sizes)
        elif self.below is not None:
            most = size_of(self.below, sizes) - 1
        if least is not None or most is not None:
            check_range(name, value, -np.inf if least is None else least, np.inf if most is None else most)
        if self.order in ("rising", "ends"):
            _check_rising(name, value)
        if self.order == "ends" and (value[0] != 0 or value[-1] != most):
            raise ValueError(f"{name} must run from 0 to {most}, got {value[0]} and {value[-1]}")
        if self.order == "distinct" and not _is_distinct(value):
            raise ValueError(f"{name} must hold each number once")

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        dtype = self.dtype if isinstance(self.dtype, str) else " or ".join(self.dtype)
        parts = []
        if self.order == "ends":
            parts.append(f"rising from 0 to {self.below}")
        elif self.below is not None:
            parts.append(f"{'' if self.least is None else f'at least {self.least:g} and '}below {self.below}")
        elif self.least is not None and self.most is not None:
            parts.append(f"from {self.least:g} to {self.most:g}")
        elif self.least is not None:
            parts.append(f"at least {self.least:g}")
        elif self.most is not None:
            parts.append(f"at most {self.most:g}")
        if "float" in dtype:
            parts.append("finite" if self.finite else "NaN and infinity may occur")
        if self.order in ("rising", "distinct"):
            parts.append(self.order)
        return dtype, _shape_words(self.shape), _and_more(self, parts)


@dataclass(frozen=True)
class Matrix(Field):
    """A CSR matrix: float32 values, int32 codes that ascend in each row, int64 starts of the rows."""

    shape: tuple[Side, Side]
    _: KW_ONLY
    least: float | None = None

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        if not isinstance(value, CodeMatrix):
            raise ValueError(f"{name} must be a sparse matrix, got {_kind(value)}")
        if max(value.shape) > LARGEST_CODE or min(value.shape) < 0:
            raise ValueError(f"{name} must have sides of at most {LARGEST_CODE}, got {value.shape}")
        check_shape(name, value.shape, self.shape, sizes)
        if ranges:
            check_rows(name, value)
            check_range(f"{name}.data", value.data, -LARGEST if self.least is None else self.least, LARGEST)

    @property
    def rows(self) -> Side | None:
        """See `Field.rows`."""
        return self.shape[0]

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        values = "values finite" if self.least is None else f"values finite, at least {self.least:g}"
        return "CSR matrix", _shape_words(self.shape), _and_more(self, [values])


@dataclass(frozen=True)
class Either(Field):
    """A sparse matrix or a dense array with the same meaning."""

    sparse: Matrix
    dense: Array

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        field: Field = self.sparse if isinstance(value, CodeMatrix) else self.dense
        field.check(name, value, sizes, ranges=ranges)

    @property
    def rows(self) -> Side | None:
        """See `Field.rows`."""
        return self.dense.rows

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        dense, sparse = self.dense.words(), self.sparse.words()
        return f"{sparse[0]}, or {dense[0]}", dense[1], _and_more(self, [sparse[2]])


@dataclass(frozen=True)
class Value(Field):
    """A value in the record: a number within bounds, a flag, or one of the texts in `choices`."""

    kind: type | tuple[type, ...]
    _: KW_ONLY
    least: float | None = None
    most: float | None = None
    above: bool = False  # exclude `least` itself
    equal: str | None = None  # the symbol whose size it must equal
    choices: tuple[str, ...] | None = None

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{name} must be {self.words()[0]}, got {value!r}")
        if self.equal is not None and isinstance(value, int):
            check_shape(name, (value,), (self.equal,), sizes)
        if self.choices is not None and value not in self.choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, self.choices))}, got {value!r}")
        if isinstance(value, int | float) and not self._holds(value):
            raise ValueError(f"{name} must be {' and '.join(self._bounds())}, got {value!r}")

    def _holds(self, value: float) -> bool:
        low = -np.inf if self.least is None else self.least
        high = np.inf if self.most is None else self.most
        return low <= value <= high and abs(value) < np.inf and not (self.above and value == low)

    def _bounds(self) -> list[str]:
        low = [] if self.least is None else [f"{'above' if self.above else 'at least'} {self.least:g}"]
        high = [] if self.most is None else [f"at most {self.most:g}"]
        return low + high or ["finite"]

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        names = {bool: "true or false", int: "integer", float: "number", str: "text", list: "list", type(None): "none"}
        parts = [f"equal to {self.equal}"] if self.equal else []
        parts += [", ".join(self.choices)] if self.choices else []
        numbers = float in kinds or int in kinds
        parts += self._bounds() if numbers and not self.equal and self._bounds() != ["finite"] else []
        return " or ".join(dict.fromkeys(names[kind] for kind in kinds)), "", _and_more(self, parts)


@dataclass(frozen=True)
class Nothing(Field):
    """A field that a class does not keep, although its base class does."""

    absent: bool = True

    def check(self, name: str, value: Any, sizes: Sizes, *, ranges: bool) -> None:
        """See `Field.check`."""
        raise ValueError(f"{name} must be missing")

    def words(self) -> tuple[str, str, str]:
        """See `Field.words`."""
        return "nothing", "", ""


def fields_of(kind: type) -> dict[str, Field]:
    """Returns the fields that a fitted object of the class keeps: those in `_learned` of each class in its line."""
    lines = [vars(base).get("_learned", {}) for base in reversed(kind.__mro__)]
    return {name: field for fields in lines for name, field in fields.items()}


def check_fields(fields: Fields, values: Mapping[str, Any], sizes: Sizes, *, ranges: bool) -> None:
    """Raises a ValueError unless the values match their fields: first types and shapes, then numbers."""
    for name, field in fields.items():
        if name not in values and not field.absent:
            raise ValueError(f"it lacks {name}")
        if name in values and values[name] is None and not field.optional:
            raise ValueError(f"{name} must be {field.words()[0]}, got None")
    there = {name: field for name, field in fields.items() if values.get(name) is not None}
    for looks in (False, True)[: 1 + ranges]:
        for name, field in there.items():
            field.check(name, values[name], sizes, ranges=looks)


def check_shape(name: str, shape: tuple[int, ...], wanted: tuple[Side, ...], sizes: Sizes) -> None:
    """Raises a ValueError unless a shape is the wanted one; a symbol without a size gets that of its side."""
    told = f"{name} must be of shape ({', '.join(map(str, wanted))})"
    if len(shape) != len(wanted):
        raise ValueError(f"{told}, got {shape}")
    for length, side in zip(shape, wanted, strict=True):
        symbol, _, more = str(side).partition(" + ")
        if isinstance(side, str) and symbol not in sizes and length >= int(more or 0):
            sizes[symbol] = length - int(more or 0)
        if length != size_of(side, sizes):
            raise ValueError(f"{told}, where {side} is {size_of(side, sizes)}, got {shape}")


def size_of(side: Side, sizes: Sizes) -> int:
    """Returns the length of a side: for "n + 1", one more than n."""
    if isinstance(side, int):
        return side
    symbol, _, more = side.partition(" + ")
    return sizes.get(symbol, 0) + int(more or 0)


def check_range(name: str, values: NDArray[Any], least: float, most: float) -> None:
    """Raises a ValueError unless all numbers are from `least` to `most`; NaN never is."""
    for part in _parts(values):
        low, high = part.min().item(), part.max().item()  # both are NaN if there is one
        if not (low >= least and high <= most):
            bad = high if low >= least else low
            raise ValueError(f"{name} must hold finite numbers from {least:g} to {most:g}, got {bad}")


def check_rows(name: str, matrix: CodeMatrix) -> None:
    """Raises a ValueError unless the starts of rows ascend, and codes are in range and ascend in each row."""
    indptr, indices = matrix.indptr, matrix.indices
    if indptr[0] != 0 or indptr[-1] != len(indices):
        raise ValueError(f"{name}.indptr must run from 0 to {len(indices)}, got {indptr[0]} and {indptr[-1]}")
    _check_rising(f"{name}.indptr", indptr)
    for start in range(0, len(indices), AT_ONCE):
        part = indices[start : start + AT_ONCE]
        if part.min() < 0 or part.max() >= matrix.shape[1]:
            raise ValueError(f"{name}.indices must be codes below {matrix.shape[1]}, got {part.min()} to {part.max()}")
        before = indices[start - 1] if start else -1
        rises = np.empty(len(part), bool)
        rises[0], rises[1:] = part[0] > before, part[1:] > part[:-1]
        first, last = np.searchsorted(indptr, (start, start + len(part)))
        rises[indptr[first:last] - start] = True
        if not rises.all():
            raise ValueError(f"{name}.indices must rise in each row")


def _check_rising(name: str, values: NDArray[Any]) -> None:
    for start in range(0, len(values), AT_ONCE):
        part = values[max(0, start - 1) : start + AT_ONCE]
        if (part[1:] < part[:-1]).any():
            raise ValueError(f"{name} must never fall")


def _is_distinct(values: NDArray[Any]) -> bool:
    if len(values) < 2 or (values[1:] > values[:-1]).all():
        return True
    ordered = np.sort(values)
    return not (ordered[1:] == ordered[:-1]).any()


def _parts(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yields the numbers in parts; float16 as float32, whose extremes take less time to find."""
    flat = values.reshape(-1)
    for start in range(0, len(flat), AT_ONCE):
        part = flat[start : start + AT_ONCE]
        yield part.astype(np.float32) if part.dtype == np.float16 else part


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def _shape_words(shape: tuple[Side, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _and_more(field: Field, parts: list[str]) -> str:
    return "; ".join(part for part in [*parts, "or none" if field.optional or field.absent else ""] if part)
