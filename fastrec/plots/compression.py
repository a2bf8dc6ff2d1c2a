"""A picture of the cost of compression."""

from typing import Any

from fastrec.plots.style import Theme, make_axes, set_title
from fastrec.storage import size_in_words


def compression_tradeoff(report: Any, ax: Any = None, *, theme: Theme = "light") -> Any:
    """Plots the NDCG of a model with each codec, the largest at the top, with a line at the original's.

    Parameters
    ----------
    report
        The result of `fastrec.compression_report`.
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
    >>> X = (np.random.default_rng(0).random((80, 50)) < 0.2).astype(np.float32)
    >>> model = fr.ImplicitALS(factors=16, random_state=0).fit(X)
    >>> report = fr.compression_report(model, 1 - X, ["float16", "int8"])
    >>> compression_tradeoff(report).get_xlabel()
    'NDCG@10'
    """
    ax, colors = make_axes(ax, theme, (6.4, 0.9 + 0.36 * len(report.rows)))
    rows = sorted(report.rows, key=lambda row: row.total_bytes)
    original = report.rows[0]
    ax.axvline(original.ndcg, color=colors.muted, linewidth=1.2, linestyle=(0, (4, 3)))
    for place, row in enumerate(rows):
        color = colors.muted if row is original else colors.series[0]
        ax.plot([row.ndcg, original.ndcg], [place, place], color=color, linewidth=2.2, alpha=0.45)
        ax.plot([row.ndcg], [place], "o", color=color, markersize=8)
    ax.set_yticks(range(len(rows)), [f"{row.codec}   {size_in_words(row.total_bytes)}" for row in rows])
    ax.tick_params(axis="y", labelcolor=colors.ink)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel(f"NDCG@{report.k}", color=colors.muted)
    set_title(ax, f"{report.name}: NDCG by codec and size", colors)
    return ax
