"""Metrics over all lists together: the share of the catalogue in them, and its evenness."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.metrics.inputs import check_codes, check_ranking
from fastrec.validation import check_size


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
    r"""The inequality of recommendations over the catalogue: 0 for all items alike, near 1 for always the same.

    With :math:`c_{(1)} \le \ldots \le c_{(n)}` the times that each of n items is recommended within the first k:

    .. math:: \frac{\sum_{i} (2i - n - 1)\, c_{(i)}}{n \sum_i c_{(i)}}

    NaN if nothing is recommended. Parameters as in `coverage`.

    Examples
    --------
    >>> import numpy as np
    >>> gini(np.array([[0], [1]]), n_items=2), gini(np.array([[0], [0]]), n_items=2)
    (0.0, 0.5)
    """
    return gini_of(count_listed(check_ranking(ranking), n_items, k))


def count_listed(codes: NDArray[np.int32], n_items: int, k: int | None = None) -> NDArray[np.int64]:
    """Counts the lists that hold each item in the first k places, int64 of shape (n_items,)."""
    n_items = check_size("n_items", n_items)
    check_codes(codes, n_items)
    listed = np.sort(codes if k is None else codes[:, : check_size("k", k)], axis=1)
    counted = listed >= 0
    counted[:, 1:] &= listed[:, 1:] != listed[:, :-1]  # an item repeated in a list counts once
    return np.bincount(listed[counted], minlength=n_items).astype(np.int64, copy=False)


def coverage_of(counts: NDArray[np.int64]) -> float:
    """Computes `coverage` from the number of times that each item is recommended."""
    return float(np.count_nonzero(counts) / len(counts))


def gini_of(counts: NDArray[np.int64]) -> float:
    """Computes `gini` from the number of times that each item is recommended."""
    n, total = len(counts), int(counts.sum())
    if total == 0:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(counts).astype(np.float64) / (n * total))


CATALOGUE: dict[str, Callable[[NDArray[np.int64]], float]] = {"coverage": coverage_of, "gini": gini_of}
