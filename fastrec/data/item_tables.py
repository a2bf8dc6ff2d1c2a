"""Facts about items, such as titles, read from tables and aligned with the codes of the interactions."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.data.columns import read_ids
from fastrec.data.frames import plain_list
from fastrec.data.ids import as_ids, as_sequence, is_missing, object_array
from fastrec.data.recognition import Selector, recognise_item_columns
from fastrec.data.tables import open_table
from fastrec.data.text_columns import TextColumn
from fastrec.data.vocabulary import Vocabulary
from fastrec.notices import warn_caller

FEW = 0.1  # the share of texts in a column that was meant to have numbers


class ItemColumns(NamedTuple):
    """The columns of a table about items that a caller names; None: recognised by their names.

    `item` is the column of the interactions; if `id` is None, a column of that name is looked for first.
    """

    id: Selector
    item: Selector
    title: Selector


def read_item_info(info: Any, items: Vocabulary, columns: ItemColumns, *, encoding: str) -> Mapping[str, ArrayLike]:
    """Reads a table about items as arrays aligned with the codes of the vocabulary.

    Parameters
    ----------
    info
        A path, a frame, or a mapping of names to columns.
    items
        The ids of the items.
    columns
        The columns of the ids and titles.
    encoding
        The encoding of a text file.

    Raises
    ------
    ValueError
        If the table has no column of ids, names an item twice, or has none of the items.
    """
    read: list[Any]
    if isinstance(info, Mapping):
        names, read = list(map(str, info)), [as_sequence(column) for column in info.values()]
    else:
        form = {"delimiter": None, "header": None, "encoding": encoding, "quote": '"'}
        table = open_table(
            info, form, {"user": columns.id if columns.title is None else columns.title, "item": columns.id}
        )
        names, read = table.names, table.read(list(range(len(table.names))))
    named_alike = isinstance(columns.item, str) and columns.item in names
    by_id = columns.item if columns.id is None and named_alike else columns.id
    place, shown = recognise_item_columns(names, item=by_id, title=columns.title)
    names = ["title" if column == shown else name for column, name in enumerate(names)]
    what = f"item_info column {names[place]!r}"
    ids = as_ids(read[place], what) if isinstance(info, Mapping) else read[place]
    known, codes = read_ids(ids, what)
    if len(known) < len(codes):
        twice = int(np.flatnonzero(np.bincount(codes) > 1)[0])
        raise ValueError(f"item_info must name every item once, got {known.ids.item(twice)!r} twice")
    row_of = np.full(len(known) + 1, -1)
    row_of[codes] = np.arange(len(codes))
    rows = row_of[_find(known, items)]
    if len(rows) and rows.max() < 0:
        raise ValueError(
            f"item_info has none of the items: its ids are such as {known.ids[:1].tolist()}, those of the "
            f"interactions such as {items.ids[:1].tolist()}"
        )
    return {names[other]: _align(names[other], read[other], rows) for other in range(len(names)) if other != place}


def _find(known: Vocabulary, items: Vocabulary) -> NDArray[np.int32]:
    """The code of each item among the known ones, or -1; if the kinds of ids differ, their texts are compared."""
    if known.kind == items.kind:
        return known.encode(items.ids, unknown="code")
    known, items = (Vocabulary(list(map(str, side.ids.tolist()))) for side in (known, items))
    return known.encode(items.ids, unknown="code")


def _align(name: str, column: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    """The column's entries at the given rows; -1 and missing ones become "" among strings and NaN among numbers.

    Titles are always strings.
    """
    text = isinstance(column, TextColumn)
    values = _plain_values(column)
    chosen = [None if row < 0 or is_missing(values[row]) else values[row] for row in rows.tolist()]
    parsed = None if name == "title" else _as_numbers(chosen, text=text)
    if parsed is not None:
        return parsed
    texts = [_as_text(value) for value in chosen]
    if name != "title":
        _warn_of_few_texts(name, [value for value in texts if value])
    return object_array(texts)


def _warn_of_few_texts(name: str, values: list[str]) -> None:
    """Warns of a column that has hardly anything but numbers, and is text for the sake of a few values."""
    others = [value for value in values if _read_number(value) is None]
    if 0 < len(others) < FEW * len(values):
        warn_caller(
            f"item_info column {name!r} is read as text, since {len(others):,} of its {len(values):,} values are no "
            f"numbers, such as {others[0]!r}: leave these cells empty if it is a column of numbers"
        )


def _read_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain_values(column: Any) -> list[Any]:
    if isinstance(column, TextColumn):
        return [text or None for text in column.to_list()]
    if isinstance(column, nw.Series):
        return plain_list(column)
    return list(column.tolist() if isinstance(column, np.ndarray) else column)


def _as_numbers(values: list[Any], *, text: bool) -> NDArray[Any] | None:
    """Integers as int64, other numbers and those with gaps as float64 with NaN; None for any other column."""
    present = [value for value in values if value is not None]
    kinds = (int, float, np.integer, np.floating, Decimal, *((str,) if text else ()))
    if not present or not all(isinstance(value, kinds) for value in present):
        return None
    try:
        if len(present) == len(values) and all(_is_whole(value) for value in present):
            return np.array([int(value) for value in present], np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return None


def _is_whole(value: Any) -> bool:
    return (
        value == value.to_integral_value() if isinstance(value, Decimal) else not isinstance(value, float | np.floating)
    )


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return "|".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def first_titles(column: Any, codes: NDArray[np.int32], n_items: int) -> NDArray[Any]:
    """The title of each item in a column of a table of interactions: that of its first row."""
    _, rows = np.unique(codes, return_index=True)
    places = np.full(n_items, -1)
    places[codes[rows]] = rows
    return _align("title", column, places)
