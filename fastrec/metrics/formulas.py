"""Ranking metrics as formulas over a tally."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.metrics.inputs import Values, divide_where
from fastrec.metrics.tally import discounts


def _recall(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.hits[j], t.relevant, t.relevant > 0)


def _recall_capped(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.hits[j], np.minimum(t.relevant, k), t.relevant > 0)


def _precision(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.hits[j], np.full(len(t.relevant), k), t.relevant > 0)


def _f1(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(2 * t.hits[j], t.relevant + k, t.relevant > 0)


def _hit_rate(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.hits[j] > 0, np.ones(len(t.relevant)), t.relevant > 0)


def _ndcg(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    length = int(min(k, t.relevant.max(initial=0)))
    ideal = np.concatenate([[0.0], np.cumsum(discounts(length))])
    return divide_where(t.dcg[j], ideal[np.minimum(t.relevant, length)], t.relevant > 0)


def _graded_ndcg(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.gain[j], t.ideal_gain[j], t.relevant > 0)


def _average_precision(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.precisions[j], t.relevant, t.relevant > 0)


def _average_precision_capped(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.precisions[j], np.minimum(t.relevant, k), t.relevant > 0)


def _reciprocal_rank(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    found: Values = divide_where(np.ones(len(t.relevant)), t.first[j], t.first[j] > 0)
    return np.where((t.first[j] == 0) & (t.relevant > 0), 0.0, found)


def _r_precision(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return divide_where(t.r_hits[j], t.relevant, t.relevant > 0)


def _auc(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    negatives = candidates - t.relevant
    if np.any(negatives - t.misses[j] < 0):
        row = int(np.flatnonzero(negatives - t.misses[j] < 0)[0])
        raise ValueError(f"n_candidates is smaller than the relevant and listed items of row {row}")
    unlisted = t.relevant - t.hits[j]
    # A pair in the wrong order counts one; unlisted items are tied, and their pairs count a half.
    wrong = t.misses_above[j] + unlisted * (t.misses[j] + (negatives - t.misses[j]) / 2)
    pairs = t.relevant * negatives
    return 1.0 - divide_where(wrong, pairs, pairs > 0)


RANKING: dict[str, Callable[[Any, int, int, NDArray[np.int64]], Values]] = {
    "recall": _recall,
    "recall_capped": _recall_capped,
    "precision": _precision,
    "f1": _f1,
    "hit_rate": _hit_rate,
    "ndcg": _ndcg,
    "graded_ndcg": _graded_ndcg,
    "average_precision": _average_precision,
    "average_precision_capped": _average_precision_capped,
    "reciprocal_rank": _reciprocal_rank,
    "r_precision": _r_precision,
    "auc": _auc,
}
