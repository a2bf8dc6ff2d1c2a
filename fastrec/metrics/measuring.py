"""Several metrics at several cut-offs from one pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from fastrec.metrics.formulas import RANKING
from fastrec.metrics.inputs import Values, check_ranking, check_truth
from fastrec.metrics.naming import Metric, parse_metric
from fastrec.metrics.tally import tally_hits
from fastrec.validation import check_size


def measure(
    ranking: Any,
    truth: Any,
    metrics: Sequence[str] | str = ("ndcg@10", "recall@20"),
    *,
    n_candidates: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> dict[str, Values]:
    """Several ranking metrics at several k, from one pass over the rankings.

    Parameters
    ----------
    ranking
        Item codes, best first: integers of shape (n_users, width), -1 for an empty place; or a `TopK`.
    truth
        The relevant items: `Interactions`, a sparse or a dense matrix of shape (n_users, n_items).
    metrics
        Names as ``"ndcg@10"``: a function of this module, ``@``, and k. ``map`` stands for `average_precision`, ``mrr``
        for `reciprocal_rank`, ``hr`` for `hit_rate`.
    n_candidates
        Used by `auc` alone: the number of items that could have been listed, per user or for all; by default all items.
    n_jobs
        Threads; the result does not depend on it.

    Returns
    -------
    dict
        float64 values of shape (n_users,) for each name, NaN for users without relevant items.

    Raises
    ------
    ValueError
        For an unknown metric, a code beyond the catalogue, or a ranking and a truth of different length.

    Examples
    --------
    >>> import numpy as np
    >>> ranking = np.array([[2, 0, 1], [1, 2, -1]])
    >>> truth = np.array([[1, 0, 1, 0], [1, 0, 0, 0]])
    >>> values = measure(ranking, truth, ["precision@1", "recall@3", "mrr@3"])
    >>> values["recall@3"]
    array([1., 0.])
    >>> float(values["mrr@3"].mean())
    0.5
    """
    codes = check_ranking(ranking)
    relevant = check_truth(truth)
    names = [metrics] if isinstance(metrics, str) else metrics
    return measure_checked(codes, relevant, [parse_metric(name) for name in names], n_candidates, n_jobs)


def measure_checked(
    codes: NDArray[np.int32],
    truth: sp.csr_array,
    wanted: Sequence[Metric],
    n_candidates: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> dict[str, Values]:
    """Computes `measure` for arrays from `check_ranking` and `check_truth`."""
    for metric in wanted:
        if metric.name not in RANKING:
            raise ValueError(
                f"{metric.label!r} is not a ranking metric with a truth; use fastrec.metrics.{metric.name}"
            )
        if metric.sampled:
            raise ValueError(f"{metric.label!r} ranks sampled candidates, which fastrec.evaluate draws")
    cutoffs = sorted({metric.k for metric in wanted})
    tally = tally_hits(codes, truth, cutoffs, graded=any(m.name == "graded_ndcg" for m in wanted), n_jobs=n_jobs)
    candidates = _check_candidates(n_candidates, truth)
    return {m.label: RANKING[m.name](tally, cutoffs.index(m.k), m.k, candidates) for m in wanted}


def _check_candidates(n_candidates: ArrayLike | None, truth: sp.csr_array) -> NDArray[np.int64]:
    candidates = np.asarray(truth.shape[1] if n_candidates is None else n_candidates)
    if candidates.dtype.kind not in "iu" or candidates.shape not in ((), (truth.shape[0],)):
        raise ValueError(
            f"n_candidates must be an integer, or an integer for each of {truth.shape[0]} users, got {n_candidates!r}"
        )
    return candidates.astype(np.int64)


def measure_one(
    name: str,
    ranking: Any,
    truth: sp.csr_array,
    k: int | None,
    n_candidates: ArrayLike | None = None,
    n_jobs: int | None = 1,
) -> Values:
    """Computes one ranking metric at one cut-off; None is the full width."""
    codes = check_ranking(ranking)
    k = max(codes.shape[1], 1) if k is None else check_size("k", k)
    return measure_checked(codes, truth, [Metric(name, name, k)], n_candidates, n_jobs)[name]
