"""Items similar to one item, or to several together."""

import numpy as np
from numpy.typing import NDArray

from fastrec.models import Recommender
from fastrec.online.journal import Id
from fastrec.online.snapshot import Snapshot
from fastrec.retrieval import TopK

# The number of nearest items of each that are added up, if several are given.
NEAREST = 1000


def find_similar(snapshot: Snapshot, items: list[Id], k: int, within: NDArray[np.bool_] | None = None) -> TopK:
    """Finds the `k` items most similar to some items, without these, and without hidden or removed ones.

    For one item it is `similar_items`. For several, the similarities are added up over the 1000 nearest of each item,
    or more if fewer than `k` would be left.

    Parameters
    ----------
    snapshot
        The snapshot that answers.
    items
        Ids that the model knows.
    k
        The number of items.
    within
        Only the items of this mask, of shape (n_items,).

    Returns
    -------
    TopK
        A TopK of one row.

    Raises
    ------
    ValueError
        If an id is unknown, or the model needs users to compare items, and keeps none.

    Examples
    --------
    >>> from fastrec.models import Popularity
    >>> snapshot = Snapshot(Popularity().fit([[1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 0]]))
    >>> find_similar(snapshot, [0], 2).codes, find_similar(snapshot, [0, 2], 2).codes
    (array([[1, 3]], dtype=int32), array([[1, 3]], dtype=int32))
    """
    model, only = snapshot.model, snapshot.shown_within(within)
    items = list(dict.fromkeys(items))
    length = k if len(items) == 1 else max(k, NEAREST)
    while True:
        found, scores = _add_up(model, items, min(length, model.n_features_in_), only)
        if len(found) >= k or length >= model.n_features_in_:
            break
        length *= 4
    codes, values = np.full((1, k), -1, np.int32), np.full((1, k), -np.inf, np.float32)
    codes[0, : len(found)], values[0, : len(found)] = found[:k], scores[:k]
    return TopK(codes, values, item_vocabulary=model.items_, item_info=model.item_info_)


def _add_up(
    model: Recommender, items: list[Id], length: int, only: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns the items on the lists of nearest items, the best first, and their sums."""
    top = model.similar_items(items, length)
    sums = np.zeros(model.n_features_in_)
    listed = np.zeros(model.n_features_in_, bool)
    for codes, scores, valid in zip(top.codes, top.scores, top.valid, strict=True):
        sums[codes[valid]] += scores[valid]
        listed[codes[valid]] = True
    listed[model.item_vocabulary.match(items)] = False
    found = np.flatnonzero(listed if only is None else listed & only)
    found = found[np.argsort(-sums[found], kind="stable")]
    return found, sums[found]
