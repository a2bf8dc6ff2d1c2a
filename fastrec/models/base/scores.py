"""Scores of a model for some users, in the three forms in which models return them."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fastrec.matrix.arrays import Codes, Floats
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.item_filter import ItemFilter
from fastrec.retrieval import ExactIndex
from fastrec.retrieval.select import select_topk

Search: TypeAlias = Callable[[Audience, int, ItemFilter], tuple[Codes, Floats]]
ScorePairs: TypeAlias = Callable[[Audience, Rows, Codes], Floats]


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
        return select_topk(self.dense, k, exclude=wanted.excluded_of(len(self.dense)), allow=wanted.allow)

    def at(self, codes: Codes) -> Floats:
        """See `Scores.at`."""
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
        top = self.index.search(self.vectors, k, wanted.excluded_of(len(self.vectors)), allow=wanted.allow)
        return top.codes, top.scores

    def at(self, codes: Codes) -> Floats:
        """See `Scores.at`."""
        scores = np.empty(codes.shape, np.float32)
        for row, some in enumerate(codes):  # in float64, rounded once, as the index does
            wide = self.item_factors[some].astype(np.float64)
            scores[row] = np.einsum("ij,j->i", wide, self.vectors[row].astype(np.float64))
        return scores


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
