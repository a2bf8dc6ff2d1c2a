"""Rows that penalties draw towards the vectors of their features, during training by stochastic gradients.

A row is the sum of its features' vectors and one of its own (Kula 2015). Gradients move the sum, and the penalty draws
it half-way to the features' part. After each epoch that part is fitted to the rows again, which needs no learning rate.
"""

import numpy as np

from fastrec.kernels.sgd_steps import Parameters
from fastrec.matrix.arrays import Floats
from fastrec.solvers.ridge import FeatureRidge

FOLLOWING = 5  # steps of conjugate gradients after each epoch, with which features' vectors follow the rows

# The fraction of the way from zero to the features' part at which the penalty is centred. Half the way predicts items
# without events best, and those with few events as well as any other (docs/explanation/sgd.md).
DRAW = np.float32(0.5)


def draw_rows(side: Parameters, spread: Floats, factors: int) -> None:
    """Makes the penalty draw a side's rows towards their features' part, of shape (n, factors), or one more with
    biases.
    """
    assert side.priors is not None
    side.priors.reshape(len(side.counts), -1)[:, :factors] = DRAW * spread[:, :factors]
    if side.bias_priors is not None:
        side.bias_priors[:] = DRAW * spread[:, factors]


class FeaturePrior:
    """One side with features: the penalty draws its rows towards the features' part.

    Parameters
    ----------
    side
        The side's parameters, with priors of its rows.
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
        """Fits the priors to the rows; rows that cannot stray, or have no events, move with them."""
        if self.identity:
            spread, self.maps = self.ridge.predict_apart(self._vectors(), self.maps, FOLLOWING)
            self._move(spread)
        else:
            self.settle()

    def settle(self) -> Floats:
        """Returns the map of all rows, and sets those that cannot stray, or have no events, to its values."""
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
