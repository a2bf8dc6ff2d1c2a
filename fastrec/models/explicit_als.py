"""Matrix factorization of ratings with biases, by alternating least squares."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import LARGEST, Fields, Sizes, Value
from fastrec.kernels.explicit import solve_ratings_cg, solve_ratings_cholesky
from fastrec.matrix.arrays import LARGEST_CODE, Floats, aligned_zeros, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import transpose
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.factors import FactorRecommender
from fastrec.models.base.fields import EPOCH_RESULTS
from fastrec.options import EPOCHS, FACTORS, Choice, Integer, Number, Options
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.solvers.epochs import EpochLoop, seed_of
from fastrec.solvers.rating_scale import RatingScale

Callback = Callable[[int, float, float], bool | None]

PIECES = 64  # the number of pieces of a half epoch, dealt to threads


EQUATIONS: Key[NDArray[Any]] = Key("equations")


class ExplicitALS(Explaining, FactorRecommender):
    """Predicts ratings from biases and factors of users and items, by alternating least squares over the ratings.

    Values are ratings of any sign, on any scale. A stored zero is a rating of zero; a missing entry is unknown, not a
    dislike. A dislike is a low rating. The model of a rating is mean + b_u + b_i + x_u·y_i, and the fit minimises

        sum over ratings  (r - mean - b_u - b_i - x_u·y_i)²
          + sum over rows  n^ν (regularization · spread · ‖x‖² + bias_regularization · b²)

    over users and items, n being the row's number of ratings, ν `regularization_exponent` and spread the standard
    deviation of all ratings: ν = 1 is the weighted-λ regularization of Zhou, Wilkinson, Schreiber, Pan (2008); biases
    as in Koren, Bell, Volinsky (2009). The spread makes penalties mean the same on ratings of 1 to 5 and of 0 to 100:
    scaled and shifted ratings give scaled and shifted predictions.

    Parameters
    ----------
    factors : int
        The number of factors, at least 1.
    regularization : float
        The strength of the penalty of factors, above 0.
    bias_regularization : float
        The strength of the penalty of biases, above 0.
    regularization_exponent : float
        ν, the exponent with which a row's penalty grows with its number of ratings, from 0 to 1.
    iterations : int
        The maximum number of epochs; an epoch solves all users, then all items.
    solver : {"cholesky", "cg"}
        The solver of a row. "cholesky" works in float64 and costs factors² for each rating. "cg" takes `cg_steps` steps
        of conjugate gradients from the last epoch's solution and costs factors for each rating. Fold-in is always by
        Cholesky: for a row's equations A x = b, its backward error is at most 5e-6 (‖A‖ ‖x‖ + ‖b‖), its forward
        error at most 1e-6 times the condition of A, relative to x.
    cg_steps : int
        The steps of "cg" for a row in an epoch.
    tol : float
        Training stops when an epoch lowers the loss by less than this share of it; 0 never stops.
    random_state : int, RandomState or None
        The seed of the first factors.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.
    verbose : bool or int
        Whether to show progress.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True.

    Attributes
    ----------
    mean_, spread_ : float
        The mean of all ratings and their standard deviation.
    user_biases_, item_biases_ : ndarray of shape (n_users,), (n_items,)
        float32.
    user_factors_ : ndarray of shape (n_users, factors + 2)
        float32: x_u, then b_u, then 1. Their inner products with items' are the ratings.
    item_factors_ : ndarray of shape (n_items, factors + 2)
        float32: y_i, then 1, then mean + b_i.
    loss_curve_ : ndarray of shape (n_iter_,)
        The loss above after each epoch, float64.
    n_iter_ : int
        The epochs that were run.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.
    FloatingPointError
        In `fit`, if the loss is no longer finite.

    Notes
    -----
    See docs/explanation/explicit_als.md for the equations, how they are solved, and measurements.

    Examples
    --------
    >>> model = ExplicitALS(factors=1, iterations=5, random_state=0)
    >>> model = model.fit([[5, 4, 1], [4, 0, 1], [1, 0, 5]])  # dense zeros are no ratings
    >>> float(model.predict_pairs(0, 0)[0]) > float(model.predict_pairs(2, 0)[0])
    True
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"transform", "similar_users", "explain"})
    _of_items: ClassVar[tuple[Key[Any], ...]] = (*FactorRecommender._of_items, EQUATIONS)
    takes_negatives: ClassVar[bool] = True
    keeps_zeros: ClassVar[bool] = True
    _options: ClassVar[Options] = {
        "factors": FACTORS,
        "regularization": Number(0, above=True, log=True),
        "bias_regularization": Number(0, above=True, log=True),
        "regularization_exponent": Number(0, 1),
        "solver": Choice(("cholesky", "cg")),
        "cg_steps": Integer(1, LARGEST_CODE),
        **EPOCHS,
    }
    _learned: ClassVar[Fields] = {
        "mean_": Value(float, least=-LARGEST, most=LARGEST),
        "spread_": Value(float, least=0, above=True, most=LARGEST, absent=True),
        **EPOCH_RESULTS,
    }

    mean_: float
    spread_: float = 1.0  # files from before this attribute have penalties that ignore the spread
    loss_curve_: NDArray[np.float64]
    n_iter_: int

    def __init__(
        self,
        factors: int = 50,
        *,
        regularization: float = 3.5,
        bias_regularization: float = 2.0,
        regularization_exponent: float = 0.25,
        iterations: int = 15,
        solver: str = "cholesky",
        cg_steps: int = 3,
        tol: float = 0.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.regularization = regularization
        self.bias_regularization = bias_regularization
        self.regularization_exponent = regularization_exponent
        self.iterations = iterations
        self.solver = solver
        self.cg_steps = cg_steps
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback

    def _sizes(self) -> Sizes:
        return super()._sizes() | {"width": self.factors + 2}

    @property
    def user_biases_(self) -> Floats:
        """b_u of each user, of shape (n_users,)."""
        return self.user_factors_[:, -2]

    @property
    def item_biases_(self) -> Floats:
        """b_i of each item, of shape (n_items,)."""
        return self.item_factors_[:, -1] - np.float32(self.mean_)

    def fit_users(self, X: Any, item_factors: Floats) -> Self:
        """Fits the users of X alone, with given item factors.

        Parameters
        ----------
        X
            As in `fit`; mean and spread are those of its ratings.
        item_factors
            The factors as in `item_factors_`, of shape (n_items, factors + 2).
        """
        return self._learn(X, item_factors=item_factors)

    def _fit(self, matrix: CodeMatrix, item_factors: Floats | None = None) -> None:
        """Learns the factors; or takes over given `item_factors`."""
        self.mean_, self.spread_ = RatingScale.of(matrix.data)
        self.item_factors_ = self._learn_items(matrix) if item_factors is None else item_factors

    def _learn_items(self, matrix: CodeMatrix) -> Floats:
        jobs = effective_jobs(self.n_jobs)
        users = aligned_zeros(matrix.shape[0], self.factors + 1)
        items = aligned_zeros(matrix.shape[1], self.factors + 1)
        rng = np.random.default_rng(seed_of(self.random_state))
        start_ratings(items, self.factors, self.spread_, rng)
        self._alternate(users, items, Ratings(self, matrix), Ratings(self, transpose(matrix, jobs)), jobs)
        return self.with_constant(items)

    def with_constant(self, items: Floats) -> Floats:
        """Solutions of items, y_i and then b_i, in the form of `item_factors_`."""
        factors = np.ones((len(items), self.factors + 2), np.float32)
        factors[:, : self.factors] = items[:, : self.factors]
        factors[:, -1] = items[:, -1] + np.float32(self.mean_)
        return factors

    def _alternate(self, users: Floats, items: Floats, by_user: "Ratings", by_item: "Ratings", jobs: int) -> None:
        steps = self.cg_steps if self.solver == "cg" else 0

        def run_epoch(epoch: int) -> float:
            by_user.solve(users, items, self.mean_, steps, jobs)
            errors = by_item.solve(items, users, self.mean_, steps, jobs)
            return errors + by_user.penalty_of(users) + by_item.penalty_of(items)

        loop = EpochLoop.of(self, f"Stronger regularization than {self.regularization} may help.")
        loop.run(run_epoch)
        loop.record(self)

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        """Solves the rows in float64; an empty row has factors 0 and the 1 that adds mean + b_i."""
        others = self._derived.get(EQUATIONS, self._equations)
        solutions = aligned_zeros(matrix.shape[0], others.shape[1])
        jobs = effective_jobs(self.n_jobs) if matrix.shape[0] > 1 else 1
        Ratings(self, matrix).solve(solutions, others, self.mean_, 0, jobs)
        factors = np.ones((matrix.shape[0], others.shape[1] + 1), np.float32)
        factors[:, :-1] = solutions
        return factors

    def _equations(self) -> Floats:
        """The parts of a user's equations: y_i and b_i."""
        others = aligned_zeros(len(self.item_factors_), self.item_factors_.shape[1] - 1)
        others[:, :-1] = self.item_factors_[:, :-2]
        others[:, -1] = self.item_biases_
        return readonly(others)

    def _comparable(self, factors: Floats) -> Floats:
        """The factors without the columns for biases."""
        return readonly(np.ascontiguousarray(factors[:, :-2]))

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        """The contribution z_jᵀ A⁻¹ z_i (r_i - mean - b_i) of each entry, with A the equations' matrix; mean + b_j
        is shared equally.
        """
        n = max(history.nnz, 1)
        others = self._derived.get(EQUATIONS, self._equations).astype(np.float64)
        vectors = others[history.indices]
        targets = history.data - self.mean_ - vectors[:, -1]
        vectors[:, -1] = 1
        weight = float(n) ** self.regularization_exponent
        penalties = np.full(vectors.shape[1], self.regularization * self.spread_ * weight)
        penalties[-1] = self.bias_regularization * weight
        wanted = np.append(others[item, :-1], 1.0)
        weights = np.linalg.solve(vectors.T @ vectors + np.diag(penalties), wanted)
        constant: float = self.mean_ + others[item, -1]
        contributions: NDArray[np.float64] = targets * (vectors @ weights) + constant / n
        return contributions


def start_ratings(items: Floats, factors: int, spread: float, rng: np.random.Generator) -> None:
    """Fills the first columns of items with normal numbers; parts of all items may follow one another."""
    first = np.float32(0.1 * math.sqrt(spread / factors))
    items[:, :factors] = first * rng.standard_normal((len(items), factors), np.float32)


class Ratings:
    """One side's rows of ratings: their penalties, and their pieces for threads."""

    def __init__(self, model: ExplicitALS, matrix: CodeMatrix) -> None:
        self.indptr, self.indices, self.values = map(readonly, (matrix.indptr, matrix.indices, matrix.data))
        lengths = np.diff(matrix.indptr)
        weights = np.maximum(lengths, 1).astype(np.float64) ** model.regularization_exponent
        self.penalties = readonly(model.regularization * model.spread_ * weights)
        self.bias_penalties = readonly(model.bias_regularization * weights)
        self.cuts = np.unique(balanced_cuts(lengths + model.factors, PIECES)) if len(lengths) else np.zeros(1, np.int64)

    def solve(self, solutions: Floats, others: Floats, mean: float, steps: int, n_jobs: int) -> float:
        """Solves each row in place, by `steps` of conjugate gradients or by Cholesky (0); returns the squared
        errors.
        """
        errors = np.zeros(len(solutions))
        fixed = readonly(others)

        def solve_piece(piece: int) -> None:
            first, last = self.cuts[piece], self.cuts[piece + 1]
            rows = (self.indptr, self.indices, self.values)
            equations = (float(mean), fixed, self.penalties, self.bias_penalties)
            kernel: Any = solve_ratings_cg if steps else solve_ratings_cholesky
            kernel(*rows, first, last, *equations, *([steps] if steps else []), solutions, errors)

        run_pieces(solve_piece, range(len(self.cuts) - 1), n_jobs)
        return float(errors.sum())

    def penalty_of(self, solutions: Floats) -> float:
        """The penalties of all rows."""
        squares = np.square(solutions[:, :-1], dtype=np.float64).sum(axis=1)
        return float(self.penalties @ squares + self.bias_penalties @ np.square(solutions[:, -1], dtype=np.float64))
