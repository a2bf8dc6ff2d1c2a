"""``fastrec search``: the options of a model that do best."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fastrec.cli.app import app
from fastrec.cli.estimators import DEFAULT_MODEL
from fastrec.cli.groups import groups_options
from fastrec.cli.models import save_model
from fastrec.cli.options import (
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
    "What to search: a,b,c or low..high, with :log or :linear if not as is usual for the option. Repeat. "
    "`fastrec options` lists what there is."
)


@app.command(
    epilog="Example:  fastrec search ratings.csv --option factors=32,64,128 --option alpha=0.1..30:log --trials 30 "
    "--store search.jsonl -o best.fastrec"
)
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
    metric: Annotated[str, typer.Option("-m", "--metric", help="What decides, with its cut-off.")] = "ndcg@10",
    split: Annotated[
        Split, typer.Option(help="How the validation part is split off; auto: by time, where there are times.")
    ] = Split.auto,
    fraction: Annotated[float, typer.Option(callback=check_share, help="The share of the validation part.")] = 0.2,
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
    report_file: Annotated[
        Path | None, typer.Option("--report", dir_okay=False, help="Write a page with the trials and plots, too.")
    ] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Trials at a time.")] = 1,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Search the options of a model that do best on held-out parts of a table."""
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
    parts = split_table(data, split, fraction, seed) if folds is None else folds
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
    """The table of trials, and the best of them as a note."""
    if output_format is Format.table:
        print(found.table().text())
    else:
        write_rows(found.rows(), output_format)
    best = ", ".join(f"{name}={value}" for name, value in found.best_options.items())
    note(f"best: {best} ({metric} {found.best_score:.4f})")
    for text in found.notes:
        note(text)
