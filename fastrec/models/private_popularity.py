"""Private popularity: the most popular items, with next to nothing about any single user."""

import numpy as np

from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.private import PrivateRecommender
from fastrec.privacy import Spending


class PrivatePopularity(PrivateRecommender):
    """Ranks items by their number of users, released with user-level differential privacy.

    Each user adds a vector of length 1, 1 / √n for each of n items, to sums over users, which are released with
    Gaussian noise. Values are not read: each event counts as one; negative values are refused.

    Parameters
    ----------
    epsilon : float
        ε, above 0: the bound of what a model may reveal about whether a user was in the data. See
        docs/explanation/privacy.md.
    delta : float
        δ, above 0 and below 1 / users.
    budget : str or None
        The path of a `fastrec.privacy.Budget`, which is charged before anything is released; None: no budget is
        charged.
    noise_seed : int or None
        None: noise comes from the system's cryptographic source, and every fit differs. A number makes the noise
        reproducible, for tests: such a model is not private, and `save` warns.

    Attributes
    ----------
    item_scores_ : ndarray of shape (n_items,)
        For each item the sum of 1 / √n over its users, with noise, float32; 0 if it does not stand out of the noise.
    privacy_ : dict
        The releases, and their cost.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or `delta` is not below 1 / users.
    BudgetSpentError
        In `fit`, if the budget does not have enough left.

    Examples
    --------
    >>> X = np.tile([[1, 1, 0], [1, 0, 1], [1, 0, 0]], (500, 1))
    >>> model = PrivatePopularity(epsilon=5.0, delta=1e-6).fit(X)
    >>> model.recommend([[0, 1, 1]], k=1).codes
    array([[0]], dtype=int32)
    """

    needs_history = False

    def __init__(
        self,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        *,
        budget: str | None = None,
        noise_seed: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.budget = budget
        self.noise_seed = noise_seed

    def _fit_private(self, matrix: CodeMatrix, spending: Spending) -> None:
        self._release_counts(matrix, spending, 1.0)

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        return np.tile(self.item_scores_, (histories.shape[0], 1))
