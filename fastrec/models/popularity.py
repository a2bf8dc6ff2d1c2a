"""Popularity: the same for everybody, what most people took."""

import re
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.models.recommender import Codes, Recommender
from fastrec.models.rows import sum_by_code
from fastrec.validation import CodeMatrix, check_choice, check_number

_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365.25 * 86400}


class Popularity(Recommender):
    """Items by how many users took them, or by how much: what every other model must beat.

    Parameters
    ----------
    weighting
        "count": each user of an item counts 1; "value": each counts with the value of the interaction.
    half_life
        With times known (Interactions), an event counts half as much for every half-life that it lies before the
        last event, and each event counts, repeated ones too: a number in the data's time unit, or a string such as
        "30d" ("s", "min", "h", "d", "w", "y"). None counts all alike.

    Attributes
    ----------
    item_scores_ : ndarray of shape (n_items,)
        The popularity of each item, float32.

    Examples
    --------
    >>> model = Popularity().fit([[1, 1, 0], [0, 1, 1], [0, 1, 1]])
    >>> items, scores = model.recommend(0, k=1)
    >>> items, scores
    (array([[2]], dtype=int32), array([[2.]], dtype=float32))
    """

    needs_history: ClassVar[bool] = False
    _learned: ClassVar[tuple[str, ...]] = ("item_scores_",)

    item_scores_: NDArray[np.float32]

    def __init__(self, *, weighting: Literal["count", "value"] = "count", half_life: float | str | None = None) -> None:
        self.weighting = weighting
        self.half_life = half_life

    def _check_options(self) -> None:
        check_choice("Popularity.weighting", self.weighting, ("count", "value"))
        if self.half_life is not None:
            parse_half_life(self.half_life, "s")

    def fit(self, X: Any, y: Any = None) -> Self:
        """Count the users of each item.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items). With
            `half_life`, Interactions with times.
        y
            Not used; there because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, events=X if isinstance(X, Interactions) else None)

    def _fit(self, matrix: CodeMatrix, events: Interactions | None = None) -> None:
        if self.half_life is not None:
            codes, weights = self._decayed(events, self.half_life)
            scores = sum_by_code(codes, weights, matrix.shape[1])
        elif self.weighting == "value":
            scores = sum_by_code(matrix.indices, matrix.data, matrix.shape[1])
        else:
            scores = self.item_counts_.astype(np.float64)
        self.item_scores_ = scores.astype(np.float32)

    def _decayed(self, events: Interactions | None, half_life: float | str) -> tuple[Codes, NDArray[np.float64]]:
        if events is None or events.times is None:
            raise ValueError("Popularity.half_life needs Interactions with times, got data without")
        if not len(events.times):
            return events.item_codes, np.empty(0)
        life = parse_half_life(half_life, events.time_unit)
        ages = (events.times.max() - events.times).astype(np.float64)
        weights = np.exp2(-ages / life)
        if self.weighting == "value" and events.values is not None:
            weights *= events.values
        return events.item_codes, weights

    def _restored(self, *, check: bool) -> None:
        super()._restored(check=check)
        if self.item_scores_.dtype != np.float32 or self.item_scores_.shape != (self.n_features_in_,):
            raise ValueError("its scores are not of the type and shape that they must be")

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> NDArray[np.float32]:
        return np.tile(self.item_scores_, (histories.shape[0], 1))


def parse_half_life(half_life: float | str, time_unit: str | None) -> float:
    """A half-life in the data's time unit.

    >>> parse_half_life("30d", "ms")
    2592000000.0
    """
    if not isinstance(half_life, str):
        return check_number("Popularity.half_life", half_life, minimum=0, above=True)
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(s|min|h|d|w|y)\s*", half_life)
    if match is None:
        raise ValueError(
            f"Popularity.half_life must be a number, or a string such as '30d' (s, min, h, d, w, y), got {half_life!r}"
        )
    if time_unit not in _UNITS_PER_SECOND:
        raise ValueError(
            f"Popularity.half_life is {half_life!r}, but the data's times have no unit: give it as a number in theirs"
        )
    number = check_number("Popularity.half_life", float(match[1]), minimum=0, above=True)
    return number * _SECONDS[match[2]] * _UNITS_PER_SECOND[time_unit]
