"""Pictures of data, training and evaluation. Each function takes an axes and returns it.

They need matplotlib (``pip install 'fastrec[report]'``). Nothing global is changed: no style, no rcParams, and without
`ax` a new figure is made by pyplot, as notebooks expect.
"""

import importlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.data.ids import as_numbers
from fastrec.fingerprint import fingerprint
from fastrec.storage import size_in_words
from fastrec.validation import check_choice, check_integer, check_number

__all__ = [
    "compression_tradeoff",
    "embedding_map",
    "learning_curve",
    "metric_bars",
    "metric_curve",
    "popularity_curve",
    "search_slice",
    "user_panel",
    "validation_dots",
]

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


def metric_bars(
    report: Any, ax: Any = None, *, metrics: Sequence[str] | str | None = None, theme: Theme = "light"
) -> Any:
    """The means of an evaluation as bars, with their confidence intervals.

    Parameters
    ----------
    report
        A `Report` of `fastrec.evaluate`.
    ax
        The matplotlib axes to draw on; None for a new figure.
    metrics
        Which, a name or several; by default those that say how much was found, from 0 to 1: not ``diversity``,
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
    ax, colors = _axes(ax, theme, bar_size(len(shown), len(models)))
    height = 0.78 / len(models)
    for position, (model, color) in enumerate(zip(models, _cycle(colors, len(models)), strict=True)):
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
        The share of the interactions that the coloured part holds, above 0 and at most 1.
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
    head = check_number("head", head, minimum=0, maximum=1, above=True)
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


def metric_curve(report: Any, ax: Any = None, *, metric: str = "recall", theme: Theme = "light") -> Any:
    """A metric against the length of the list: recall at 1, 5, 10 … with a band of the confidence intervals.

    Parameters
    ----------
    report
        A `Report` of `fastrec.evaluate` with the metric at several cut-offs.
    ax
        The matplotlib axes to draw on; None for a new figure.
    metric
        Its name without a cut-off.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Where the report has the metric at fewer than two cut-offs.

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
    ax, colors = _axes(ax, theme, (6.4, 3.6))
    for model, color in zip(report.models, _cycle(colors, len(report.models)), strict=True):
        found = [report.estimate(labels[k], model) for k in ks]
        means, low, high = (np.array([getattr(e, name) for e in found]) for name in ("mean", "low", "high"))
        ax.fill_between(ks, low, high, color=color, alpha=0.18, linewidth=0)
        ax.plot(ks, means, color=color, linewidth=2.2, marker="o", markersize=4.5, label=model)
    ax.set_ylim(bottom=0)
    if ks[-1] / ks[0] >= 20:
        ax.set_xscale("log")
    ax.set_xticks(ks, [str(k) for k in ks])
    ax.xaxis.set_minor_locator(_no_ticks())
    ax.set_xlabel("items recommended", color=colors.muted)
    _title(ax, f"{metric} by length of the list, {100 * report.confidence:g} % intervals", colors, len(report.models))
    _legend(ax, colors, len(report.models))
    return ax


def compression_tradeoff(report: Any, ax: Any = None, *, theme: Theme = "light") -> Any:
    """The NDCG that each codec leaves a model, the largest above, with a line at the original's.

    Parameters
    ----------
    report
        What `fastrec.compression_report` gave.
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
    ax, colors = _axes(ax, theme, (6.4, 0.9 + 0.36 * len(report.rows)))
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
    _title(ax, f"{report.name}: NDCG by codec and size", colors)
    return ax


def validation_dots(validation: Any, metric: str | None = None, ax: Any = None, *, theme: Theme = "light") -> Any:
    """Each split's mean as a dot and the mean over splits as a line, for each model.

    Parameters
    ----------
    validation
        What `fastrec.cross_validate` gave.
    metric
        Which; by default the first.
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
    ax, colors = _axes(ax, theme, (6.4, 1.1 + 0.5 * len(models)))
    for place, (model, color) in enumerate(zip(models, _cycle(colors, len(models)), strict=True)):
        scores = validation.scores(metric, model)
        ax.plot([scores.mean()] * 2, [place - 0.28, place + 0.28], color=color, linewidth=2.6)
        ax.scatter(scores, np.full(len(scores), place), s=42, color=color, alpha=0.55, linewidths=0)
        _note(ax, f"{scores.mean():.4f}", (scores.max(), place), (9, 0), colors.ink)
    ax.set_yticks(np.arange(len(models)), models, color=colors.ink)
    ax.set_ylim(len(models) - 0.5, -0.5)
    ax.margins(x=0.16)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(metric, color=colors.muted)
    n = len(validation.reports)
    _title(ax, f"{metric} in {n} split{'' if n == 1 else 's'}, and the mean", colors)
    return ax


