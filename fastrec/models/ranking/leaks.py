"""Facts and labels that leak the future to a ranker, and the warnings about them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.models.ranking.automatic import is_of_numbers
from fastrec.models.ranking.facts import read_numbers
from fastrec.notices import warn_caller
from fastrec.preprocessing import split_last

LIKE_COUNTS = 0.9  # the rank correlation of a column with the popularity of items that is reported
FEWEST = 20  # the fewest items for which such a correlation is reported


class LeakWarning(UserWarning):
    """A warning about labels or facts that leak the future to a ranker: on real future events it does worse."""


def check_aggregates(name: str, columns: object) -> None:
    """Raises a TypeError that names the option, unless it is a sequence of names of columns."""
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not all(isinstance(c, str) for c in columns):
        raise TypeError(f"{name} must be a sequence of names of columns of item_info, got {columns!r}")


def warn_of_split_last(validation: Any) -> None:
    """Warns if the labels are each user's last events, whatever their time."""
    function = validation.func if isinstance(validation, functools.partial) else validation
    if function is split_last:
        warn_caller(
            "TwoStage.validation is split_last, which hides each user's last events whenever they "
            "were: members and counts then know later events of others, as they never do in use. "
            "Take RollingTime, which cuts in time",
            LeakWarning,
        )


def warn_of_totals(item_info: Mapping[str, NDArray[Any]], counts: NDArray[np.int64]) -> None:
    """Warns of columns that follow the total popularity of items: present totals, such as numbers of ratings."""
    for column, values in item_info.items():
        if is_of_numbers(values) and _follows(read_numbers(values), counts):
            warn_caller(
                f"item_info[{column!r}] follows how often items are taken, as a present total does: "
                "it leaks later events to each window. Name it in "
                f"TwoStage(aggregates=[{column!r}]) to leave it out",
                LeakWarning,
            )


def _follows(values: NDArray[np.float64], counts: NDArray[np.int64]) -> bool:
    there = ~np.isnan(values)
    if np.count_nonzero(there) < FEWEST or len(np.unique(counts[there])) < 2 or len(np.unique(values[there])) < 2:
        return False
    return bool(np.corrcoef(_mean_ranks(values[there]), _mean_ranks(counts[there]))[0, 1] >= LIKE_COUNTS)


def _mean_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing their mean: as `scipy.stats.rankdata`, whose import is slow in a worker.

    >>> _mean_ranks(np.array([5, 1, 5]))
    array([2.5, 1. , 2.5])
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place])
