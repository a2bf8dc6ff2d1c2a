"""SLIM: sparse weights from item to item, learned by regressions with an elastic net."""

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
    """Few weights, none below 0, from item to item, that best rebuild the histories: a linear model that explains.

    Minimised is

        ½‖X - X W‖² + l2/2 ‖W‖² + l1 Σ W   subject to   W ≥ 0 and W_jj = 0

    (Ning, Karypis 2011). `EASE` has no `l1` and weights of both signs: it is dense, quick and often a little better.
    SLIM's weights are few, so that the model is small, answers quickly, and says why with items that speak for another.

    Parameters
    ----------
    l1 : float
        The penalty on weights, at least 0, in units of X's Gramian: of two items that fewer than `l1` users have had
        both, neither predicts the other. Larger ones leave fewer weights.
    l2 : float
        The penalty on squared weights, above 0, in the same unit.
    method : {"auto", "dense", "sparse"}
        "dense" solves the whole problem, and keeps n² numbers for n items. "sparse" solves for each item among the
        `neighbors` items that would predict it best alone. "auto" is dense up to 20 000 items.
    neighbors : int
        How many items may predict an item in the sparse method, at least 1.
    threshold : float
        For the sparse method: entries g_ij of the Gramian below this share of √(g_ii + l2) √(g_jj + l2) count as 0,
        from 0 to below 1. It bounds the memory on large data.
    recency : float
        What an event of a history counts less, when somebody is answered, for each event since, above 0 and at most 1:
        recency^k for the event k back. 1 fades nothing, and nor does a history without an order. Set on a fitted model,
        it acts at once; what is learned does not depend on it.
    weighting : {"auto", "raw", "log", "binary"}
        What values count: as they are, as log2(1 + value / median), or as ones; histories are answered in the same
        form. "auto" is "binary" where a few values outweigh all others, as with hours played, and `fit` says so; else
        "raw".
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form in which values were learned from.
    weights_ : csr_array of shape (n_items, n_items)
        W, float32: in row i and column j, what a unit of item i in a history adds to the score of item j.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be; values below 0 are refused.
    FloatingPointError
        In `fit`, where values are too large for float32 to square.

    Notes
    -----
    See docs/explanation/slim.md for the algorithm, how far the solution is exact, and what it costs.

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
