"""Facts and labels that tell a ranker about the future, and the warnings of them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.models.ranking.automatic import is_of_numbers
from fastrec.models.ranking.facts import read_numbers
from fastrec.notices import warn_caller
from fastrec.preprocessing import split_last

LIKE_COUNTS = 0.9  # of the rank correlation of a column with how often items are taken
FEWEST = 20  # items that such a correlation is told of


class LeakWarning(UserWarning):
    """Labels or facts that tell a ranker what came later: on what really comes later it is worse for it."""


def check_aggregates(name: str, columns: object) -> None:
    """Raise a TypeError that names the option, unless it is a sequence of names of columns."""
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not all(isinstance(c, str) for c in columns):
        raise TypeError(f"{name} must be a sequence of names of columns of item_info, got {columns!r}")


def warn_of_split_last(validation: Any) -> None:
    """Warn where each user's last events are the labels, whenever these were."""
    function = validation.func if isinstance(validation, functools.partial) else validation
    if function is split_last:
        warn_caller(
            "TwoStage.validation is split_last, which hides each user's last events whenever they were: members and "
            "counts then know what others did later, as they never do in use. RollingTime cuts in time",
            LeakWarning,
        )


def warn_of_totals(item_info: Mapping[str, NDArray[Any]], counts: NDArray[np.int64]) -> None:
    """Warn of columns that follow how often items were taken in all: totals of today, such as numbers of ratings."""
    for column, values in item_info.items():
        if is_of_numbers(values) and _follows(read_numbers(values), counts):
            warn_caller(
                f"item_info[{column!r}] follows how often items are taken, as a total of today does: it tells of each "
                f"window what came after it. Name it in TwoStage(aggregates=[{column!r}]) to leave it out",
                LeakWarning,
            )


def _follows(values: NDArray[np.float64], counts: NDArray[np.int64]) -> bool:
    there = ~np.isnan(values)
    if np.count_nonzero(there) < FEWEST or len(np.unique(counts[there])) < 2 or len(np.unique(values[there])) < 2:
        return False
    return bool(np.corrcoef(_mean_ranks(values[there]), _mean_ranks(counts[there]))[0, 1] >= LIKE_COUNTS)


def _mean_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing their mean: as `scipy.stats.rankdata`, which is slow to import in a worker.

    >>> _mean_ranks(np.array([5, 1, 5]))
    array([2.5, 1. , 2.5])
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place])
