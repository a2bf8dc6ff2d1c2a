"""Wide tables: a row for each user and a column for each item."""

from typing import Any

import numpy as np

from fastrec.data.checks import Duplicates
from fastrec.data.columns import IdKind, read_ids, read_values
from fastrec.data.interactions import Interactions
from fastrec.data.recognition import Selector, find_column_by
from fastrec.data.tables import Table
from fastrec.data.text_columns import TextColumn


def read_wide(
    table: Table, user: Selector, kinds: tuple[IdKind, IdKind], duplicates: Duplicates | None
) -> Interactions:
    """Reads a matrix with labels: an interaction for every cell that is neither empty nor 0.

    Parameters
    ----------
    table
        The table: a column of user ids, and a column for each item, whose id is its name.
    user
        The column of the users; None: the first one.
    kinds
        The types of the ids of users and items.
    duplicates
        As in `Interactions`.

    Raises
    ------
    ValueError, TypeError
        If a cell is no number, a user is missing, or an item has two columns; the message names column and row.
    """
    of_users = 0 if user is None else find_column_by("user", user, table.names)
    of_items = [place for place in range(len(table.names)) if place != of_users]
    names = [table.names[place] for place in of_items]
    items, item_codes = read_ids(TextColumn.of(names), "the name of a column, which is an item's id,", kind=kinds[1])
    if len(items) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a wide table has a column for each item, and {twice!r} has several")
    ids, *cells = table.read([of_users, *of_items])
    users, codes = read_ids(ids, f"column {table.names[of_users]!r}", kind=kinds[0])
    rows, columns, values = [], [], []
    for item, column, name in zip(item_codes, cells, names, strict=True):
        numbers = _read_cells(column, f"column {name!r}")
        found = np.flatnonzero(numbers)
        rows.append(codes[found])
        columns.append(np.full(len(found), item))
        values.append(numbers[found])
    empty = np.empty(0, np.int32)
    return Interactions(
        np.concatenate([empty, *rows]),
        np.concatenate([empty, *columns]),
        np.concatenate([empty.astype(np.float32), *values]),
        users=users,
        items=items,
        duplicates=duplicates,
    )


def _read_cells(column: Any, name: str) -> Any:
    """Returns the numbers of a column, 0 for an empty cell."""
    texts = column if isinstance(column, TextColumn) else None
    if texts is None:
        column = column.fill_null(0)
    elif texts.gap >= 0:
        column = TextColumn.of([text or "0" for text in texts.to_list()])
    return read_values(column, name)
