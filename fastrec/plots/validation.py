"""A picture of several splits."""

from typing import Any

import numpy as np

from fastrec.plots.style import Theme, annotate, cycle_colors, make_axes, set_title
from fastrec.validation import check_choice


def validation_dots(validation: Any, metric: str | None = None, ax: Any = None, *, theme: Theme = "light") -> Any:
    """Plots each split's mean as a dot and the mean over splits as a line, for each model.

    Parameters
    ----------
    validation
        The result of `fastrec.cross_validate`.
    metric
        The name of the metric; by default the first.
    ax
        The matplotlib axes to draw on; None for a new figure.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> rng = np.random.default_rng(0)
    >>> data = fr.Interactions(rng.integers(0, 50, 900), rng.integers(0, 30, 900), duplicates="sum")
    >>> ax = validation_dots(fr.cross_validate(fr.Popularity(), data, 3))
    >>> ax.get_xlabel()
    'ndcg@10'
    """
    metric = validation.metrics[0] if metric is None else check_choice("metric", metric, validation.metrics)
    models = list(validation.models)
    ax, colors = make_axes(ax, theme, (6.4, 1.1 + 0.5 * len(models)))
    for place, (model, color) in enumerate(zip(models, cycle_colors(colors, len(models)), strict=True)):
        scores = validation.scores(metric, model)
        ax.plot([scores.mean()] * 2, [place - 0.28, place + 0.28], color=color, linewidth=2.6)
        ax.scatter(scores, np.full(len(scores), place), s=42, color=color, alpha=0.55, linewidths=0)
        annotate(ax, f"{scores.mean():.4f}", (scores.max(), place), (9, 0), colors.ink)
    ax.set_yticks(np.arange(len(models)), models, color=colors.ink)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.margins(x=0.16)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(metric, color=colors.muted)
    n = len(validation.reports)
    set_title(ax, f"{metric} in {n} split{'' if n == 1 else 's'}, and the mean", colors)
    return ax
