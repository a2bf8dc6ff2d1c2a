"""A picture of a search."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.fingerprint import fingerprint
from fastrec.plots.style import Colors, Theme, annotate, make_axes, no_ticks, plain_ticks, set_title
from fastrec.validation import check_choice, is_number


def search_slice(search: Any, option: str | None = None, ax: Any = None, *, theme: Theme = "light") -> Any:
    """Plots the score of each trial of a search against one option; the best trial is labelled.

    A dashed line is the score of the given model.

    Parameters
    ----------
    search
        The result of `fastrec.search`.
    option
        The name of the option; by default the first with several values.
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
    >>> model = fr.ImplicitALS(iterations=2, random_state=0)
    >>> ax = search_slice(fr.search(model, {"factors": [2, 4, 8]}, data, method="grid", cv=0.2))
    >>> ax.get_xlabel()
    'factors'
    """
    trials = [trial for trial in search.trials if not np.isnan(trial.score)]
    option = _find_varied(search) if option is None else check_choice("option", option, search.searched)
    trials = _on_one_line(trials, option)
    values = [trial.options[option] for trial in trials]
    scores = np.array([trial.score for trial in trials])
    ax, colors = make_axes(ax, theme, (6.4, 3.6))
    places = _number_line(ax, values, colors)
    epochs = np.array([trial.epochs or 0 for trial in trials], np.float64)
    # the trials of a halving with few epochs are pale
    alpha = np.ones(len(trials)) if epochs.max() == epochs.min() else 0.25 + 0.75 * epochs / epochs.max()
    ax.scatter(places, scores, s=46, color=colors.series[0], alpha=alpha, linewidths=0)
    if not np.isnan(search.given.score):
        ax.axhline(search.given.score, color=colors.muted, linewidth=1.2, linestyle="--", zorder=0)
    ax.margins(x=0.08, y=0.18)
    for best in (place for place, trial in enumerate(trials) if trial is search.best):
        ax.scatter(places[best], scores[best], s=110, facecolors="none", edgecolors=colors.series[1], linewidths=2)
        right = places[best] > np.mean(ax.get_xlim()) if ax.get_xscale() == "linear" else False
        note = f"{_short_value(values[best])}: {scores[best]:.4f}"
        annotate(ax, note, (places[best], scores[best]), (0, 13), colors.ink, "right" if right else "left")
    ax.set_xlabel(option, color=colors.muted)
    set_title(ax, f"{search.metric} by {option}, {len(search.trials)} trials", colors)
    return ax


def _on_one_line(trials: list[Any], option: str) -> list[Any]:
    """The trials with values of one kind: if all but the given model's are numbers, it is drawn as the line alone."""
    drawn = [trial for trial in trials if trial.number > 0]
    if drawn and all(map(is_number, (trial.options[option] for trial in drawn))):
        return [trial for trial in trials if is_number(trial.options[option])]
    return trials


def _find_varied(search: Any) -> str:
    for name in search.searched:
        if len({fingerprint(trial.options[name]) for trial in search.trials}) > 1:
            return str(name)
    return str(search.searched[0])


def _number_line(ax: Any, values: Sequence[Any], colors: Colors) -> NDArray[np.float64]:
    """Places along x for values: numbers at their values, on a log scale if they span much; others side by side."""
    if all(map(is_number, values)):
        places = np.array(values, np.float64)
        if places.min() > 0 and places.max() / places.min() >= 8:
            ax.set_xscale("log")
            plain_ticks(ax.xaxis)
        distinct = np.unique(places)
        if len(distinct) <= 8:
            ax.set_xticks(distinct, [f"{place:g}" for place in distinct])
            ax.xaxis.set_minor_locator(no_ticks())
        return places
    names = list(dict.fromkeys(map(_short_value, values)))
    ax.set_xticks(np.arange(len(names)), names, color=colors.ink)
    return np.array([names.index(_short_value(value)) for value in values], np.float64)


def _short_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
