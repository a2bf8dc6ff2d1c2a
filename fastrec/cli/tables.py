"""Tables of interactions: how a command is told to read one, and how it is split."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from fastrec.cli.options import (
    Delimiter,
    Encoding,
    Header,
    IgnoreValues,
    ItemColumn,
    KCoreSize,
    Merging,
    MinValue,
    Quote,
    Split,
    TimeColumn,
    UserColumn,
    ValueColumn,
)
from fastrec.cli.output import note

if TYPE_CHECKING:
    from fastrec.data import Interactions


class TableOptions(NamedTuple):
    """How the tables of a command are read, and what is kept of them."""

    columns: dict[str, Any]
    form: dict[str, Any]
    min_value: float | None
    k_core: int | None


def table_options(
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    value_column: ValueColumn = None,
    time_column: TimeColumn = None,
    duplicates: Merging = None,
    ignore_values: IgnoreValues = False,
    header: Header = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    quote: Quote = '"',
    min_value: MinValue = None,
    k_core: KCoreSize = None,
) -> TableOptions:
    """The group of options that say how to read a table."""
    if ignore_values and value_column is not None:
        raise typer.BadParameter("not together with --value-column", param_hint="--ignore-values")
    named = {"user": user_column, "item": item_column, "value": value_column, "time": time_column}
    columns: dict[str, Any] = {role: None if text is None else _parse_column(text) for role, text in named.items()}
    columns["value"] = False if ignore_values else columns["value"]
    columns["duplicates"] = None if duplicates is None else duplicates.value
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if delimiter else delimiter
    form = {"header": header, "delimiter": delimiter, "encoding": encoding, "quote": quote or None}
    return TableOptions(columns, form, min_value, k_core)


def _parse_column(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdecimal() else text


def read_table(file: Path, table: TableOptions, items: Path | None = None, ids: Any = "auto") -> "Interactions":
    """The interactions of a file, what is not wanted left out; an error where nothing is left."""
    from fastrec import KCore, read_interactions

    data: Interactions = read_interactions(file, **table.columns, **table.form, ids=ids, item_info=items)
    if table.min_value is not None:
        if data.values is None:
            raise ValueError(f"{file} has no column of values to compare with --min-value")
        data = data.select(data.values >= table.min_value)
    if table.k_core is not None:
        data = KCore(table.k_core, table.k_core).fit_transform(data).compact()
    if data.n_interactions == 0:
        raise ValueError(f"{file} has no interactions left to work on")
    return data


def split_table(
    data: "Interactions", split: Split, fraction: float, seed: int
) -> tuple["Interactions", "Interactions"]:
    """What to learn from, and what to find."""
    from fastrec import split_last, split_random, split_time

    if split is Split.auto:
        split = Split.random if data.times is None else Split.time
    if split is Split.time:
        train_part, test_part = split_time(data, fraction=fraction)
    elif split is Split.last:
        train_part, test_part = split_last(data, 1)
    else:
        train_part, test_part = split_random(data, fraction, random_state=seed)
    counts = f"{train_part.n_interactions:,} to learn from, {test_part.n_interactions:,} to find"
    note(f"split ({split.value}): {counts}")
    return train_part, test_part
