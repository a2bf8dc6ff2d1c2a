"""Numbers among the facts about items, and their distance from those of a user's items."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.models.ranking.feature import Feature
from fastrec.models.ranking.pairs import Column, Known, Numbers, Pairs, mean_of_histories
from fastrec.options import Options, Other


def check_column(name: str, column: object) -> None:
    """Raises a TypeError that names the option, unless it is the name of a column."""
    if not isinstance(column, str):
        raise TypeError(f"{name} must be the name of a column of item_info, got {column!r}")


class Facts(Feature):
    """A number of `item_info`, such as a year or a price, and its difference to the mean of the user's items.

    Parameters
    ----------
    column : str
        The name of the column: numbers, dates, or texts of numbers. Other values are missing; if most are no numbers,
        `fit` raises a ValueError.
    """

    _options: ClassVar[Options] = {"column": Other("str", check_column)}
    _by_item = ("numbers_",)

    numbers_: NDArray[np.float64]

    def __init__(self, column: str) -> None:
        self.column = column

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        values = column_of(known.item_info, self.column, "Facts")
        self.numbers_ = read_numbers(values)
        if 2 * np.count_nonzero(~np.isnan(self.numbers_)) < count_known(values):
            raise ValueError(
                f"Facts takes numbers, but most of item_info[{self.column!r}] are none: take "
                f"Affinity({self.column!r}) for few categories, CategoryCounts({self.column!r}) for many"
            )
        self.names_ = [self.column, f"{self.column} less the user's mean"]
        return self

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        own = self.numbers_[pairs.items]
        return [own, own - mean_of_histories(pairs.histories, self.numbers_)[pairs.rows]]


def column_of(item_info: Mapping[str, NDArray[Any]], column: str, feature: str) -> NDArray[Any]:
    """A column of the facts about items; a ValueError lists the columns if there is no such one."""
    if column not in item_info:
        there = ", ".join(map(repr, item_info)) or "none"
        raise ValueError(f"{feature} needs the column {column!r} of item_info; there is {there}")
    return item_info[column]


def read_numbers(values: NDArray[Any]) -> Numbers:
    """Reads numbers, dates (in days) and texts of numbers as float64; all other values are NaN.

    >>> read_numbers(np.array(["1995", "about 1980", None], object))
    array([1995.,   nan,   nan])
    """
    if values.dtype.kind == "M":
        days = values.astype("datetime64[s]").astype(np.int64) / 86400
        return np.where(np.isnat(values), np.nan, days)
    if values.dtype.kind in "biuf":
        found = values.astype(np.float64)
        return np.where(np.isfinite(found), found, np.nan)
    return np.array([_number(value) for value in values.tolist()], np.float64)


def count_known(values: NDArray[Any]) -> int:
    """Counts the values that are neither missing nor blank.

    >>> count_known(np.array(["drama", " ", None, np.nan], object))
    1
    """
    if values.dtype.kind in "biuf":
        return int(np.count_nonzero(np.isfinite(values)))
    if values.dtype.kind == "M":
        return int(np.count_nonzero(~np.isnat(values)))
    return sum(value is not None and value == value and str(value).strip() != "" for value in values.tolist())


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return np.nan
    return number if np.isfinite(number) else np.nan
