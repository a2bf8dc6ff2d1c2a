"""The names of the commands' options, the values that they take, and their help."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from fastrec.class_names import suggest_class
from fastrec.permissions import parse_mode


class Format(StrEnum):
    """The format of results."""

    table = "table"
    json = "json"
    csv = "csv"


class Split(StrEnum):
    """The way to split a file into training and test data."""

    auto = "auto"
    time = "time"
    random = "random"
    last = "last"
    baskets = "baskets"


class ColdUsers(StrEnum):
    """The treatment of users without a training event."""

    keep = "keep"
    skip = "skip"


class Duplicates(StrEnum):
    """The way to combine several events of one user and item."""

    sum = "sum"
    last = "last"
    max = "max"


class Incomplete(StrEnum):
    """The treatment of rows with an empty cell."""

    refuse = "refuse"
    drop = "drop"


class Values(StrEnum):
    """The form of the values that a model learns from."""

    raw = "raw"
    log = "log"
    binary = "binary"


class TimeUnit(StrEnum):
    """The unit of numeric times since 1970."""

    s = "s"
    ms = "ms"
    us = "us"
    ns = "ns"


class OnUnknown(StrEnum):
    """The server's answer to ids that it does not know."""

    popular = "popular"
    error = "error"


class NewIds(StrEnum):
    """The treatment of ids that the model does not know."""

    hold = "hold"
    refuse = "refuse"
    take = "take"


class Method(StrEnum):
    """The method of a search for options."""

    random = "random"
    grid = "grid"
    halving = "halving"
    optuna = "optuna"


TableFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="CSV, TSV or Parquet, compressed or not.")
]
ModelFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="MODEL", help="A model file made by `fastrec train`.")
]
JournalPlace = Annotated[
    str | None,
    typer.Option("-j", "--journal", metavar="ADDRESS", help="The journal of the events: a file, or postgresql://…."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--pseudonym-key-file",
        exists=True,
        dir_okay=False,
        help="A file with 64 hexadecimal digits: users are known by pseudonyms that this key makes of their ids.",
    ),
]
UserColumn = Annotated[
    str | None,
    typer.Option(
        "--user-column",
        help="Column of the users: its name, or its number from 0. Recognised by its usual names if left out.",
    ),
]
ItemColumn = Annotated[str | None, typer.Option("--item-column", help="Column of the items.")]


ValueColumn = Annotated[
    str | None, typer.Option("--value-column", help="Column of the values (ratings, counts); none: ignore values.")
]
TimeColumn = Annotated[str | None, typer.Option("--time-column", help="Column of the times; none: ignore times.")]
EventColumn = Annotated[
    str | None,
    typer.Option("--event-column", help="Column of the kinds of events, such as view; none: ignore kinds."),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="KIND=NUMBER,…",
        help="Weight of each kind of event, such as view=1,cart=3,purchase=5; 0 leaves a kind out.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="COLUMN=LABEL,…",
        help="Take only rows with one of these labels, such as event=cart,purchase or bought=true. "
        "Repeat it for another column: a row must then have a label of each.",
    ),
]
ValueForm = Annotated[
    Values,
    typer.Option(
        "--values", help="Learn from the values as they are, from log(1 + value), or from 1 for each event (binary)."
    ),
]
UnitOfTimes = Annotated[
    TimeUnit | None, typer.Option("--time-unit", help="Unit of numeric times since 1970.", show_default="recognised")
]
Ids = Annotated[
    str,
    typer.Option(
        "--ids", metavar="KIND", help="Type of the ids: auto, int or str; or two of them, for users and items."
    ),
]
Wide = Annotated[
    bool, typer.Option("--wide", help="Read the table as a matrix: a row for each user, a column for each item.")
]
ItemsFile = Annotated[
    Path | None, typer.Option("--items", exists=True, dir_okay=False, help="A table of facts about items (title).")
]
ItemsId = Annotated[str | None, typer.Option("--items-id", help="Column of the item ids in the table of --items.")]
TitleColumn = Annotated[
    str | None, typer.Option("--title-column", help="Column of the titles, in the table of --items or else in FILE.")
]
Merging = Annotated[
    Duplicates | None,
    typer.Option(
        "--duplicates",
        help="Way to combine several events of one user and item.",
        show_default="last for models of ratings, otherwise sum with a warning",
    ),
]
IncompleteRows = Annotated[
    Incomplete,
    typer.Option(
        "--incomplete",
        help="Treatment of rows with an empty cell in a column that is read: an error, or leave them out.",
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header", help="The first line names the columns, or it is data. Recognised if left out."
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter", help="Character between columns; tab is a tab. Recognised from the first line if left out."
    ),
]
Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of text files, such as latin-1.")]
Quote = Annotated[str, typer.Option("--quote", help="Character around fields that contain a delimiter; '' is none.")]
MinValue = Annotated[float | None, typer.Option(help="Keep only interactions with at least this value.")]
KCoreSize = Annotated[
    int | None,
    typer.Option(
        "--k-core", min=1, help="Keep users with at least this many items, and items with at least this many users."
    ),
]
Factors = Annotated[
    int | None, typer.Option("-f", "--factors", min=1, help="Length of the vector of each user and item.")
]
Regularization = Annotated[
    float | None, typer.Option("-r", "--regularization", min=0.0, help="Strength of the regularization.")
]
Alpha = Annotated[float | None, typer.Option("-a", "--alpha", help="Weight of one unit of value, above 0.")]
Iterations = Annotated[int | None, typer.Option("-i", "--iterations", min=1, help="Epochs.")]
SplitBy = Annotated[Split, typer.Option("--split", help="Way to split the table; auto is by time if there are times.")]
BasketGap = Annotated[
    str | None,
    typer.Option("--basket-gap", help="Longest pause within a basket, as 2h, for --split baskets; none: equal times."),
]


