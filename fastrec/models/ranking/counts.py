"""The counts of items: in all, lately, and the age."""

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.durations import check_duration, parse_duration
from fastrec.matrix.cells import count_codes
from fastrec.models.ranking.feature import Feature, pad_rows
from fastrec.models.ranking.pairs import Column, Known, Numbers, Pairs
from fastrec.options import Options, Other

LATEST = 0.1  # the share of events that count as late by default


class Counts(Feature):
    """The logarithm of an item's number of users; with times also its late users, the trend, and the item's age.

    The trend is log(the item's share in the late events / its share in all events). The age is that of its first event,
    in units of the span of all events.

    Parameters
    ----------
    window : float, str or None
        The span of late events: a number in the unit of the times, or a string such as "30d". None: the span of the
        latest tenth of all events.
    """

    _options: ClassVar[Options] = {"window": Other("float, str", check_duration, also=(None,))}
    _by_item = ("counts_",)

    counts_: NDArray[np.float64]

    def __init__(self, window: float | str | None = None) -> None:
        self.window = window

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        columns = [_log_counts(known)]
        self.names_ = ["item: log count"]
        if known.events is not None and known.events.n_interactions:
            columns += self._of_late(known.events, known.matrix.shape[1])
            self.names_ += ["item: log count of late", "item: trend", "item: age"]
        self.counts_ = np.column_stack(columns)
        return self

    def _of_late(self, events: Interactions, n_items: int) -> list[Numbers]:
        times, items = events.times, events.item_codes
        assert times is not None
        start = self._start(events)
        counts, late = count_codes(items, n_items), count_codes(items[times > start], n_items)
        trend = np.log((late + 1.0) / (late.sum() + n_items) * (counts.sum() + n_items) / (counts + 1.0))
        first = np.full(n_items, np.iinfo(np.int64).max)
        np.minimum.at(first, items, times)
        span = max(1, int(times.max()) - int(times.min()))
        age = np.where(counts > 0, (int(times.max()) - first) / span, np.nan)
        return [np.log1p(late), trend, age]

    def _start(self, events: Interactions) -> float:
        times = events.times
        assert times is not None
        if self.window is None:
            return float(np.quantile(times, 1 - LATEST))
        return float(times.max()) - parse_duration("Counts.window", self.window, events.time_unit)

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        return list(self.counts_[pairs.items].T)

    def update(self, known: Known) -> Self:
        """See `Feature.update`: the total count is that of the new data."""
        self.counts_ = pad_rows(self.counts_, known.matrix.shape[1])
        self.counts_[:, 0] = _log_counts(known)
        return self


def _log_counts(known: Known) -> Numbers:
    counts: Numbers = np.log1p(count_codes(known.matrix.indices, known.matrix.shape[1]))
    return counts
