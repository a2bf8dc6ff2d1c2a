"""Metrics of rankings against the relevant items, one value per user."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastrec.matrix.code_matrix import assemble_csr
from fastrec.metrics.inputs import Values, check_truth
from fastrec.metrics.measuring import measure_one
from fastrec.validation import check_choice


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
    return measure_one("recall", ranking, check_truth(truth), k)


def recall_capped(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The hits as a share of those that k places can hold: :math:`h_k / \min(k, |T|)` (Liang et al. 2018).

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> recall_capped(np.array([[2, 0, 1]]), np.array([[1, 0, 1, 1]]), k=2)
    array([1.])
    """
    return measure_one("recall_capped", ranking, check_truth(truth), k)


def precision(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The share of the first k places that hold a relevant item: :math:`h_k / k`, for short lists too.

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> precision(np.array([[2, -1, -1, -1]]), np.array([[1, 0, 1, 1]]))
    array([0.25])
    """
    return measure_one("precision", ranking, check_truth(truth), k)


def f1(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The harmonic mean of `precision` and `recall`: :math:`2 h_k / (k + |T|)`.

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> f1(np.array([[2, 0]]), np.array([[1, 0, 1, 1]]))
    array([0.8])
    """
    return measure_one("f1", ranking, check_truth(truth), k)


def hit_rate(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""1 where the first k places hold a relevant item, else 0: :math:`[h_k > 0]`.

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> hit_rate(np.array([[2, 0], [1, 0]]), np.array([[1, 0, 0], [0, 0, 1]]))
    array([1., 0.])
    """
    return measure_one("hit_rate", ranking, check_truth(truth), k)


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
    return measure_one("ndcg", ranking, check_truth(truth), k)


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
    return measure_one("graded_ndcg", ranking, relevant, k)


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
    return measure_one("average_precision", ranking, check_truth(truth), k)


def average_precision_capped(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""`average_precision` as a share of what k places allow: divided by :math:`\min(k, |T|)` in place of :math:`|T|`.

    Kaggle's MAP@k. Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> average_precision_capped(np.array([[0, 1]]), np.array([[1, 0, 1]]), k=1)
    array([1.])
    """
    return measure_one("average_precision_capped", ranking, check_truth(truth), k)


def reciprocal_rank(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""One over the place of the first relevant item, 0 without one among the first k (the mean over users is MRR).

    Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> reciprocal_rank(np.array([[1, 2, 0]]), np.array([[1, 0, 1]]))
    array([0.5])
    """
    return measure_one("reciprocal_rank", ranking, check_truth(truth), k)


def r_precision(ranking: Any, truth: Any, k: int | None = None) -> Values:
    r"""The precision at as many places as there are relevant items: :math:`h_{\min(k, |T|)} / |T|`.

    Relevant items beyond the k-th place count as missed. Parameters, result and errors as in `recall`.

    Examples
    --------
    >>> import numpy as np
    >>> r_precision(np.array([[1, 2, 0]]), np.array([[1, 0, 1]]))
    array([0.5])
    """
    return measure_one("r_precision", ranking, check_truth(truth), k)


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
        Items that could have been listed: an integer, or integers of shape (n_users,). By default all items; do not
        count items that were never candidates, such as those seen in training.

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
    return measure_one("auc", ranking, check_truth(truth), k, n_candidates)
