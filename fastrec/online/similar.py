"""Items like one item, or like several together."""

import numpy as np
from numpy.typing import NDArray

from fastrec.models import Recommender
from fastrec.online.journal import Id
from fastrec.online.snapshot import Snapshot
from fastrec.retrieval import TopK

# So many of the items nearest to each are added up, where several are given.
NEAREST = 1000


def find_similar(snapshot: Snapshot, items: list[Id], k: int, within: NDArray[np.bool_] | None = None) -> TopK:
    """The `k` items most like some items, these left out, and what is hidden or removed.

    Of one item it is `similar_items`. Of several the similarities are added up: of each item its 1000 nearest count,
    more where fewer than `k` would be left.

    Parameters
    ----------
    snapshot
        Who is asked.
    items
        Ids that the model knows.
    k
        How many.
    within
        Only the items of this mask, of shape (n_items,).

    Returns
    -------
    TopK
        Of one row.

    Raises
    ------
    ValueError
        If an id is unknown, or the model could tell by its users alone, and keeps none.

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
    """The items on the lists of the nearest of each, the best first, and their sums."""
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
