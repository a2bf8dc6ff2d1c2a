"""Scores of a model for some users, in the three forms in which models return them."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.item_filter import ItemFilter
from fastrec.retrieval import ExactIndex
from fastrec.retrieval.exact import score_pairs
from fastrec.retrieval.select import select_one, select_topk

Search: TypeAlias = Callable[[Audience, int, ItemFilter], tuple[Codes, Floats]]
ScorePairs: TypeAlias = Callable[[Audience, Rows, Codes], Floats]


def in_rows(found: tuple[Codes, Floats]) -> tuple[Codes, Floats]:
    """The codes and scores of one user as matrices of one row."""
    return found[0][None], found[1][None]


def scores_of_pairs(dense: Floats, rows: Rows, items: Codes) -> Floats:
    """The scores of pairs, of shape (p,), from those of all items, of shape (n, n_items)."""
    found: Floats = dense[0].take(items) if len(dense) == 1 else dense[rows, items]
    return found


class DenseScores:
    """The scores of all items.

    Parameters
    ----------
    dense
        The scores, of shape (n, n_items).
    """

    def __init__(self, dense: Floats) -> None:
        self.dense = dense

    def best(self, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        """See `Scores.best`."""
        if len(self.dense) == 1 and wanted.is_of_one():
            return in_rows(select_one(self.dense[0], k, wanted.closed_codes(), wanted.open_mask(self.dense.shape[1])))
        return select_topk(self.dense, k, exclude=wanted.excluded_of(len(self.dense)), allow=wanted.allow)

    def at(self, codes: Codes) -> Floats:
        """See `Scores.at`."""
        if len(codes) == 1:
            return self.dense[:, codes[0]]
        return np.take_along_axis(self.dense, codes.astype(np.int64), axis=1)


class VectorScores:
    """Inner products of vectors.

    Parameters
    ----------
    vectors
        The vectors of the users, of shape (n, factors).
    item_factors
        The vectors of the items, of shape (n_items, factors).
    index
        The index of the items' factors.
    """

    def __init__(self, vectors: Floats, item_factors: Floats, index: ExactIndex) -> None:
        self.vectors, self.item_factors, self.index = vectors, item_factors, index

    def best(self, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        """See `Scores.best`."""
        if len(self.vectors) == 1 and wanted.is_of_one():
            mask = wanted.open_mask(len(self.item_factors))
            return in_rows(self.index.search_one(readonly(self.vectors[0]), k, wanted.closed_codes(), mask))
        top = self.index.search(self.vectors, k, wanted.excluded_of(len(self.vectors)), allow=wanted.allow)
        return top.codes, top.scores

    def at(self, codes: Codes) -> Floats:
        """See `Scores.at`."""
        rows = np.repeat(np.arange(len(codes)), codes.shape[1])
        return score_pairs(self.vectors, rows, self.item_factors, codes.reshape(-1)).reshape(codes.shape)


class SearchedScores:
    """Scores that are computed as they are needed, for a model with neither dense scores nor plain vectors.

    Parameters
    ----------
    search, score_pairs
        The model's own functions: of an audience, a number and a filter; and of an audience and pairs.
    audience
        The users.
    """

    def __init__(self, search: Search, score_pairs: ScorePairs, audience: Audience) -> None:
        self.search, self.score_pairs, self.audience = search, score_pairs, audience

    def best(self, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        """See `Scores.best`."""
        return self.search(self.audience, k, wanted)

    def at(self, codes: Codes) -> Floats:
        """See `Scores.at`."""
        rows = np.repeat(np.arange(len(codes)), codes.shape[1])
        return self.score_pairs(self.audience, rows, codes.reshape(-1)).reshape(codes.shape)
