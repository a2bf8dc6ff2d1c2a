"""Scores of items that a model's own scores do not reach: popularity, below all of these."""

import numpy as np

from fastrec.matrix.arrays import Floats
from fastrec.models.base.derived import Key
from fastrec.models.base.learner import Learner

UNREACHED: Key[Floats] = Key("scores of unreached items")


def faint_popularity(model: Learner, highest: float) -> Floats:
    """The number of users of each item, scaled to `highest`, below a model's own scores, of shape (n_items,).

    Added to these, it fills the end of lists with popular items.

    >>> from fastrec.models import Popularity
    >>> faint_popularity(Popularity().fit([[1, 1], [0, 1]]), 1e-6)
    array([5.e-07, 1.e-06], dtype=float32)
    """

    def make() -> Floats:
        counts = model.told_counts()
        shares: Floats = (counts / max(1, counts.max(initial=0))).astype(np.float32)
        return shares * np.float32(highest)

    return model.derive(UNREACHED, make)
