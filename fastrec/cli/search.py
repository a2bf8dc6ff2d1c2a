"""``fastrec search``: the best options of a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.estimators import DEFAULT_MODEL
from fastrec.cli.groups import groups_options
from fastrec.cli.models import save_model
from fastrec.cli.options import (
    BasketGap,
    FileMode,
    Format,
    Method,
    Output,
    Seed,
    Split,
    TableFile,
    check_folder,
    check_metrics,
    check_share,
    find_estimator,
    read_options,
)
from fastrec.cli.output import note, write_rows
from fastrec.cli.tables import TableOptions, read_table, split_table, table_options
from fastrec.cli.working import working

if TYPE_CHECKING:
    from fastrec.evaluation.search.found import Search

OPTION_HELP = (
    "An option to search: NAME=a,b,c or NAME=low..high, with :log or :linear to choose the scale; "
    "may be repeated. `fastrec options MODEL` lists the options."
)


@app.command(epilog=examples("fastrec search ratings.csv --option factors=32,64 --option alpha=0.1..30:log"))
@groups_options(table=table_options)
def search(
    file: TableFile,
    option: Annotated[
        list[str],
        typer.Option("--option", metavar="NAME=…", help=OPTION_HELP),
    ],
    table: TableOptions,
    model_name: Annotated[str, typer.Option("--model", help="The estimator.")] = DEFAULT_MODEL,
    method: Annotated[Method, typer.Option(help="How to search.")] = Method.random,
    trials: Annotated[int, typer.Option("-n", "--trials", min=1, help="How many draws.")] = 20,
    metric: Annotated[str, typer.Option("-m", "--metric", help="Metric that decides, with its cut-off.")] = "ndcg@10",
    split: Annotated[
        Split, typer.Option(help="Way to split off the validation part; auto is by time if there are times.")
    ] = Split.auto,
    basket_gap: BasketGap = None,
    fraction: Annotated[float, typer.Option(callback=check_share, help="Share of the validation part.")] = 0.2,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Number of folds over interactions, in place of one validation part.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A file that keeps each result; a killed search is resumed from it."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", dir_okay=False, help="File for the best model, trained on all data."),
    ] = None,
    seed: Seed = 0,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", dir_okay=False, help="Also write a page with the trials and plots to this file."),
    ] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Number of trials at the same time.")] = 1,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Search for the best options of a model.

    The best options are those with which the model does best on held-out parts of a table.
    """
    from fastrec.evaluation import search as search_options
    from fastrec.evaluation.search.texts import parse_candidates
    from fastrec.options import check_once, make_estimator

    check_metrics([metric])
    check_folder(output, "--output")
    kind = find_estimator(model_name, "--model")
    check_folder(report_file, "--report")
    read_options(lambda: check_once(text.partition("=")[0] for text in option))
    space = read_options(lambda: dict(parse_candidates(kind, text) for text in option))
    data = read_table(file, table)
    model = make_estimator(kind, {}, random_state=seed)
    parts = split_table(data, split, fraction, seed, basket_gap) if folds is None else folds
    with working(f"searching the options of {kind.__name__}", bar=True):
        found = search_options(
            model, space, data, metric=metric, method=method.value, n_trials=trials, random_state=seed, n_jobs=jobs,
            cv=parts, store=store, refit=output is not None, verbose=sys.stderr.isatty(),
        )  # fmt: skip
    _print_trials(found, metric, output_format)
    if report_file is not None:
        found.save(report_file)
        note(f"{report_file} written")
    if output is not None:
        save_model(found.model, output, mode)
        note(f"{output} written")


def _print_trials(found: "Search", metric: str, output_format: Format) -> None:
    """Prints the table of trials, and the best of them as a note."""
    if output_format is Format.table:
        print(found.table().text())
    else:
        write_rows(found.rows(), output_format)
    best = ", ".join(f"{name}={value}" for name, value in found.best_options.items())
    note(f"best: {best} ({metric} {found.best_score:.4f})")
    for text in found.notes:
        note(text)
