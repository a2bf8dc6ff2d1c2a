"""Implicit-feedback matrix factorization by alternating least squares (iALS)."""

import copy
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data.vocabulary import CodeVocabulary
from fastrec.fields import LARGEST, LARGEST_SUM, Array, Fields, Sizes, Value
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.matrix.arrays import LARGEST_CODE, Codes, Floats, aligned_zeros, readonly
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import pick_rows, transpose, transpose_arrays
from fastrec.models.base.chosen import chosen_in_words
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.fading import Fading
from fastrec.models.base.features import FeaturedFactors
from fastrec.models.base.fields import EPOCH_RESULTS, VALIDATION_CURVE
from fastrec.models.base.persistence import freeze
from fastrec.models.base.updating import Change
from fastrec.models.base.weighting import Weighted
from fastrec.options import EPOCHS, FACTORS, VALIDATION, Choice, Flag, Integer, Number, Options
from fastrec.parallel import effective_jobs, one_blas_thread
from fastrec.solvers.als import Side, Solver, eigenbasis, gather, gramian, rotate, start_rows
from fastrec.solvers.als_settings import DataSize, Settings
from fastrec.solvers.epochs import Callback, EpochLoop, hold_out, seed_of, validation_ndcg
from fastrec.solvers.ridge import STRENGTH, FeatureRidge

# Each row is moved this many times as far as its solution, from the second epoch on: fewer epochs reach the same loss,
# and since a step of w takes w(2 - w) of the gain of a full one, none can raise it. docs/explanation/ials.md has the
# measurements.
RELAXATION = 1.5

# As many rows at most are ranked to validate an epoch.
VALIDATION_ROWS = 4_000


FOLD_IN: Key[tuple[Floats, NDArray[np.float64]]] = Key("fold-in")


