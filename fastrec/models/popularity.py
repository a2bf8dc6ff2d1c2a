"""Popularity: the same items for every user, the most popular ones."""

from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.durations import UNITS_PER_SECOND, check_duration, convert_times, parse_duration, time_between
from fastrec.fields import Array, Fields, Value
from fastrec.matrix.arrays import Codes
from fastrec.matrix.cells import added_entries, sum_by_code
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.updating import Change, Updating, coded_events
from fastrec.options import MIN_SUPPORT, Choice, Options, Other


class Popularity(Updating):
    """Ranks items by their number of users, or by the sum of their values: the baseline of every other model.

    Values are weights of positive feedback, which `weighting="value"` alone reads; negative ones are refused, zeros are
    no feedback.

    Parameters
    ----------
    weighting
        "count": each user of an item counts 1; "value": each user counts the value of the interaction.
    half_life
        A number in the data's time unit, or a string such as "30d" ("s", "min", "h", "d", "w", "y"). With times
        (Interactions), the weight of an event halves with each half-life that it lies before the last event. Each event
        counts, even repeated ones. With None all events count the same.
    min_support : int
        The minimum number of users of each recommended item, at least 1. The score of all other items is 0.

    Attributes
    ----------
    item_scores_ : ndarray of shape (n_items,)
        The popularity of each item, float32.
    decayed_sums_ : ndarray of shape (n_items,) or None
        With `half_life`, the same as float64, at the time `last_time_`.
    last_time_ : int, float or None
        With `half_life`, the time of the last event, in `time_unit_`.
    time_unit_ : str or None
        The unit of the times that the model was fitted with; later events in another one are converted.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.
    FloatingPointError
        In `fit`, if the values of an item sum up to more than float32 holds.

    Examples
    --------
    >>> model = Popularity().fit([[1, 1, 0], [0, 1, 1], [0, 1, 1]])
    >>> items, scores = model.recommend(0, k=1)
    >>> items, scores
    (array([[2]], dtype=int32), array([[2.]], dtype=float32))
    """

    needs_history: ClassVar[bool] = False
    _options: ClassVar[Options] = {
        "weighting": Choice(("count", "value")),
        "half_life": Other("float, str,", check_duration, also=(None,)),
        "min_support": MIN_SUPPORT,
    }
    _learned: ClassVar[Fields] = {
        "item_scores_": Array(("n_items",), least=0),
        "decayed_sums_": Array(("n_items",), "float64", least=0, optional=True),
        "last_time_": Value((int, float), optional=True),
        "time_unit_": Value(str, choices=tuple(UNITS_PER_SECOND), optional=True),
    }

    item_scores_: NDArray[np.float32]
    decayed_sums_: NDArray[np.float64] | None
    last_time_: float | None
    time_unit_: str | None

    def __init__(
        self,
        *,
        weighting: Literal["count", "value"] = "count",
        half_life: float | str | None = None,
        min_support: int = 1,
    ) -> None:
        self.weighting = weighting
        self.half_life = half_life
        self.min_support = min_support

    def fit(self, X: Any, y: Any = None) -> Self:
        """Counts the users of each item.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items). With
            `half_life`, Interactions with times.
        y
            Not used; accepted because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, events=X if isinstance(X, Interactions) else None)

    def _fit(self, matrix: CodeMatrix, events: Interactions | None = None) -> None:
        self.decayed_sums_ = self.last_time_ = self.time_unit_ = None
        if self.half_life is not None:
            self.time_unit_ = None if events is None else events.time_unit
            if events is not None:
                events.tell_far_times("Popularity")
            self._add_decayed(events, np.zeros(matrix.shape[1]))
        else:
            self._count(matrix)

    @property
    def needs_times(self) -> bool:
        """Tells whether updates need times. With a half-life, a refit needs the times of all events, an update only
        the new ones.
        """
        return self.half_life is not None

    def _update(self, change: Change) -> None:
        """Updates the counts exactly; with a half-life the old sums fade, and the new events are added."""
        if self.half_life is None:
            self._count(self._training)
            return
        assert self.decayed_sums_ is not None
        sums = np.concatenate([self.decayed_sums_, np.zeros(self.n_features_in_ - len(self.decayed_sums_))])
        if change.events is None and not added_entries(change.before, self._training).nnz:
            # Entries were removed: their times are unknown, so their share is left to fade.
            self._take_sums(sums)
            return
        self._add_decayed(change.events, sums)

    def _count(self, matrix: CodeMatrix) -> None:
        if self.weighting == "value":
            scores = sum_by_code(matrix.indices, matrix.data, matrix.shape[1])
        else:
            scores = self.item_counts_.astype(np.float64)
        self.item_scores_ = self._as_scores(scores)

    def _add_decayed(self, events: Interactions | None, sums: NDArray[np.float64]) -> None:
        """Adds events to sums that have faded since `last_time_`."""
        if events is None or events.times is None:
            raise ValueError(
                "Popularity with a half_life needs Interactions with times, in fit and in partial_fit, got data without"
            )
        if len(events.times):
            life = parse_half_life(self.half_life or 1, self.time_unit_)
            times = convert_times("Popularity", events.times, events.time_unit, self.time_unit_)
            last = times.max().item()
            if self.last_time_ is not None:
                last = max(last, self.last_time_)
                sums = sums * np.exp2(-(last - self.last_time_) / life)
            with np.errstate(over="ignore", under="ignore"):  # infinitely old events weigh nothing
                weights = np.exp2(-time_between(times, last) / life)
            if events.values is not None:
                if events.values.min(initial=0) < 0:
                    raise ValueError("Popularity takes no negative values, got an event with one: leave dislikes out")
                weights *= events.values if self.weighting == "value" else events.values != 0
            _, codes = coded_events(self, events)
            sums = sums + sum_by_code(codes, weights, self.n_features_in_)
            self.last_time_ = last
        self._take_sums(sums)

    def _take_sums(self, sums: NDArray[np.float64]) -> None:
        self.decayed_sums_, self.item_scores_ = sums, self._as_scores(sums)

    def _as_scores(self, sums: NDArray[np.float64]) -> NDArray[np.float32]:
        """The sums of the items that enough users have had."""
        if sums.max(initial=0) > np.finfo(np.float32).max:
            raise FloatingPointError("the sum of an item's values is too large for float32: take smaller values")
        told = sums if self.min_support == 1 else np.where(self.told_counts() > 0, sums, 0)
        return told.astype(np.float32)

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        if (self.half_life is None) != (self.decayed_sums_ is None):
            raise ValueError("decayed_sums_ must be given with a half_life, and must be None without")

    def _popularity(self) -> NDArray[np.float32]:
        return self.item_scores_  # unknown users are answered like all others

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> NDArray[np.float32]:
        return np.tile(self.item_scores_, (histories.shape[0], 1))


def parse_half_life(half_life: float | str, time_unit: str | None) -> float:
    """Returns a half-life in the data's time unit.

    >>> parse_half_life("30d", "ms")
    2592000000.0
    """
    return parse_duration("Popularity.half_life", half_life, time_unit)
