"""The loss of lists: the cross-entropy of a list's softmax and its hits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn._loss.loss import HalfSquaredError

Doubles = NDArray[np.float64]

MOST_HITS = 5  # the largest number of hits of a list that count
LEAST_HESSIAN = 1e-6


class ListSoftmax(HalfSquaredError):  # noqa: N818 (an error in the sense of a loss)
    """Softmax cross-entropy of lists for scikit-learn's HistGradientBoostingRegressor (Cao et al. 2007, Bruch 2021).

    With p the softmax of a list's scores and y 1 for a hit, the loss of a list is -w Σ (y/Σy) log p, so the gradient is
    w (p - y/Σy), and the diagonal of the Hessian w p (1 - p). The weight of a list is its number of hits, at most five;
    a list without hits does not count. A constant of all pairs of a user cancels out.

    Parameters
    ----------
    sizes
        The number of pairs of each list, at least 1, one list after the other.
    """

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        super().__init__(sample_weight=None)
        self.constant_hessian = False
        self.sizes = sizes
        self.starts = np.cumsum(sizes) - sizes

    def fit_intercept_only(self, y_true: Doubles, sample_weight: Doubles | None = None) -> Doubles:
        """Returns 0: a constant added to all scores changes no list."""
        return np.zeros(1)

    def init_gradient_and_hessian(self, n_samples: int, dtype: Any = np.float64, order: str = "F") -> tuple[Any, Any]:
        """Allocates both arrays."""
        return np.empty(n_samples, dtype), np.empty(n_samples, dtype)

    def gradient_hessian(
        self,
        y_true: Doubles,
        raw_prediction: Doubles,
        sample_weight: Doubles | None = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[Any, Any]:
        """Fills the gradients and the diagonal of the Hessian."""
        scores = raw_prediction.reshape(-1)
        chances = np.exp(scores - self._spread(np.maximum.reduceat(scores, self.starts)))
        chances /= self._spread(np.add.reduceat(chances, self.starts))
        hits = np.add.reduceat(y_true, self.starts)
        weights = self._spread(np.minimum(hits, MOST_HITS))
        gradient_out[:] = weights * (chances - y_true / self._spread(np.maximum(hits, 1)))
        hessian_out[:] = np.maximum(weights * chances * (1 - chances), LEAST_HESSIAN)
        return gradient_out, hessian_out

    def _spread(self, of_lists: Doubles) -> Doubles:
        """Repeats a number of each list for each of its pairs."""
        return np.repeat(of_lists, self.sizes)
