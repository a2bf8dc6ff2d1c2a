"""The command line: ``fastrec demo | train | evaluate | search | compress | recommend | similar | info | serve | …``.

Results go to stdout as a table, JSON or CSV; progress, notes and errors go to stderr, progress only on a terminal.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Everything heavy is imported by the command that needs it,
so that ``--help`` is quick.
"""

import csv
import inspect
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from fastrec.permissions import parse_mode

if TYPE_CHECKING:
    from fastrec.data import Interactions
    from fastrec.retrieval import TopK

Row = Mapping[str, Any]

app = typer.Typer(
    name="fastrec",
    help="Recommendations from a table of interactions, on an ordinary CPU machine.",
    epilog="Example:  fastrec train ratings.csv -o model.fastrec && fastrec recommend model.fastrec --user 42",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    csv = "csv"


class Split(StrEnum):
    """How a file is parted into training and test data."""

    auto = "auto"
    time = "time"
    random = "random"
    last = "last"


class ColdUsers(StrEnum):
    """What becomes of users without a training event."""

    keep = "keep"
    skip = "skip"


class Duplicates(StrEnum):
    """What several events of one user and item add up to."""

    sum = "sum"
    last = "last"
    max = "max"


TableFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="CSV, TSV or Parquet, compressed or not.")
]
ModelFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="MODEL", help="A model file made by `fastrec train`.")
]
UserColumn = Annotated[
    str | None,
    typer.Option("--user-column", help="Column of the users, by name or by number from 0; recognised by default."),
]
ItemColumn = Annotated[str | None, typer.Option("--item-column", help="Column of the items.")]


ValueColumn = Annotated[str | None, typer.Option("--value-column", help="Column of the values (ratings, counts).")]
TimeColumn = Annotated[str | None, typer.Option("--time-column", help="Column of the times.")]
Merging = Annotated[
    Duplicates | None,
    typer.Option(
        "--duplicates",
        help="What several events of one user and item come to.",
        show_default="last for models of ratings, else sum, with a warning",
    ),
]
IgnoreValues = Annotated[bool, typer.Option("--ignore-values", help="Let every interaction count 1.")]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the first line names the columns; told, where it can be."),
]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", help="What separates columns; told by the first line. tab is a tab.")
]
Encoding = Annotated[str, typer.Option("--encoding", help="The encoding of text files, such as latin-1.")]
Quote = Annotated[str, typer.Option("--quote", help="What stands around fields with a delimiter; '' is nothing.")]
MinValue = Annotated[float | None, typer.Option(help="Keep only interactions with at least this value.")]
KCoreSize = Annotated[
    int | None, typer.Option("--k-core", min=1, help="Keep users and items with at least so many of each other.")
]
Factors = Annotated[int | None, typer.Option("-f", "--factors", min=1, help="Numbers per user and item.")]
Regularization = Annotated[
    float | None, typer.Option("-r", "--regularization", min=0.0, help="Strength of the penalty.")
]
Alpha = Annotated[float | None, typer.Option("-a", "--alpha", help="Weight of a unit of value, above 0.")]
Iterations = Annotated[int | None, typer.Option("-i", "--iterations", min=1, help="Epochs.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all randomness.")]
Jobs = Annotated[int | None, typer.Option("-j", "--jobs", help="Threads; all cores by default.")]
Length = Annotated[int, typer.Option("-k", min=1, help="Items per list.")]
Output = Annotated[Format, typer.Option("--format", help="How the result is written to stdout.")]


