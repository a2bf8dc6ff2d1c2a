r"""How good rankings and predictions are: pure functions over arrays, one value per user.

Notation. For a user, :math:`T` is the set of relevant items (the *truth*) and :math:`i_1, i_2, \ldots` the ranking.
:math:`\mathrm{rel}_r` is 1 where :math:`i_r \in T`, else 0, and :math:`h_k = \sum_{r \le k} \mathrm{rel}_r` the hits
among the first k.

The rules, the same for all ranking metrics:

- The truth is a matrix (users × items), as `Interactions` or any sparse or dense array. An item is relevant where its
  value is above zero; a stored zero or a negative value (a dislike) is not relevant.
- **Empty truth**: the metric has no meaning, the user's value is NaN and is left out of means (`numpy.nanmean`).
- **Short lists**: a ranking with fewer than k items (its rest is -1) is scored as it stands. Empty places are misses:
  `precision` divides by k all the same, and nothing can be gained by recommending less.
- **Repeated items** count once, in their first place: no metric can exceed 1.
- **Cold users** are users like others here: what was recommended to them is scored. Who is left out is for the caller,
  or for `fastrec.evaluate`, to decide and to state.

`k=None` stands for the full width of the ranking. `measure` computes several metrics at several k in one pass.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from fastrec.matrix.arrays import readonly
from fastrec.matrix.cells import cell_keys, cell_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix, keep_entries
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.validation import check_choice, check_size

__all__ = [
    "auc",
    "average_popularity",
    "average_precision",
    "average_precision_capped",
    "calibration",
    "coverage",
    "diversity",
    "f1",
    "gini",
    "graded_ndcg",
    "hit_rate",
    "mae",
    "measure",
    "ndcg",
    "novelty",
    "precision",
    "r_precision",
    "recall",
    "recall_capped",
    "reciprocal_rank",
    "rmse",
    "serendipity",
    "tail_share",
]

Values = NDArray[np.float64]


# --- several metrics from one pass -----------------------------------------------------------------------------------


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
        Only for `auc`: how many items could have been listed, per user or for all; by default all items.
    n_jobs
        Threads; the result does not depend on it.

    Returns
    -------
    dict
        For each name float64 values of shape (n_users,), NaN for users without relevant items.

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


class Metric(NamedTuple):
    """What the user wrote, the function's name, the cut-off (0: none), and whether it is over sampled candidates."""

    label: str
    name: str
    k: int
    sampled: bool = False


def parse_metric(label: str) -> Metric:
    """The metric that a name like "ndcg@10", "rmse" or "biased_sampled_ndcg@10" stands for.

    >>> parse_metric("map@5")
    Metric(label='map@5', name='average_precision', k=5, sampled=False)
    >>> parse_metric("ndcg")
    Traceback (most recent call last):
    ...
    ValueError: metric 'ndcg' needs a cut-off, as in 'ndcg@10'
    """
    if not isinstance(label, str):
        raise TypeError(f"a metric is named by a string like 'ndcg@10', got {label!r}")
    written, at, k = label.partition("@")
    name = written.removeprefix(SAMPLED)
    sampled, name = name != written, ALIASES.get(name, name)
    if name in PAIRS and not sampled:
        if at:
            raise ValueError(f"metric {label!r} is over pairs and has no cut-off: write {name!r}")
        return Metric(label, name, 0)
    if not any(name in kind for kind in ((RANKING,) if sampled else (RANKING, CATALOGUE, WEIGHTED, WHOLE_LISTS))):
        known = sorted([*RANKING, *CATALOGUE, *WEIGHTED, *WHOLE_LISTS, *ALIASES])
        raise ValueError(
            f"unknown metric {label!r}; known are {', '.join(known)}, each with a cut-off, as in 'ndcg@10', and "
            f"{' and '.join(PAIRS)}"
        )
    if not at:
        raise ValueError(f"metric {label!r} needs a cut-off, as in '{label}@10'")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", k):
        raise ValueError(f"the cut-off of metric {label!r} must be an integer of at least 1, with at most 9 digits")
    return Metric(label, name, int(k), sampled)


def largest_value(name: str) -> float:
    """The largest value that a metric can have; its smallest is 0.

    >>> largest_value("ndcg"), largest_value("novelty")
    (1.0, inf)
    """
    return _LARGEST.get(name, np.inf)


