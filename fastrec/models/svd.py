"""PureSVD: the truncated singular value decomposition of the interactions."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Fields
from fastrec.matrix.arrays import Codes
from fastrec.matrix.cells import sum_by_code
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.factors import FactorRecommender
from fastrec.options import FACTORS, Jobs, Number, Options, Seed
from fastrec.parallel import effective_jobs
from fastrec.solvers.epochs import seed_of
from fastrec.solvers.truncated_svd import sum_vectors, truncated_svd


class PureSVD(Explaining, FactorRecommender):
    """Factors by the truncated singular value decomposition of the interactions, missing ones read as zeros.

    Values are strengths of any sign: a negative one is a dislike, which pushes what is like the item down. Stored
    zeros are no entries. With R ≈ U diag(s) Vᵀ truncated to the `factors` largest singular values, a user's scores are

        r V Vᵀ,

    the projection of the user's row r on the leading right singular vectors (Cremonesi, Koren, Turrin 2010). With
    `item_exponent` a, columns are first scaled by (their sum of squares)^(-a): 0 is plain PureSVD, 0.5 brings all
    items to one length, between them the popular count for less (EigenRec; Nikolakopoulos et al. 2019).

    Parameters
    ----------
    factors : int
        How many singular vectors; what there is not is zeros.
    item_exponent : float
        How much the popular items are scaled down, from 0 to 1.
    tol : float
        The decomposition is done when no squared singular value moves by more than this share of the largest.
    random_state : int, RandomState or None
        The seed of the iteration's first vectors; it moves results by rounding alone, or by `tol`.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    user_factors_ : ndarray of shape (n_users, factors)
        float32: r V of the training rows.
    item_factors_ : ndarray of shape (n_items, factors)
        float32: V, its columns of length one, largest singular value first.
    singular_values_ : ndarray of shape (factors,)
        float64, falling.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be.

    Notes
    -----
    See docs/svd.md for the equations, how they are solved, and measurements.

    References
    ----------
    Cremonesi, Koren, Turrin: Performance of recommender algorithms on top-N recommendation tasks. RecSys 2010.

    Nikolakopoulos, Kalantzis, Gallopoulos, Garofalakis: EigenRec: generalizing PureSVD for effective and efficient
    top-N recommendations. Knowledge and Information Systems 58, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((6, 3)))  # two groups of users, each with three items of its own
    >>> X[0, 0] = 0
    >>> model = PureSVD(factors=2, random_state=0).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"transform", "similar_users", "explain"})
    takes_negatives: ClassVar[bool] = True
    _options: ClassVar[Options] = {
        "factors": FACTORS,
        "item_exponent": Number(0, 1),
        "tol": Number(0, above=True, log=True),
        "random_state": Seed(),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {
        "singular_values_": Array(("width",), "float64", least=0),
        "item_weights_": Array(("weighted",), least=0),
    }

    singular_values_: NDArray[np.float64]
    item_weights_: NDArray[np.float32]

    def __init__(
        self,
        factors: int = 64,
        *,
        item_exponent: float = 0.0,
        tol: float = 1e-4,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.factors = factors
        self.item_exponent = item_exponent
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        n, n_items = len(self.item_weights_), self.n_features_in_
        if n != n_items and (
            "item_factors_" in vars(self) or n > n_items
        ):  # compressed ones gain items without weights
            raise ValueError(f"item_weights_ must be of shape (n_items,), where n_items is {n_items}, got ({n},)")

    def _fit(self, matrix: CodeMatrix) -> None:
        squares = sum_by_code(matrix.indices, np.square(matrix.data, dtype=np.float64), matrix.shape[1])
        weights = np.where(squares > 0, squares, 1) ** -self.item_exponent
        if max(weights.max(), math.sqrt(squares.sum())) > float(np.finfo(np.float32).max):
            raise FloatingPointError("X has values that are too large, or too small, for float32 to hold their squares")
        self.item_weights_ = weights.astype(np.float32)
        svd = truncated_svd(
            self._weigh_columns(matrix),
            self.factors,
            random_state=seed_of(self.random_state),
            n_jobs=effective_jobs(self.n_jobs),
            tol=self.tol,
        )
        self.singular_values_, self.item_factors_ = svd.values, svd.vectors

    def _weigh_columns(self, matrix: CodeMatrix) -> CodeMatrix:
        if self.item_exponent == 0:
            return matrix
        return assemble_csr(
            matrix.data * self.item_weights_[matrix.indices], matrix.indices, matrix.indptr, matrix.shape
        )

    def _with_items(self, items: Codes, arrays: Mapping[str, Any], whole: Mapping[str, NDArray[Any]]) -> Self:
        part = super()._with_items(items, arrays, whole)
        known = items < len(self.item_weights_)  # items of later have no vector, whatever their weight
        part.item_weights_ = np.ones(len(items), np.float32)
        part.item_weights_[known] = self.item_weights_[items[known]]
        return part

    def _fold_in(self, matrix: CodeMatrix) -> NDArray[np.float32]:
        return sum_vectors(self._weigh_columns(matrix), self.item_factors_, effective_jobs(self.n_jobs))

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        """r_i w_i v_i·v_j for each entry i of the row."""
        weighted = self._weigh_columns(history)
        vectors = self.item_factors_[history.indices].astype(np.float64)
        contributions: NDArray[np.float64] = weighted.data * (vectors @ self.item_factors_[item].astype(np.float64))
        return contributions
