"""A column of text as one block of bytes; kernels read its integers, numbers and distinct strings."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.data.strings import pack_strings
from fastrec.kernels import text as kernels
from fastrec.matrix.arrays import readonly, starts_of

# Powers of ten that float64 represents exactly.
_POWERS = readonly(10.0 ** np.arange(23))
_NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII
)
_FIRST_TABLE = 1 << 12
_ROWS_AT_ONCE = 1 << 16


class TextColumn:
    """The fields of a column of text, of shape (n,): UTF-8, without the blanks around them. An empty one is missing.

    Parameters
    ----------
    utf8 : ndarray of uint8
        All fields, one after the other.
    offsets : ndarray of int64, shape (n + 1,)
        Field i is ``utf8[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> column = TextColumn.of(["b", " a", "b"])
    >>> column.distinct()
    (['a', 'b'], array([1, 0, 1], dtype=int32))
    >>> column.integers() is None, TextColumn.of(["7", "-1"]).integers()
    (True, array([ 7, -1]))
    """

    def __init__(self, utf8: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        self.gap = kernels.trim_fields(utf8, offsets)
        self.utf8, self.offsets = readonly(utf8[: offsets[-1]]), readonly(offsets)

    @classmethod
    def of(cls, strings: Sequence[str]) -> "TextColumn":
        """A column of the given strings."""
        utf8, offsets = pack_strings(strings)
        return cls(utf8.copy(), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: NDArray[np.int64]) -> "TextColumn":
        """A column of the fields of some rows."""
        lengths = np.diff(self.offsets)[rows]
        offsets = starts_of(lengths)
        utf8 = np.empty(offsets[-1], np.uint8)
        for first in range(0, len(rows), _ROWS_AT_ONCE):  # to save memory
            block = slice(first, first + _ROWS_AT_ONCE)
            start, stop = offsets[first], offsets[min(first + _ROWS_AT_ONCE, len(rows))]
            shifts = (self.offsets[rows[block]] - offsets[:-1][block]).repeat(lengths[block])
            utf8[start:stop] = self.utf8[np.arange(start, stop) + shifts]
        return TextColumn(utf8, offsets)

    def text(self, row: int) -> str:
        """The field of a row."""
        return self.utf8[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def gaps(self) -> NDArray[np.bool_]:
        """Marks the missing fields, of shape (n,)."""
        missing: NDArray[np.bool_] = self.offsets[1:] == self.offsets[:-1]
        return missing

    def to_list(self) -> list[str]:
        """Lists the fields."""
        return [self.text(row) for row in range(len(self))] if len(self) < 1000 else self._all()

    def _all(self) -> list[str]:
        block, bounds = self.utf8.tobytes(), self.offsets.tolist()
        return [block[start:stop].decode() for start, stop in pairwise(bounds)]

    def integers(self) -> NDArray[np.int64] | None:
        """The fields as integers, if every one is written as a plain integer (`fastrec.data.ids.parse_integer`)."""
        numbers = np.empty(len(self), np.int64)
        return numbers if kernels.parse_integers(self.utf8, self.offsets, numbers) < 0 else None

    def no_integer(self) -> int:
        """The first row that is no plain integer, or -1."""
        return int(kernels.parse_integers(self.utf8, self.offsets, np.empty(len(self), np.int64)))

    def numbers(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """The fields as int64, or float64 if one is no int64. Commas may be decimal ones (see `with_points`).

        Raises
        ------
        ValueError
            With the first row that is no number.
        """
        whole = self.integers()
        if whole is not None:
            return whole
        try:
            return self._decimals()
        except NoNumberError:
            pointed = self.with_points()
            if pointed is None:
                raise
            return pointed._decimals()

    def with_points(self) -> "TextColumn | None":
        """The column with points in place of its commas, if every comma can only be a decimal one; otherwise None.

        That is, there is no point, no field has two commas, none ends in one, and not all commas have three digits
        after them, which could be thousands.

        >>> TextColumn.of(["3,5", "2"]).with_points().to_list(), TextColumn.of(["1,250", "2"]).with_points()
        (['3.5', '2'], None)
        """
        places = np.flatnonzero(self.utf8 == ord(","))
        rows = np.searchsorted(self.offsets, places, "right") - 1
        after = self.offsets[rows + 1] - places - 1
        if (self.utf8 == ord(".")).any() or not (np.diff(rows) > 0).all() or not after.all() or (after == 3).all():
            return None
        utf8 = self.utf8.copy()
        utf8[places] = ord(".")
        return TextColumn(utf8, self.offsets.copy())

    def _decimals(self) -> NDArray[np.float64]:
        numbers, row = np.empty(len(self)), 0
        while (row := kernels.parse_decimals(self.utf8, self.offsets, _POWERS, row, numbers)) >= 0:
            text = self.text(row)
            if not _NUMBER.fullmatch(text):
                raise NoNumberError(row, text)
            numbers[row] = float(text)
            row += 1
        return numbers

    def letters(self) -> NDArray[np.uint8] | None:
        """The fields as rows of bytes, of shape (n, width), if they have equal lengths; otherwise None."""
        lengths = np.diff(self.offsets)
        if not len(self) or not lengths[0] or (lengths != lengths[0]).any():
            return None
        return self.utf8.reshape(len(self), int(lengths[0]))

    def distinct(self) -> tuple[list[str], NDArray[np.int32]]:
        """The distinct fields in ascending order, and the place of every row's field among them."""
        codes = np.empty(len(self), np.int32)
        table = np.full(_FIRST_TABLE, -1, np.int32)
        hashes, examples = np.empty(len(table), np.uint64), np.empty(len(table), np.int64)
        row, n = 0, 0
        while row < len(self):
            row, n = kernels.number_fields(self.utf8, self.offsets, row, table, hashes, examples, codes, n)
            if row < len(self):
                table = np.full(4 * len(table), -1, np.int32)
                hashes, examples = _longer(hashes), _longer(examples)
                kernels.fill_table(hashes, n, table)
        texts = [self.text(example) for example in examples[:n].tolist()]
        order = sorted(range(n), key=texts.__getitem__)
        rank = np.empty(n, np.int32)
        rank[order] = np.arange(n, dtype=np.int32)
        return [texts[place] for place in order], rank[codes]


def _longer(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, np.empty(3 * len(array), array.dtype)])


class NoNumberError(ValueError):
    """An error about a field that is no number, with its row."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(row, text)
        self.row, self.text = row, text
