"""A picture of the long tail."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.plots.style import Theme, make_axes, percent, plain_powers, set_title
from fastrec.validation import check_number


def popularity_curve(data: Any, ax: Any = None, *, head: float = 0.8, theme: Theme = "light") -> Any:
    """Plots the interactions of the items, from the most to the least popular: the long tail.

    Parameters
    ----------
    data
        `Interactions`, a fitted model, or the number of interactions per item.
    ax
        The matplotlib axes to draw on; None for a new figure.
    head
        The share of the interactions that the coloured part holds, above 0 and at most 1.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If no item has an interaction.

    Examples
    --------
    >>> ax = popularity_curve([90, 40, 20, 5, 3, 2])
    >>> ax.get_yscale()
    'log'
    """
    head = check_number("head", head, minimum=0, maximum=1, above=True)
    counts = np.sort(_item_counts(data))[::-1]
    counts = counts[counts > 0]
    if counts.size == 0:
        raise ValueError("no item has an interaction: there is no popularity to draw")
    ax, colors = make_axes(ax, theme, (6.4, 3.6))
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
    plain_powers(ax)
    ax.annotate(
        f"{percent(edge / len(counts))} of the items\nhave {percent(held)} of the interactions",
        (edge, counts[edge - 1]),
        xytext=(14, 14),
        textcoords="offset points",
        color=colors.ink,
        fontsize=9.5,
        arrowprops={"arrowstyle": "-", "color": colors.muted, "linewidth": 0.9},
    )
    ax.set_xlabel("items, the most popular first", color=colors.muted)
    set_title(ax, "Interactions per item", colors)
    return ax


def _item_counts(data: Any) -> NDArray[np.float64]:
    if hasattr(data, "item_codes"):
        return np.bincount(data.item_codes, minlength=data.shape[1]).astype(np.float64)
    counts: ArrayLike = getattr(data, "item_counts_", data)
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all() or (array.size and array.min() < 0):
        raise ValueError("popularity_curve needs Interactions, a fitted model, or counts per item of at least 0")
    return array