class ImplicitALS(Fading, Weighted, Explaining, FeaturedFactors):
    """Factors from what users did (clicks, plays, purchases), by weighted alternating least squares.

    Values are weights of positive feedback; negative ones are refused, zeros are no feedback. Minimised is

        sum over all cells  c (p - x·y)²  +  sum over rows  regularization · (sum of c in the row)^ν · ‖row‖²

    with p = 1 and c = 1 + alpha · value where there was feedback, p = 0 and c = 1 elsewhere (Hu, Koren, Volinsky
    2008), ν being `regularization_exponent`; ν = 1 is the scaling of Rendle, Krichene, Zhang, Koren (2022), ν = 0 a
    plain penalty. `implicit` has c = alpha · value where there was feedback: for its loss, take 1 from its alpha and
    set ν = 0.

    With features of items or users (`fit`), a ridge regression of the factors on them gives vectors to items and users
    without any event (Gantner et al. 2010); the factors of the others are what they are without features.

    Parameters
    ----------
    factors : int or "auto"
        The number of factors. "auto" is 5 times the square root of the number of items or of users, whichever is
        less: a multiple of 16, at most 128.
    regularization : float or "auto"
        The strength of the penalty, at least 0. "auto" is a share of the one at which noise begins to be learned, which
        follows from the lengths of users' and of items' histories, density and alpha (docs/explanation/ials.md).
    alpha : float or "auto"
        What a unit of feedback adds to the weight of its cell, above 0. "auto" is a tenth of cells / sum of values, so
        that all feedback together weighs a tenth of all cells.
    regularization_exponent : float
        ν: how the penalty of a row grows with the sum of its weights.
    feature_regularization : float or "auto"
        The strength of the ridge regression on features, in multiples of the mean squared length of their rows. "auto"
        is what predicts a hidden fifth of the factors best.
    iterations : int
        Epochs at most: all users, then all items.
    solver : {"auto", "cg", "cholesky"}
        How a row is solved: by a few steps of conjugate gradients, or by Cholesky in float64, at a cost of factors²
        for each entry. "auto" is "cg". Fold-in and updates do not depend on it: with A x = b for a row's equations,
        their backward error is at most 5e-6 (‖A‖ ‖x‖ + ‖b‖), their forward error at most 1e-6 times the condition of A,
        relative to x.
    cg_steps : int
        Conjugate-gradient steps for a row in an epoch, starting from where the last epoch left it.
    dtype : {"float16", "float32"}
        How the other side's factors are read while rows are solved; sums are float32 in both.
    tol : float
        Stop when an epoch lowers the loss by less than this share of it; 0 never does. With validation, an epoch
        counts as better when NDCG@10 rises by more than this.
    validation_fraction : float
        The share of each row's items to hide from training and to rank after each epoch; 0 is none. Training stops
        when NDCG@10 has not risen for `n_iter_no_change` epochs, and the best epoch's item factors are kept.
    n_iter_no_change : int
        The patience of validation, in epochs.
    recency : float
        What an event of a history counts less, when somebody is answered, for each event since, above 0 and at most 1:
        recency^k for the event k back. 1 fades nothing, and nor does a history without an order. With less, users of
        the training data are folded in when they are asked about. Set on a fitted model, it acts at once; what is
        learned, `user_factors_` too, does not depend on it.
    weighting : {"auto", "raw", "log", "binary"}
        What values count: as they are, as log2(1 + value / median), or as ones; histories are answered in the same
        form. "auto" is "binary" where a few values outweigh all others, as with hours played, and `fit` says so; else
        "raw".
    random_state : int, RandomState or None
        The seed of the first factors. The same seed gives the same factors, bit for bit on one machine.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.
    warm_start : bool
        Begin from the factors of the last fit, where the shapes are those of X.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form in which values were learned from.
    user_factors_ : ndarray of shape (n_users, factors)
        float32, C-contiguous: `transform` of the training rows.
    item_factors_ : ndarray of shape (n_items, factors)
        float32, C-contiguous, in the eigenbasis of their Gramian, the largest eigenvalue first.
    item_features_, user_features_ : csr_array of shape (n_items, m), (n_users, m), or None
        What was given to `fit`.
    item_map_, user_map_ : ndarray of shape (m + 1, factors), or None
        The vector of each feature; as the last row, what all rows have.
    factors_, alpha_, regularization_ : int, float, float
        The numbers that were used: the options, or what "auto" came to.
    loss_curve_ : ndarray of shape (n_iter_,)
        The loss above after each epoch, float64.
    validation_curve_ : ndarray of shape (n_iter_,) or None
        NDCG@10 of the hidden items after each epoch.
    n_iter_ : int
        The epochs that were run.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be.
    FloatingPointError
        In `fit`, where the loss is no longer finite.

    Notes
    -----
    See docs/explanation/ials.md for the equations, and how they are solved here.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((20, 5)))  # two groups of users, each with five items of its own
    >>> X[0, 0] = 0
    >>> model = ImplicitALS(factors=2, random_state=0).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"transform", "similar_users", "explain", "partial_fit"})
    _of_items: ClassVar[tuple[Key[Any], ...]] = (*FeaturedFactors._of_items, FOLD_IN)
    _options: ClassVar[Options] = {
        "factors": replace(FACTORS, also=("auto",)),
        "regularization": Number(0, log=True, also=("auto",)),
        "alpha": Number(0, above=True, log=True, also=("auto",)),
        "regularization_exponent": Number(-4, 4),
        "feature_regularization": STRENGTH,
        "solver": Choice(("auto", "cg", "cholesky")),
        "cg_steps": Integer(1, LARGEST_CODE),
        "dtype": Choice(("float16", "float32")),
        **EPOCHS,
        **VALIDATION,
        "warm_start": Flag(),
    }
    _learned: ClassVar[Fields] = {
        "alpha_": Value(float, least=0, above=True, most=LARGEST),
        "factors_": Value(int, least=1, absent=True),
        "regularization_": Value(float, least=0, most=LARGEST, absent=True),
        **EPOCH_RESULTS,
        "validation_curve_": VALIDATION_CURVE,
    }
    _whole_fields: ClassVar[Fields] = {"eigenvalues": Array(("width",), "float64", least=0, most=LARGEST_SUM)}

    alpha_: float
    factors_: int
    regularization_: float
    loss_curve_: NDArray[np.float64]
    validation_curve_: NDArray[np.float64] | None
    n_iter_: int

    def __init__(
        self,
        factors: int | str = "auto",
        *,
        regularization: float | str = "auto",
        alpha: float | str = "auto",
        regularization_exponent: float = 1.0,
        feature_regularization: float | str = "auto",
        iterations: int = 15,
        solver: str = "auto",
        cg_steps: int = 2,
        dtype: str = "float16",
        tol: float = 0.0,
        validation_fraction: float = 0.0,
        n_iter_no_change: int = 3,
        recency: float = 1.0,
        weighting: str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.regularization_exponent = regularization_exponent
        self.feature_regularization = feature_regularization
        self.iterations = iterations
        self.solver = solver
        self.cg_steps = cg_steps
        self.dtype = dtype
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.recency = recency
        self.weighting = weighting
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def _sizes(self) -> Sizes:
        return super()._sizes() | dict.fromkeys(("width", "item_map", "user_map"), self._rank)

    def fit(
        self, X: Any, y: Any = None, *, item_features: Any = None, user_features: Any = None, X_val: Any = None
    ) -> Self:
        """Learn the factors.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; there because scikit-learn passes it.
        item_features, user_features
            Sparse or dense matrices of shape (n_items, m) and (n_users, m), their rows in the order of the codes, or
            None. Items and users without any event are then answered by their features.
        X_val
            What to validate on: other interactions of the same users and items, of the shape of X. Training stops
            early as with `validation_fraction`, which it replaces.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As the class says. Whatever stops a fit, Ctrl-C among them, the model is left as it was.
        """
        return self._learn(X, item_features=item_features, user_features=user_features, X_val=X_val)

    def fit_users(self, X: Any, item_factors: Floats) -> Self:
        """The model of item factors that were learned elsewhere: only the users of X are folded in.

        Parameters
        ----------
        X
            As in `fit`.
        item_factors
            Of shape (n_items, factors), in any basis: they are turned into the eigenbasis of their Gramian.
        """
        return self._learn(X, item_factors=item_factors)

    def for_users(self, histories: CodeMatrix) -> Self:
        """A model of the same items and of other users, who are known by their places; it shares all arrays of items.

        What is worked out of the items once serves all such models.
        """
        other = copy.copy(self)
        other._derived = self._derived.kept(self._of_items)
        other.seen_, other.users_ = histories, CodeVocabulary(histories.shape[0])
        other.user_factors_ = readonly(other.transform(histories))
        freeze(other)
        self._derived = other._derived.kept(self._of_items)
        return other

    def _fit(
        self,
        matrix: CodeMatrix,
        item_features: Any = None,
        user_features: Any = None,
        X_val: Any = None,
        item_factors: Floats | None = None,
    ) -> None:
        """Learn the factors; or take `item_factors`, of shape (n_items, factors), that were learned elsewhere."""
        self._adopt_features(matrix.shape, item_features, user_features)
        jobs = effective_jobs(self.n_jobs)
        self._choose_settings(matrix, None if item_factors is None else item_factors.shape[1])
        with one_blas_thread():
            if item_factors is None:
                given = None if X_val is None else self._select_learned(self._check_matrix(X_val))
                items = self._alternate(*self._start(matrix), *hold_out(matrix, given, self.validation_fraction), jobs)
            else:
                items = _with_padding(item_factors, matrix.shape[1], padded_width(self._rank))
            _, basis = eigenbasis(gramian(items, jobs), self._rank)
            rotate(items, basis, jobs)
        self.item_factors_ = _without_padding(items, self._rank)
        self._map_features()

    def _choose_settings(self, matrix: CodeMatrix, factors: int | None) -> None:
        """Find the numbers that options of "auto" come to; `factors` is how many are given already."""
        self.factors_, self.alpha_, self.regularization_ = Settings.of(self, DataSize.of(matrix))
        if factors is not None and self.factors == "auto":
            self.factors_ = factors
        if self.verbose and (chosen := chosen_in_words(self)):
            print(f"{type(self).__name__}: {chosen}", file=sys.stderr, flush=True)

    @property
    def _rank(self) -> int:
        """The number of factors."""
        return self.factors_ if isinstance(self.factors, str) else int(self.factors)

    @property
    def _strength(self) -> float:
        """The strength of the penalty; the option acts at once where it is set on a fitted model."""
        return self.regularization_ if isinstance(self.regularization, str) else float(self.regularization)

    def _map_features(self) -> None:
        """Learn what features say of factors; items without events get their vectors by it."""
        jobs = effective_jobs(self.n_jobs)
        if self.item_features_ is not None:
            ridge = FeatureRidge(self.item_features_, self.item_counts_, self.feature_regularization, jobs)
            self.item_map_ = ridge.fit(self.item_factors_)
            cold = self.item_counts_ == 0
            self.item_factors_ = np.where(cold[:, None], ridge.spread(self.item_map_), self.item_factors_)
        if self.user_features_ is not None:
            counts = np.diff(self._training.indptr)
            ridge = FeatureRidge(self.user_features_, counts, self.feature_regularization, jobs)
            self.user_map_ = ridge.fit(self._fold_in(self._training))

    def _as_item_factors(self, vectors: Floats) -> Floats:
        return vectors

    def _as_user_factors(self, vectors: Floats) -> Floats:
        return vectors

    def _sides(self, matrix: CodeMatrix, jobs: int) -> tuple[Side, Side]:
        options = (self.alpha_, self._strength, self.regularization_exponent)
        indptr, indices, data = transpose_arrays(matrix, jobs)  # data may be one value for all, which `Side` takes
        return Side(matrix, *options), Side(assemble_csr(data, indices, indptr, matrix.shape[::-1]), *options)

    def _start(self, matrix: CodeMatrix) -> tuple[Floats, Floats]:
        """The factors to begin from: normal, of variance 0.01 / factors; or those of the last fit."""
        width = padded_width(self._rank)
        seed = seed_of(self.random_state)
        started = []
        for side, last in enumerate(("user_factors_", "item_factors_")):
            factors = aligned_zeros(matrix.shape[side], width)
            known = getattr(self, last, None) if self.warm_start else None
            if known is not None and known.shape == (len(factors), self._rank):
                factors[:, : self._rank] = known
            else:
                start_rows(factors, self._rank, [seed, side])
            started.append(factors)
        return started[0], started[1]

    def _alternate(
        self,
        users: Floats,
        items: Floats,
        trained: CodeMatrix,
        hidden: CodeMatrix | None,
        jobs: int,
    ) -> Floats:
        """Epochs until enough of them are done; returns the item factors to keep."""
        by_user, by_item = self._sides(trained, jobs)
        sides = ((users, items, by_user), (items, users, by_item))

        def run_epoch(epoch: int) -> float:
            solver = self._solver(epoch > 0, jobs)
            objectives = []
            for rows, others, side in sides:
                values, basis = eigenbasis(gramian(others, jobs), self._rank)
                rotate(rows, basis, jobs)
                rotate(others, basis, jobs)
                objectives.append(side.solve(rows, gather(others, values, self.dtype, jobs), solver))
            return objectives[1].loss + objectives[0].penalty

        def validate() -> float:
            assert hidden is not None
            return validation_ndcg(lambda rows: users[rows] @ items.T, trained, hidden, VALIDATION_ROWS)

        loop = EpochLoop.of(
            self,
            f"Stronger regularization than {self._strength} or a smaller alpha than {self.alpha_} may help.",
        )
        best: Floats | None = loop.run(run_epoch, None if hidden is None else validate, items.copy)
        loop.record(self)
        return items if best is None else best

    def _solver(self, relaxed: bool, jobs: int) -> Solver:
        method = "cholesky" if self.solver == "cholesky" else "cg"
        return Solver(method, self.cg_steps, 0.0, RELAXATION if relaxed else 1.0, jobs)

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        vectors, eigenvalues = self._derived.get(FOLD_IN, self._fold_in_arrays)
        side = Side(matrix, self.alpha_, self._strength, self.regularization_exponent)
        jobs = effective_jobs(self.n_jobs) if matrix.shape[0] > 1 else 1
        return _without_padding(side.fold(vectors, eigenvalues, jobs), self._rank)

    def _fold_in_from(self, matrix: CodeMatrix, vectors: Floats) -> Floats:
        """Histories say more than features; these count where there is no history."""
        return np.where((np.diff(matrix.indptr) > 0)[:, None], self._fold_in(matrix), vectors)

    def _update_items(self, change: Change) -> None:
        """Changed items are solved anew, then all factors are turned into the new eigenbasis."""
        self.item_factors_ = _without_padding(self._solve_items(change), self._rank)
        self.clear_derived()
        self._map_features()

    def _solve_items(self, change: Change) -> Floats:
        """The changed items solved, given all users, of whom the changed ones are solved first; padded.

        A function of the matrix and the factors before alone: who replays the same updates gets the same bits.
        """
        jobs = effective_jobs(self.n_jobs)
        width = padded_width(self._rank)
        items = _with_padding(self.item_factors_, self.n_features_in_, width)
        items[self.item_counts_ == 0] = 0  # what features say of them is no part of the loss
        users = _with_padding(self.user_factors_, self.seen_.shape[0], width)
        self.item_factors_ = _without_padding(items.copy(), self._rank)
        users[change.users, : self._rank] = self._factors_of(change.users)
        rows = pick_rows(transpose(self._training, jobs), change.items)
        with one_blas_thread():
            values, basis = eigenbasis(gramian(users, jobs), self._rank)
            rotate(users, basis, jobs)
            rotate(items, basis, jobs)
            side = Side(rows, self.alpha_, self._strength, self.regularization_exponent)
            items[change.items] = side.fold(users, values, jobs)
            _, basis = eigenbasis(gramian(items, jobs), self._rank)
            rotate(items, basis, jobs)
        return items

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        """c_i y_aᵀ A⁻¹ y_i for each entry i of the row, A being the matrix of its equations (Hu et al. 2008, 5)."""
        _, eigenvalues = self._derived.get(FOLD_IN, self._fold_in_arrays)
        vectors = self.item_factors_[history.indices].astype(np.float64)
        extra = self.alpha_ * history.data.astype(np.float64)
        penalty = self._strength * (history.shape[1] + extra.sum()) ** self.regularization_exponent
        matrix = (vectors.T * extra) @ vectors + np.diag(eigenvalues + penalty)
        weights = np.linalg.lstsq(matrix, self.item_factors_[item].astype(np.float64))[0]
        shares: NDArray[np.float64] = (1 + extra) * (vectors @ weights)
        return shares

    def _fold_in_arrays(self) -> tuple[Floats, NDArray[np.float64]]:
        """The item factors at the kernel's width, and the diagonal of the Gramian of those with events: all of it."""
        squares = np.zeros(self.item_factors_.shape[1])
        known = self.item_counts_ > 0  # what features say of the others is no part of the loss
        for first in range(0, len(self.item_factors_), 4096):
            block = self.item_factors_[first : first + 4096][known[first : first + 4096]]
            squares += np.square(block, dtype=np.float64).sum(axis=0)
        return self._at_kernel_width(), squares

    def _at_kernel_width(self) -> Floats:
        if self._rank % LANES == 0:
            return self.item_factors_
        vectors = aligned_zeros(len(self.item_factors_), padded_width(self._rank))
        vectors[:, : self._rank] = self.item_factors_
        return vectors

    def _whole(self) -> dict[str, NDArray[Any]]:
        return {"eigenvalues": self._derived.get(FOLD_IN, self._fold_in_arrays)[1]}

    def _with_items(self, items: Codes, arrays: Mapping[str, Any], whole: Mapping[str, NDArray[Any]]) -> Self:
        part = super()._with_items(items, arrays, whole)
        part._derived.get(FOLD_IN, lambda: (part._at_kernel_width(), whole["eigenvalues"]))
        return part


def _with_padding(factors: Floats, size: int, width: int) -> Floats:
    """A copy of shape (size, width), with zeros for what is new."""
    grown = aligned_zeros(size, width)
    grown[: len(factors), : factors.shape[1]] = factors
    return grown


def _without_padding(factors: Floats, width: int) -> Floats:
    return factors if factors.shape[1] == width else np.ascontiguousarray(factors[:, :width])
