"""Metrics of whole lists: diversity, calibration, serendipity."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fastrec.matrix.cells import cell_keys, cell_numbers
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, keep_entries
from fastrec.metrics.inputs import Values, check_codes, check_ranking, check_truth, divide_where
from fastrec.metrics.measuring import measure_checked
from fastrec.metrics.naming import Metric
from fastrec.validation import check_size


def diversity(ranking: Any, item_features: Any, k: int | None = None) -> Values:
    r"""The mean over pairs of listed items of 1 − cosine of their feature vectors.

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
    listed = _mark_listed(check_ranking(ranking), features.shape[0], k)
    # Over unit vectors, the cosines of all pairs sum to half of |sum|² less their number.
    sums = listed @ features
    squares = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
    lengths = np.asarray(features.multiply(features).sum(axis=1)).ravel()
    m = np.diff(listed.indptr).astype(np.float64)
    cosines = divide_where(squares - listed @ lengths, m * (m - 1), m > 1)
    return np.clip(1.0 - cosines, 0.0, 2.0)


def calibration(ranking: Any, history: Any, item_features: Any, k: int | None = None) -> Values:
    r"""The distance of the lists' mix of features (genres) from that of the users' histories; 0 is the same mix.

    .. math:: \sum_g p(g) \log \frac{p(g)}{(1 - \alpha) q(g) + \alpha p(g)}, \quad \alpha = 0.01

    p is the mix of features in the history (by its values) and q the mix in the list; each item's features are scaled
    to sum 1. The Kullback-Leibler divergence in nats, at most about 4.6.

    Parameters
    ----------
    ranking
        Item codes, integers of shape (n_users, width), -1 for an empty place; or a `TopK`.
    history
        The users' items: `Interactions`, a sparse or a dense matrix of shape (n_users, n_items).
    item_features
        Weights of at least 0, dense or sparse, of shape (n_items, n_features).
    k
        Places that count; None for all.

    Returns
    -------
    ndarray
        float64 of shape (n_users,), NaN where the history or the list has no features.

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
    listed = _mark_listed(check_ranking(ranking), features.shape[0], k)
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
        The ranking that anybody would have made for the same users, such as that of `Popularity`.

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
    check_codes(foreseen, relevant.shape[1])
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


def _mark_listed(codes: NDArray[np.int32], n_items: int, k: int | None) -> sp.csr_array:
    """Returns a matrix users × items, 1 where an item is among the first k places."""
    k = max(codes.shape[1], 1) if k is None else check_size("k", k)
    check_codes(codes, n_items)
    row, place = np.nonzero(codes[:, :k] >= 0)
    listed = sp.coo_array((np.ones(len(row)), (row, codes[row, place])), shape=(len(codes), n_items)).tocsr()
    listed.data[:] = 1.0
    return listed


def _mix(weights: sp.csr_array, features: sp.csr_array) -> Values:
    total = np.asarray((sp.csr_array(weights).astype(np.float64) @ features).todense())
    sizes = total.sum(axis=1, keepdims=True)
    mix: Values = np.divide(total, sizes, out=np.zeros_like(total), where=sizes > 0)
    return mix