def _check_mode(text: str) -> str:
    """A mode in octal digits; told before anything is computed."""
    try:
        parse_mode(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


FileMode = Annotated[
    str, typer.Option("--mode", callback=_check_mode, help="Permissions of the file: 640 lets the group read it.")
]


@app.callback(invoke_without_command=True)
def _common(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        from fastrec import __version__

        print(f"fastrec {__version__}")
        raise typer.Exit


# --- tables ----------------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """How the tables of a command are read, and what is kept of them."""

    columns: dict[str, Any]
    form: dict[str, Any]
    min_value: float | None
    k_core: int | None


def _table(
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
) -> Table:
    if ignore_values and value_column is not None:
        raise typer.BadParameter("not together with --value-column", param_hint="--ignore-values")
    named = {"user": user_column, "item": item_column, "value": value_column, "time": time_column}
    columns: dict[str, Any] = {role: None if text is None else _column(text) for role, text in named.items()}
    columns["value"] = False if ignore_values else columns["value"]
    columns["duplicates"] = None if duplicates is None else duplicates.value
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter) if delimiter else delimiter
    form = {"header": header, "delimiter": delimiter, "encoding": encoding, "quote": quote or None}
    return Table(columns, form, min_value, k_core)


def _column(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdecimal() else text


def reads_table(command: Callable[..., None]) -> Callable[..., None]:
    """A decorator: the command's parameter `table` becomes the options of `_table`, the same for all commands."""
    options = inspect.signature(_table).parameters
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        parameters.extend(options.values() if name == "table" else [parameter])

    def with_options(**given: Any) -> None:
        table = _table(**{name: given.pop(name) for name in options})
        command(**given, table=table)

    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    ordered = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    with_options.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    return with_options


# --- commands --------------------------------------------------------------------------------------------------------


@app.command(epilog="Example:  fastrec demo --folder /tmp")
def demo(
    folder: Annotated[
        Path, typer.Option("-o", "--folder", file_okay=False, help="Where demo.fastrec and demo-report.html go.")
    ] = Path(),
) -> None:
    """Go the whole way once on MovieLens 100K: train, evaluate, recommend, save, and write demo-report.html."""
    from fastrec.demo import run_demo

    folder.mkdir(parents=True, exist_ok=True)
    run_demo(folder, say=lambda text: print(text, flush=True))


@app.command(epilog="Example:  fastrec train ratings.csv -o model.fastrec --factors 128 --k-core 5 --holdout 0.1")
@reads_table
def train(
    file: TableFile,
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The model file to write.")],
    table: Table,
    items: Annotated[
        Path | None, typer.Option("--items", exists=True, dir_okay=False, help="A table of facts about items (title).")
    ] = None,
    factors: Factors = None,
    regularization: Regularization = None,
    alpha: Alpha = None,
    iterations: Iterations = None,
    seed: Seed = 0,
    jobs: Jobs = None,
    holdout: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.9, help="First train without this share, at random, and report how well it is found."
        ),
    ] = 0.0,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Train ImplicitALS on a table of interactions and save the model.

    Columns are recognised by their usual names. The saved model is trained on all of the data, with --holdout too.
    """
    from fastrec import ImplicitALS, Popularity, evaluate, split_random
    from fastrec.storage import size_in_words

    if not output.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    data = _read(file, table, items)
    options = _als_options(factors, regularization, alpha, iterations, seed, jobs)
    if holdout > 0:
        part, hidden = split_random(data, holdout, random_state=seed)
        models = {"ImplicitALS": ImplicitALS(**options).fit(part), "Popularity": Popularity().fit(part)}
        report = evaluate(models, hidden, n_jobs=jobs)
        _write_report(report, output_format)
    model = ImplicitALS(**options).fit(data)
    model.save(output, mode=parse_mode(mode))
    shape = data.shape
    size = size_in_words(output.stat().st_size)
    _note(f"{output}: {_counted(shape[0], 'user')}, {_counted(shape[1], 'item')}, {size}")


@app.command(
    name="evaluate",
    epilog="Examples:  fastrec evaluate ratings.csv --split time --report report.html   |   "
    "fastrec evaluate model.fastrec later.csv --metrics ndcg@10,recall@50",
)
@reads_table
def evaluate_command(
    table: Table,
    source: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A table to be split; or a model, with TEST.")
    ],
    test: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="The table with what is to be found.")
    ] = None,
    split: Annotated[
        Split, typer.Option(help="How the table is split; auto: by time, where there are times.")
    ] = Split.auto,
    fraction: Annotated[float, typer.Option(min=0.0, max=1.0, help="The share to be found.")] = 0.2,
    metrics: Annotated[str, typer.Option("-m", "--metrics", help="Names with cut-offs, between commas.")] = (
        "ndcg@10,recall@20,hit_rate@10,map@10,coverage@10"
    ),
    cold_users: Annotated[
        ColdUsers, typer.Option(help="Score users without training events, or not.")
    ] = ColdUsers.keep,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Recommend and look for what users had already (exclude_seen=False).")
    ] = False,
    factors: Factors = None,
    regularization: Regularization = None,
    alpha: Alpha = None,
    iterations: Iterations = None,
    seed: Seed = 0,
    jobs: Jobs = None,
    report_file: Annotated[
        Path | None, typer.Option("--report", dir_okay=False, help="Write a page with tables and plots, too.")
    ] = None,
    output_format: Output = Format.table,
) -> None:
    """Evaluate ImplicitALS beside Popularity on a split of a table, or a saved model on a table.

    Means have 95 % confidence intervals; who was left out is said on stderr.
    """
    from fastrec import evaluate, load

    labels = [label.strip() for label in metrics.split(",") if label.strip()]
    _check_metrics(labels)
    if test is not None:
        model = load(source)
        models: Any = {type(model).__name__: model}
        sides = (model.users_, model.items_)
        kinds = tuple("auto" if side is None else side.kind for side in sides)  # "7" in TEST is 7 where the model's are
        wanted = _read(test, table, ids=kinds)
    else:
        if source.suffix == ".fastrec":
            raise typer.BadParameter("a model needs a table to be evaluated on", param_hint="TEST")
        options = _als_options(factors, regularization, alpha, iterations, seed, jobs)
        models, wanted = _train_on_split(_read(source, table), split, fraction, seed, options)
    report = evaluate(models, wanted, labels, exclude_seen=not include_seen, cold_users=cold_users.value, n_jobs=jobs)
    _write_report(report, output_format)
    if report_file is not None:
        report.save(report_file)
        _note(f"{report_file} written")


class OnUnknown(StrEnum):
    """What a server answers about ids that it does not know."""

    popular = "popular"
    error = "error"


class NewIds(StrEnum):
    """What becomes of ids that the model does not know."""

    hold = "hold"
    refuse = "refuse"
    take = "take"


class Method(StrEnum):
    """How options are searched."""

    random = "random"
    grid = "grid"
    halving = "halving"
    optuna = "optuna"


@app.command(
    epilog="Example:  fastrec search ratings.csv --option factors=32,64,128 --option alpha=0.1..30:log --trials 30 "
    "--store search.jsonl -o best.fastrec"
)
@reads_table
def search(
    file: TableFile,
    option: Annotated[
        list[str],
        typer.Option(
            "--option", metavar="NAME=…", help="What to search: a,b,c or low..high, with :log by its logarithm. Repeat."
        ),
    ],
    table: Table,
    model_name: Annotated[str, typer.Option("--model", help="The estimator.")] = "ImplicitALS",
    method: Annotated[Method, typer.Option(help="How to search.")] = Method.random,
    trials: Annotated[int, typer.Option("-n", "--trials", min=1, help="How many draws.")] = 20,
    metric: Annotated[str, typer.Option("-m", "--metric", help="What decides, with its cut-off.")] = "ndcg@10",
    split: Annotated[
        Split, typer.Option(help="How the validation part is split off; auto: by time, where there are times.")
    ] = Split.auto,
    fraction: Annotated[float, typer.Option(min=0.0, max=1.0, help="The share of the validation part.")] = 0.2,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Folds over interactions, in place of one validation part.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A file that takes results as they come; a killed search goes on from it."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", dir_okay=False, help="The best model, trained on all data.")
    ] = None,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Trials at a time.")] = 1,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Search the options of a model that do best on held-out parts of a table."""
    from fastrec.evaluation import search as search_options
    from fastrec.models import estimators

    _check_metrics([metric])
    if output is not None and not output.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    known = estimators()
    if model_name not in known:
        raise typer.BadParameter(f"must be one of {', '.join(known)}, got {model_name}", param_hint="--model")
    space = dict(_parse_option(text) for text in option)
    data = _read(file, table)
    model = known[model_name]()
    if "random_state" in model.get_params():
        model.set_params(random_state=seed)
    found = search_options(
        model, space, data, metric=metric, method=method.value, n_trials=trials, random_state=seed, n_jobs=jobs,
        cv=_split(data, split, fraction, seed) if folds is None else folds, store=store, refit=output is not None,
        verbose=sys.stderr.isatty(),
    )  # fmt: skip
    if output_format is Format.table:
        print(found.table().text())
    else:
        columns_ = found.to_frame("pyarrow").to_pydict()
        _write((dict(zip(columns_, row, strict=True)) for row in zip(*columns_.values(), strict=True)), output_format)
    best = ", ".join(f"{name}={value}" for name, value in found.best_options.items())
    _note(f"best: {best} ({metric} {found.best_score:.4f})")
    if output is not None:
        found.model.save(output, mode=parse_mode(mode))
        _note(f"{output} written")


def _parse_option(text: str) -> tuple[str, Any]:
    """What "name=a,b,c", "name=low..high" or "name=low..high:log" stands for."""
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise typer.BadParameter(f"must be like factors=32,64 or alpha=0.1..30:log, got {text}", param_hint="--option")
    if ".." not in values:
        return name, [_parse_value(value) for value in values.split(",")]
    from scipy.stats import loguniform, randint, uniform

    bounds, _, scale = values.partition(":")
    low, high = (_parse_value(value) for value in bounds.split("..", 1))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (low, high))
    if not numbers or scale not in ("", "log") or not low < high or (scale == "log" and low <= 0):
        raise typer.BadParameter(f"must be low..high or low..high:log, got {values}", param_hint="--option")
    if scale == "log":
        return name, loguniform(low, high)
    if isinstance(low, int) and isinstance(high, int):
        return name, randint(low, high + 1)
    return name, uniform(low, high - low)


