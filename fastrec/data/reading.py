"""Interactions from files and frames of any make."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.data.columns import ID_KINDS, IdKind, read_ids, read_times, read_values
from fastrec.data.frames import installed_backends, open_frame
from fastrec.data.interactions import DUPLICATES, TIME_UNITS, Duplicates, Interactions, TimeUnit
from fastrec.data.recognition import Selector, recognise
from fastrec.data.text import TextFile
from fastrec.data.vocabulary import Vocabulary, as_ids
from fastrec.validation import check_choice, check_flag


def read_interactions(
    source: Any,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    value: str | int | bool | None = None,
    time: str | int | bool | None = None,
    duplicates: Duplicates = "sum",
    time_unit: TimeUnit | None = None,
    ids: IdKind | tuple[IdKind, IdKind] = "auto",
    item_info: Any = None,
    delimiter: str | None = None,
    header: bool = True,
    encoding: str = "utf-8",
    quote: str | None = '"',
) -> Interactions:
    """Interactions from a file or a frame: who, what, and if there are any how much and when.

    Parameters
    ----------
    source : path or frame
        A CSV or TSV file (plain, or .gz, .bz2, .xz, .zst or .zip with one file in it), a Parquet file, a frame of
        pandas, polars or pyarrow, or any object with ``__arrow_c_stream__`` or ``__dataframe__``.
    user, item : str or int, optional
        The columns of the ids, by name or number. None: recognised by usual names (user, userId, visitorid, …; item,
        movieId, product_id, …); what was taken is shown by ``repr``.
    value, time : str, int or False, optional
        The columns of the values and times. None: recognised if there; False: none.
    duplicates : {"sum", "last", "max", "error"}
        What becomes of several interactions of one user and item in the matrix, see `Interactions`.
    time_unit : {"s", "ms", "us", "ns"}, optional
        The unit of numeric times since 1970. None: told by the type of the column, or by the numbers if all of them
        lie between 1990 and 2100 in one unit; else unknown.
    ids : {"auto", "int", "str"}, or a pair of them for users and items
        What ids become. "auto": integers from a column of integers, or one of a text file in which every id is written
        as one; else strings. So what a text file gives hangs on all that is in it: name the kind where several files
        have to fit, such as ``ids=(train.users.kind, train.items.kind)`` for a test set.
    item_info : path, frame or mapping of str to array-like, optional
        A table with a column of item ids and facts about the items such as `title`; items that are not in the
        interactions are left out. Its ids are read as those of the interactions: 7 and "7" are one item.
    delimiter : str, optional
        What separates the columns of a text file, one or more characters. None: told by its first line.
    header : bool
        Whether the first line of a text file names the columns. False: columns are given by number.
    encoding : str
        The encoding of a text file.
    quote : str or None
        The character around fields of a text file that hold a delimiter; None: there is none.

    Returns
    -------
    Interactions
        Ids are in ascending order. In text files, they are integers if every one of the column is written as one
        (int64, without leading zeros), else the strings, without the blanks around them. Times in ISO strings are
        microseconds.

    Raises
    ------
    ValueError
        If a column is not found or a field is missing or unreadable: column and row are named; or if `item_info` is
        about none of the items.
    TypeError
        If a column is of a type that cannot be used, such as ids that are floats.

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
    check_choice("duplicates", duplicates, DUPLICATES)
    check_choice("time_unit", time_unit, (None, *TIME_UNITS))
    user_kind, item_kind = _check_kinds(ids)
    table = _open_table(source, delimiter=delimiter, header=header, encoding=encoding, quote=quote)
    text = isinstance(table, TextFile)
    roles = recognise(table.names, user=user, item=item, value=value, time=time)
    places = [place for place in roles if place is not None]
    column = dict(zip(places, table.read(places), strict=True))
    name = {place: f"column {table.names[place]!r}" for place in places}
    users, user_codes = read_ids(column[roles.user], name[roles.user], text=text, kind=user_kind)
    items, item_codes = read_ids(column[roles.item], name[roles.item], text=text, kind=item_kind)
    values = None if roles.value is None else read_values(column[roles.value], name[roles.value])
    times = None
    if roles.time is not None:
        times, time_unit = read_times(column[roles.time], name[roles.time], time_unit)
    data = Interactions(
        user_codes,
        item_codes,
        values,
        times,
        users=users,
        items=items,
        time_unit=None if times is None else time_unit,
        duplicates=duplicates,
        item_info=None if item_info is None else _read_item_info(item_info, items, item, encoding=encoding),
    )
    columns = {role: table.names[place] for role, place in roles._asdict().items() if place is not None}
    return data._replaced(columns=columns, matrix=data._matrix)


