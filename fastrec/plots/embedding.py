"""A map of items."""

import importlib
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastrec.data.ids import as_numbers
from fastrec.plots.style import Colors, Theme, add_legend, make_axes, set_title, shorten
from fastrec.plots.titles import titles_of
from fastrec.validation import check_choice, check_integer


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
    """Plots a model's items in the plane: items recommended to the same users are near each other.

    Parameters
    ----------
    model
        A fitted model with `item_factors_`, or an array of vectors of shape (n_items, factors).
    ax
        The matplotlib axes to draw on; None for a new figure.
    color_by
        The name of a column of the model's `item_info` (of labels between "|", the first counts), or a label per item:
        the five most frequent are coloured. None: by popularity, if the model knows it.
    label
        Items (ids, or codes for a model fitted on a matrix) whose titles are shown.
    n
        The maximum number of items, the most popular ones.
    method
        "pca": the two principal axes of the vectors' directions; "umap": with umap-learn, if it is installed.
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
    ax, colors = make_axes(ax, theme, (6.4, 5.2))
    points = _plane(vectors[shown], method)
    groups = _group_items(model, color_by, shown, len(vectors))
    if groups is None:
        sizes = 6 + 60 * np.sqrt(counts[shown] / max(counts.max(), 1))
        ax.scatter(*points.T, s=sizes, color=colors.series[0], alpha=0.45, linewidths=0)
    else:
        _scatter_groups(ax, points, groups, colors)
    _name_points(ax, points[np.searchsorted(shown, wanted)], titles_of(model, wanted), colors)
    ax.set(xticks=[], yticks=[])
    ax.spines["bottom"].set_visible(False)
    ax.set_aspect("equal", adjustable="datalim")
    set_title(ax, f"{len(shown):,} items by their factors ({method.upper()})", colors, 2 if groups is not None else 1)
    return ax


def _vectors_of(model: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(getattr(model, "item_factors_", model), np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"embedding_map needs a fitted model with item_factors_, or an array of vectors, got {type(model).__name__}"
        ) from None


def _plane(vectors: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Points of shape (n, 2) for vectors, from their directions alone."""
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
    # An eigenvector's sign is arbitrary: the longer tail points right and up.
    return points * np.where((points**3).sum(axis=0) < 0, -1.0, 1.0)


def _group_items(model: Any, color_by: Any, shown: NDArray[np.int64], n_items: int) -> list[str] | None:
    """The group of each shown item, or None if they are not grouped."""
    if color_by is None:
        return None
    labels = color_by
    if isinstance(color_by, str):
        info = getattr(model, "item_info_", None) or {}
        if color_by not in info:
            known = ", ".join(map(repr, info)) or "none"
            raise ValueError(
                f"color_by names {color_by!r}, which is not a column of the model's item_info; there are {known}"
            )
        labels = info[color_by]
    if len(labels) != n_items:
        raise ValueError(f"color_by must have one label for each of {n_items} items, got {len(labels)}")
    return [str(labels[code]).partition("|")[0] for code in shown.tolist()]


def _scatter_groups(ax: Any, points: NDArray[np.float64], groups: list[str], colors: Colors) -> None:
    names, sizes = np.unique(groups, return_counts=True)
    largest = names[np.argsort(-sizes, kind="stable")][: len(colors.series)].tolist()
    labels = np.array(groups)
    rest = ~np.isin(labels, largest)
    ax.scatter(*points[rest].T, s=10, color=colors.muted, alpha=0.22, linewidths=0)
    for name, color in zip(largest, colors.series, strict=False):
        ax.scatter(*points[labels == name].T, s=16, color=color, alpha=0.7, linewidths=0, label=name)
    add_legend(ax, colors, max(len(largest), 2))


def _name_points(ax: Any, points: NDArray[np.float64], titles: Sequence[str], colors: Colors) -> None:
    from matplotlib.patheffects import withStroke

    around = [withStroke(linewidth=2.5, foreground=colors.paper)]
    heights = _apart(points[:, 1], 0.04 * np.ptp(ax.get_ylim()))
    reach = 0.02 * np.ptp(ax.get_xlim())
    for point, height, title in zip(points, heights, titles, strict=True):
        ax.scatter(*point, s=26, facecolors=colors.ink, edgecolors=colors.paper, linewidths=0.8, zorder=4)
        ax.annotate(
            shorten(title, 34),
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
    """Moves heights up where they are closer than the gap, in the same order."""
    moved = heights.copy()
    order = np.argsort(heights, kind="stable")
    for below, above in itertools.pairwise(order.tolist()):
        moved[above] = max(moved[above], moved[below] + gap)
    return moved


def _codes_of(model: Any, items: Sequence[Any]) -> NDArray[np.int64]:
    vocabulary = getattr(model, "items_", None)
    return np.asarray(as_numbers(items, "items") if vocabulary is None else vocabulary.encode(items), np.int64)