def _parse_value(text: str) -> Any:
    known = {"None": None, "True": True, "False": False}
    if text in known:
        return known[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@app.command(epilog="Example:  fastrec compress model.fastrec --codec int8 -o small.fastrec")
def compress(
    model_file: ModelFile,
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The model file to write.")],
    codec: Annotated[
        str, typer.Option("-c", "--codec", help="float16, int8, int4, pq, binary, or two joined by +: binary+int8.")
    ] = "int8",
    user_codec: Annotated[str | None, typer.Option("--user-codec", help="The same for the users' factors.")] = None,
    mode: FileMode = "600",
) -> None:
    """Write a model whose factors or weights take a half to a sixteenth of the bytes; it answers as before."""
    from fastrec import compress as compress_model
    from fastrec import load
    from fastrec.storage import size_in_words

    if not output.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    small = compress_model(load(model_file), codec, user_codec=user_codec)
    small.save(output, mode=parse_mode(mode))
    size, was = (size_in_words(file.stat().st_size) for file in (output, model_file))
    _note(f"{output}: {size} instead of {was}")


@app.command(epilog="Example:  fastrec recommend model.fastrec --user 42 --user 43 -k 10 --format json")
def recommend(
    model_file: ModelFile,
    user: Annotated[list[str] | None, typer.Option("-u", "--user", help="A user's id; may be repeated.")] = None,
    users_from: Annotated[
        Path | None,
        typer.Option("--users-from", allow_dash=True, dir_okay=False, help="A file with an id per line; - is stdin."),
    ] = None,
    all_users: Annotated[bool, typer.Option("--all", help="All users of the training data.")] = False,
    k: Length = 10,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Do not leave out what the user has had.")
    ] = False,
    skip_unknown: Annotated[bool, typer.Option("--skip-unknown", help="Leave out users that are unknown.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", dir_okay=False, help="A .parquet or .csv file to write; goes on after a kill."),
    ] = None,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Recommend items to users of the training data."""
    if (user is None) + (users_from is None) + (not all_users) != 2:
        raise typer.BadParameter("give either --user, --users-from or --all", param_hint="--user")
    from fastrec import load

    model = load(model_file)
    if all_users:
        users: Any = range(model.seen_.shape[0]) if model.users_ is None else model.users_.ids
    else:
        texts = user if users_from is None else _lines(users_from)
        users = _parse_ids(texts or [], model.users_, "user", skip_unknown)
    unknown = "skip" if skip_unknown else "error"
    if output is not None:
        options: dict[str, Any] = {"exclude_seen": not include_seen, "on_unknown": unknown, "mode": parse_mode(mode)}
        options["verbose"] = sys.stderr.isatty()
        _note(f"{output}: {model.recommend_to(output, users, k, **options):,} rows")
        return
    batches = (
        model.recommend(list(users[start : start + 4096]), k, exclude_seen=not include_seen, on_unknown=unknown)
        for start in range(0, len(users), 4096)
    )
    _write(chain.from_iterable(_rows_of(top, "user") for top in batches), output_format)


@app.command(epilog='Example:  fastrec similar model.fastrec --item 50 --title "Toy Story" -k 5')
def similar(
    model_file: ModelFile,
    item: Annotated[list[str] | None, typer.Option("-i", "--item", help="An item's id; may be repeated.")] = None,
    title: Annotated[list[str] | None, typer.Option("-t", "--title", help="A part of an item's title.")] = None,
    k: Length = 10,
    output_format: Output = Format.table,
) -> None:
    """List the items most similar to some items."""
    if not item and not title:
        raise typer.BadParameter("give --item or --title", param_hint="--item")
    from fastrec import load

    model = load(model_file)
    items = _parse_ids(item or [], model.items_, "item") + [_find_title(model, part) for part in title or []]
    _write(_rows_of(model.similar_items(items, k), "similar_to"), output_format)


@app.command(epilog="Example:  fastrec info model.fastrec --format json")
def info(model_file: ModelFile, output_format: Output = Format.table) -> None:
    """Show what a model file holds: class, options, shapes, sizes, ids, and whether its checksums are right."""
    from fastrec import load
    from fastrec.storage import FileError

    try:
        model, state = load(model_file), "right"
    except FileError as error:
        try:  # an undamaged header still tells what the file was
            model, state = load(model_file, verify="header"), f"wrong: {error}"
        except FileError:
            raise error from None
    facts = _facts_of(model, model_file, state)
    if output_format is Format.table:
        _write_facts(facts)
    else:
        _write([facts], output_format)
    if state != "right":
        raise typer.Exit(1)


@app.command(epilog="Example:  fastrec serve model.fastrec --journal events.db")
def serve(
    model: Annotated[
        Path, typer.Argument(exists=True, metavar="MODEL", help="A model file, or a folder of published versions.")
    ],
    journal: Annotated[
        Path | None, typer.Option("--journal", dir_okay=False, help="Where events are kept; made if it is not there.")
    ] = None,
    versions: Annotated[
        Path | None,
        typer.Option("--versions", file_okay=False, help="Publish new models in this folder, MODEL as the first."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; they share the memory of a folder's model.")] = 1,
    token_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A file with tokens, a line each: read, write or admin, and a token."
        ),
    ] = None,
    on_unknown: Annotated[
        OnUnknown,
        typer.Option(help="What unknown ids get, unless a request says it: what is popular, or an error."),
    ] = OnUnknown.popular,
    duplicates: Annotated[
        Duplicates | None,
        typer.Option(
            help="What several events of one user and item add up to.",
            show_default="last for models of ratings, else sum",
        ),
    ] = None,
    checkpoint_every: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between updates of the model's items; needs versions.")
    ] = None,
    refit_every: Annotated[float | None, typer.Option(min=1, help="Seconds between refits; needs versions.")] = None,
    refit_share: Annotated[
        float | None, typer.Option(min=0.001, help="Refit when new events are this share of the training data.")
    ] = None,
    refit_drift: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="Refit when the NDCG@10 of new events has fallen by this share."),
    ] = None,
    drain: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds in which requests are still taken after SIGTERM.")
    ] = 1.0,
    mode: Annotated[
        str, typer.Option(help="Permissions of the files that it makes: 660 lets the group share them.")
    ] = "600",
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Begin without the journal's damaged events, which are lost.")
    ] = False,
    new_users: Annotated[
        NewIds, typer.Option(help="New users beyond twice those of the last fit: held, refused, or all taken.")
    ] = NewIds.hold,
    new_items: Annotated[NewIds, typer.Option(help="New items, likewise.")] = NewIds.hold,
    support: Annotated[int, typer.Option(min=1, help="An item that so many users have had is not held.")] = 5,
    force: Annotated[
        bool, typer.Option("--force", help="Take a model that does not fit the one before it, or the journal.")
    ] = False,
) -> None:
    """Serve a model over HTTP, with a page to try it; events posted to it count at once."""
    try:
        from fastrec.serving import Settings
        from fastrec.serving.run import run_server
    except ModuleNotFoundError as error:
        raise ValueError(f"serving needs more packages ({error.name}): pip install 'fastrec[serve]'") from None
    settings = Settings(
        model=str(model),
        journal=None if journal is None else str(journal),
        host=host,
        on_unknown=on_unknown.value,
        duplicates=None if duplicates is None else duplicates.value,
        checkpoint_every=checkpoint_every,
        refit_every=refit_every,
        refit_share=refit_share,
        refit_drift=refit_drift,
        drain=drain,
        mode=parse_mode(mode),
        skip_damaged=skip_damaged,
        new_users=new_users.value,
        new_items=new_items.value,
        support=support,
        force=force,
    )
    run_server(settings, versions=versions, port=port, workers=workers, token_file=token_file)


@app.command(epilog="Example:  fastrec warmup --factors 64 --factors 128 --model SGDFactorization")
def warmup(
    factors: Annotated[
        list[int] | None,
        typer.Option("-f", "--factors", min=1, help="Numbers of factors; may be repeated. [default: 64]"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Names of models; may be repeated. [default: ImplicitALS]"),
    ] = None,
) -> None:
    """Compile the kernels now, so that no later call has to."""
    from fastrec import warmup as compile_kernels

    _note(f"kernels compiled in {compile_kernels(factors or 64, model or 'ImplicitALS'):.1f} s")


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(file: Path, table: Table, items: Path | None = None, ids: Any = "auto") -> "Interactions":
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


def _als_options(
    factors: int | None,
    regularization: float | None,
    alpha: float | None,
    iterations: int | None,
    seed: int,
    jobs: int | None,
) -> dict[str, Any]:
    given = {"factors": factors, "regularization": regularization, "alpha": alpha, "iterations": iterations}
    chosen = {name: value for name, value in given.items() if value is not None}
    return {**chosen, "random_state": seed, "n_jobs": jobs, "verbose": sys.stderr.isatty()}


def _train_on_split(
    data: "Interactions", split: Split, fraction: float, seed: int, options: Mapping[str, Any]
) -> tuple[dict[str, Any], "Interactions"]:
    from fastrec import ImplicitALS, Popularity

    train_part, test_part = _split(data, split, fraction, seed)
    return {
        "ImplicitALS": ImplicitALS(**options).fit(train_part),
        "Popularity": Popularity().fit(train_part),
    }, test_part


def _split(data: "Interactions", split: Split, fraction: float, seed: int) -> tuple["Interactions", "Interactions"]:
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
    _note(f"split ({split.value}): {counts}")
    return train_part, test_part


def _check_metrics(labels: Sequence[str]) -> None:
    from fastrec.metrics import parse_metric

    try:
        for label in labels:
            parse_metric(label)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--metrics") from None
    if not labels:
        raise typer.BadParameter("name at least one metric", param_hint="--metrics")


def _lines(path: Path) -> list[str]:
    """The lines of a list of ids: each ends at a line feed, blanks around it do not count, as in a table."""
    content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None
    lines = (line.removesuffix("\r").strip(" \t") for line in text.split("\n"))
    return [line for line in lines if line]


def _parse_ids(texts: Iterable[str], vocabulary: Any, side: str, skip: bool = False) -> list[Any]:
    """The ids that texts stand for, of the kind that the model's are; what stands for none is unknown."""
    from fastrec.data.ids import parse_id

    kind: Any = "int" if vocabulary is None else vocabulary.kind
    ids = []
    for text in texts:
        parsed = parse_id(text, kind)
        if parsed is not None:
            ids.append(parsed)
        elif not skip:
            digits = text.removeprefix("-")
            beyond = ", which is beyond 64 bits" if digits.isascii() and digits.isdecimal() and len(digits) > 18 else ""
            raise ValueError(f"the model's {side} ids are integers, got {text!r}{beyond}")
    return ids


def _find_title(model: Any, part: str) -> Any:
    titles = (model.item_info_ or {}).get("title")
    if titles is None:
        raise ValueError("the model has no titles: use --item (train with --items to give it titles)")
    lowered = [str(title).lower() for title in titles]
    exact = [code for code, title in enumerate(lowered) if title == part.lower()]
    found = exact or [code for code, title in enumerate(lowered) if part.lower() in title]
    if not found:
        raise ValueError(f"no title has {part!r} in it")
    if len(found) > 1 and not exact:
        some = ", ".join(repr(str(titles[code])) for code in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ValueError(f"{part!r} is in several titles: {some}{more}")
    return found[0] if model.items_ is None else model.items_.decode(found[:1])[0]


# --- writing ---------------------------------------------------------------------------------------------------------


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _rows_of(top: "TopK", asked: str) -> Iterator[Row]:
    """A row for each valid place of a TopK."""
    info = getattr(top, "_item_info", None) or {}
    titles = info.get("title")
    for row, label in enumerate(top.users.tolist()):
        for place in range(top.codes.shape[1]):
            code = int(top.codes[row, place])
            if code < 0:
                break
            found = {
                asked: label,
                "rank": place + 1,
                "item": _plain(top.items[row, place]),
                "score": float(str(top.scores[row, place])),  # the digits that float32 has, no more
            }
            if titles is not None:
                found["title"] = str(titles[code])
            yield found


def _write(rows: Iterable[Row], output_format: Format) -> None:
    if output_format is Format.json:
        _write_json(rows)
    elif output_format is Format.csv:
        _write_csv(rows)
    else:
        _write_table(list(rows))


def _write_json(rows: Iterable[Row]) -> None:
    opened = False
    for row in rows:
        # NaN is no JSON.
        clean = {name: None if value != value else value for name, value in row.items()}
        sys.stdout.write((",\n " if opened else "[") + json.dumps(clean, ensure_ascii=False))
        opened = True
    sys.stdout.write("]\n" if opened else "[]\n")


def _write_csv(rows: Iterable[Row]) -> None:
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: "" if value != value else value for name, value in row.items()})


