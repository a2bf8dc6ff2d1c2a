"""Self-contained HTML pages: sections of text, tables and pictures, light and dark, nothing fetched from outside."""

import base64
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastrec.evaluation.tables import Table

if TYPE_CHECKING:
    from fastrec.evaluation.report import Report


@dataclass(frozen=True)
class Picture:
    """A drawing for a page.

    Parameters
    ----------
    draw
        Called as ``draw(ax=ax, theme=theme)``, once for "light" and once for "dark".
    alt
        What the picture says, for those who do not see it.
    size
        Width and height in inches.
    """

    draw: Callable[..., Any]
    alt: str
    size: tuple[float, float] = (6.4, 3.6)

    def source(self, theme: str) -> str:
        """The drawing as an SVG data URI, on a transparent ground."""
        figure_class = _figure_class()
        figure = figure_class(figsize=self.size, layout="constrained")
        self.draw(ax=figure.add_subplot(), theme=theme)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A part of a page under its own heading: paragraphs, pictures and tables side by side, wide tables below them."""

    heading: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """A page: title, a sentence below it, facts as pairs of a name and a value, sections."""

    title: str
    lead: str
    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = field(default=())

    def html(self) -> str:
        """The page as one HTML document without outside resources.

        Raises
        ------
        ImportError
            Without matplotlib and jinja2 (``pip install 'fastrec[report]'``).
        """
        from fastrec import __version__

        return str(_template().render(page=self, version=__version__))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, to the side first, so that no half of it is ever left behind."""
        text, target = self.html(), Path(path)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"{target} cannot be written: there is no folder {target.parent}")
        aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            aside.write_text(text, encoding="utf-8")
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)


def _template() -> Any:
    try:
        import jinja2  # an extra
    except ImportError as error:
        raise ImportError("an HTML report needs jinja2: pip install 'fastrec[report]'") from error
    source = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure  # an extra
    except ImportError as error:
        raise ImportError("an HTML report needs matplotlib: pip install 'fastrec[report]'") from error
    return Figure  # without pyplot: no window, no global list of figures


def write_report(report: "Report", path: str | os.PathLike[str]) -> None:
    """A report as a page: the metrics as a table and as bars, models compared, groups of users, rules."""
    sections = [metric_section(report)]
    if len(report.models) > 1:
        sections.append(comparison_section(report))
    sections += segment_sections(report)
    sections += item_sections(report)
    facts = [("models", ", ".join(report.models)), ("users evaluated", f"{len(report.users):,}")]
    if "pairs" in report.counts:
        facts.append(("items to find", f"{report.counts['pairs']:,}"))
    lead = "How well the models find what users turned to later."
    Page(report.title, lead, sections, facts).save(path)


def metric_section(report: "Report") -> Section:
    """The metrics of a report: bars, table, rules."""
    from fastrec.plots import bar_metrics, bar_size, metric_bars

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


def comparison_section(report: "Report") -> Section:
    """The paired comparison of a report's models."""
    comparison = report.compare()
    text = [
        "Differences are taken user by user. The p-values say how often chance alone would give a difference as "
        "large as this; those in the last column are corrected for the number of rows."
    ]
    return Section("Are the differences real?", text, tables=[comparison.table()])


def segment_sections(report: "Report") -> list[Section]:
    """The means for groups of users by the length of their history; nothing where there is but one group."""
    groups = report.segments("activity")
    if len(groups) < 2:
        return []
    return [Section("By the length of the history", tables=_group_tables(report, groups, "training items"))]


def item_sections(report: "Report") -> list[Section]:
    """The means for groups of the items to find; nothing where the evaluation was not asked for any."""
    if not report.by_items:
        return []
    text = ["The same recommendations, beside the items to find of one group alone."]
    return [Section("By the items to find", text, tables=_group_tables(report, report.by_items, "items"))]


def _group_tables(report: "Report", groups: "Mapping[str, Report]", what: str) -> list[Table]:
    """A table for each model, of groups by metrics, whichever are fewer side by side."""
    metrics = next(iter(groups.values())).metrics
    tables = []
    for model in report.models:
        rows = [
            [name, f"{_counted(part, model):,}", *(part.text_of(metric, model) for metric in metrics)]
            for name, part in groups.items()
        ]
        whole = [[what, "users", *metrics], *rows]
        if len(groups) <= len(metrics):
            whole = [list(line) for line in zip(*whole, strict=True)]
        tables.append(Table(whole[0], whole[1:], model, (0,)))
    return tables


def _counted(part: "Report", model: str) -> int:
    """How many users the group's first metric with values per user is over."""
    return part.estimate(part.metrics[0], model).users
