"""Implicit-feedback matrix factorization by alternating least squares (iALS)."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import LARGEST, LARGEST_SUM, Array, Fields, Sizes, Value
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.matrix.arrays import LARGEST_CODE, Codes, Floats, aligned_zeros
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import pick_rows, transpose, transpose_arrays
from fastrec.models.base.chosen import chosen_in_words
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.fading import Fading
from fastrec.models.base.features import FeaturedFactors
from fastrec.models.base.fields import EPOCH_RESULTS, VALIDATION_CURVE
from fastrec.models.base.updating import Change
from fastrec.models.base.weighting import Weighted
from fastrec.options import EPOCHS, FACTORS, VALIDATION, Choice, Flag, Integer, Number, Options
from fastrec.parallel import effective_jobs, one_blas_thread
from fastrec.solvers.als import Fixed, Side, Solver, gather, gramian, rotate, start_rows
from fastrec.solvers.als_bases import Gramians, choose_bases, eigenbasis, is_balanced, relaxation
from fastrec.solvers.als_settings import DataSize, Settings
from fastrec.solvers.epochs import Callback, EpochLoop, hold_out, seed_of, validation_ndcg
from fastrec.solvers.ridge import STRENGTH, FeatureRidge

# The largest number of rows ranked to validate an epoch.
VALIDATION_ROWS = 4_000


EIGENVALUES: Key[NDArray[np.float64]] = Key("eigenvalues")
FOLD_IN: Key[Fixed] = Key("fold-in")


class ImplicitALS(Fading, Weighted, Explaining, FeaturedFactors):
    """Learns factors from implicit feedback (clicks, plays, purchases), by weighted alternating least squares.

    Values are weights of positive feedback; negative ones are refused, zeros are no feedback. The fit minimises

        sum over all cells  c (p - x·y)²  +  sum over rows  regularization · (sum of c in the row)^ν · ‖row‖²

    with p = 1 and c = 1 + alpha · value if there was feedback, p = 0 and c = 1 elsewhere (Hu, Koren, Volinsky
    2008), ν being `regularization_exponent`; ν = 1 is the scaling of Rendle, Krichene, Zhang, Koren (2022), ν = 0 a
    plain penalty. `implicit` has c = alpha · value if there was feedback: for its loss, take 1 from its alpha and
    set ν = 0.

    With features of items or users (`fit`), a ridge regression of the factors on the features gives vectors to items
    and users without events (Gantner et al. 2010). All other factors are the same as without features.

    Parameters
    ----------
    factors : int or "auto"
        The number of factors. "auto" is 5 times the square root of the smaller number of items and of users, as a
        multiple of 16, at most 128.
    regularization : float or "auto"
        The strength of the penalty, at least 0. "auto" is a share of the strength below which noise is learned. That
        follows from the lengths of users' and of items' histories, density and alpha (docs/explanation/ials.md).
    alpha : float or "auto"
        The weight that a unit of feedback adds to its cell, above 0. "auto" is a tenth of cells / sum of values, so
        that all feedback together weighs a tenth of all cells.
    regularization_exponent : float
        ν, the exponent with which the penalty of a row grows with the sum of its weights.
    feature_regularization : float or "auto"
        The strength of the ridge regression on features, in multiples of the mean squared length of their rows. "auto"
        is the strength that predicts a hidden fifth of the factors best.
    iterations : int
        The maximum number of epochs; an epoch solves all users, then all items.
    solver : {"auto", "cg", "cholesky"}
        The solver of a row: a few steps of conjugate gradients, or Cholesky in float64, which costs factors² for each
        entry. "auto" is "cg". Fold-in and updates do not depend on it: for a row's equations A x = b, their backward
        error is at most 5e-6 (‖A‖ ‖x‖ + ‖b‖), their forward error at most 1e-6 times the condition of A, relative to x.
    cg_steps : int
        Conjugate-gradient steps for a row in an epoch, from the last epoch's solution.
    dtype : {"float16", "float32"}
        The type in which the other side's factors are read; sums are float32 in both.
    tol : float
        Training stops when an epoch lowers the loss by less than this share of it; 0 never stops. With validation, an
        epoch counts as better when NDCG@10 rises by more than this.
    validation_fraction : float
        The share of each row's items to hide from training and to rank after each epoch; 0 is none. Training stops
        when NDCG@10 has not risen for `n_iter_no_change` epochs, and the best epoch's item factors are kept.
    n_iter_no_change : int
        The patience of validation, in epochs.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. Below 1, users of the training data are folded in for
        each answer. A change on a fitted model acts at once; learned values, even `user_factors_`, do not depend on it.
    weighting : {"auto", "raw", "log", "binary"}
        The form of values in training and in histories: raw values, log2(1 + value / median), or ones. "auto" is
        "binary" if a few values outweigh all others, as with hours played, and `fit` warns of it; otherwise "raw".
    random_state : int, RandomState or None
        The seed of the first factors. The same seed gives the same factors, bit for bit on one machine.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.
    warm_start : bool
        Start from the factors of the last fit, if the shapes match X.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form of values that was used.
    user_factors_ : ndarray of shape (n_users, factors)
        float32, C-contiguous: `transform` of the training rows.
    item_factors_ : ndarray of shape (n_items, factors)
        float32, C-contiguous, in the eigenbasis of their Gramian, the largest eigenvalue first.
    item_features_, user_features_ : csr_array of shape (n_items, m), (n_users, m), or None
        The features given to `fit`.
    item_map_, user_map_ : ndarray of shape (m + 1, factors), or None
        The vector of each feature, and in the last row the part common to all.
    factors_, alpha_, regularization_ : int, float, float
        The numbers that were used: the options, or the choices of "auto".
    loss_curve_ : ndarray of shape (n_iter_,)
        The loss above after each epoch, float64.
    validation_curve_ : ndarray of shape (n_iter_,) or None
        NDCG@10 of the hidden items after each epoch.
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
    _of_items: ClassVar[tuple[Key[Any], ...]] = (*FeaturedFactors._of_items, EIGENVALUES, FOLD_IN)
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
        """Learns the factors.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; accepted because scikit-learn passes it.
        item_features, user_features
            Sparse or dense matrices of shape (n_items, m) and (n_users, m), their rows in the order of the codes, or
            None. Items and users without events are then answered by their features.
        X_val
            The data to validate on: other interactions of the same users and items, of the shape of X. Training stops
            early as with `validation_fraction`, which it replaces.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As the class says. After an error or an interrupt (Ctrl-C) the model is unchanged.
        """
        return self._learn(X, item_features=item_features, user_features=user_features, X_val=X_val)

    def fit_users(self, X: Any, item_factors: Floats) -> Self:
        """Fits the users of X alone, with given item factors.

        Parameters
        ----------
        X
            As in `fit`.
        item_factors
            The factors, of shape (n_items, factors), in any basis: they are rotated into the eigenbasis of their
            Gramian.
        """
        return self._learn(X, item_factors=item_factors)

    def _fit(
        self,
        matrix: CodeMatrix,
        item_features: Any = None,
        user_features: Any = None,
        X_val: Any = None,
        item_factors: Floats | None = None,
    ) -> None:
        """Learns the factors; or takes over given `item_factors`, of shape (n_items, factors)."""
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
        """Chooses the numbers of options that are "auto"; `factors` is the number of given ones."""
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
        """The strength of the penalty; a change of the option on a fitted model acts at once."""
        return self.regularization_ if isinstance(self.regularization, str) else float(self.regularization)

    def _map_features(self) -> None:
        """Learns the map from features to factors, and gives items without events their vectors by it."""
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
        """The first factors: normal, of variance 0.01 / factors; or those of the last fit."""
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
        """Runs the epochs; returns the item factors to keep."""
        by_user, by_item = self._sides(trained, jobs)
        sides = ((users, items, by_user), (items, users, by_item))
        gramians = Gramians.first(gramian(items, jobs))

        def run_epoch(epoch: int) -> float:
            nonlocal gramians
            solver, objectives = self._solver(epoch, jobs), []
            for number, (rows, others, side) in enumerate(sides):
                bases = choose_bases(gramians, self._rank, number == 0 and is_balanced(epoch))
                rotate(rows, bases.own, jobs)
                rotate(others, bases.others, jobs)
                vectors = gather(others, bases.eigenvalues, self.dtype, jobs)
                objectives.append(side.solve(rows, vectors, solver))
                last = gramian(rows, jobs)
                is_weighted = side.weights is not None and is_balanced(epoch + 1)
                weighted = gramian(rows, jobs, side.weights) if is_weighted else last
                gramians = gramians.following(number, bases.others, last, weighted)
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

    def _solver(self, epoch: int, jobs: int) -> Solver:
        method = "cholesky" if self.solver == "cholesky" else "cg"
        return Solver(method, self.cg_steps, 0.0, relaxation(epoch), jobs)

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        fixed = self._derived.get(FOLD_IN, self._find_fixed)
        side = Side(matrix, self.alpha_, self._strength, self.regularization_exponent)
        jobs = effective_jobs(self.n_jobs) if matrix.shape[0] > 1 else 1
        return _without_padding(side.fold(fixed, jobs), self._rank)

    def _fold_in_from(self, matrix: CodeMatrix, vectors: Floats) -> Floats:
        """Folds in by histories; features serve users without a history."""
        return np.where((np.diff(matrix.indptr) > 0)[:, None], self._fold_in(matrix), vectors)

    def _update_items(self, change: Change) -> None:
        """Solves changed items again, then rotates all factors into the new eigenbasis."""
        self.item_factors_ = _without_padding(self._solve_items(change), self._rank)
        self.clear_derived()
        self._map_features()

    def _solve_items(self, change: Change) -> Floats:
        """Solves the changed items given all users, after the changed users; returns padded factors.

        The result depends on the matrix and the earlier factors alone: a replay of the same updates gives the same
        bits.
        """
        jobs = effective_jobs(self.n_jobs)
        width = padded_width(self._rank)
        items = _with_padding(self.item_factors_, self.n_features_in_, width)
        items[self.item_counts_ == 0] = 0  # vectors from features are no part of the loss
        users = _with_padding(self.user_factors_, self.seen_.shape[0], width)
        self.item_factors_ = _without_padding(items.copy(), self._rank)
        users[change.users, : self._rank] = self._factors_of(change.users)
        rows = pick_rows(transpose(self._training, jobs), change.items)
        with one_blas_thread():
            values, basis = eigenbasis(gramian(users, jobs), self._rank)
            rotate(users, basis, jobs)
            rotate(items, basis, jobs)
            side = Side(rows, self.alpha_, self._strength, self.regularization_exponent)
            items[change.items] = side.fold(Fixed.of(users, values), jobs)
            _, basis = eigenbasis(gramian(items, jobs), self._rank)
            rotate(items, basis, jobs)
        return items

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        """The contribution c_i y_aᵀ A⁻¹ y_i of each entry i of the row, A being the matrix of its equations (Hu et
        al. 2008, 5).
        """
        eigenvalues = self._derived.get(EIGENVALUES, self._find_eigenvalues)
        vectors = self.item_factors_[history.indices].astype(np.float64)
        extra = self.alpha_ * history.data.astype(np.float64)
        penalty = self._strength * (history.shape[1] + extra.sum()) ** self.regularization_exponent
        matrix = (vectors.T * extra) @ vectors + np.diag(eigenvalues + penalty)
        weights = np.linalg.lstsq(matrix, self.item_factors_[item].astype(np.float64))[0]
        shares: NDArray[np.float64] = (1 + extra) * (vectors @ weights)
        return shares

    def _find_fixed(self) -> Fixed:
        return Fixed.of(self._at_kernel_width(), self._derived.get(EIGENVALUES, self._find_eigenvalues))

    def _find_eigenvalues(self) -> NDArray[np.float64]:
        """The diagonal of the Gramian of items with events, which is diagonal."""
        squares = np.zeros(self.item_factors_.shape[1])
        known = self.item_counts_ > 0  # vectors from features are no part of the loss
        for first in range(0, len(self.item_factors_), 4096):
            block = self.item_factors_[first : first + 4096][known[first : first + 4096]]
            squares += np.square(block, dtype=np.float64).sum(axis=0)
        return squares

    def _at_kernel_width(self) -> Floats:
        if self._rank % LANES == 0:
            return self.item_factors_
        vectors = aligned_zeros(len(self.item_factors_), padded_width(self._rank))
        vectors[:, : self._rank] = self.item_factors_
        return vectors

    def _whole(self) -> dict[str, NDArray[Any]]:
        return {"eigenvalues": self._derived.get(EIGENVALUES, self._find_eigenvalues)}

    def _with_items(self, items: Codes, arrays: Mapping[str, Any], whole: Mapping[str, NDArray[Any]]) -> Self:
        part = super()._with_items(items, arrays, whole)
        part._derived.put(EIGENVALUES, whole["eigenvalues"])
        return part


def _with_padding(factors: Floats, size: int, width: int) -> Floats:
    """A copy of shape (size, width), with zeros for new rows and columns."""
    grown = aligned_zeros(size, width)
    grown[: len(factors), : factors.shape[1]] = factors
    return grown


def _without_padding(factors: Floats, width: int) -> Floats:
    return factors if factors.shape[1] == width else np.ascontiguousarray(factors[:, :width])
