"""Pictures of data, training and evaluation. Each function takes an axes and returns it.

They need matplotlib (``pip install 'fastrec[report]'``). Nothing global is changed: no style, no rcParams, and without
`ax` a new figure is made by pyplot, as notebooks expect.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.validation import check_choice

__all__ = ["learning_curve", "metric_bars", "popularity_curve"]

Theme = Literal["light", "dark"]


class _Colors(NamedTuple):
    ink: str
    muted: str
    grid: str
    paper: str
    series: tuple[str, ...]


# The series keep their order of lightness for readers who do not tell the hues apart.
_THEMES = {
    "light": _Colors(
        "#1b2430", "#5d6876", "#e3e7ec", "#ffffff", ("#1f5fd0", "#e0861a", "#168a6a", "#8a5bd1", "#c23b5a")
    ),
    "dark": _Colors(
        "#e6eaf0", "#9aa5b4", "#333d4b", "#12161c", ("#6ea8ff", "#f2a54a", "#4cc9a0", "#b795f0", "#f0819b")
    ),
}


def learning_curve(source: Any, ax: Any = None, *, theme: Theme = "light") -> Any:
    """The training loss after each epoch.

    Parameters
    ----------
    source
        A fitted model with `loss_curve_`, the losses themselves, or a mapping from names to either.
    ax
        The matplotlib axes to draw on; None for a new figure.
    theme
        "light" or "dark": the colours of lines and texts.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Where there is no loss to show.

    Examples
    --------
    >>> ax = learning_curve([3.2, 2.1, 1.8, 1.7])
    >>> ax.get_xlabel()
    'epoch'
    """
    curves = {name: _losses(one) for name, one in _named(source).items()}
    ax, colors = _axes(ax, theme, (6.4, 3.6))
    for (name, losses), color in zip(curves.items(), _cycle(colors, len(curves)), strict=True):
        epochs = np.arange(1, len(losses) + 1)
        ax.plot(epochs, losses, color=color, linewidth=2.2, marker="o", markersize=4.5, label=name or None)
        ax.annotate(
            _short_number(losses[-1]),
            (epochs[-1], losses[-1]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="right",
            color=color,
            fontweight="bold",
            fontsize=9,
        )
    _plain_numbers(ax)
    ax.margins(x=0.03, y=0.12)
    ax.set_xlabel("epoch", color=colors.muted)
    _title(ax, "Training loss", colors, len(curves))
    _legend(ax, colors, len(curves))
    return ax


def metric_bars(report: Any, ax: Any = None, *, metrics: Sequence[str] | None = None, theme: Theme = "light") -> Any:
    """The means of an evaluation as bars, with their confidence intervals.

    Parameters
    ----------
    report
        A `Report` of `fastrec.evaluate`.
    ax
        The matplotlib axes to draw on; None for a new figure.
    metrics
        Which metrics; by default those with an interval and a range from 0 to 1.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> train, test = np.eye(4)[[0, 0, 1, 2]], np.eye(4)[[1, 2, 0, 3]]
    >>> report = fr.evaluate(fr.Popularity().fit(train), test, ["recall@1", "ndcg@2"])
    >>> ax = metric_bars(report)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['recall@1', 'ndcg@2']
    """
    shown = bar_metrics(report) if metrics is None else [check_choice("metrics", m, report.metrics) for m in metrics]
    if not shown:
        raise ValueError("the report has no metric with an interval to draw")
    models = list(report.models)
    ax, colors = _axes(ax, theme, (6.4, 0.9 + len(shown) * (0.28 + 0.24 * len(models))))
    height = 0.78 / len(models)
    for position, (model, color) in enumerate(zip(models, _cycle(colors, len(models)), strict=True)):
        found = [report.estimate(metric, model) for metric in shown]
        places = np.arange(len(shown)) + (position - (len(models) - 1) / 2) * height
        _draw_bars(ax, places, found, height * 0.86, color, colors, model)
    ax.set_yticks(np.arange(len(shown)), shown, color=colors.ink)
    ax.invert_yaxis()
    ends = [report.estimate(metric, model) for model in models for metric in shown]
    largest = max(np.nanmax([e.mean, e.high]) for e in ends)
    ax.set_xlim(0, 1.16 * largest or 1.0)
    ax.tick_params(axis="y", pad=7)
    ax.grid(axis="y", visible=False)
    _title(ax, _bar_title(report), colors, len(models))
    _legend(ax, colors, len(models))
    return ax


def popularity_curve(data: Any, ax: Any = None, *, head: float = 0.8, theme: Theme = "light") -> Any:
    """How the interactions fall on the items, from the most to the least popular: the long tail.

    Parameters
    ----------
    data
        `Interactions`, a fitted model, or the number of interactions per item.
    ax
        The matplotlib axes to draw on; None for a new figure.
    head
        The share of the interactions that the coloured part holds.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Where no item has an interaction.

    Examples
    --------
    >>> ax = popularity_curve([90, 40, 20, 5, 3, 2])
    >>> ax.get_yscale()
    'log'
    """
    counts = np.sort(_item_counts(data))[::-1]
    counts = counts[counts > 0]
    if counts.size == 0:
        raise ValueError("no item has an interaction: there is no popularity to draw")
    ax, colors = _axes(ax, theme, (6.4, 3.6))
    edge = int(np.searchsorted(np.cumsum(counts), head * counts.sum() * (1 - 1e-12))) + 1
    held = counts[:edge].sum() / counts.sum()
    rank, main = np.arange(1, len(counts) + 1), colors.series[0]
    ax.set_yscale("log")
    floor = 0.8
    ax.fill_between(rank[:edge], counts[:edge], floor, color=main, alpha=0.28, linewidth=0)
    ax.fill_between(rank[edge - 1 :], counts[edge - 1 :], floor, color=colors.muted, alpha=0.18, linewidth=0)
    ax.plot(rank, counts, color=main, linewidth=2.2)
    ax.set_ylim(floor, counts[0] * 1.6)
    ax.set_xlim(0, len(counts) * 1.01)
    _plain_powers(ax)
    ax.annotate(
        f"{_percent(edge / len(counts))} of the items\nhave {_percent(held)} of the interactions",
        (edge, counts[edge - 1]),
        xytext=(14, 14),
        textcoords="offset points",
        color=colors.ink,
        fontsize=9.5,
        arrowprops={"arrowstyle": "-", "color": colors.muted, "linewidth": 0.9},
    )
    ax.set_xlabel("items, the most popular first", color=colors.muted)
    _title(ax, "Interactions per item", colors)
    return ax


# --- what is drawn ---------------------------------------------------------------------------------------------------


def _named(source: Any) -> dict[str, Any]:
    return dict(source) if isinstance(source, Mapping) else {"": source}


def _losses(source: Any) -> NDArray[np.float64]:
    losses = np.asarray(getattr(source, "loss_curve_", source), dtype=object)
    if losses.ndim != 1 or len(losses) == 0:
        raise ValueError(f"learning_curve needs a model with loss_curve_ or a sequence of losses, got {source!r}")
    return losses.astype(np.float64)


def _item_counts(data: Any) -> NDArray[np.float64]:
    if hasattr(data, "item_codes"):
        return np.bincount(data.item_codes, minlength=data.shape[1]).astype(np.float64)
    counts: ArrayLike = getattr(data, "item_counts_", data)
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all() or (array.size and array.min() < 0):
        raise ValueError("popularity_curve needs Interactions, a fitted model, or counts per item of at least 0")
    return array


_UNIT_RANGE = {
    "recall", "recall_capped", "precision", "f1", "hit_rate", "hr", "ndcg", "graded_ndcg", "average_precision", "map",
    "average_precision_capped", "reciprocal_rank", "mrr", "r_precision", "auc",
}  # fmt: skip


def bar_metrics(report: Any) -> list[str]:
    """The metrics of a report that share the range from 0 to 1."""
    return [metric for metric in report.metrics if metric.partition("@")[0] in _UNIT_RANGE]


def _bar_title(report: Any) -> str:
    return f"Means over {len(report.users):,} users, {100 * report.confidence:g} % intervals"


def _draw_bars(
    ax: Any, places: NDArray[Any], found: Sequence[Any], height: float, color: str, colors: _Colors, label: str
) -> None:
    means = np.array([e.mean for e in found])
    ends = np.array([[e.mean - e.low, e.high - e.mean] for e in found]).T
    ends = np.nan_to_num(np.maximum(ends, 0.0))
    ax.barh(places, means, height=height, color=color, label=label)
    ax.errorbar(means, places, xerr=ends, fmt="none", ecolor=colors.ink, elinewidth=1.2, capsize=3, capthick=1.2)
    for place, estimate, end in zip(places, found, ends[1], strict=True):
        ax.annotate(
            f"{estimate.mean:.3f}",
            (estimate.mean + end, place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=colors.ink,
            fontsize=9,
        )


# --- how it looks ----------------------------------------------------------------------------------------------------


def _axes(ax: Any, theme: str, size: tuple[float, float]) -> tuple[Any, _Colors]:
    check_choice("theme", theme, tuple(_THEMES))
    colors = _THEMES[theme]
    if ax is None:
        ax = _pyplot().subplots(figsize=size, layout="constrained", facecolor=colors.paper)[1]
    ax.set_facecolor("none")
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colors.muted)
    ax.tick_params(which="both", colors=colors.muted, length=0, labelsize=9)
    ax.grid(axis="both", color=colors.grid, linewidth=0.8)
    ax.grid(axis="x", visible=True)
    ax.set_axisbelow(True)
    return ax, colors


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt  # an extra, and slow to import
    except ImportError as error:
        raise ImportError("fastrec.plots needs matplotlib: pip install 'fastrec[report]'") from error
    return plt


def _cycle(colors: _Colors, n: int) -> list[str]:
    return [colors.series[i % len(colors.series)] for i in range(n)]


def _title(ax: Any, text: str, colors: _Colors, n: int = 1) -> None:
    # Above several series there is a legend below the title.
    pad = 26 if n > 1 else 9
    ax.set_title(text, loc="left", color=colors.ink, fontsize=11, fontweight="bold", pad=pad)


def _plain_numbers(ax: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short_number(value)))


def _short_number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def _plain_powers(ax: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0095 else f"{100 * share:.1g} %"


def _legend(ax: Any, colors: _Colors, n: int) -> None:
    if n > 1:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=n,
            frameon=False,
            labelcolor=colors.ink,
            fontsize=9,
            handlelength=1.1,
            handleheight=0.9,
            columnspacing=1.4,
            borderaxespad=0.2,
        )
