"""The measures of an evaluation: a group of options, and the evaluation with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from fastrec.cli.options import ColdUsers, ExcludeSeen, Format, Output, check_folder, check_metrics
from fastrec.cli.output import note, write_report
from fastrec.cli.working import working

if TYPE_CHECKING:
    from fastrec.data import Interactions
    from fastrec.evaluation import Report


class MeasureOptions(NamedTuple):
    """The metrics, the users who are asked for, and the files for results."""

    labels: list[str]
    cold_users: ColdUsers
    exclude_seen: bool | None
    report_file: Path | None
    output_format: Format


def measure_options(
    metrics: Annotated[
        str, typer.Option("-m", "--metrics", help="Names of metrics with cut-offs, separated by commas.")
    ] = ("ndcg@10,recall@20,hit_rate@10,map@10,coverage@10"),
    cold_users: Annotated[
        ColdUsers, typer.Option(help="Evaluate users without training events, or leave them out.")
    ] = ColdUsers.keep,
    exclude_seen: ExcludeSeen = None,
    report_file: Annotated[
        Path | None,
        typer.Option("--report", dir_okay=False, help="Also write a page with tables and plots to this file."),
    ] = None,
    output_format: Output = Format.table,
) -> MeasureOptions:
    """Returns the group of options that say what is measured."""
    labels = [label.strip() for label in metrics.split(",") if label.strip()]
    check_metrics(labels)
    check_folder(report_file, "--report")
    return MeasureOptions(labels, cold_users, exclude_seen, report_file, output_format)


def measure(
    models: Any, wanted: "Interactions", measures: MeasureOptions, jobs: int | None, about: Mapping[str, str]
) -> "Report":
    """Evaluates models and writes the results; `about` describes the evaluation on the page."""
    from fastrec import evaluate

    with working(f"evaluating {', '.join(models)}"):
        report = evaluate(
            models, wanted, measures.labels, exclude_seen=measures.exclude_seen,
            cold_users=measures.cold_users.value, n_jobs=jobs,
        )  # fmt: skip
    write_report(report, measures.output_format)
    if measures.report_file is not None:
        report.save(measures.report_file, about)
        note(f"{measures.report_file} written")
    return report