def _check_kinds(ids: Any) -> tuple[IdKind, IdKind]:
    kinds = tuple(ids) if isinstance(ids, (tuple, list)) else (ids, ids)
    if len(kinds) != 2:
        raise ValueError(f"ids must be one kind, or a pair of them for users and items, got {ids!r}")
    user, item = (check_choice("ids", kind, ID_KINDS) for kind in kinds)
    return user, item


class FrameTable:
    """A frame as `read_interactions` sees it: the names of its columns, and any of them."""

    def __init__(self, frame: "nw.DataFrame[Any]") -> None:
        self.frame = frame
        self.names = list(map(str, frame.columns))  # pandas lets numbers be names

    def read(self, places: list[int]) -> list[Any]:
        """The columns at the given places, as narwhals Series."""
        return [self.frame[:, place] for place in places]


def _open_table(
    source: Any, *, delimiter: str | None, header: bool, encoding: str, quote: str | None
) -> TextFile | FrameTable:
    check_flag("header", header)
    if not isinstance(source, (str, os.PathLike)):
        return FrameTable(open_frame(source))
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if path.suffix.lower() in (".parquet", ".pq"):
        return FrameTable(_read_parquet(path))
    return TextFile(path, delimiter=delimiter, quote=quote, encoding=encoding, header=header)


def _read_parquet(path: Path) -> "nw.DataFrame[Any]":
    for backend in ("pyarrow", "polars"):
        if backend in installed_backends():
            return nw.read_parquet(str(path), backend=backend)
    raise ImportError(f"{path}: Parquet needs pyarrow or polars: pip install 'fastrec[frames]'")


def _read_item_info(info: Any, items: Vocabulary, item: Selector, *, encoding: str) -> Mapping[str, ArrayLike]:
    """A table about items as arrays aligned with the codes of the vocabulary."""
    if isinstance(info, Mapping):
        names, read, text = list(map(str, info)), [_listed(column) for column in info.values()], False
    else:
        table = _open_table(info, delimiter=None, header=True, encoding=encoding, quote='"')
        names, read, text = table.names, table.read(list(range(len(table.names)))), isinstance(table, TextFile)
    place = _item_column(names, item)
    what = f"item_info column {names[place]!r}"
    ids = as_ids(read[place], what) if isinstance(info, Mapping) else read[place]
    known, codes = read_ids(ids, what, text=text)
    if len(known) < len(codes):
        twice = int(np.flatnonzero(np.bincount(codes) > 1)[0])
        raise ValueError(f"item_info must name every item once, got {known.ids.item(twice)!r} twice")
    row_of = np.full(len(known) + 1, -1)
    row_of[codes] = np.arange(len(codes))
    rows = row_of[_find(known, items)]
    if len(rows) and rows.max() < 0:
        raise ValueError(
            f"item_info is about none of the items: its ids are such as {known.ids[:1].tolist()}, those of the "
            f"interactions such as {items.ids[:1].tolist()}"
        )
    return {
        names[other]: _aligned(read[other], rows, numbers=names[other] != "title", text=text)
        for other in range(len(names))
        if other != place
    }


def _find(known: Vocabulary, items: Vocabulary) -> NDArray[np.int32]:
    """The code that each item has among the known ones, or -1: by how ids are written where their kinds differ."""
    if known.kind == items.kind:
        return known.encode(items.ids, unknown="code")
    known, items = (Vocabulary(list(map(str, side.ids.tolist()))) for side in (known, items))
    return known.encode(items.ids, unknown="code")


def _listed(column: Any) -> list[Any]:
    return list(column.tolist() if hasattr(column, "tolist") else column)


def _item_column(names: list[str], item: Selector) -> int:
    if isinstance(item, str) and item in names:
        return names.index(item)
    roles = recognise(["user", *names], user=0, item=None, value=False, time=False)
    return roles.item - 1


def _aligned(column: Any, rows: NDArray[np.int64], *, numbers: bool, text: bool) -> NDArray[Any]:
    """The column's entries at the given rows; -1 and missing ones are "" among strings and NaN among numbers."""
    values = column.to_list() if isinstance(column, nw.Series) else list(column)
    chosen = [None if row < 0 or values[row] != values[row] else values[row] for row in rows.tolist()]
    parsed = _as_numbers(chosen, text=text) if numbers else None
    if parsed is not None:
        return parsed
    strings = np.empty(len(chosen), object)
    strings[:] = [_as_text(value).strip(" \t") if text else _as_text(value) for value in chosen]
    return strings


def _as_numbers(values: list[Any], *, text: bool) -> NDArray[Any] | None:
    """Integers as int64, other numbers and those with gaps as float64 with NaN; None if there is anything else."""
    present = [value for value in values if value is not None]
    kinds = (int, float, np.integer, np.floating, *((str,) if text else ()))
    if not present or not all(isinstance(value, kinds) for value in present):
        return None
    try:
        if len(present) == len(values) and not any(isinstance(value, (float, np.floating)) for value in present):
            return np.array([int(value) for value in present], np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return None


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return "|".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
