"""Metrics that average a weight of the listed items: novelty, popularity, the long tail."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.matrix.arrays import readonly
from fastrec.metrics.inputs import Values, check_codes, check_counts, check_ranking
from fastrec.metrics.tally import cut_pieces, no_listers
from fastrec.parallel import run_pieces
from fastrec.validation import check_size


def novelty(ranking: Any, item_counts: ArrayLike, n_users: int, k: int | None = None) -> Values:
    r"""The mean self-information of what is listed, in bits: :math:`-\log_2(\text{count}_i / \text{n\_users})`.

    An item that every user has counts 0, one that a single user of 1024 has counts 10. An item without events counts as
    one with a single event, so that the value stays finite.

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
    return _weigh("novelty", ranking, item_counts, n_users, k)


def average_popularity(ranking: Any, item_counts: ArrayLike, k: int | None = None) -> Values:
    r"""The mean number of training events of the listed items.

    Parameters and result as in `novelty`.

    Examples
    --------
    >>> import numpy as np
    >>> average_popularity(np.array([[0, 1], [1, -1]]), item_counts=[8, 2])
    array([5., 2.])
    """
    return _weigh("average_popularity", ranking, item_counts, 1, k)


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
    return _weigh("tail_share", ranking, item_counts, 1, k)


def _weigh(name: str, ranking: Any, item_counts: ArrayLike, n_users: int, k: int | None) -> Values:
    codes = check_ranking(ranking)
    counts = check_counts(item_counts)
    n_users = check_size("n_users", n_users)
    if name == "novelty" and counts.size and counts.max() > n_users:
        raise ValueError(f"item_counts must be at most n_users = {n_users}, got {counts.max():g}")
    k = max(codes.shape[1], 1) if k is None else check_size("k", k)
    means: Values = mean_weights(codes, WEIGHTED[name](counts, n_users), [k])[0]
    return means


def mean_weights(
    codes: NDArray[np.int32], weights: Values, cutoffs: Sequence[int], *, n_jobs: int | None = 1
) -> Values:
    """Returns the mean weight of the items listed within each of the ascending cut-offs, (m, n); NaN for an empty
    list.
    """
    from fastrec.kernels.metrics import average_weights  # Numba is imported when it is first needed

    check_codes(codes, len(weights))
    means = np.empty((len(cutoffs), len(codes)))
    arrays = [readonly(array) for array in (codes, weights, np.asarray(cutoffs, dtype=np.int64))]

    def run(piece: tuple[int, int]) -> None:
        average_weights(piece[0], piece[1], no_listers(len(weights)), means, *arrays)

    run_pieces(run, *cut_pieces(codes, n_jobs))
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