def search_slice(search: Any, option: str | None = None, ax: Any = None, *, theme: Theme = "light") -> Any:
    """The score of each trial of a search over one of the options; the best is named.

    Parameters
    ----------
    search
        What `fastrec.search` gave.
    option
        Which; by default the first that took several values.
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
    option = _varied(search) if option is None else check_choice("option", option, search.searched)
    values = [trial.options[option] for trial in trials]
    scores = np.array([trial.score for trial in trials])
    ax, colors = _axes(ax, theme, (6.4, 3.6))
    places = _number_line(ax, values, colors)
    epochs = np.array([trial.epochs or 0 for trial in trials], np.float64)
    # In a halving, the trials with few epochs are pale.
    alpha = np.ones(len(trials)) if epochs.max() == epochs.min() else 0.25 + 0.75 * epochs / epochs.max()
    ax.scatter(places, scores, s=46, color=colors.series[0], alpha=alpha, linewidths=0)
    best = next(place for place, trial in enumerate(trials) if trial is search.best)
    ax.scatter(places[best], scores[best], s=110, facecolors="none", edgecolors=colors.series[1], linewidths=2)
    ax.margins(x=0.08, y=0.18)
    right = places[best] > np.mean(ax.get_xlim()) if ax.get_xscale() == "linear" else False
    note = f"{_short_value(values[best])}: {scores[best]:.4f}"
    _note(ax, note, (places[best], scores[best]), (0, 13), colors.ink, "right" if right else "left")
    ax.set_xlabel(option, color=colors.muted)
    _title(ax, f"{search.metric} by {option}, {len(trials)} trials", colors)
    return ax


def embedding_map(
    model: Any,
    ax: Any = None,
    *,
    color_by: Any = None,
    label: Sequence[Any] = (),
    n: int = 2000,
    method: Literal["pca", "umap"] = "pca",
    theme: Theme = "light",
) -> Any:
    """A model's items in the plane: near each other what is recommended to the same users.

    Parameters
    ----------
    model
        A fitted model with `item_factors_`, or an array of vectors of shape (n_items, factors).
    ax
        The matplotlib axes to draw on; None for a new figure.
    color_by
        The name of a column of the model's `item_info` (of labels between "|", the first counts), or a label per item:
        the five most frequent are coloured. None: by popularity, where the model knows it.
    label
        Items (ids, or codes for a model fitted on a matrix) whose titles are shown.
    n
        At most so many items, the most popular.
    method
        "pca": the two directions in which the directions of the vectors differ most; "umap": by umap-learn, where it
        is installed.
    theme
        "light" or "dark".

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> X = np.kron(np.eye(3), np.ones((5, 4)))
    >>> ax = embedding_map(fr.ImplicitALS(3, random_state=0).fit(X))
    >>> len(ax.collections[0].get_offsets())
    12
    """
    check_choice("method", method, ("pca", "umap"))
    n = check_integer("n", n, minimum=1)
    vectors = _vectors_of(model)
    if vectors.ndim != 2 or vectors.shape[1] < 2:
        raise ValueError(f"embedding_map needs vectors of two factors or more, got shape {vectors.shape}")
    counts = np.asarray(getattr(model, "item_counts_", np.ones(len(vectors))))
    wanted = _codes_of(model, label)
    shown = np.argsort(-counts, kind="stable")[:n]
    shown = np.union1d(shown[counts[shown] > 0], wanted).astype(np.int64)
    ax, colors = _axes(ax, theme, (6.4, 5.2))
    points = _plane(vectors[shown], method)
    groups = _colored(model, color_by, shown, len(vectors))
    if groups is None:
        sizes = 6 + 60 * np.sqrt(counts[shown] / max(counts.max(), 1))
        ax.scatter(*points.T, s=sizes, color=colors.series[0], alpha=0.45, linewidths=0)
    else:
        _scatter_groups(ax, points, groups, colors)
    _name_points(ax, points[np.searchsorted(shown, wanted)], _titles(model, wanted), colors)
    ax.set(xticks=[], yticks=[])
    ax.spines["bottom"].set_visible(False)
    ax.set_aspect("equal", adjustable="datalim")
    _title(ax, f"{len(shown):,} items by their factors ({method.upper()})", colors, 2 if groups is not None else 1)
    return ax


def user_panel(model: Any, user: Any, ax: Any = None, *, k: int = 10, history: int = 10, theme: Theme = "light") -> Any:
    """What a user had, and beside it what the model recommends, with titles and scores as bars.

    Parameters
    ----------
    model
        A fitted recommender.
    user
        The id of a user of the training data (a code, where the model was fitted on a matrix).
    ax
        The matplotlib axes to draw on; None for a new figure.
    k
        How many recommendations.
    history
        How many of the user's items, those with the greatest values first, then the most popular.
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
    code = int(np.asarray(user)) if model.users_ is None else int(model.users_.encode([user])[0])
    begin, end = model.seen_.indptr[code : code + 2]
    had, values = model.seen_.indices[begin:end], model.seen_.data[begin:end]
    had = had[np.lexsort((-model.item_counts_[had], -values))]
    rows = max(min(len(had), history), len(codes), 1)
    ax, colors = _axes(ax, theme, (7.6, 0.9 + 0.3 * rows))
    ax.set(xlim=(0, 1), ylim=(rows + 0.1, -1.1), xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
    heads = (f"had ({min(len(had), history)} of {len(had)})", "recommended")
    for left, text in zip((0.0, 0.46), heads, strict=True):
        ax.text(left, -0.5, text, color=colors.muted, fontsize=9.5, va="center")
    _list_titles(ax, 0.0, _titles(model, had[:history]), colors.ink, 44)
    _score_bars(ax, 0.46, scores, colors)
    _list_titles(ax, 0.475, _titles(model, codes), colors.ink, 50)
    _title(ax, f"User {user}", colors)
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


def bar_size(n_metrics: int, n_models: int) -> tuple[float, float]:
    """The width and height in inches of a picture of bars."""
    return 6.4, 0.9 + 0.06 * n_models + n_metrics * (0.28 + 0.24 * n_models)


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


def _varied(search: Any) -> str:
    for name in search.searched:
        if len({fingerprint(trial.options[name]) for trial in search.trials}) > 1:
            return str(name)
    return str(search.searched[0])


def _number_line(ax: Any, values: Sequence[Any], colors: _Colors) -> NDArray[np.float64]:
    """Places along x for values: numbers where they are, by their logarithm if they span much; others side by side."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        places = np.array(values, np.float64)
        if places.min() > 0 and places.max() / places.min() >= 8:
            ax.set_xscale("log")
            _plain_ticks(ax.xaxis)
        distinct = np.unique(places)
        if len(distinct) <= 8:
            ax.set_xticks(distinct, [f"{place:g}" for place in distinct])
            ax.xaxis.set_minor_locator(_no_ticks())
        return places
    names = list(dict.fromkeys(map(_short_value, values)))
    ax.set_xticks(np.arange(len(names)), names, color=colors.ink)
    return np.array([names.index(_short_value(value)) for value in values], np.float64)


def _short_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _vectors_of(model: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(getattr(model, "item_factors_", model), np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"embedding_map needs a fitted model with item_factors_, or an array of vectors, got {type(model).__name__}"
        ) from None


def _plane(vectors: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Points of shape (n, 2) for vectors, whose directions alone count."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    if method == "umap":
        try:
            umap = importlib.import_module("umap")  # an extra
        except ImportError as error:
            raise ImportError("method='umap' needs umap-learn: pip install umap-learn") from error
        return np.asarray(umap.UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(unit), np.float64)
    centred = unit - unit.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    points: NDArray[np.float64] = centred @ axes[:, :-3:-1]
    # An eigenvector's sign is arbitrary; the longer tail goes to the right and up.
    return points * np.where((points**3).sum(axis=0) < 0, -1.0, 1.0)


def _colored(model: Any, color_by: Any, shown: NDArray[np.int64], n_items: int) -> list[str] | None:
    """The group of each shown item, or None where they are not grouped."""
    if color_by is None:
        return None
    labels = color_by
    if isinstance(color_by, str):
        info = getattr(model, "item_info_", None) or {}
        if color_by not in info:
            known = ", ".join(map(repr, info)) or "none"
            raise ValueError(
                f"color_by names {color_by!r}, which is no column of the model's item_info; there are {known}"
            )
        labels = info[color_by]
    if len(labels) != n_items:
        raise ValueError(f"color_by must have one label for each of {n_items} items, got {len(labels)}")
    return [str(labels[code]).partition("|")[0] for code in shown.tolist()]


def _scatter_groups(ax: Any, points: NDArray[np.float64], groups: list[str], colors: _Colors) -> None:
    names, sizes = np.unique(groups, return_counts=True)
    largest = names[np.argsort(-sizes, kind="stable")][: len(colors.series)].tolist()
    labels = np.array(groups)
    rest = ~np.isin(labels, largest)
    ax.scatter(*points[rest].T, s=10, color=colors.muted, alpha=0.22, linewidths=0)
    for name, color in zip(largest, colors.series, strict=False):
        ax.scatter(*points[labels == name].T, s=16, color=color, alpha=0.7, linewidths=0, label=name)
    _legend(ax, colors, max(len(largest), 2))


def _name_points(ax: Any, points: NDArray[np.float64], titles: Sequence[str], colors: _Colors) -> None:
    from matplotlib.patheffects import withStroke

    around = [withStroke(linewidth=2.5, foreground=colors.paper)]
    heights = _apart(points[:, 1], 0.04 * np.ptp(ax.get_ylim()))
    reach = 0.02 * np.ptp(ax.get_xlim())
    for point, height, title in zip(points, heights, titles, strict=True):
        ax.scatter(*point, s=26, facecolors=colors.ink, edgecolors=colors.paper, linewidths=0.8, zorder=4)
        ax.annotate(
            _cut(title, 34),
            tuple(point),
            xytext=(point[0] + reach, height),
            color=colors.ink,
            fontsize=9,
            va="center",
            path_effects=around,
            zorder=5,
            arrowprops={"arrowstyle": "-", "color": colors.muted, "linewidth": 0.7},
        )


def _apart(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Heights in the same order, moved up where they would be nearer to each other than the gap."""
    moved = heights.copy()
    order = np.argsort(heights, kind="stable")
    for below, above in itertools.pairwise(order.tolist()):
        moved[above] = max(moved[above], moved[below] + gap)
    return moved


def _codes_of(model: Any, items: Sequence[Any]) -> NDArray[np.int64]:
    vocabulary = getattr(model, "items_", None)
    return np.asarray(as_numbers(items, "items") if vocabulary is None else vocabulary.encode(items), np.int64)


def _titles(model: Any, codes: NDArray[Any]) -> list[str]:
    ids = [str(code) for code in codes.tolist()]
    if getattr(model, "items_", None) is not None:
        ids = [str(id) for id in model.items_.decode(codes).tolist()]
    titles = (getattr(model, "item_info_", None) or {}).get("title")
    if titles is None:
        return ids
    return [str(titles[code]) or id for code, id in zip(codes.tolist(), ids, strict=True)]


def _list_titles(ax: Any, left: float, titles: Sequence[str], color: str, width: int) -> None:
    for row, title in enumerate(titles):
        ax.text(left, row + 0.35, _cut(title, width), color=color, fontsize=9.5, va="center", clip_on=True)


def _score_bars(ax: Any, left: float, scores: NDArray[np.float64], colors: _Colors) -> None:
    """Bars behind the titles, as long as the scores are beside the highest."""
    if not len(scores):
        return
    lengths = np.maximum(scores, 0) / max(scores.max(), 1e-12) * (1 - left)
    ax.barh(np.arange(len(scores)) + 0.35, lengths, left=left, height=0.78, color=colors.series[0], alpha=0.16)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def _note(
    ax: Any, text: str, point: tuple[float, float], offset: tuple[int, int], color: str, align: str = "left"
) -> None:
    ax.annotate(text, point, xytext=offset, textcoords="offset points", color=color, fontsize=9, va="center", ha=align)


def _plain_ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


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
    """A colour for each of n series: the theme's own, then those again, paler and then deeper."""
    rounds = ((0.0, colors.paper), (0.5, colors.paper), (0.45, colors.ink))
    shades = [_mixed(color, other, share) for share, other in rounds for color in colors.series]
    return [shades[i % len(shades)] for i in range(n)]


def _mixed(color: str, other: str, share: float) -> str:
    """A colour moved towards another one, both as "#rrggbb"."""
    parts = [[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in (color, other)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*parts, strict=True))


def _title(ax: Any, text: str, colors: _Colors, n: int = 1) -> None:
    # Above several series there is a legend below the title.
    pad = 11 + 15 * _legend_rows(ax) if n > 1 else 9
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
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles,
            [_cut(label, _LONGEST) for label in labels],
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=_legend_columns(ax),
            frameon=False,
            labelcolor=colors.ink,
            fontsize=9,
            handlelength=1.1,
            handleheight=0.9,
            columnspacing=1.4,
            borderaxespad=0.2,
        )


_LONGEST = 44  # letters of a name in a legend


def _legend_columns(ax: Any) -> int:
    """How many names stand side by side in the width of the axes: a letter takes about 5 points, what is around 30."""
    widths = [30 + 5 * min(len(label), _LONGEST) for label in ax.get_legend_handles_labels()[1]]
    room = ax.get_window_extent().width * 72 / ax.figure.dpi
    return len(widths) if sum(widths) <= room else max(1, int(room // max(widths)))


def _legend_rows(ax: Any) -> int:
    return -(-len(ax.get_legend_handles_labels()[1]) // max(1, _legend_columns(ax)))