def _write_table(rows: Sequence[Row]) -> None:
    if not rows:
        _note("nothing to show")
        return
    from fastrec.evaluation.tables import Table

    names = list(rows[0])
    texts = [[_text(row[name]) for name in names] for row in rows]
    left = {c for c, name in enumerate(names) if isinstance(rows[0][name], str)}
    print(Table(names, texts, left=left).text())


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _write_report(report: Any, output_format: Format) -> None:
    if output_format is Format.table:
        print(report.table().text())
    else:
        _write((estimate._asdict() for estimate in report.estimates), output_format)
    for note in report.notes:
        _note(note)


def _facts_of(model: Any, path: Path, state: str) -> dict[str, Any]:
    users, items = model.seen_.shape
    arrays = {
        name: f"{'x'.join(map(str, value.shape))} {value.dtype}"
        for name, value in vars(model).items()
        if name.endswith("_") and hasattr(value, "shape") and hasattr(value, "dtype")
    }
    return {
        "file": str(path),
        "size": path.stat().st_size,
        "checksums": state,
        "class": type(model).__name__,
        "options": {name: _plain(value) for name, value in model.get_params().items()},
        "users": users,
        "user_ids": "codes" if model.users_ is None else {"int": "integers", "str": "strings"}[model.users_.kind],
        "items": items,
        "item_ids": "codes" if model.items_ is None else {"int": "integers", "str": "strings"}[model.items_.kind],
        "interactions": model.seen_.nnz,
        "item_info": sorted(model.item_info_ or {}),
        **_codecs_of(model),
        "arrays": arrays,
    }


