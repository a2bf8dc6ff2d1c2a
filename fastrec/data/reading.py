"""Interactions from files and frames of any make."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data.checks import TIME_UNITS, Duplicates, TimeUnit, check_duplicates, check_item_info
from fastrec.data.chosen_rows import INCOMPLETE, ChosenRows, Incomplete, numbering
from fastrec.data.columns import DROP, FILL_DOWN, ID_KINDS, IdKind, read_ids, read_times, read_values
from fastrec.data.events import Wanted, check_weights, check_where, take_events
from fastrec.data.interactions import Interactions
from fastrec.data.item_tables import ItemColumns, first_titles, read_item_info
from fastrec.data.marks import tell_unrated
from fastrec.data.recognition import DROPPED, UNREAD, Roles, Selector, find_column_by, recognise
from fastrec.data.tables import Columns, Table, naming, open_table
from fastrec.data.wide_tables import read_wide
from fastrec.validation import check_choice, check_flag, name_options

MOST_NAMED = 8  # the number of columns without a role that are shown by name


@name_options
def read_interactions(
    source: Any,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    value: str | int | bool | None = None,
    time: str | int | bool | None = None,
    event: str | int | bool | None = None,
    weights: Mapping[str, float] | None = None,
    where: Mapping[str | int, Any] | None = None,
    incomplete: Incomplete = "refuse",
    duplicates: Duplicates | None = None,
    time_unit: TimeUnit | None = None,
    ids: IdKind | tuple[IdKind, IdKind] = "auto",
    item_info: Any = None,
    items_id: str | int | None = None,
    title: str | int | None = None,
    wide: bool = False,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
    quote: str | None = '"',
) -> Interactions:
    """Reads interactions from a file or a frame: users, items, and values and times if there are any.

    Parameters
    ----------
    source : path or frame
        A CSV or TSV file (plain, or .gz, .bz2, .xz, .zst or .zip with one file in it), a Parquet file, a frame of
        pandas, polars or pyarrow, or any object with ``__arrow_c_stream__`` or ``__dataframe__``.
    user, item : str or int, optional
        The columns of the ids, by name or number. None: recognised by usual names (user, userId, visitorid, …; item,
        movieId, product_id, …); ``repr`` shows the chosen columns.
    value, time : str, int or False, optional
        The columns of the values and times. None: recognised if there; False: none.
    event : str, int or False, optional
        The column of the kinds of events, such as view and purchase. None: recognised if there, with a warning if it
        has several kinds and neither `weights` nor `where` is given; False: none.
    weights : mapping of str to float, optional
        The weight of each kind of event, such as ``{"view": 1, "cart": 3, "purchase": 5}``. It multiplies the value of
        an event, or 1. Every kind of the rows that `where` takes must be named; 0 leaves a kind out, and an empty cell
        is the kind ``""``.
    where : mapping of columns to labels, optional
        The labels of the rows to take, by column, such as ``{"event": ["cart", "purchase"]}``. Columns
        are given by name or number, and a label may stand alone. Of several columns, a row must have a label of each.
        In a column of flags, ``True`` and ``False`` match every spelling (true, TRUE, yes, 1). Of the other rows
        nothing is read, so their cells may be empty or unreadable.
    incomplete : {"refuse", "drop"}
        The treatment of rows with an empty cell in the column of the users, items, values or times: an error, or they
        are left out, and ``repr`` shows their number. Cells that are unreadable and not empty are always an error.
    duplicates : {"sum", "last", "max", "error"}, optional
        The way to merge several interactions of one user and item. None: models of ratings take the last one, all
        others the sum, with a warning; see `Interactions`.
    time_unit : {"s", "ms", "us", "ns"}, optional
        The unit of numeric times since 1970. None: recognised from the type of the column, or from the numbers if all
        of them lie between 1990 and 2100 in one unit; otherwise unknown.
    ids : {"auto", "int", "str"}, or a pair of them for users and items
        The type of the ids. "auto": integers from a column of integers, or from a column of a text file in which every
        id is written as an integer; otherwise strings. So the type depends on the whole text file: name it if several
        files must fit, such as ``ids=(train.users.kind, train.items.kind)`` for a test set.
    item_info : path, frame or mapping of str to array-like, optional
        A table with a column of item ids and facts about the items such as `title`; items that are not in the
        interactions are left out. Its ids are read as those of the interactions: 7 and "7" are one item. A column with
        a usual name of titles (name, Book-Title, product_name, …) becomes `title`, if no column is named `title`.
    items_id : str or int, optional
        The column of the item ids in `item_info`, by name or number. None: recognised (`id`, or a name of an item).
    title : str or int, optional
        The column of the titles: in `item_info`, or in `source` without `item_info`.
    wide : bool
        Whether the table is a matrix: a row for each user, with the id in the column `user` or in the first one, and a
        column for each item, with the id as its name. Empty cells and zeros are no interactions.
    delimiter : str, optional
        The separator of the columns of a text file, one or more characters. None: recognised from its first line.
    header : bool, optional
        Whether the first line of a text file names the columns. None: it does, unless user and item are given by number
        and the line contains a number; in unclear cases an error asks.
    encoding : str
        The encoding of a text file. Byte-order marks of UTF-8, UTF-16 and UTF-32 are recognised.
    quote : str or None
        The character around fields of a text file that hold a delimiter, quotes (doubled) or the end of a line; None:
        there is none, and quotes are ordinary characters.

    Returns
    -------
    Interactions
        Ids are in ascending order. In text files, ids are integers if every one of the column is written as an int64
        without leading zeros; otherwise they are strings, without the blanks around them. Times in ISO strings, such as
        `2020-01-31`, `2020-01-31T12:00:00.5Z`, `2020-01-31 12:00:00 UTC` or `… +0100`, are microseconds, and so are
        dates with dots, whose day is first: `31.01.2020`, `31.01.2020 12:00` or `31.01.2020 12:00:00`.

    Raises
    ------
    ValueError
        If a column is not found, or a field is missing or unreadable; the message names file, column and row. If a file
        is not in the format of the options. If `item_info` has none of the items.
    TypeError
        If the type of a column cannot be used, such as ids that are floats.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"userId": ["ann", "bob"], "movieId": [7, 9], "rating": [4.5, 3.0]})
    >>> data = read_interactions(frame)
    >>> data.shape, data.users.ids
    ((2, 2), array(['ann', 'bob'], dtype=object))
    >>> data.values
    array([4.5, 3. ], dtype=float32)
    """
    check_choice("time_unit", time_unit, (None, *TIME_UNITS))
    check_duplicates(duplicates)
    kinds = _check_kinds(ids)
    chosen: dict[str, Selector] = {"user": user, "item": item, "value": value, "time": time, "event": event}
    check_choice("incomplete", incomplete, INCOMPLETE)
    asked = Asked(
        check_where(where),
        check_weights(weights),
        title if item_info is None else None,
        kinds,
        time_unit,
        duplicates,
        incomplete,
    )
    form = {"delimiter": delimiter, "header": header, "encoding": encoding, "quote": quote}
    with naming(source):
        if check_flag("wide", wide):
            if where or weights or incomplete != "refuse":
                raise ValueError("where, weights and incomplete choose events by row: leave them out with wide=True")
            data = read_wide(open_table(source, form, {}), user, kinds, duplicates)
        else:
            data = _read(open_table(source, form, chosen), chosen, asked)
    if item_info is None:
        return data
    with naming(item_info):
        info = read_item_info(item_info, data.items, ItemColumns(items_id, item, title), encoding=encoding)
        return data._replace(item_info=check_item_info(info, len(data.items)), merged=data._merged)


class Asked(NamedTuple):
    """The wanted events, by names of columns, the column of titles, and the ways to read the columns."""

    where: dict[str | int, list[str]]
    weights: dict[str, float] | None
    title: Selector
    kinds: tuple[IdKind, IdKind]
    time_unit: TimeUnit | None
    duplicates: Duplicates | None
    incomplete: Incomplete


def _read(table: Table, chosen: dict[str, Selector], asked: Asked) -> Interactions:
    roles = recognise(table.names, **chosen)
    wanted = Wanted({find_column_by("where", c, table.names): texts for c, texts in asked.where.items()}, asked.weights)
    title = None if asked.title is None else find_column_by("title", asked.title, table.names)
    places = sorted({place for place in (*roles, *wanted.where, title) if place is not None})
    columns = Columns(table, places)
    names = {place: f"column {table.names[place]!r}" for place in places}
    taken = take_events(columns, names, roles.event, wanted)
    rows = ChosenRows(columns, None if taken.rows is None else np.flatnonzero(taken.rows))
    dropped = None
    if asked.incomplete == "drop":
        others = [place for place in (roles.value, roles.time) if place is not None]
        dropped = rows.drop_incomplete(table.names, roles[:2], others)
    with numbering(rows.rows):
        data = _read_rows(rows, names, roles, taken.weights, title, asked)
    shown = {role: table.names[place] for role, place in roles._asdict().items() if place is not None}
    if taken.kinds is not None:
        shown["event"] += f" ({taken.kinds})"
    notes = {UNREAD: _list_unread(table.names, places), DROPPED: dropped}
    shown |= {name: said for name, said in notes.items() if said}
    return data._replace(columns=shown, merged=data._merged)


def _read_rows(
    rows: ChosenRows,
    names: Mapping[int, str],
    roles: Roles,
    weights: NDArray[np.float64] | None,
    title: int | None,
    asked: Asked,
) -> Interactions:
    """Reads the chosen rows; `weights` are those of all rows of the table."""
    users, user_codes = read_ids(rows.ids(roles.user), names[roles.user], kind=asked.kinds[0], advice=FILL_DOWN)
    items, item_codes = read_ids(rows.ids(roles.item), names[roles.item], kind=asked.kinds[1], advice=DROP)
    values: Any = None
    if roles.value is not None:
        values = read_values(rows[roles.value], names[roles.value])
        tell_unrated(values, names[roles.value])
    times, time_unit = None, None
    if roles.time is not None:
        times, time_unit = read_times(rows[roles.time], names[roles.time], asked.time_unit)
    if weights is not None and rows.rows is not None:
        weights = weights[rows.rows]
    return Interactions(
        user_codes,
        item_codes,
        values if weights is None else weights * (1 if values is None else values),
        times,
        users=users,
        items=items,
        time_unit=time_unit,
        duplicates=asked.duplicates,
        item_info=None if title is None else {"title": first_titles(rows[title], item_codes, len(items))},
    )


def _list_unread(names: Sequence[str], places: Container[int]) -> str:
    """Lists the columns without a role in words, the first ones by name."""
    others = [str(name) for place, name in enumerate(names) if place not in places]
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return ", ".join(others[:MOST_NAMED]) + more


def _check_kinds(ids: Any) -> tuple[IdKind, IdKind]:
    kinds = tuple(ids) if isinstance(ids, (tuple, list)) else (ids, ids)
    if len(kinds) != 2:
        raise ValueError(f"ids must be one kind, or a pair of them for users and items, got {ids!r}")
    user, item = (check_choice("ids", kind, ID_KINDS) for kind in kinds)
    return user, item