def check_share(share: float) -> float:
    """Returns a share that leaves something on both sides."""
    if not 0 < share < 1:
        raise typer.BadParameter(f"must be above 0 and below 1, got {share:g}")
    return share


Fraction = Annotated[float, typer.Option("--fraction", callback=check_share, help="Share of the test set.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Jobs = Annotated[int | None, typer.Option("-j", "--jobs", help="Number of threads; all cores by default.")]
ExcludeSeen = Annotated[
    bool | None,
    typer.Option(
        "--exclude-seen/--include-seen",
        help="Leave out what the user has had, or recommend it again; by default the latter for TIFUKNN alone.",
        show_default=False,
    ),
]
Length = Annotated[int, typer.Option("-k", min=1, help="Items per list.")]
Output = Annotated[Format, typer.Option("--format", help="Format of the result on stdout.")]


def check_mode(text: str) -> str:
    """Returns a mode of octal digits. Errors are raised before anything is computed."""
    try:
        parse_mode(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def check_folder(path: Path | None, hint: str) -> None:
    """Refuses a file in a folder that does not exist, before anything is computed; `hint` names the option."""
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}", param_hint=hint)


FileMode = Annotated[
    str, typer.Option("--mode", callback=check_mode, help="Permissions of the file: 640 lets the group read it.")
]


def check_table_output(path: Path | None) -> None:
    """Refuses an output file whose name ends neither in .parquet nor .csv, or whose folder does not exist."""
    if path is not None and path.suffix not in (".parquet", ".csv"):
        raise typer.BadParameter(f"must end in .parquet or .csv, got {path}", param_hint="--output")
    check_folder(path, "--output")


Given = TypeVar("Given")


def read_options(read: Callable[[], Given]) -> Given:
    """Reads the texts of --option as values. A text that is no value is wrong usage, reported before anything is
    computed.
    """
    try:
        return read()
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error), param_hint="--option") from None


ModelOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="Another option of the model, as NAME=VALUE; may be repeated. `fastrec options MODEL` lists them.",
    ),
]


def find_estimator(name: str, hint: str) -> Any:
    """Returns the class of a model from its name; `hint` is the option that gave the name."""
    from fastrec.models import estimators

    known = estimators()
    if name in known:
        return known[name]
    right = suggest_class(name, known)
    meant = "" if right is None else f"; did you mean {right}?"
    raise typer.BadParameter(f"must be one of {', '.join(known)}, got {name}{meant}", param_hint=hint)


def check_metrics(labels: Sequence[str]) -> None:
    """Refuses a name that is not a metric's, before anything is computed."""
    from fastrec.metrics.naming import parse_metric

    try:
        for label in labels:
            parse_metric(label)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--metrics") from None
    if not labels:
        raise typer.BadParameter("name at least one metric", param_hint="--metrics")
