"""Pictures of an evaluation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.plots.style import Colors, Theme, add_legend, cycle_colors, make_axes, no_ticks, set_title
from fastrec.validation import check_choice


def metric_bars(
    report: Any, ax: Any = None, *, metrics: Sequence[str] | str | None = None, theme: Theme = "light"
) -> Any:
    """Plots the means of an evaluation as bars, with their confidence intervals.

    Parameters
    ----------
    report
        A `Report` of `fastrec.evaluate`.
    ax
        The matplotlib axes to draw on; None for a new figure.
    metrics
        One or several names; by default the metrics from 0 to 1 that say how much was found: not ``diversity``,
        ``serendipity``, ``tail_share`` and the ``biased_sampled_`` ones, nor those without an interval.
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
    metrics = [metrics] if isinstance(metrics, str) else metrics
    shown = bar_metrics(report) if metrics is None else [check_choice("metrics", m, report.metrics) for m in metrics]
    if not shown:
        raise ValueError("the report has no metric with an interval to draw")
    models = list(report.models)
    ax, colors = make_axes(ax, theme, bar_size(len(shown), len(models)))
    height = 0.78 / len(models)
    for position, (model, color) in enumerate(zip(models, cycle_colors(colors, len(models)), strict=True)):
        found = [report.estimate(metric, model) for metric in shown]
        places = np.arange(len(shown)) + (position - (len(models) - 1) / 2) * height
        _draw_bars(ax, places, found, height * 0.86, color, colors, model)
    ax.set_yticks(np.arange(len(shown)), shown, color=colors.ink)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ends = [report.estimate(metric, model) for model in models for metric in shown]
    largest = max(np.nanmax([e.mean, e.high]) for e in ends)
    ax.set_xlim(0, 1.16 * largest or 1.0)
    ax.tick_params(axis="y", pad=7)
    ax.grid(axis="y", visible=False)
    set_title(ax, _bar_title(report), colors, len(models))
    add_legend(ax, colors, len(models))
    return ax


def metric_curve(report: Any, ax: Any = None, *, metric: str = "recall", theme: Theme = "light") -> Any:
    """Plots a metric against the length of the list: recall at 1, 5, 10 … with a band of the confidence intervals.

    Parameters
    ----------
    report
        A `Report` of `fastrec.evaluate` with the metric at several cut-offs.
    ax
        The matplotlib axes to draw on; None for a new figure.
    metric
        The name of the metric without a cut-off.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the report has the metric at fewer than two cut-offs.

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> train, test = np.eye(4)[[0, 0, 1, 2]], np.eye(4)[[1, 2, 0, 3]]
    >>> report = fr.evaluate(fr.Popularity().fit(train), test, ["recall@1", "recall@2", "recall@3"])
    >>> metric_curve(report).get_xlabel()
    'items recommended'
    """
    labels = {int(label.partition("@")[2]): label for label in report.metrics if label.partition("@")[0] == metric}
    if len(labels) < 2:
        raise ValueError(f"metric_curve needs {metric!r} at two cut-offs or more, as in ['{metric}@5', '{metric}@20']")
    ks = sorted(labels)
    ax, colors = make_axes(ax, theme, (6.4, 3.6))
    for model, color in zip(report.models, cycle_colors(colors, len(report.models)), strict=True):
        found = [report.estimate(labels[k], model) for k in ks]
        means, low, high = (np.array([getattr(e, name) for e in found]) for name in ("mean", "low", "high"))
        ax.fill_between(ks, low, high, color=color, alpha=0.18, linewidth=0)
        ax.plot(ks, means, color=color, linewidth=2.2, marker="o", markersize=4.5, label=model)
    ax.set_ylim(bottom=0)
    if ks[-1] / ks[0] >= 20:
        ax.set_xscale("log")
    ax.set_xticks(ks, [str(k) for k in ks])
    ax.xaxis.set_minor_locator(no_ticks())
    ax.set_xlabel("items recommended", color=colors.muted)
    set_title(
        ax, f"{metric} by length of the list, {100 * report.confidence:g} % intervals", colors, len(report.models)
    )
    add_legend(ax, colors, len(report.models))
    return ax


_UNIT_RANGE = {
    "recall", "recall_capped", "precision", "f1", "hit_rate", "hr", "ndcg", "graded_ndcg", "average_precision", "map",
    "average_precision_capped", "reciprocal_rank", "mrr", "r_precision", "auc",
}  # fmt: skip


def bar_metrics(report: Any) -> list[str]:
    """The metrics of a report that share the range from 0 to 1."""
    return [metric for metric in report.metrics if metric.partition("@")[0] in _UNIT_RANGE]


def bar_size(n_metrics: int, n_models: int) -> tuple[float, float]:
    """The width and height in inches of a picture of bars."""
    return 6.4, 0.9 + 0.06 * n_models + n_metrics * (0.28 + 0.24 * n_models)


def _bar_title(report: Any) -> str:
    return f"Means over {len(report.users):,} users, {100 * report.confidence:g} % intervals"


def _draw_bars(
    ax: Any, places: NDArray[Any], found: Sequence[Any], height: float, color: str, colors: Colors, label: str
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
