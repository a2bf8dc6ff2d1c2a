"""A picture of a training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.plots.style import Theme, add_legend, cycle_colors, make_axes, plain_numbers, set_title, short_number


def learning_curve(source: Any, ax: Any = None, *, theme: Theme = "light") -> Any:
    """Plots the training loss after each epoch.

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
        If there is no loss to show.

    Examples
    --------
    >>> ax = learning_curve([3.2, 2.1, 1.8, 1.7])
    >>> ax.get_xlabel()
    'epoch'
    """
    curves = {name: _losses(one) for name, one in _name_curves(source).items()}
    ax, colors = make_axes(ax, theme, (6.4, 3.6))
    for (name, losses), color in zip(curves.items(), cycle_colors(colors, len(curves)), strict=True):
        epochs = np.arange(1, len(losses) + 1)
        ax.plot(epochs, losses, color=color, linewidth=2.2, marker="o", markersize=4.5, label=name or None)
        ax.annotate(
            short_number(losses[-1]),
            (epochs[-1], losses[-1]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="right",
            color=color,
            fontweight="bold",
            fontsize=9,
        )
    plain_numbers(ax)
    ax.margins(x=0.03, y=0.12)
    ax.set_xlabel("epoch", color=colors.muted)
    set_title(ax, "Training loss", colors, len(curves))
    add_legend(ax, colors, len(curves))
    return ax


def _name_curves(source: Any) -> dict[str, Any]:
    return dict(source) if isinstance(source, Mapping) else {"": source}


def _losses(source: Any) -> NDArray[np.float64]:
    losses = np.asarray(getattr(source, "loss_curve_", source), dtype=object)
    if losses.ndim != 1 or len(losses) == 0:
        raise ValueError(f"learning_curve needs a model with loss_curve_ or a sequence of losses, got {source!r}")
    return losses.astype(np.float64)
