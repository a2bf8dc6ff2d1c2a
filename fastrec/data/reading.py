"""Interactions from files and frames of any make."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.data.columns import ID_KINDS, IdKind, read_ids, read_times, read_values
from fastrec.data.frames import installed_backends, open_frame, plain_list
from fastrec.data.ids import as_ids, as_sequence, is_missing, object_array
from fastrec.data.interactions import (
    TIME_UNITS,
    Duplicates,
    Interactions,
    TimeUnit,
    check_duplicates,
    check_item_info,
)
from fastrec.data.recognition import Selector, recognise
from fastrec.data.text import TextFile
from fastrec.data.text_columns import TextColumn
from fastrec.data.vocabulary import Vocabulary
from fastrec.validation import check_choice, check_flag


def read_interactions(
    source: Any,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    value: str | int | bool | None = None,
    time: str | int | bool | None = None,
    duplicates: Duplicates | None = None,
    time_unit: TimeUnit | None = None,
    ids: IdKind | tuple[IdKind, IdKind] = "auto",
    item_info: Any = None,
    delimiter: str | None = None,
    header: bool | None = None,
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
    duplicates : {"sum", "last", "max", "error"}, optional
        What becomes of several interactions of one user and item. None: models of ratings take the last one, all others
        the sum, with a warning; see `Interactions`.
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
    header : bool, optional
        Whether the first line of a text file names the columns. None: it does, unless user and item are given by number
        and a number stands in it; where that does not tell, an error asks.
    encoding : str
        The encoding of a text file. The marks of UTF-8, UTF-16 and UTF-32 at its beginning are known.
    quote : str or None
        The character around fields of a text file that hold a delimiter, quotes (doubled) or the end of a line; None:
        there is none, and quotes are letters.

    Returns
    -------
    Interactions
        Ids are in ascending order. In text files, they are integers if every one of the column is written as one
        (int64, without leading zeros), else the strings, without the blanks around them. Times in ISO strings, such as
        `2020-01-31`, `2020-01-31T12:00:00.5Z`, `2020-01-31 12:00:00 UTC` or `… +0100`, are microseconds.

    Raises
    ------
    ValueError
        If a column is not found or a field is missing or unreadable: file, column and row are named; if a file is
        written in another way than was said; or if `item_info` is about none of the items.
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
    check_choice("time_unit", time_unit, (None, *TIME_UNITS))
    check_duplicates(duplicates)
    kinds = _check_kinds(ids)
    chosen: dict[str, Selector] = {"user": user, "item": item, "value": value, "time": time}
    form = {"delimiter": delimiter, "header": header, "encoding": encoding, "quote": quote}
    with naming(source):
        data = _read(_open_table(source, form, chosen), chosen, kinds, time_unit, duplicates)
    if item_info is None:
        return data
    with naming(item_info):
        info = _read_item_info(item_info, data.items, item, encoding=encoding)
        return data._replace(item_info=check_item_info(info, len(data.items)), merged=data._merged)


@contextmanager
def naming(source: Any) -> Iterator[None]:
    """Errors name the file that is read, and are Python's own, whatever library found them."""
    is_file = isinstance(source, str | os.PathLike)
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        kind = next((kind for kind in (TypeError, ImportError) if isinstance(error, kind)), ValueError)
        text = str(error).split("\n")[0] if type(error).__module__ != "builtins" else str(error)
        named = text if not is_file or str(source) in text else f"{os.fspath(source)}: {text}"
        if type(error) is kind and named == str(error):
            raise
        raise kind(named) from None


def _read(
    table: "TextFile | FrameTable",
    chosen: dict[str, Selector],
    kinds: tuple[IdKind, IdKind],
    time_unit: TimeUnit | None,
    duplicates: Duplicates | None,
) -> Interactions:
    roles = recognise(table.names, **chosen)
    places = [place for place in roles if place is not None]
    column = dict(zip(places, table.read(places), strict=True))
    name = {place: f"column {table.names[place]!r}" for place in places}
    users, user_codes = read_ids(column.pop(roles.user), name[roles.user], kind=kinds[0])
    items, item_codes = read_ids(column.pop(roles.item), name[roles.item], kind=kinds[1])
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
    )
    columns = {role: table.names[place] for role, place in roles._asdict().items() if place is not None}
    return data._replace(columns=columns, merged=data._merged)


