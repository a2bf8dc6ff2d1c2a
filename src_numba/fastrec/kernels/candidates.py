"""Numbers of candidates for a ranker: their places in the lists of members, and sums over the histories of users."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel


class Categories(NamedTuple):
    """The categories of items, and how each is weighted."""

    starts: NDArray[np.int64]  # (n_items + 1,): where the categories of each item begin
    codes: NDArray[np.int32]  # the categories of all items
    scales: NDArray[np.float64]  # (n,): the factor of the user's items in each category


@kernel()
def divide_by_spans(lists: Any, scores: Any, relative: Any) -> None:
    """Divides the scores of each row by the range of its list; 0 if the range is 0.

    Parameters
    ----------
    lists
        float32, of shape (n, length): ascending, -inf for places without an item.
    scores, relative
        float64, of shape (n, c).
    """
    for row in range(len(lists)):
        first, length = 0, lists.shape[1]
        while first < length and lists[row, first] == -np.inf:
            first += 1
        span = np.float64(0)
        if first < length:
            span = np.float64(lists[row, length - 1]) - np.float64(lists[row, first])
        divisor = span if span > 0 else np.inf
        for place in range(scores.shape[1]):
            relative[row, place] = scores[row, place] / divisor


@kernel()
def count_above(lists: Any, scores: Any, above: Any) -> None:
    """Counts the numbers of each row's list that are greater than each score; NaN counts as the greatest.

    Parameters
    ----------
    lists
        float32, of shape (n, length): ascending.
    scores
        float64, of shape (n, c).
    above
        int64, of shape (n, c).
    """
    for row in range(len(lists)):
        for place in range(scores.shape[1]):
            score, low, high = scores[row, place], 0, lists.shape[1]
            # All numbers before `low` are at most the score, all from `high` on are greater.
            while low < high:
                middle = (low + high) // 2
                if lists[row, middle] > score:
                    high = middle
                else:
                    low = middle + 1
            above[row, place] = lists.shape[1] - low


@kernel()
def average_rows(indptr: Any, indices: Any, values: Any, means: Any) -> None:
    """Averages the values of each row's items, without NaN; NaN if there are none.

    Parameters
    ----------
    indptr, indices
        The items of each row: int64, of shape (n + 1,), and int32.
    values
        float64, of shape (n_items,).
    means
        float64, of shape (n,).
    """
    for row in range(len(means)):
        total, count = 0.0, 0
        for entry in range(indptr[row], indptr[row + 1]):
            value = values[indices[entry]]
            if value == value:
                total += value
                count += 1
        means[row] = total / count if count else np.nan


@kernel()
def count_categories(
    indptr: Any, indices: Any, categories: Categories, rows: Any, items: Any, counts: Any, had: Any, lifts: Any
) -> None:
    """Sums, over the categories of each pair's item, the number of the user's items in the category, and log1p of that
    number times the category's scale.

    Parameters
    ----------
    indptr, indices
        The items of each user: int64, of shape (n + 1,), and int32.
    rows, items
        The user and the item of each pair, int64 and int32, of shape (p,). Pairs of a user that follow one another are
        counted together.
    counts
        int64, zeros of shape (n_categories,): work space.
    had, lifts
        float64, of shape (p,).
    """
    counted = np.int64(-1)
    for pair in range(len(rows)):
        if rows[pair] != counted:
            if counted >= 0:
                add_items(indptr, indices, categories, counted, -1, counts)
            counted = rows[pair]
            add_items(indptr, indices, categories, counted, 1, counts)
        number, lift = 0.0, 0.0
        for place in range(categories.starts[items[pair]], categories.starts[items[pair] + 1]):
            code = categories.codes[place]
            number += counts[code]
            lift += math.log1p(counts[code] * categories.scales[code])
        had[pair], lifts[pair] = number, lift


@kernel(inner=True)
def add_items(indptr: Any, indices: Any, categories: Categories, row: Any, step: Any, counts: Any) -> None:
    """Adds a step to the count of each category of each of a user's items."""
    for entry in range(indptr[row], indptr[row + 1]):
        item = indices[entry]
        for place in range(categories.starts[item], categories.starts[item + 1]):
            counts[categories.codes[place]] += step
