"""The activity of users: its amount, the popularity of their items, and the time since."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.cells import count_codes
from fastrec.models.ranking.feature import Feature, pad_rows
from fastrec.models.ranking.pairs import Column, Known, Numbers, Pairs, mean_of_histories


class Activity(Feature):
    """The number of a user's items, their mean log count, and the item's own relative to it; with times also the idle
    time.

    Idle is the time since the user's last event, as log(1 + its share of the span of all events, in thousandths). It is
    known for users of the training data, and NaN for folded-in histories.
    """

    _by_item = ("popularity_",)
    _by_user = ("idle_",)

    popularity_: NDArray[np.float64]
    idle_: NDArray[np.float64]

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        self.names_ = ["user: log count", "user: mean log count of items", "item: log count less the user's mean"]
        self.popularity_ = _popularity(known)
        self.idle_ = np.full(known.matrix.shape[0], np.nan)
        if known.events is not None and known.events.times is not None and known.events.n_interactions:
            self.names_.append("user: idle")
            times = known.events.times
            last = np.full(known.matrix.shape[0], np.iinfo(np.int64).min)
            np.maximum.at(last, known.events.user_codes, times)
            met = last > np.iinfo(np.int64).min
            span = max(1, int(times.max()) - int(times.min()))
            self.idle_[met] = np.log1p(1000 * (int(times.max()) - last[met]) / span)
        return self

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        lengths = np.log1p(np.diff(pairs.histories.indptr))
        means = mean_of_histories(pairs.histories, self.popularity_)
        columns = [lengths[pairs.rows], means[pairs.rows], self.popularity_[pairs.items] - means[pairs.rows]]
        if len(self.names_) > len(columns):
            columns.append(self._idle_of(pairs)[pairs.rows])
        return columns

    def _idle_of(self, pairs: Pairs) -> Numbers:
        if pairs.users is None or not len(self.idle_):  # unknown users, or a stripped model
            return np.full(pairs.histories.shape[0], np.nan)
        return np.where(pairs.users >= 0, self.idle_[pairs.users], np.nan)

    def update(self, known: Known) -> Self:
        """See `Feature.update`: the counts are those of the new data."""
        self.popularity_ = _popularity(known)
        self.idle_ = pad_rows(self.idle_, known.matrix.shape[0])
        return self


def _popularity(known: Known) -> Numbers:
    counts: Numbers = np.log1p(count_codes(known.matrix.indices, known.matrix.shape[1]))
    return counts