def _check_kinds(ids: Any) -> tuple[IdKind, IdKind]:
    kinds = tuple(ids) if isinstance(ids, (tuple, list)) else (ids, ids)
    if len(kinds) != 2:
        raise ValueError(f"ids must be one kind, or a pair of them for users and items, got {ids!r}")
    user, item = (check_choice("ids", kind, ID_KINDS) for kind in kinds)
    return user, item


class FrameTable:
    """A frame as `read_interactions` sees it: the names of its columns, and any of them."""

    def __init__(self, source: Any) -> None:
        self.names, self.frame = open_frame(source)

    def read(self, places: list[int]) -> list[Any]:
        """The columns at the given places, as narwhals Series."""
        return [self.frame[:, place] for place in places]


def _open_table(source: Any, form: dict[str, Any], chosen: dict[str, Selector]) -> TextFile | FrameTable:
    if form["header"] is not None:
        check_flag("header", form["header"])
    if not isinstance(source, str | os.PathLike):
        return FrameTable(source)
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if path.suffix.lower() in (".parquet", ".pq") or _begins(path, b"PAR1"):
        return FrameTable(_read_parquet(path))
    return TextFile(path, **form, chosen=chosen)


def _begins(path: Path, magic: bytes) -> bool:
    if not path.is_file():  # a pipe is read once
        return False
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _read_parquet(path: Path) -> Any:
    for backend in ("pyarrow", "polars"):
        if backend in installed_backends():
            return _read_parquet_by(backend, path)
    raise ImportError(f"{path}: Parquet needs pyarrow or polars: pip install 'fastrec[frames]'")


def _read_parquet_by(backend: Any, path: Path) -> Any:
    if not _begins(path, b"PAR1"):
        raise ValueError(f"{path} is no Parquet file: it does not begin with PAR1")
    if backend == "polars":
        return nw.read_parquet(str(path), backend=backend).to_native()
    from pyarrow import parquet

    return parquet.read_table(str(path))


def _read_item_info(info: Any, items: Vocabulary, item: Selector, *, encoding: str) -> Mapping[str, ArrayLike]:
    """A table about items as arrays aligned with the codes of the vocabulary."""
    read: list[Any]
    if isinstance(info, Mapping):
        names, read = list(map(str, info)), [as_sequence(column) for column in info.values()]
    else:
        table = _open_table(info, {"delimiter": None, "header": None, "encoding": encoding, "quote": '"'}, {})
        names, read = table.names, table.read(list(range(len(table.names))))
    place = _item_column(names, item)
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
            f"item_info is about none of the items: its ids are such as {known.ids[:1].tolist()}, those of the "
            f"interactions such as {items.ids[:1].tolist()}"
        )
    return {
        names[other]: _align(read[other], rows, numbers=names[other] != "title")
        for other in range(len(names))
        if other != place
    }


def _find(known: Vocabulary, items: Vocabulary) -> NDArray[np.int32]:
    """The code that each item has among the known ones, or -1: by how ids are written where their kinds differ."""
    if known.kind == items.kind:
        return known.encode(items.ids, unknown="code")
    known, items = (Vocabulary(list(map(str, side.ids.tolist()))) for side in (known, items))
    return known.encode(items.ids, unknown="code")


def _item_column(names: list[str], item: Selector) -> int:
    if isinstance(item, str) and item in names:
        return names.index(item)
    roles = recognise(["user", *names], user=0, item=None, value=False, time=False)
    return roles.item - 1


def _align(column: Any, rows: NDArray[np.int64], *, numbers: bool) -> NDArray[Any]:
    """The column's entries at the given rows; -1 and missing ones are "" among strings and NaN among numbers."""
    text = isinstance(column, TextColumn)
    values = _plain_values(column)
    chosen = [None if row < 0 or is_missing(values[row]) else values[row] for row in rows.tolist()]
    parsed = _as_numbers(chosen, text=text) if numbers else None
    if parsed is not None:
        return parsed
    return object_array([_as_text(value) for value in chosen])


def _plain_values(column: Any) -> list[Any]:
    if isinstance(column, TextColumn):
        return [text or None for text in column.to_list()]
    if isinstance(column, nw.Series):
        return plain_list(column)
    return list(column.tolist() if isinstance(column, np.ndarray) else column)


def _as_numbers(values: list[Any], *, text: bool) -> NDArray[Any] | None:
    """Integers as int64, other numbers and those with gaps as float64 with NaN; None if there is anything else."""
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
