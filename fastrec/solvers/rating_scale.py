"""The mean and the spread of ratings, the scale of models of ratings."""

from typing import NamedTuple

import numpy as np

from fastrec.matrix.arrays import Floats


class RatingScale(NamedTuple):
    """The middle and the spread of ratings: rows and biases learn (rating - mean) / spread."""

    mean: float = 0.0
    spread: float = 1.0

    @property
    def center(self) -> float:
        """The mean in units of the spread."""
        return self.mean / self.spread

    def in_units(self, ratings: Floats) -> Floats:
        """Ratings in units of the spread, without subtracting the mean."""
        if self.spread == 1:
            return ratings
        scaled: Floats = np.divide(ratings, np.float32(self.spread), dtype=np.float32)
        return scaled

    @classmethod
    def of(cls, ratings: Floats) -> "RatingScale":
        """Computes mean and standard deviation; the spread is 1 if all ratings are equal.

        >>> RatingScale.of(np.array([10, 30], np.float32)), RatingScale.of(np.array([4, 4], np.float32))
        (RatingScale(mean=20.0, spread=10.0), RatingScale(mean=4.0, spread=1.0))
        """
        if not len(ratings):
            return cls()
        return cls(float(ratings.mean(dtype=np.float64)), float(ratings.std(dtype=np.float64)) or 1.0)