def _codecs_of(model: Any) -> dict[str, str]:
    """What a compressed model was made of, and how."""
    if not hasattr(model, "codecs_"):
        return {}
    codecs = {name.strip("_"): repr(codec) for name, codec in model.codecs_.items()}
    return {"compressed": repr(model.origin_[0]), **codecs}


def _write_facts(facts: Mapping[str, Any]) -> None:
    from fastrec.storage import size_in_words

    shown = dict(facts, size=size_in_words(facts["size"]))
    shown["options"] = ", ".join(f"{name}={value!r}" for name, value in facts["options"].items()) or "none"
    shown["item_info"] = ", ".join(facts["item_info"]) or "none"
    arrays = shown.pop("arrays")
    for name in ("users", "items", "interactions"):
        shown[name] = f"{facts[name]:,}"
    lines = [*shown.items(), *arrays.items()]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name.replace('_ids', ' ids').ljust(width)}  {value}")


# --- the way in and out ----------------------------------------------------------------------------------------------

_UsageError: Any = typer.BadParameter.__mro__[1]  # click's, which newer typers bring along themselves
_ClickException: Any = typer.BadParameter.__mro__[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(given)


def _run(given: Sequence[str]) -> int:
    try:
        result = app(args=given, prog_name="fastrec", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read the output has gone: nothing more is to be said, not even by the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except _UsageError as error:
        return _fail(_usage(error), 2)
    except _ClickException as error:
        return _fail(error.format_message(), 1)
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
            return 1
        return _fail(_one_line(error), 1)


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as a line of its own, without the place in the code that Python shows."""
    _note(f"fastrec: warning: {' '.join(str(message).split())}")


def _usage(error: Any) -> str:
    path = error.ctx.command_path if getattr(error, "ctx", None) else "fastrec"
    return f"{error.format_message()} (see {path} --help)"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    known = isinstance(error, ValueError | TypeError | OSError | ImportError | LookupError)
    return text if known else f"{type(error).__name__}: {text} (--debug shows where)"


def _fail(text: str, code: int) -> int:
    _note(f"fastrec: {' '.join(text.split())}")
    return code


if __name__ == "__main__":
    sys.exit(main())
