"""Weights of members whose blended lists find the hidden items best: a hill climb from two starts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

CUT = 20  # the cut-off of the NDCG that chooses the weights
FACTORS = (0.0, 0.25, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 4.0)  # factors by which one weight changes while the others stay
ROUNDS = 8  # rounds over all weights, at most
NOTHING = -1e30  # the score of no candidate


class Judgement(NamedTuple):
    """The scores of m members for n users, about c candidates each.

    Parameters
    ----------
    said
        The comparable scores, float32, of shape (m, n, c).
    hits
        A mask of the candidates that are hidden items, of shape (n, c).
    ideal
        The number of hits in the best possible list of each user, of shape (n,).
    """

    said: NDArray[np.float32]
    hits: NDArray[np.bool_]
    ideal: NDArray[np.int64]


def find_weights(judged: Judgement) -> tuple[Scores, Scores]:
    """Finds the weights with the best NDCG on the hidden part, with sum 1; and the NDCG of each member and of the
    blend.

    Returns
    -------
    weights : ndarray of shape (m,)
        Equal ones if nothing was hidden.
    scores : ndarray of shape (m + 1,)
        NaN if nothing was hidden.
    """
    n = len(judged.said)
    if not len(judged.ideal):
        return np.full(n, 1 / n), np.full(n + 1, np.nan)

    def quality(weights: Scores) -> float:
        return ndcg_of_scores(
            np.einsum("m,mij->ij", weights.astype(np.float32), judged.said), judged.hits, judged.ideal
        )

    alone = [quality(weights) for weights in np.eye(n)]
    starts = [np.full(n, 1 / n), 0.02 + 0.98 * np.eye(n)[int(np.argmax(alone))]]
    best, weights = max(((quality(start), start) for start in starts), key=lambda found: found[0])
    for _ in range(ROUNDS):
        before = best
        for number in range(n):
            for factor in FACTORS:
                tried = weights.copy()
                tried[number] *= factor
                if tried.sum() > 0 and (found := quality(tried)) > best:
                    best, weights = found, tried / tried.sum()
        if best <= before:
            break
    if max(alone) > best:
        weights = np.eye(n)[int(np.argmax(alone))]
    weights = weights / weights.sum()
    return weights, np.array([*alone, quality(weights)])


def ndcg_of_scores(scores: NDArray[np.float32], hits: NDArray[np.bool_], ideal: NDArray[np.int64]) -> float:
    """The mean NDCG of the `CUT` best of each row; `ideal` is the number of possible hits."""
    cut = min(CUT, scores.shape[1])
    top = np.argpartition(-scores, cut - 1, axis=1)[:, :cut]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    found = np.take_along_axis(hits, np.take_along_axis(top, order, axis=1), axis=1)
    discounts = 1 / np.log2(np.arange(CUT) + 2)
    return float(np.mean(found @ discounts[:cut] / np.cumsum(discounts)[ideal - 1]))
