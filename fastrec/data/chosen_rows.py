"""The rows of a table that are read: some of them, without those that lack a cell, under the numbers that they have in
the table.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from fastrec.data.tables import Columns
from fastrec.data.text_columns import TextColumn

Incomplete = Literal["refuse", "drop"]
INCOMPLETE: tuple[Incomplete, ...] = ("refuse", "drop")

_ROW = re.compile(r"(?<=\bin row )[0-9]+\b")


def take_rows(column: Any, rows: NDArray[np.int64]) -> Any:
    """Takes some rows of a column of any kind.

    >>> take_rows(TextColumn.of(["a", "b", "c"]), np.array([2, 0])).to_list()
    ['c', 'a']
    """
    return column.take(rows) if isinstance(column, TextColumn) else column[rows]


def find_empty(column: Any, *, blanks: bool) -> NDArray[np.bool_]:
    """Marks the empty cells of a column, of shape (n,).

    Parameters
    ----------
    column
        A column of any kind.
    blanks
        Whether a string of blanks in a frame is an empty cell. In a text file it always is.
    """
    if isinstance(column, TextColumn):
        return column.gaps()
    if not isinstance(column, nw.Series):
        return np.zeros(len(column), bool)
    empty = column.is_null()
    if blanks and column.dtype == nw.String:
        empty = empty | (column.str.strip_chars() == "").fill_null(True)
    return np.asarray(empty.to_numpy(), bool)


class ChosenRows:
    """Columns of a table, of which some rows are read.

    Parameters
    ----------
    columns
        The columns of the table by their places.
    rows
        The rows in ascending order; None: all.
    """

    def __init__(self, columns: Columns, rows: NDArray[np.int64] | None) -> None:
        self._columns, self.rows = columns, rows

    def __getitem__(self, place: int) -> Any:
        return self._taken(self._columns[place])

    def ids(self, place: int) -> Any:
        """The chosen rows of a column of ids."""
        return self._taken(self._columns.ids(place))

    def _taken(self, column: Any) -> Any:
        return column if self.rows is None else take_rows(column, self.rows)

    def drop_incomplete(self, names: Sequence[str], ids: Sequence[int], others: Sequence[int]) -> str | None:
        """Leaves out rows that lack an id, or a value or time in the other columns; says so in words.

        Returns None if there are none.
        """
        empty = {place: find_empty(self[place], blanks=place in others) for place in (*ids, *others)}
        lacking = np.logical_or.reduce(list(empty.values()))
        if not lacking.any():
            return None
        kept = np.flatnonzero(~lacking)
        self.rows = kept if self.rows is None else self.rows[kept]
        counts = ", ".join(f"{names[place]} {cells.sum():,}" for place, cells in empty.items() if cells.any())
        return f"{lacking.sum():,} of {len(lacking):,} rows, which have an empty cell ({counts})"


@contextmanager
def numbering(rows: NDArray[np.int64] | None) -> Iterator[None]:
    """Makes errors about a row name its number in the table, of which `rows` were read; None: all rows."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if rows is None:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(_ROW.sub(lambda found: _number_in_table(found[0], rows), str(error))) from None


def _number_in_table(place: str, rows: NDArray[np.int64]) -> str:
    return str(rows[int(place)]) if int(place) < len(rows) else place
