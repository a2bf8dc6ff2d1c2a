"""The sections of an evaluation's page: metrics, comparison of models, and groups of users and of items."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from fastrec.evaluation.comparison import Comparison
from fastrec.evaluation.page import Picture, Section
from fastrec.evaluation.statistics import Estimate
from fastrec.plots import metric_bars
from fastrec.plots.report import bar_metrics, bar_size
from fastrec.tables import Table


class Evaluated(Protocol):
    """The attributes of a `Report` that the sections read."""

    @property
    def models(self) -> Sequence[str]:
        """The names of the models."""

    @property
    def metrics(self) -> Sequence[str]:
        """The names of the metrics."""

    @property
    def notes(self) -> Sequence[str]:
        """Returns sentences on the users and the method of the evaluation."""

    @property
    def by_items(self) -> Mapping[str, "Evaluated"]:
        """Returns reports for groups of the items to find."""

    def estimate(self, metric: str, model: str | None = None) -> Estimate:
        """Returns the estimate of one metric."""

    def mean(self, metric: str, model: str | None = None) -> float:
        """Returns the mean of a metric."""

    def text_of(self, metric: str, model: str | None = None) -> str:
        """Returns the mean of a metric and its interval, as tables show them."""

    def table(self) -> Table:
        """Returns the table of means."""

    def compare(self) -> Comparison:
        """Compares every pair of models on every metric."""

    def segments(self, by: Literal["activity", "items"] = "activity") -> Mapping[str, "Evaluated"]:
        """Returns reports for groups of users."""


def report_sections(report: Evaluated) -> list[Section]:
    """Returns the sections of an evaluation's page."""
    return [
        metric_section(report),
        *([comparison_section(report)] if len(report.models) > 1 else []),
        *segment_sections(report),
        *item_sections(report),
    ]


def metric_section(report: Evaluated) -> Section:
    """Makes the section of metrics: bars, table, rules."""
    pictures = []
    drawn = bar_metrics(report)
    if drawn:
        means = "; ".join(
            f"{metric}: " + ", ".join(f"{model} {report.mean(metric, model):.3f}" for model in report.models)
            for metric in drawn
        )
        alt = f"Bars of the mean metrics with confidence intervals. {means}."
        size = bar_size(len(drawn), len(report.models))
        pictures = [Picture(lambda ax, theme: metric_bars(report, ax=ax, theme=theme), alt, size)]
    return Section("Metrics", pictures=pictures, tables=[report.table()], notes=report.notes)


def comparison_section(report: Evaluated) -> Section:
    """Makes the section of paired comparisons."""
    comparison = report.compare()
    text = [
        "Differences are taken user by user. The p-values say how often chance alone would give a difference as "
        "large as this; those in the last column are corrected for the number of rows."
    ]
    return Section("Are the differences real?", text, tables=[comparison.table()])


def segment_sections(report: Evaluated) -> list[Section]:
    """Makes sections of means for groups of users by the length of their history; none if there is only one group."""
    groups = report.segments("activity")
    if len(groups) < 2:
        return []
    return [Section("By the length of the history", tables=_group_tables(report, groups, "training items"))]


def item_sections(report: Evaluated) -> list[Section]:
    """Makes sections of means for groups of the items to find; none if the evaluation has no such groups."""
    if not report.by_items:
        return []
    text = ["The same recommendations, scored by the items to find of one group alone."]
    return [Section("By the items to find", text, tables=_group_tables(report, report.by_items, "items"))]


def _group_tables(report: Evaluated, groups: Mapping[str, Evaluated], what: str) -> list[Table]:
    """Makes a table for each model, of groups by metrics; the shorter side gives the columns."""
    metrics = next(iter(groups.values())).metrics
    tables = []
    for model in report.models:
        rows = [
            [name, f"{_count_users(part, model):,}", *(part.text_of(metric, model) for metric in metrics)]
            for name, part in groups.items()
        ]
        whole = [[what, "users", *metrics], *rows]
        if len(groups) <= len(metrics):
            whole = [list(line) for line in zip(*whole, strict=True)]
        tables.append(Table(whole[0], whole[1:], model, (0,)))
    return tables


def _count_users(part: Evaluated, model: str) -> int:
    """Returns the number of users of the group's first metric with values per user."""
    return part.estimate(part.metrics[0], model).users
