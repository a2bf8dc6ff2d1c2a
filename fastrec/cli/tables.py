"""Tables of interactions: the options to read and to split them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from fastrec.cli.options import (
    Delimiter,
    Encoding,
    EventColumn,
    Header,
    Ids,
    Incomplete,
    IncompleteRows,
    ItemColumn,
    ItemsFile,
    ItemsId,
    KCoreSize,
    KeyFile,
    Merging,
    MinValue,
    Quote,
    Split,
    TimeColumn,
    TitleColumn,
    UnitOfTimes,
    UserColumn,
    ValueColumn,
    ValueForm,
    Values,
    Weights,
    Where,
    Wide,
)
from fastrec.cli.output import note
from fastrec.cli.working import working

if TYPE_CHECKING:
    from fastrec.data import Interactions


class TableOptions(NamedTuple):
    """The options to read the tables of a command and to select their rows."""

    reading: dict[str, Any]
    values: Values
    min_value: float | None
    k_core: int | None
    key_file: Path | None

    @property
    def kind_of_users(self) -> str:
        """The kind of ids that the table's users are told to have."""
        kinds = self.reading["ids"]
        return kinds if isinstance(kinds, str) else str(kinds[0])


def table_options(
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    value_column: ValueColumn = None,
    time_column: TimeColumn = None,
    event_column: EventColumn = None,
    weights: Weights = None,
    where: Where = None,
    values: ValueForm = Values.raw,
    time_unit: UnitOfTimes = None,
    ids: Ids = "auto",
    incomplete: IncompleteRows = Incomplete.refuse,
    duplicates: Merging = None,
    items: ItemsFile = None,
    items_id: ItemsId = None,
    title_column: TitleColumn = None,
    wide: Wide = False,
    header: Header = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    quote: Quote = '"',
    min_value: MinValue = None,
    k_core: KCoreSize = None,
    pseudonym_key_file: KeyFile = None,
) -> TableOptions:
    """Returns the group of options to read a table."""
    if values is Values.binary and value_column is not None:
        raise typer.BadParameter("binary ignores values: leave out --value-column", param_hint="--values")
    optional = {"value": value_column, "time": time_column, "event": event_column}
    columns = {"user": user_column, "item": item_column, "items_id": items_id, "title": title_column}
    reading: dict[str, Any] = {role: None if text is None else parse_column(text) for role, text in columns.items()}
    reading |= {role: _parse_optional(text) for role, text in optional.items()}
    if values is Values.binary:
        reading["value"] = False
    reading |= {"weights": _parse_weights(weights), "where": _parse_where(where or []), "ids": _parse_kinds(ids)}
    reading["incomplete"] = incomplete.value
    reading["duplicates"] = None if duplicates is None else duplicates.value
    reading["time_unit"] = None if time_unit is None else time_unit.value
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if delimiter else delimiter
    form = {"header": header, "delimiter": delimiter, "encoding": encoding, "quote": quote or None}
    return TableOptions(
        reading | form | {"item_info": items, "wide": wide}, values, min_value, k_core, pseudonym_key_file
    )


def parse_column(text: str) -> str | int:
    """Returns the name or number of a column."""
    return int(text) if text.isascii() and text.isdecimal() else text


def _parse_optional(text: str | None) -> str | int | bool | None:
    return False if text == "none" else None if text is None else parse_column(text)


def _parse_kinds(text: str) -> Any:
    kinds = tuple(part.strip() for part in text.split(","))
    if not set(kinds) <= {"auto", "int", "str"} or len(kinds) > 2:
        raise typer.BadParameter(
            f"must be auto, int or str, or two of them such as int,str, got {text}", param_hint="--ids"
        )
    return kinds[0] if len(kinds) == 1 else kinds


def _parse_weights(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    try:
        pairs = [part.rpartition("=") for part in text.split(",")]
        weights = {kind: float(number) for kind, sign, number in pairs if sign}
    except ValueError:
        weights = {}
    if len(weights) < len(text.split(",")):
        raise typer.BadParameter(f"must be like view=1,purchase=5, got {text}", param_hint="--weights")
    return weights


def _parse_where(texts: list[str]) -> dict[str | int, list[str]] | None:
    where = {}
    for text in texts:
        column, sign, labels = text.partition("=")
        if not sign:
            raise typer.BadParameter(f"must be like event=purchase, got {text}", param_hint="--where")
        where[parse_column(column)] = labels.split(",")
    return where or None


def read_table(file: Path, table: TableOptions, **other: Any) -> "Interactions":
    """Returns the interactions of a file, without unwanted rows; raises an error if none is left.

    `other` are options of `read_interactions` that the command sets.
    """
    from fastrec import KCore, LogWeight, read_interactions
    from fastrec.data.pseudonyms import read_key

    if file.suffix == ".fastrec":
        raise ValueError(f"{file} is a model by its name: give a table of interactions")
    with working(f"reading {file}"):
        data: Interactions = read_interactions(file, **(table.reading | other))
        if table.key_file is not None:
            data = data.pseudonymised(read_key(table.key_file))
    if table.min_value is not None:
        if data.values is None:
            raise ValueError(
                f"{file} has no column of values for --min-value: name one with --value-column, or leave "
                "--min-value out"
            )
        data = data.select(data.values >= table.min_value)
    if table.k_core is not None:
        data = KCore(table.k_core, table.k_core).fit_transform(data).compact()
    if data.n_interactions == 0:
        raise ValueError(f"{file} has no interactions left: loosen --where, --incomplete, --min-value or --k-core")
    return LogWeight().fit_transform(data) if table.values is Values.log else data


def split_table(
    data: "Interactions", split: Split, fraction: float, seed: int, basket_gap: str | None = None
) -> tuple["Interactions", "Interactions"]:
    """Splits a table into a training part and a test part."""
    from fastrec import split_last, split_last_baskets, split_random, split_time
    from fastrec.options import parse_literal

    if basket_gap is not None and split is not Split.baskets:
        raise typer.BadParameter(
            "there are baskets in --split baskets alone: add it, or leave this out", param_hint="--basket-gap"
        )
    split = choose_split(data, split)
    if split is Split.time:
        train_part, test_part = split_time(data, fraction=fraction)
    elif split is Split.last:
        train_part, test_part = split_last(data, 1)
    elif split is Split.baskets:
        gap = None if basket_gap is None else parse_literal(basket_gap)
        train_part, test_part = split_last_baskets(data, basket_gap=gap)
    else:
        train_part, test_part = split_random(data, fraction, random_state=seed)
    counts = f"{train_part.n_interactions:,} for training, {test_part.n_interactions:,} for testing"
    note(f"split ({split.value}): {counts}")
    return train_part, test_part


def choose_split(data: "Interactions", split: Split) -> Split:
    """Chooses the split in place of "auto"."""
    return split if split is not Split.auto else Split.random if data.times is None else Split.time


def describe_split(split: Split, fraction: float, seed: int) -> str:
    """Describes a split in words.

    >>> describe_split(Split.time, 0.2, 0)
    'by time, the last 20 %'
    """
    if split is Split.last:
        return "the last item of each user"
    if split is Split.baskets:
        return "the last basket of each user"
    share = f"{100 * fraction:g} %"
    return f"by time, the last {share}" if split is Split.time else f"{share} at random, seed {seed}"