def measure_checked(
    codes: NDArray[np.int32],
    truth: sp.csr_array,
    wanted: Sequence[Metric],
    n_candidates: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> dict[str, Values]:
    """`measure` for arrays as `check_ranking` and `check_truth` give them."""
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


def tally_hits(
    codes: NDArray[np.int32],
    truth: sp.csr_array,
    cutoffs: Sequence[int],
    *,
    graded: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """What all ranking metrics at these cut-offs are made of: the `Tally` of one pass, checked arrays given."""
    from fastrec.kernels.metrics import Tally, tally_rankings  # Numba is imported when it is first needed

    n, n_items = truth.shape
    if len(codes) != n:
        raise ValueError(f"ranking and truth must have one row per user, got {len(codes)} and {n} rows")
    _check_codes(codes, n_items)
    grades = truth.data.astype(np.float64) if graded else np.ones(truth.nnz)
    best = _sorted_in_rows(grades, truth.indptr) if graded else grades
    ks = np.asarray(cutoffs, dtype=np.int64)
    longest = int(max(codes.shape[1], np.diff(truth.indptr).max(initial=0)))
    tally = Tally(np.zeros(n, dtype=np.int64), *np.zeros((len(Tally._fields) - 1, len(ks), n)))
    rows = [readonly(array) for array in (codes, truth.indptr, truth.indices, grades, best)]
    places = [readonly(ks), readonly(discounts(longest))]

    def run(piece: tuple[int, int]) -> None:
        tally_rankings(piece[0], piece[1], np.zeros(n_items), _no_listers(n_items), tally, *rows, *places)

    run_pieces(run, *_pieces(codes, n_jobs))
    return tally


def _no_listers(n_items: int) -> NDArray[np.int64]:
    return np.full(n_items, -1, np.int64)


def _pieces(codes: NDArray[np.int32], n_jobs: int | None) -> tuple[list[tuple[int, int]], int]:
    jobs = effective_jobs(n_jobs)
    # A pass over a few thousand places is quicker than a thread is started.
    jobs = jobs if codes.size > 100_000 else 1
    cuts = balanced_cuts(np.ones(len(codes)), jobs).tolist()
    return list(itertools.pairwise(cuts)), jobs


def discounts(length: int) -> Values:
    r"""The discounts :math:`1 / \log_2(r + 1)` of the places r = 1 … length.

    >>> discounts(3).round(3)
    array([1.   , 0.631, 0.5  ])
    """
    return 1.0 / np.log2(np.arange(2, length + 2))


def _sorted_in_rows(values: Values, indptr: NDArray[Any]) -> Values:
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return values[np.lexsort((-values, rows))]


# --- what is handed in -----------------------------------------------------------------------------------------------


def check_ranking(ranking: Any) -> NDArray[np.int32]:
    """The codes of a `TopK` or an integer array (n, width) as int32; a TypeError or ValueError otherwise."""
    try:
        codes = np.asarray(getattr(ranking, "codes", ranking))
    except ValueError:
        raise ValueError("ranking must have as many places in each row: fill short lists with -1") from None
    if codes.ndim != 2:
        raise ValueError(f"ranking must be two-dimensional (users × places), got {codes.ndim} dimensions")
    if codes.dtype.kind not in "iu":
        raise TypeError(f"ranking must hold integer item codes, got {codes.dtype}")
    if codes.size and (codes.min() < -1 or codes.max() > np.iinfo(np.int32).max):
        row, column = np.argwhere((codes < -1) | (codes > np.iinfo(np.int32).max))[0]
        raise ValueError(f"ranking has the code {codes[row, column]} at row {row}, column {column}")
    return np.ascontiguousarray(codes, dtype=np.int32)


def check_truth(truth: Any, duplicates: Literal["sum", "last"] = "sum") -> CodeMatrix:
    """The relevant items, those with a value above zero, as a csr_array (float32, int32 indices, int64 indptr)."""
    matrix = check_matrix(truth, name="truth", negative="accept", duplicates=duplicates)
    relevant = matrix.data > 0
    return matrix if relevant.all() else keep_entries(matrix, relevant)


def _check_codes(codes: NDArray[np.int32], n_items: int) -> None:
    if codes.size and codes.max() >= n_items:
        row, column = np.argwhere(codes >= n_items)[0]
        raise ValueError(
            f"ranking has the code {codes[row, column]} at row {row}, column {column}, beyond the {n_items} items"
        )


# --- ranking metrics: formulas over the tally ------------------------------------------------------------------------


def _ratio(above: NDArray[Any], below: NDArray[Any], valid: NDArray[np.bool_]) -> Values:
    result: Values = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=result, where=valid)
    return result


def _recall(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.hits[j], t.relevant, t.relevant > 0)


def _recall_capped(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.hits[j], np.minimum(t.relevant, k), t.relevant > 0)


def _precision(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.hits[j], np.full(len(t.relevant), k), t.relevant > 0)


def _f1(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(2 * t.hits[j], t.relevant + k, t.relevant > 0)


def _hit_rate(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.hits[j] > 0, np.ones(len(t.relevant)), t.relevant > 0)


def _ndcg(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    length = int(min(k, t.relevant.max(initial=0)))
    ideal = np.concatenate([[0.0], np.cumsum(discounts(length))])
    return _ratio(t.dcg[j], ideal[np.minimum(t.relevant, length)], t.relevant > 0)


def _graded_ndcg(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.gain[j], t.ideal_gain[j], t.relevant > 0)


def _average_precision(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.precisions[j], t.relevant, t.relevant > 0)


def _average_precision_capped(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.precisions[j], np.minimum(t.relevant, k), t.relevant > 0)


def _reciprocal_rank(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    found: Values = _ratio(np.ones(len(t.relevant)), t.first[j], t.first[j] > 0)
    return np.where((t.first[j] == 0) & (t.relevant > 0), 0.0, found)


def _r_precision(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    return _ratio(t.r_hits[j], t.relevant, t.relevant > 0)


def _auc(t: Any, j: int, k: int, candidates: NDArray[np.int64]) -> Values:
    negatives = candidates - t.relevant
    if np.any(negatives - t.misses[j] < 0):
        row = int(np.flatnonzero(negatives - t.misses[j] < 0)[0])
        raise ValueError(f"n_candidates is smaller than the relevant and listed items of row {row}")
    unlisted = t.relevant - t.hits[j]
    # Pairs in the wrong order count one; what is not listed is tied, and its pairs count a half.
    wrong = t.misses_above[j] + unlisted * (t.misses[j] + (negatives - t.misses[j]) / 2)
    pairs = t.relevant * negatives
    return 1.0 - _ratio(wrong, pairs, pairs > 0)


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
# The largest values of other metrics than these have no bound.
_LARGEST = dict.fromkeys((*RANKING, "serendipity", "tail_share", "coverage", "gini"), 1.0) | {"diversity": 2.0}
WHOLE_LISTS = ("diversity", "calibration", "serendipity")
SAMPLED = "biased_sampled_"
"""Before the name of a ranking metric: among a few candidates drawn at random, as `fastrec.evaluate` explains."""
ALIASES = {"map": "average_precision", "mrr": "reciprocal_rank", "hr": "hit_rate"}


def _single(
    name: str,
    ranking: Any,
    truth: sp.csr_array,
    k: int | None,
    n_candidates: ArrayLike | None = None,
    n_jobs: int | None = 1,
) -> Values:
    codes = check_ranking(ranking)
    k = max(codes.shape[1], 1) if k is None else check_size("k", k)
    return measure_checked(codes, truth, [Metric(name, name, k)], n_candidates, n_jobs)[name]


def recall(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The share of the relevant items that the first k places hold: :math:`h_k / |T|`.

    With more than k relevant items it cannot reach 1; `recall_capped` can.

    Parameters
    ----------
    ranking
        Item codes, integers of shape (n_users, width), -1 for an empty place; or a `TopK`.
    truth
        Relevant items, a matrix of shape (n_users, n_items); or `Interactions`.
    k
        Places that count; None for all.

    Returns
    -------
    ndarray
        float64 of shape (n_users,), NaN for users without relevant items.

    Raises
    ------
    ValueError
        For k below 1, codes beyond the catalogue, or a different number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> recall(np.array([[2, 0, 1]]), np.array([[1, 0, 1, 1]]), k=2)
    array([0.66666667])
    """
    return _single("recall", ranking, check_truth(truth), k)


def recall_capped(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The hits as a share of those that k places can hold: :math:`h_k / \min(k, |T|)` (Liang et al. 2018).

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> recall_capped(np.array([[2, 0, 1]]), np.array([[1, 0, 1, 1]]), k=2)
    array([1.])
    """
    return _single("recall_capped", ranking, check_truth(truth), k)


def precision(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The share of the first k places that hold a relevant item: :math:`h_k / k`, for short lists too.

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> precision(np.array([[2, -1, -1, -1]]), np.array([[1, 0, 1, 1]]))
    array([0.25])
    """
    return _single("precision", ranking, check_truth(truth), k)


def f1(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The harmonic mean of `precision` and `recall`: :math:`2 h_k / (k + |T|)`.

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> f1(np.array([[2, 0]]), np.array([[1, 0, 1, 1]]))
    array([0.8])
    """
    return _single("f1", ranking, check_truth(truth), k)


def hit_rate(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""1 where the first k places hold a relevant item, else 0: :math:`[h_k > 0]`.

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> hit_rate(np.array([[2, 0], [1, 0]]), np.array([[1, 0, 0], [0, 0, 1]]))
    array([1., 0.])
    """
    return _single("hit_rate", ranking, check_truth(truth), k)


def ndcg(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The binary normalized discounted cumulative gain.

    .. math:: \sum_{r=1}^{k} \frac{\mathrm{rel}_r}{\log_2(r + 1)} \Big/
              \sum_{r=1}^{\min(k, |T|)} \frac{1}{\log_2(r + 1)}

    Values above zero are relevant, all alike; `graded_ndcg` weighs them. Parameters, result and errors as in `recall`.

    References
    ----------
    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 2002.

    Examples
    --------
    >>> import numpy as np
    >>> ndcg(np.array([[1, 2]]), np.array([[0, 0, 1]])).round(4)
    array([0.6309])
    """
    return _single("ndcg", ranking, check_truth(truth), k)


def graded_ndcg(ranking: Any, truth: Any, k: int | None = None, *, gain: str = "linear") -> Values:
    r"""The normalized discounted cumulative gain with the truth's values as grades.

    .. math:: \sum_{r=1}^{k} \frac{g(i_r)}{\log_2(r + 1)} \Big/ \text{the largest such sum over all rankings}

    g is the value itself (``gain="linear"``, as scikit-learn's `ndcg_score` and trec_eval have it) or
    :math:`2^{\text{value}} - 1` (``gain="exponential"``, Burges et al. 2005), and 0 for items that are not relevant.
    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> graded_ndcg(np.array([[0, 1]]), np.array([[1.0, 3.0]])).round(4)
    array([0.7967])
    """
    check_choice("gain", gain, ("linear", "exponential"))
    relevant = check_truth(truth)
    if gain == "exponential":
        powers = relevant.data.astype(np.float64)
        if powers.size and powers.max() > 500:
            raise ValueError(f"gain='exponential' needs grades of at most 500, got {powers.max():g}")
        relevant = assemble_csr(np.exp2(powers) - 1.0, relevant.indices, relevant.indptr, relevant.shape)
    return _single("graded_ndcg", ranking, relevant, k)


def average_precision(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The mean, over the relevant items, of the precision at their place; 0 where not listed (over users: MAP).

    .. math:: \frac{1}{|T|} \sum_{r=1}^{k} \mathrm{rel}_r \frac{h_r}{r}

    As trec_eval has it. With more than k relevant items it cannot reach 1; `average_precision_capped` can.
    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> average_precision(np.array([[1, 2, 0]]), np.array([[1, 0, 1]])).round(4)
    array([0.5833])
    """
    return _single("average_precision", ranking, check_truth(truth), k)


def average_precision_capped(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""`average_precision` as a share of what k places allow: divided by :math:`\min(k, |T|)` in place of |T|.

    Kaggle's MAP@k. Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> average_precision_capped(np.array([[0, 1]]), np.array([[1, 0, 1]]), k=1)
    array([1.])
    """
    return _single("average_precision_capped", ranking, check_truth(truth), k)


def reciprocal_rank(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""One over the place of the first relevant item, 0 without one among the first k (the mean over users is MRR).

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> reciprocal_rank(np.array([[1, 2, 0]]), np.array([[1, 0, 1]]))
    array([0.5])
    """
    return _single("reciprocal_rank", ranking, check_truth(truth), k)


def r_precision(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The precision at as many places as there are relevant items: :math:`h_{\min(k, |T|)} / |T|`.

    Relevant items beyond the k-th place count as missed. Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> r_precision(np.array([[1, 2, 0]]), np.array([[1, 0, 1]]))
    array([0.5])
    """
    return _single("r_precision", ranking, check_truth(truth), k)


def auc(ranking: Any, truth: Any, k: int | None = None, *, n_candidates: ArrayLike | None = None) -> Values:
    r"""The probability that a relevant item stands above an irrelevant one, ties counted a half.

    With N candidates, :math:`a_r` irrelevant items above place r, and :math:`m_k` irrelevant items in the first k:

    .. math:: 1 - \frac{\sum_{r \le k} \mathrm{rel}_r a_r + (|T| - h_k) (m_k + (N - |T| - m_k) / 2)}{|T| (N - |T|)}

    Items beyond the first k are tied below the list (the "limited" AUC of Schröder et al. 2011); with a complete
    ranking it is the area under the ROC curve. NaN too where all candidates are relevant.

    Parameters
    ----------
    ranking, truth, k
        As in `recall`.
    n_candidates
        Items that could have been listed: an integer, or integers of shape (n_users,). By default all items; leave out
        what was never a candidate, for one the items seen in training.

    Returns
    -------
    ndarray
        float64 of shape (n_users,).

    Examples
    --------
    >>> import numpy as np
    >>> auc(np.array([[1, 2, 0]]), np.array([[1, 0, 1]]))
    array([0.])
    >>> auc(np.array([[0, -1]]), np.array([[1, 0, 1]]))
    array([0.75])
    """
    return _single("auc", ranking, check_truth(truth), k, n_candidates)


# --- beyond accuracy -------------------------------------------------------------------------------------------------


def coverage(ranking: Any, n_items: int, k: int | None = None) -> float:
    r"""The share of the catalogue that is recommended to anyone within the first k places.

    Parameters
    ----------
    ranking
        Item codes, integers of shape (n_users, width), -1 for an empty place; or a `TopK`.
    n_items
        Items in the catalogue.
    k
        Places that count; None for all.

    Examples
    --------
    >>> import numpy as np
    >>> coverage(np.array([[0, 1], [0, 2]]), n_items=4, k=1)
    0.25
    """
    return coverage_of(count_listed(check_ranking(ranking), n_items, k))


def gini(ranking: Any, n_items: int, k: int | None = None) -> float:
    r"""How unevenly recommendations fall on the catalogue: 0 for all items alike, near 1 for always the same.

    With :math:`c_{(1)} \le \ldots \le c_{(n)}` the times that each of n items is recommended within the first k:

    .. math:: \frac{\sum_{i} (2i - n - 1)\, c_{(i)}}{n \sum_i c_{(i)}}

    NaN where nothing is recommended. Parameters as in `coverage`.

    Examples
    --------
    >>> import numpy as np
    >>> gini(np.array([[0], [1]]), n_items=2), gini(np.array([[0], [0]]), n_items=2)
    (0.0, 0.5)
    """
    return gini_of(count_listed(check_ranking(ranking), n_items, k))


def novelty(ranking: Any, item_counts: ArrayLike, n_users: int, k: int | None = None) -> Values:
    r"""The mean self-information of what is listed, in bits: :math:`-\log_2(\text{count}_i / \text{n\_users})`.

    Recommending what every user has is worth 0, what one of 1024 has, 10. An item without any event is counted as one
    with a single event, so that the value stays finite.

    Parameters
    ----------
    ranking
        Item codes, integers of shape (n_users, width), -1 for an empty place; or a `TopK`.
    item_counts
        Users of each item in training, shape (n_items,).
    n_users
        Users in training.
    k
        Places that count; None for all.

    Returns
    -------
    ndarray
        float64 of shape (n_users,), NaN for an empty list.

    References
    ----------
    Zhou et al., Solving the apparent diversity-accuracy dilemma of recommender systems, PNAS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> novelty(np.array([[0, 1]]), item_counts=[8, 2], n_users=8)
    array([1.])
    """
    return _weighted("novelty", ranking, item_counts, n_users, k)


def average_popularity(ranking: Any, item_counts: ArrayLike, k: int | None = None) -> Values:
    r"""The mean number of training events of the listed items.

    Parameters and result as in `novelty`.

    Examples
    --------
    >>> import numpy as np
    >>> average_popularity(np.array([[0, 1], [1, -1]]), item_counts=[8, 2])
    array([5., 2.])
    """
    return _weighted("average_popularity", ranking, item_counts, 1, k)


def tail_share(ranking: Any, item_counts: ArrayLike, k: int | None = None) -> Values:
    r"""The share of the listed items that belong to the long tail.

    The tail is the least popular items that together have at most 20 % of all training events (Abdollahpouri et al.
    2019), ties by code. Parameters and result as in `novelty`.

    Examples
    --------
    >>> import numpy as np
    >>> tail_share(np.array([[0, 1], [2, 1]]), item_counts=[80, 10, 10])
    array([0.5, 1. ])
    """
    return _weighted("tail_share", ranking, item_counts, 1, k)


def _weighted(name: str, ranking: Any, item_counts: ArrayLike, n_users: int, k: int | None) -> Values:
    codes = check_ranking(ranking)
    counts = _check_counts(item_counts)
    n_users = check_size("n_users", n_users)
    if name == "novelty" and counts.size and counts.max() > n_users:
        raise ValueError(f"item_counts must be at most n_users = {n_users}, got {counts.max():g}")
    k = max(codes.shape[1], 1) if k is None else check_size("k", k)
    means: Values = mean_weights(codes, WEIGHTED[name](counts, n_users), [k])[0]
    return means


def _check_counts(item_counts: ArrayLike) -> Values:
    counts = np.asarray(item_counts, dtype=np.float64)
    if counts.ndim != 1:
        raise ValueError(f"item_counts must be one-dimensional, got {counts.ndim} dimensions")
    if not np.isfinite(counts).all() or (counts.size and counts.min() < 0):
        raise ValueError("item_counts must be finite and not negative")
    return counts


def mean_weights(
    codes: NDArray[np.int32], weights: Values, cutoffs: Sequence[int], *, n_jobs: int | None = 1
) -> Values:
    """The mean weight of the items listed within each of the ascending cut-offs, (m, n); NaN for an empty list."""
    from fastrec.kernels.metrics import average_weights  # Numba is imported when it is first needed

    _check_codes(codes, len(weights))
    means = np.empty((len(cutoffs), len(codes)))
    arrays = [readonly(array) for array in (codes, weights, np.asarray(cutoffs, dtype=np.int64))]

    def run(piece: tuple[int, int]) -> None:
        average_weights(piece[0], piece[1], _no_listers(len(weights)), means, *arrays)

    run_pieces(run, *_pieces(codes, n_jobs))
    return means


def _self_information(counts: Values, n_users: int) -> Values:
    shares: Values = np.maximum(counts, 1.0) / n_users
    information: Values = -np.log2(shares)
    return information


def _in_tail(counts: Values, n_users: int) -> Values:
    order = np.argsort(counts, kind="stable")
    tail = np.zeros(len(counts))
    tail[order[np.cumsum(counts[order]) <= 0.2 * counts.sum() * (1 + 1e-12)]] = 1.0
    return tail


WEIGHTED: dict[str, Callable[[Values, int], Values]] = {
    "novelty": _self_information,
    "average_popularity": lambda counts, n_users: counts,
    "tail_share": _in_tail,
}


def count_listed(codes: NDArray[np.int32], n_items: int, k: int | None = None) -> NDArray[np.int64]:
    """How often each item stands in the first k places of the rankings, int64 of shape (n_items,)."""
    n_items = check_size("n_items", n_items)
    _check_codes(codes, n_items)
    listed = np.sort(codes if k is None else codes[:, : check_size("k", k)], axis=1)
    counted = listed >= 0
    counted[:, 1:] &= listed[:, 1:] != listed[:, :-1]  # an item repeated in a list counts once
    return np.bincount(listed[counted], minlength=n_items).astype(np.int64, copy=False)


def coverage_of(counts: NDArray[np.int64]) -> float:
    """`coverage` from the times that each item is recommended."""
    return float(np.count_nonzero(counts) / len(counts))


def gini_of(counts: NDArray[np.int64]) -> float:
    """`gini` from the times that each item is recommended."""
    n, total = len(counts), int(counts.sum())
    if total == 0:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(counts).astype(np.float64) / (n * total))


CATALOGUE: dict[str, Callable[[NDArray[np.int64]], float]] = {"coverage": coverage_of, "gini": gini_of}


# --- lists as wholes: diversity, calibration, serendipity ------------------------------------------------------------


def diversity(ranking: Any, item_features: Any, k: int | None = None) -> Values:
    r"""How unlike each other the listed items are: the mean over pairs of 1 − cosine of their feature vectors.

    .. math:: \frac{2}{m (m - 1)} \sum_{r < s \le k} \Big(1 - \frac{f_r \cdot f_s}{\|f_r\| \|f_s\|}\Big)

    with m listed items. An item without features (a zero vector) is like no other.

    Parameters
    ----------
    ranking
        Item codes, integers of shape (n_users, width), -1 for an empty place; or a `TopK`.
    item_features
        Vectors of the items, dense or sparse, of shape (n_items, n_features): genres, text, or a model's factors.
    k
        Places that count; None for all.

    Returns
    -------
    ndarray
        float64 of shape (n_users,), NaN for lists of fewer than two items.

    References
    ----------
    Smyth and McClave, Similarity vs. diversity, ICCBR 2001.

    Examples
    --------
    >>> import numpy as np
    >>> genres = np.array([[1, 0], [1, 0], [0, 1]])
    >>> diversity(np.array([[0, 1], [0, 2]]), genres)
    array([0., 1.])
    """
    features = _unit_features(item_features)
    listed = _listed(check_ranking(ranking), features.shape[0], k)
    # Over unit vectors, the cosines of all pairs sum to half of |sum|² less their number.
    sums = listed @ features
    squares = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
    lengths = np.asarray(features.multiply(features).sum(axis=1)).ravel()
    m = np.diff(listed.indptr).astype(np.float64)
    cosines = _ratio(squares - listed @ lengths, m * (m - 1), m > 1)
    return np.clip(1.0 - cosines, 0.0, 2.0)


def calibration(ranking: Any, history: Any, item_features: Any, k: int | None = None) -> Values:
    r"""How far the lists' mix of features (genres) is from that of the users' histories; 0 is the same mix.

    .. math:: \sum_g p(g) \log \frac{p(g)}{(1 - \alpha) q(g) + \alpha p(g)}, \quad \alpha = 0.01

    p is the mix in the history (by its values), q that in the list, each item's features made to sum to 1. The
    Kullback-Leibler divergence in nats, at most about 4.6.

    Parameters
    ----------
    ranking
        Item codes, integers of shape (n_users, width), -1 for an empty place; or a `TopK`.
    history
        What the users have had: `Interactions`, a sparse or a dense matrix of shape (n_users, n_items).
    item_features
        Weights of at least 0, dense or sparse, of shape (n_items, n_features).
    k
        Places that count; None for all.

    Returns
    -------
    ndarray
        float64 of shape (n_users,), NaN where history or list have no features.

    References
    ----------
    Steck, Calibrated recommendations, RecSys 2018.

    Examples
    --------
    >>> import numpy as np
    >>> genres, history = np.array([[1, 0], [0, 1], [1, 0]]), np.array([[1, 1, 0], [1, 0, 0]])
    >>> calibration(np.array([[0, 1], [2, -1]]), history, genres).round(4)
    array([0., 0.])
    """
    features = _unit_features(item_features, shares=True)
    had = check_matrix(history, name="history")
    listed = _listed(check_ranking(ranking), features.shape[0], k)
    if had.shape != listed.shape:
        raise ValueError(f"history must have the shape {listed.shape} (users × items), got {had.shape}")
    p, q = _mix(had, features), _mix(listed, features)
    blurred = 0.99 * q + 0.01 * p
    ratio = np.divide(p, blurred, out=np.ones_like(p), where=p > 0)
    divergence = np.maximum((p * np.log(ratio)).sum(axis=1), 0.0)
    return np.where((p.sum(axis=1) > 0) & (q.sum(axis=1) > 0), divergence, np.nan)


def serendipity(ranking: Any, truth: Any, expected: Any, k: int | None = None) -> Values:
    r"""The share of the first k places with a relevant item that was not to be expected.

    .. math:: \frac{1}{k} \, |\{i_1, \ldots, i_k\} \cap T \setminus \{e_1, \ldots, e_k\}|

    Parameters
    ----------
    ranking, truth, k
        As in `recall`.
    expected
        The ranking of what everybody would have recommended, as by `Popularity`, with the same users.

    Returns
    -------
    ndarray
        float64 of shape (n_users,), NaN for users without relevant items.

    References
    ----------
    Ge, Delgado-Battenfeld and Jannach, Beyond accuracy, RecSys 2010.

    Examples
    --------
    >>> import numpy as np
    >>> serendipity(np.array([[0, 2]]), np.array([[1, 0, 1]]), expected=np.array([[0, 1]]))
    array([0.5])
    """
    codes, foreseen, relevant = check_ranking(ranking), check_ranking(expected), check_truth(truth)
    k = max(codes.shape[1], 1) if k is None else check_size("k", k)
    if len(foreseen) != len(codes):
        raise ValueError(f"ranking and expected must have one row per user, got {len(codes)} and {len(foreseen)} rows")
    _check_codes(foreseen, relevant.shape[1])
    place = [Metric("precision", "precision", k)]
    everything = measure_checked(codes, relevant, place)["precision"]
    surprising = measure_checked(codes, _without_listed(relevant, foreseen[:, :k]), place)["precision"]
    return np.where(np.isnan(everything), np.nan, np.nan_to_num(surprising))


def _without_listed(truth: CodeMatrix, listed: NDArray[np.int32]) -> CodeMatrix:
    row, place = np.nonzero(listed >= 0)
    cells = cell_keys(row, listed[row, place], truth.shape[1])
    return keep_entries(truth, ~np.isin(cell_numbers(truth), cells))


def _unit_features(item_features: Any, *, shares: bool = False) -> sp.csr_array:
    """Feature vectors of length 1, or (`shares`) weights that sum to 1, as a float64 csr_array; zero rows stay zero."""
    features = sp.csr_array(
        check_matrix(item_features, name="item_features", negative="refuse" if shares else "accept")
    )
    features = features.astype(np.float64)
    weights = features if shares else features.multiply(features)
    sizes = np.asarray(weights.sum(axis=1)).ravel()
    sizes = sizes if shares else np.sqrt(sizes)
    scale = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return sp.csr_array(sp.dia_array((scale[None, :], [0]), shape=(len(scale), len(scale))) @ features)


def _listed(codes: NDArray[np.int32], n_items: int, k: int | None) -> sp.csr_array:
    """Users × items, 1 where an item is among the first k places."""
    k = max(codes.shape[1], 1) if k is None else check_size("k", k)
    _check_codes(codes, n_items)
    row, place = np.nonzero(codes[:, :k] >= 0)
    listed = sp.coo_array((np.ones(len(row)), (row, codes[row, place])), shape=(len(codes), n_items)).tocsr()
    listed.data[:] = 1.0
    return listed


def _mix(weights: sp.csr_array, features: sp.csr_array) -> Values:
    total = np.asarray((sp.csr_array(weights).astype(np.float64) @ features).todense())
    sizes = total.sum(axis=1, keepdims=True)
    mix: Values = np.divide(total, sizes, out=np.zeros_like(total), where=sizes > 0)
    return mix


# --- predicted values ------------------------------------------------------------------------------------------------


def rmse(values: ArrayLike, predictions: ArrayLike) -> float:
    r"""The root of the mean squared error of predicted values: :math:`\sqrt{\frac1n \sum (v - p)^2}`.

    Parameters
    ----------
    values, predictions
        Numbers of the same shape (n,).

    Raises
    ------
    ValueError
        For different shapes, no pairs at all, NaN or infinite numbers (a prediction that was not made is not skipped).

    Examples
    --------
    >>> rmse([1, 2], [1, 4])
    1.4142135623730951
    """
    errors = _errors(values, predictions)
    return float(np.sqrt(np.mean(errors * errors)))


def mae(values: ArrayLike, predictions: ArrayLike) -> float:
    r"""The mean absolute error of predicted values: :math:`\frac1n \sum |v - p|`.

    Parameters and errors as in `rmse`.

    Examples
    --------
    >>> mae([1, 2], [1, 4])
    1.0
    """
    return float(np.mean(np.abs(_errors(values, predictions))))


def _errors(values: ArrayLike, predictions: ArrayLike) -> Values:
    v, p = np.asarray(values, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if v.ndim != 1 or v.shape != p.shape:
        raise ValueError(
            f"values and predictions must be one-dimensional and alike, got shapes {v.shape} and {p.shape}"
        )
    if len(v) == 0:
        raise ValueError("values and predictions are empty: there is no error to average")
    for name, array in (("values", v), ("predictions", p)):
        if not np.isfinite(array).all():
            at = int(np.flatnonzero(~np.isfinite(array))[0])
            raise ValueError(f"{name} has {array[at]} at position {at}")
    return v - p


PAIRS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {"rmse": rmse, "mae": mae}
