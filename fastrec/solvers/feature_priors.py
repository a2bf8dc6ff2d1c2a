"""Rows that are drawn to what their features say, while they are learned by stochastic gradients.

A row is the sum of its features' vectors and one of its own (Kula 2015). Gradients move the sum, the penalty draws it
half the way to the features' part; after each epoch that part is fitted to the rows anew, which needs no learning rate.
"""

import numpy as np

from fastrec.kernels.sgd_steps import Parameters
from fastrec.matrix.arrays import Floats
from fastrec.solvers.ridge import FeatureRidge

FOLLOWING = 5  # steps of conjugate gradients after each epoch, by which features' vectors follow the rows

# How far towards what features say the penalty draws, from zero: half the way predicts items without events best, and
# those with few as well as any (docs/explanation/sgd.md).
DRAW = np.float32(0.5)


def draw_rows(side: Parameters, spread: Floats, factors: int) -> None:
    """Lets the penalty draw a side's rows to what its features say, of shape (n, factors), or one more with biases."""
    assert side.priors is not None
    side.priors.reshape(len(side.counts), -1)[:, :factors] = DRAW * spread[:, :factors]
    if side.bias_priors is not None:
        side.bias_priors[:] = DRAW * spread[:, factors]


class FeaturePrior:
    """One side that has features: what they make of its rows is where the penalty draws these.

    Parameters
    ----------
    side
        Its parameters, with priors of its rows.
    ridge
        The regression on its features.
    factors
        The columns in use.
    identity
        Whether rows may stray from their priors.
    """

    def __init__(self, side: Parameters, ridge: FeatureRidge, factors: int, identity: bool) -> None:
        n = len(side.counts)
        self.side, self.rows, self.biases = side, side.rows.reshape(n, -1), side.biases
        self.ridge, self.factors, self.identity = ridge, factors, identity
        self.bound = np.setdiff1d(np.arange(n), ridge.known) if identity else np.arange(n)
        self.maps: Floats | None = None

    def follow(self) -> None:
        """Moves priors to where the rows are; rows that cannot stray, or have no events, go with them."""
        if self.identity:
            spread, self.maps = self.ridge.predict_apart(self._vectors(), self.maps, FOLLOWING)
            self._move(spread)
        else:
            self.settle()

    def settle(self) -> Floats:
        """The map of all rows; those that cannot stray, or have no events, are where it says."""
        mapping = self.ridge.fit(self._vectors())
        self._move(self.ridge.spread(mapping))
        return mapping

    def _vectors(self) -> Floats:
        rows = self.rows[:, : self.factors]
        return rows if self.side.bias_priors is None else np.hstack([rows, self.biases[:, None]])

    def _move(self, spread: Floats) -> None:
        draw_rows(self.side, spread, self.factors)
        self.rows[self.bound, : self.factors] = spread[self.bound, : self.factors]
        if self.side.bias_priors is not None:
            self.biases[self.bound] = spread[self.bound, self.factors]
