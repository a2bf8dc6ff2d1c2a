"""Groups of items, by popularity or by a label."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.code_matrix import CodeMatrix


class ItemGroups(NamedTuple):
    """The number of each item's group, and the names of the groups."""

    of_item: NDArray[np.int64]
    names: list[str]


def group_items(by: Any, trained: CodeMatrix, item_info: Any, n_items: int) -> ItemGroups:
    """Returns the groups of `n_items` items; items beyond the training data's have no events there."""
    if isinstance(by, str) and by == "popularity":
        return group_by_popularity(np.bincount(trained.indices, minlength=n_items))
    labels: Any = by
    if isinstance(by, str):
        info = item_info or {}
        if by not in info:
            columns = ", ".join(map(repr, info)) or "none"
            raise ValueError(f"item_groups must be 'popularity', a column of item_info (there are {columns}) or labels")
        labels = info[by]
    labels = np.asarray(labels)
    known = trained.shape[1]
    if labels.shape != (known,):
        raise ValueError(f"item_groups must have one label for each of {known} items, got shape {labels.shape}")
    texts = [str(label) for label in labels.tolist()] + ["unknown to the model"] * (n_items - known)
    names, of_item = np.unique(np.array(texts, dtype=object), return_inverse=True)
    return ItemGroups(of_item, names.tolist())


def group_by_popularity(counts: NDArray[Any]) -> ItemGroups:
    """Makes groups that hold the upper, middle and lower third of the events, and one of items without events."""
    order = np.argsort(-counts, kind="stable")
    # An item belongs to the group in which the middle of its events lies, so that no item is in two groups.
    before = np.cumsum(counts[order]) - counts[order] / 2
    third = np.minimum((3 * before / max(counts.sum(), 1)).astype(np.int64), 2)
    of_item = np.full(len(counts), 3)
    of_item[order] = np.where(counts[order] > 0, third, 3)
    texts = ("most popular", "middle", "long tail", "no training event")
    sizes = np.bincount(of_item, minlength=4)
    met = np.flatnonzero(sizes)
    names = [f"{texts[g]} ({sizes[g]:,} item{'' if sizes[g] == 1 else 's'})" for g in met]
    return ItemGroups(np.searchsorted(met, of_item), names)
