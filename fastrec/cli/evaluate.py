"""``fastrec evaluate``: how well models find what is held out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastrec.cli.app import app
from fastrec.cli.groups import groups_options
from fastrec.cli.options import (
    Alpha,
    ColdUsers,
    Factors,
    Format,
    Iterations,
    Jobs,
    Output,
    Regularization,
    Seed,
    Split,
    als_options,
    check_metrics,
)
from fastrec.cli.output import note, write_report
from fastrec.cli.tables import TableOptions, read_table, split_table, table_options

if TYPE_CHECKING:
    from fastrec.data import Interactions


@app.command(
    name="evaluate",
    epilog="Examples:  fastrec evaluate ratings.csv --split time --report report.html   |   "
    "fastrec evaluate model.fastrec later.csv --metrics ndcg@10,recall@50",
)
@groups_options(table=table_options)
def evaluate_command(
    table: TableOptions,
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
    check_metrics(labels)
    if test is not None:
        model = load(source)
        models: Any = {type(model).__name__: model}
        sides = (model.users_, model.items_)
        kinds = tuple("auto" if side is None else side.kind for side in sides)  # "7" in TEST is 7 where the model's are
        wanted = read_table(test, table, ids=kinds)
    else:
        if source.suffix == ".fastrec":
            raise typer.BadParameter("a model needs a table to be evaluated on", param_hint="TEST")
        options = als_options(factors, regularization, alpha, iterations, seed, jobs)
        models, wanted = _train_on_split(read_table(source, table), split, fraction, seed, options)
    report = evaluate(models, wanted, labels, exclude_seen=not include_seen, cold_users=cold_users.value, n_jobs=jobs)
    write_report(report, output_format)
    if report_file is not None:
        report.save(report_file)
        note(f"{report_file} written")


def _train_on_split(
    data: "Interactions", split: Split, fraction: float, seed: int, options: Mapping[str, Any]
) -> tuple[dict[str, Any], "Interactions"]:
    from fastrec import ImplicitALS, Popularity

    train_part, test_part = split_table(data, split, fraction, seed)
    return {
        "ImplicitALS": ImplicitALS(**options).fit(train_part),
        "Popularity": Popularity().fit(train_part),
    }, test_part
