"""FixedFactors: the factors of any other model, with fastrec's recommending, evaluation, files and server."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import LARGEST_SUM, Array, Fields, Value
from fastrec.matrix.arrays import Floats
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.factors import FactorRecommender
from fastrec.options import Jobs, Number, Options, Other
from fastrec.parallel import one_blas_thread


class FixedFactors(Explaining, FactorRecommender):
    """Recommends with the factors of another model: of `implicit`, LightFM, or a two-tower network.

    Values are weights of positive feedback; negative ones are refused, zeros are no feedback. Only the fold-in of users
    without factors reads them. It solves for such users from their histories as in Hu, Koren, Volinsky (2008), with the
    given item factors,

        (YᵀY + alpha Σ r_i y_i y_iᵀ + regularization · I) x = Σ (1 + alpha r_i) y_i.

    `fit` reads which items each user has seen; it learns nothing else.

    Parameters
    ----------
    user_factors : array of shape (n_users, factors) or None
        The users' factors in the order of their codes. None: all users are folded in.
    item_factors : array of shape (n_items, factors) or None
        The items' factors in the order of their codes. A bias is a column, with a column of ones in the other side's
        factors. None: one factor, the number of an item's users.
    alpha : float
        The weight that a unit of feedback adds to its cell in fold-in, above 0.
    regularization : float
        The penalty of fold-in, above 0.
    n_jobs : int or None
        Threads of searches; None is all cores.

    Attributes
    ----------
    user_factors_ : ndarray of shape (n_users, factors)
        float32: the given factors, or those of fold-in.
    item_factors_ : ndarray of shape (n_items, factors)
        float32: the given factors.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if factors are no finite matrices, or their shapes do not match X.

    Notes
    -----
    Items with factors are recommended without a training event too, and users with factors without a history. A history
    given as a matrix is folded in; its answer may differ from that of the user's given factors.

    References
    ----------
    Hu, Koren, Volinsky: Collaborative filtering for implicit feedback datasets. ICDM 2008.

    Examples
    --------
    >>> model = FixedFactors([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> model.fit([[1, 0, 0], [0, 1, 0]]).recommend([0, 1], k=1).codes
    array([[2],
           [2]], dtype=int32)
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"transform", "similar_users", "explain"})
    _options: ClassVar[Options] = {
        "user_factors": Other("array of shape (n_users, factors)", also=(None,)),
        "item_factors": Other("array of shape (n_items, factors)", also=(None,)),
        "alpha": Number(0, above=True, log=True),
        "regularization": Number(0, above=True, log=True),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {
        "gramian_": Array(("width", "width"), "float64", least=-LARGEST_SUM, most=LARGEST_SUM),
        "users_given_": Value(bool),
        "items_given_": Value(bool),
    }

    _rebuilt_options: ClassVar[frozenset[str]] = frozenset({"user_factors", "item_factors"})

    gramian_: NDArray[np.float64]
    users_given_: bool
    items_given_: bool

    def __init__(
        self,
        user_factors: Any = None,
        item_factors: Any = None,
        *,
        alpha: float = 40.0,
        regularization: float = 0.1,
        n_jobs: int | None = None,
    ) -> None:
        self.user_factors = user_factors
        self.item_factors = item_factors
        self.alpha = alpha
        self.regularization = regularization
        self.n_jobs = n_jobs

    def _fit(self, matrix: CodeMatrix) -> None:
        if self.item_factors is None:
            items = self.item_counts_.astype(np.float32)[:, None]
        else:
            items = _check_given("item_factors", self.item_factors, matrix.shape[1])
        wide = items.astype(np.float64)
        self.item_factors_ = items
        self.gramian_ = np.einsum("ij,ik->jk", wide, wide)
        self.users_given_ = self.user_factors is not None
        self.items_given_ = self.item_factors is not None

    def _training_factors(self, matrix: CodeMatrix) -> Floats:
        if self.user_factors is None:
            return self._fold_in(matrix)
        users = _check_given("user_factors", self.user_factors, matrix.shape[0])
        if users.shape[1] != self.item_factors_.shape[1]:
            raise ValueError(
                "FixedFactors.user_factors and item_factors must have as many columns, got "
                f"{users.shape[1]} and {self.item_factors_.shape[1]}"
            )
        return users

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        gramian = self.gramian_
        if ranges and (gramian != gramian.T).any():
            raise ValueError("gramian_ must be symmetric")
        if ranges and len(gramian) and np.linalg.eigvalsh(gramian)[0] < -1e-6 * np.abs(gramian).max():
            raise ValueError("gramian_ must have no eigenvalue below 0")

    def _restore(self, *, check: bool) -> None:
        super()._restore(check=check)
        # The options are the learned values, and the file stores them as such.
        self.user_factors = self.user_factors_ if self.users_given_ else None
        self.item_factors = self.item_factors_ if self.items_given_ else None

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        factors = np.zeros((matrix.shape[0], self.item_factors_.shape[1]), np.float32)
        with one_blas_thread():  # the systems are small: threads would take longer to start than to solve
            for row in np.flatnonzero(np.diff(matrix.indptr)):
                equations, confidence, vectors = self._equations_of(pick_rows(matrix, slice(row, row + 1)))
                factors[row] = _solve(equations, confidence @ vectors)
        return factors

    def _equations_of(self, row: CodeMatrix) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The matrix of a row's equations, the weights of its entries, and their items' factors."""
        vectors = self.item_factors_[row.indices].astype(np.float64)
        extra = self.alpha * row.data.astype(np.float64)
        equations = self.gramian_ + (vectors.T * extra) @ vectors
        equations[np.diag_indices_from(equations)] += self.regularization
        return equations, 1 + extra, vectors

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        """The contribution of each entry to the folded-in user's score (Hu et al. 2008, section 5)."""
        equations, confidence, vectors = self._equations_of(history)
        weights = _solve(equations, self.item_factors_[item].astype(np.float64))
        contributions: NDArray[np.float64] = confidence * (vectors @ weights)
        return contributions

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        warm: NDArray[np.bool_] = (self.item_counts_ > 0) | (self.items_given_ & self.item_factors_.any(axis=1))
        return None if warm.all() else warm

    def _helpless(self, audience: Audience, on_empty: str) -> NDArray[np.bool_] | None:
        helpless = super()._helpless(audience, "popular" if self.users_given_ else on_empty)
        if helpless is None or audience.codes is None or not self.users_given_:
            return super()._helpless(audience, on_empty)
        known = audience.codes >= 0
        helpless &= ~(known & self.user_factors_[np.maximum(audience.codes, 0)].any(axis=1))
        if on_empty == "error" and (helpless & known).any():
            return super()._helpless(audience.part(helpless & known), on_empty)
        return helpless if helpless.any() else None


def _solve(equations: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The solution; the shortest one if the penalty is too small to make it unique."""
    try:
        return np.asarray(np.linalg.solve(equations, right), np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(equations, right)[0], np.float64)


def _check_given(name: str, factors: Any, n: int) -> Floats:
    array = np.asarray(factors)
    if array.dtype.kind not in "biuf" or array.ndim != 2 or array.shape[1] < 1:
        raise ValueError(f"FixedFactors.{name} must be a matrix of numbers, got {array.dtype}, shape {array.shape}")
    if len(array) != n:
        raise ValueError(f"FixedFactors.{name} must have {n} rows, as X asks for, got {len(array)}")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)  # a copy of the caller's array
    if not np.isfinite(array).all():
        row, column = (int(place) for place in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"FixedFactors.{name} must be finite, got {array[row, column]} in row {row}, column {column}")
    return array
