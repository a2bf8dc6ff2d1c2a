"""SLIM: sparse item-to-item weights, learned by regressions with an elastic net."""

from typing import ClassVar

import numpy as np

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.fading import Fading
from fastrec.models.base.item_weights import ItemWeights, is_dense, is_finite
from fastrec.models.base.weighting import Weighted
from fastrec.options import Choice, Integer, Jobs, Number, Options
from fastrec.parallel import effective_jobs
from fastrec.solvers.gramian import squared_norms
from fastrec.solvers.slim import solve_dense, solve_sparse


class SLIM(Fading, Weighted, ItemWeights):
    """Few non-negative item-to-item weights that best reconstruct the histories: a linear model that explains itself.

    The fit minimises

        ½‖X - X W‖² + l2/2 ‖W‖² + l1 Σ W   subject to   W ≥ 0 and W_jj = 0

    (Ning, Karypis 2011). `EASE` has no `l1` and weights of both signs: it is dense, quick and often a little better.
    SLIM's weights are few, so the model is small, answers quickly, and explains recommendations by few items.

    Parameters
    ----------
    l1 : float
        The penalty on weights, at least 0, in units of X's Gramian: two items with fewer than `l1` common users do not
        predict each other. A larger one leaves fewer weights.
    l2 : float
        The penalty on squared weights, above 0, in the same unit.
    method : {"auto", "dense", "sparse"}
        "dense" solves the whole problem, and keeps n² numbers for n items. "sparse" solves for each item with the
        `neighbors` items that would predict it best alone. "auto" is dense up to 20 000 items.
    neighbors : int
        The number of items that may predict an item in the sparse method, at least 1.
    threshold : float
        For the sparse method: entries g_ij of the Gramian below this share of √(g_ii + l2) √(g_jj + l2) count as 0,
        from 0 to below 1. It bounds the memory on large data.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. A change on a fitted model acts at once; learned
        values do not depend on it.
    weighting : {"auto", "raw", "log", "binary"}
        The form of values in training and in histories: raw values, log2(1 + value / median), or ones. "auto" is
        "binary" if a few values outweigh all others, as with hours played, and `fit` warns of it; otherwise "raw".
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form of values that was used.
    weights_ : csr_array of shape (n_items, n_items)
        W, float32: the entry in row i and column j is what a unit of item i in a history adds to item j's score.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid; values below 0 are refused.
    FloatingPointError
        In `fit`, if values are too large for float32 to square.

    Notes
    -----
    See docs/explanation/slim.md for the algorithm, the accuracy of the solution, and the cost.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((20, 5)))  # two groups of users, each with five items of its own
    >>> X[0, 0] = 0
    >>> model = SLIM(l1=1, l2=10).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    _options: ClassVar[Options] = {
        "l1": Number(0, log=True),
        "l2": Number(0, above=True, log=True),
        "method": Choice(("auto", "dense", "sparse")),
        "neighbors": Integer(1, memory=True, log=True),
        "threshold": Number(0, 1, below=True),
        "n_jobs": Jobs(),
    }

    def __init__(
        self,
        l1: float = 1.0,
        l2: float = 50.0,
        *,
        method: str = "auto",
        neighbors: int = 256,
        threshold: float = 0.01,
        recency: float = 1.0,
        weighting: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.l1 = l1
        self.l2 = l2
        self.method = method
        self.neighbors = neighbors
        self.threshold = threshold
        self.recency = recency
        self.weighting = weighting
        self.n_jobs = n_jobs

    def _fit(self, matrix: CodeMatrix) -> None:
        largest = squared_norms(matrix).max(initial=0)
        if not max(largest, self.l1) + self.l2 < float(np.finfo(np.float32).max):
            raise FloatingPointError("X, l1 or l2 has values too large for float32: take smaller ones for SLIM")
        jobs = effective_jobs(self.n_jobs)
        if is_dense(self.method, matrix.shape[1]):
            self.weights_ = solve_dense(matrix, self.l1, self.l2, jobs)
        else:
            self.weights_ = solve_sparse(matrix, self.l1, self.l2, self.neighbors, self.threshold, jobs)
        if not is_finite(self.weights_.data):
            raise FloatingPointError("X has values whose products are too large for float32: take smaller ones")
