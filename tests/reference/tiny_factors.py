"""The smallest factor model: only what a new family must define."""

from typing import ClassVar

import numpy as np

from fastrec.fields import Value
from fastrec.models import Explaining, FactorRecommender, register


@register
class TinyFactors(Explaining, FactorRecommender):
    """A model whose items have random vectors, and whose users have the sum of those in their history, by value."""

    capabilities: ClassVar = FactorRecommender.capabilities | {"explain"}
    _learned: ClassVar = {"n_iter_": Value(int, least=0)}

    def __init__(self, factors=4, *, random_state=None, n_jobs=None):
        self.factors = factors
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _fit(self, matrix):
        rng = np.random.default_rng(self.random_state)
        self.item_factors_ = rng.normal(size=(matrix.shape[1], self.factors)).astype(np.float32)
        self.n_iter_ = 1

    def _fold_in(self, matrix):
        factors = np.zeros((matrix.shape[0], self.factors))
        for row, (start, stop) in enumerate(zip(matrix.indptr, matrix.indptr[1:], strict=False)):
            for place in range(start, stop):
                factors[row] += matrix.data[place] * self.item_factors_[matrix.indices[place]]
        return factors.astype(np.float32)

    def _contributions(self, history, item):
        return history.data * (self.item_factors_[history.indices].astype(np.float64) @ self.item_factors_[item])
