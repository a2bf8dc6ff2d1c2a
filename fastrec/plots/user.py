"""A picture of one user."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.plots.style import Colors, Theme, make_axes, set_title, shorten
from fastrec.plots.titles import titles_of


def user_panel(model: Any, user: Any, ax: Any = None, *, k: int = 10, history: int = 10, theme: Theme = "light") -> Any:
    """Plots the items that a user had, and beside them those that the model recommends, with titles and scores as
    bars.

    Parameters
    ----------
    model
        A fitted recommender.
    user
        The id of a user of the training data (a code, if the model was fitted on a matrix).
    ax
        The matplotlib axes to draw on; None for a new figure.
    k
        The number of recommendations.
    history
        The number of the user's items: those with the largest values first, then the most popular.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> model = fr.Popularity().fit(np.array([[1, 1, 0, 0], [0, 1, 1, 1]]))
    >>> ax = user_panel(model, 0, k=2)
    >>> [text.get_text() for text in ax.texts][:3]
    ['had (2 of 2)', 'recommended', '1']
    """
    top = model.recommend([user], k)
    codes = top.codes[0][top.valid[0]]
    scores = top.scores[0][top.valid[0]].astype(np.float64)
    code = int(model.user_vocabulary.encode(user)[0])
    begin, end = model.seen_.indptr[code : code + 2]
    had, values = model.seen_.indices[begin:end], model.seen_.data[begin:end]
    had = had[np.lexsort((-model.item_counts_[had], -values))]
    rows = max(min(len(had), history), len(codes), 1)
    ax, colors = make_axes(ax, theme, (7.6, 0.9 + 0.3 * rows))
    ax.set(xlim=(0, 1), ylim=(rows + 0.1, -1.1), xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
    heads = (f"had ({min(len(had), history)} of {len(had)})", "recommended")
    for left, text in zip((0.0, 0.46), heads, strict=True):
        ax.text(left, -0.5, text, color=colors.muted, fontsize=9.5, va="center")
    _list_titles(ax, 0.0, titles_of(model, had[:history]), colors.ink, 44)
    _score_bars(ax, 0.46, scores, colors)
    _list_titles(ax, 0.475, titles_of(model, codes), colors.ink, 50)
    set_title(ax, f"User {user}", colors)
    return ax


def _list_titles(ax: Any, left: float, titles: Sequence[str], color: str, width: int) -> None:
    for row, title in enumerate(titles):
        ax.text(left, row + 0.35, shorten(title, width), color=color, fontsize=9.5, va="center", clip_on=True)


def _score_bars(ax: Any, left: float, scores: NDArray[np.float64], colors: Colors) -> None:
    """Draws bars behind the titles, with lengths relative to the highest score."""
    if not len(scores):
        return
    lengths = np.maximum(scores, 0) / max(scores.max(), 1e-12) * (1 - left)
    ax.barh(np.arange(len(scores)) + 0.35, lengths, left=left, height=0.78, color=colors.series[0], alpha=0.16)
