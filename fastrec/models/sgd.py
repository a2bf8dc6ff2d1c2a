"""Matrix factorization by stochastic gradients, parallel and reproducible, with a choice of losses."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import LARGEST, Array, Fields, Sizes, Value
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows, with_data
from fastrec.models.base.derived import Key
from fastrec.models.base.fading import Fading
from fastrec.models.base.features import FeaturedFactors
from fastrec.models.base.fields import EPOCH_RESULTS, VALIDATION_CURVE
from fastrec.models.base.updating import Change
from fastrec.options import EPOCHS, FACTORS, VALIDATION, Choice, Flag, Integer, Number, Options, Pair
from fastrec.parallel import effective_jobs
from fastrec.solvers.blocks import BlockSchedule
from fastrec.solvers.epochs import (
    Callback,
    EpochLoop,
    hold_out,
    seed_of,
    update_seed,
    validation_ndcg,
    validation_rmse,
)
from fastrec.solvers.feature_priors import DRAW, FeaturePrior, draw_rows
from fastrec.solvers.losses import (
    LOSSES,
    OPTIMIZERS,
    Loss,
    LossOptions,
    RatingLoss,
    Sides,
)
from fastrec.solvers.rating_scale import RatingScale
from fastrec.solvers.ridge import STRENGTH, FeatureRidge, map_features
from fastrec.solvers.sgd_columns import (
    KnownFactors,
    count_bias_columns,
    item_columns,
    sides_of_items,
    start_sides,
    user_columns,
)
from fastrec.solvers.spectral_start import add_spectral_rows
from fastrec.validation import check_number

NEGATIVES = ("uniform", "popularity", "adaptive")
SCHEDULES = ("constant", "linear")
# Items are drawn in proportion to this power of their users, as in word2vec, in steps of an eighth of the mean.
POPULARITY_EXPONENT = 0.75
POPULARITY_STEPS = 8
POOL_AT_HAND = 4096  # entries of the pool for the fold-in of models with compressed item factors
# The passes of an update over the changed users' entries, and its initial share of the learning rate.
UPDATE_PASSES, UPDATE_RATE = 10, 0.2
LARGEST_RATE, LARGEST_OPTION = (
    100.0,
    1e6,
)  # for a model in a file: its fold-in then stays finite


# Adagrad and Adam take steps of about their learning rate, for gradients of any size.
ADAPTIVE_RATES = {"adagrad": 0.05, "adam": 0.001}


FOLD_IN: Key[tuple[Loss, Sides, Codes]] = Key("fold-in")
POOL: Key[Codes] = Key("pool")


class SGDFactorization(Fading, FeaturedFactors):
    """Learns factors by stochastic gradients, with a choice of losses.

    The meaning of values depends on `loss`. For "squared" they are ratings, negative ones and zeros included. For
    "logistic", items with positive values were taken and those with negative values disliked. All other losses read
    each event as taken, and refuse negative values; there, values are weights only with `weighted`.

    ========== ============================================================================================
    loss       minimised, with s = x·y + b
    ========== ============================================================================================
    "squared"  ((r - mean) / spread - b_u - b_i - x·y)²: biased matrix factorization; SVD++ with `implicit_feedback`
    "logistic" log(1 + e⁻ˢ) of taken items, log(1 + eˢ) of dislikes and of drawn items
    "bpr"      log(1 + exp(s_j - s_i)): a taken item against a drawn one
    "warp"     the same with a hinge, weighted by the rank that the search for a violation implies
    "ccl"      1 - cos_i + negative_weight · mean max(0, cos_j - margin): cosine contrastive loss
    "softmax"  -log softmax of cos_i / temperature among drawn items
    ========== ============================================================================================

    With features of items or users (`fit`), a row is the sum of its features' vectors and one of its own, as in LightFM
    (Kula 2015). Half of the penalty is on the row, half on its own part. Items and users without events are answered by
    their features.

    Ratings are learned in units of their spread, so that `learning_rate` and penalties mean the same on ratings of 1 to
    5 and of 0 to 100: scaled and shifted ratings give scaled and shifted predictions.

    "bpr" and "warp" begin at the main directions of the interactions, so that few epochs are enough for most of the
    accuracy. The other losses begin at random rows.

    Training is parallel, and gives the same bits for any `n_jobs`. Users, seen in training or not, are folded in: their
    factors minimise the same loss with fixed item factors. A score is not a sum over a history, so there is no
    `explain`.

    Parameters
    ----------
    factors : int
        The number of factors, without biases.
    loss : {"squared", "logistic", "bpr", "warp", "ccl", "softmax"}
        The loss to minimise.
    implicit_feedback : bool
        For "squared": SVD++, in which each rated item adds to the user's factors, whatever the rating.
    negatives : {"uniform", "popularity", "adaptive"} or None
        The way to draw items that a user has not taken: uniformly; in proportion to users^0.75; or, for "bpr", the one
        of `n_negatives` with the highest score (Zhang, Chen, Wang, Yu 2013). None: "adaptive" for "bpr", otherwise
        "uniform".
    n_negatives : int or None
        The number of drawn items: for each sample, or for a user's part of a block ("logistic", "ccl", "softmax"); the
        largest number ("warp" and adaptive negatives). None is a number for each loss.
    margin, negative_weight : float or None
        The numbers in the table; `margin` is that of the hinge in "warp", and `negative_weight` the weight of drawn
        items in "logistic". None is a number for each loss.
    temperature : float
        The temperature in the table.
    weighted : bool
        Whether values are the weights of their samples (for all losses except "squared").
    optimizer : {"sgd", "adagrad", "adam"}
        The rule of steps; Adagrad and lazy Adam work on each coordinate.
    learning_rate : float or None
        The length of a step; None is a number for each loss and optimizer.
    schedule : {"constant", "linear"}
        The course of the learning rate: constant, or falling to zero with the epochs.
    regularization : float, pair of float, or None
        The penalty of factors in each step, or a pair for users and for items. None is a number for each loss.
    bias_regularization : float or None
        The penalty of biases; None is that of items.
    identity : bool
        Whether a row with features has its own vector besides their sum; without it, rows with the same features are
        equal.
    feature_regularization : float or "auto"
        The strength of the penalty of features' vectors, in multiples of the mean squared length of the rows of
        features. "auto" predicts a hidden fifth of the rows best.
    iterations : int
        The number of epochs; each visits every entry once.
    tol : float
        Training stops when an epoch lowers the loss by less than this share of it; 0 never stops. With validation, an
        epoch counts as better when the measure improves by more than this.
    validation_fraction : float
        The share of each row's entries to hide from training and to predict after each epoch; 0 is none. Training stops
        when NDCG@10 has not risen (for "squared": RMSE has not fallen) for `n_iter_no_change` epochs, and the best
        epoch's items are kept.
    n_iter_no_change : int
        The patience of validation, in epochs.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. Below 1, users of the training data are folded in for
        each answer. A change on a fitted model acts at once; learned values, even `user_factors_`, do not depend on it.
        Not for "squared", whose values are ratings.
    random_state : int, RandomState or None
        The seed. The same seed gives the same factors, bit for bit on one machine.
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
    user_factors_, item_factors_ : ndarray of shape (n_users, d), (n_items, d)
        float32, C-contiguous. The first `factors` columns are x and y; biases follow, each beside a column of ones on
        the other side (1 column for "bpr", "warp" and "logistic", 2 for "squared"), so that a score is an inner
        product. The users' factors are multiplied by `spread_`. Similarities leave biases out.
    mean_, spread_ : float
        The mean rating and its standard deviation ("squared"), otherwise 0 and 1.
    item_features_, user_features_ : csr_array of shape (n_items, m), (n_users, m), or None
        The features given to `fit`.
    item_map_, user_map_ : ndarray of shape (m + 1, factors) or (m + 1, factors + 1), or None
        The vector, and bias if there is one, of each feature; the last row is the part common to all.
    presence_factors_ : ndarray of shape (n_items, factors) or None
        SVD++'s second factors of items.
    loss_curve_ : ndarray of shape (n_iter_,)
        The mean loss of each epoch's samples at the time of their step, without penalties, float64.
    validation_curve_ : ndarray of shape (n_iter_,) or None
        NDCG@10 or RMSE of the hidden entries after each epoch.
    n_iter_ : int
        The epochs that were run.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.
    FloatingPointError
        In `fit`, after the epoch in which the loss or a factor is no longer finite.

    Notes
    -----
    See docs/explanation/sgd.md for the equations, the papers, the drawing of negatives, and the choice of defaults.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((20, 5)))  # two groups of users, each with five items of its own
    >>> X[0, 0] = 0
    >>> model = SGDFactorization(factors=4, iterations=40, random_state=0).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    >>> ratings = SGDFactorization(factors=2, loss="squared", random_state=0).fit([[5, 1, 0], [4, 0, 2]])
    >>> ratings.predict_pairs([0, 1], [2, 1]).shape
    (2,)
    """

    _options: ClassVar[Options] = {
        "factors": FACTORS,
        "loss": Choice(tuple(LOSSES)),
        "implicit_feedback": Flag(),
        "negatives": Choice((*NEGATIVES, None)),
        "n_negatives": Integer(1, max(loss.most_negatives for loss in LOSSES.values()), log=True, also=(None,)),
        "margin": Number(0, also=(None,)),
        "negative_weight": Number(0, also=(None,), log=True),
        "temperature": Number(0.02, 100, log=True),
        "weighted": Flag(),
        "optimizer": Choice(tuple(OPTIMIZERS)),
        "learning_rate": Number(0, above=True, log=True, also=(None,)),
        "schedule": Choice(SCHEDULES),
        "regularization": Pair(Number(0, log=True), also=(None,)),
        "bias_regularization": Number(0, log=True, also=(None,)),
        "identity": Flag(),
        "feature_regularization": STRENGTH,
        **EPOCHS,
        **VALIDATION,
        "warm_start": Flag(),
    }
    _learned: ClassVar[Fields] = {
        "mean_": Value(float, least=-LARGEST, most=LARGEST),
        "spread_": Value(float, least=0, above=True, most=LARGEST, absent=True),
        "presence_factors_": Array(("n_items", "factors"), optional=True),
        **EPOCH_RESULTS,
        "validation_curve_": VALIDATION_CURVE,
    }
    _whole_fields: ClassVar[Fields] = {"pool": Array(("pool",), "int32", least=0, below="n_items")}

    _by_item: ClassVar[tuple[str, ...]] = ("item_factors_", "presence_factors_")

    mean_: float
    spread_: float = 1.0
    presence_factors_: Floats | None
    loss_curve_: NDArray[np.float64]
    validation_curve_: NDArray[np.float64] | None
    n_iter_: int

    def __init__(
        self,
        factors: int = 64,
        *,
        loss: str = "bpr",
        implicit_feedback: bool = False,
        negatives: str | None = None,
        n_negatives: int | None = None,
        margin: float | None = None,
        negative_weight: float | None = None,
        temperature: float = 0.1,
        weighted: bool = False,
        optimizer: str = "sgd",
        learning_rate: float | None = None,
        schedule: str = "linear",
        regularization: float | tuple[float, float] | None = None,
        bias_regularization: float | None = None,
        identity: bool = True,
        feature_regularization: float | str = "auto",
        iterations: int = 30,
        tol: float = 0.0,
        validation_fraction: float = 0.0,
        n_iter_no_change: int = 5,
        recency: float = 1.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.loss = loss
        self.implicit_feedback = implicit_feedback
        self.negatives = negatives
        self.n_negatives = n_negatives
        self.margin = margin
        self.negative_weight = negative_weight
        self.temperature = temperature
        self.weighted = weighted
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.regularization = regularization
        self.bias_regularization = bias_regularization
        self.identity = identity
        self.feature_regularization = feature_regularization
        self.iterations = iterations
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.recency = recency
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    # -- options

    def _check_options(self) -> None:
        super()._check_options()
        name = type(self).__name__
        loss = LOSSES[self.loss]
        if self.implicit_feedback and not loss.takes_presence:
            raise ValueError(f"{name}.implicit_feedback needs loss='squared', got loss={self.loss!r}")
        if self.negatives == "adaptive" and loss.hardest_defaults is None:
            raise ValueError(f"{name}.negatives='adaptive' needs loss='bpr', got loss={self.loss!r}")
        if self.recency != 1 and loss.keeps_zeros:
            raise ValueError(f"{name}.recency must be 1 with loss={self.loss!r}, whose values are ratings, not weights")
        if self.n_negatives is not None:
            Integer(1, loss.most_negatives).check(f"{name}.n_negatives", self.n_negatives)

    def _sizes(self) -> Sizes:
        options = self._loss_options()
        loss, factors = LOSSES[self.loss](options, self.n_features_in_), options.factors
        maps = {"item_map": factors + loss.item_biases, "user_map": factors + loss.user_biases}
        return super()._sizes() | {"factors": factors, "width": factors + count_bias_columns(loss)} | maps

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        options = self._loss_options()
        check_number("learning_rate", options.learning_rate, maximum=LARGEST_RATE)  # with more, nothing is learned
        for number in (*options.regularization, options.margin, options.negative_weight):
            check_number("each of regularization, margin and negative_weight", number, maximum=LARGEST_OPTION)
        if not self.implicit_feedback and getattr(self, "presence_factors_", None) is not None:
            raise ValueError("presence_factors_ must be None without implicit_feedback")
        if self.implicit_feedback and vars(self).get("presence_factors_", self) is None:
            raise ValueError("presence_factors_ must be given with implicit_feedback")

    def _loss_options(self) -> LossOptions:
        """The options, checked, with the loss's own numbers in place of None."""
        self._check_options()
        loss = LOSSES[self.loss]
        hardest = loss.hardest_defaults if self.negatives in (None, "adaptive") else None
        defaults = hardest or loss.defaults
        if self.optimizer != "sgd":
            defaults = defaults._replace(learning_rate=ADAPTIVE_RATES[self.optimizer])

        def option_or_default(option: str) -> Any:
            value = getattr(self, option)
            return getattr(defaults, option) if value is None else value

        decays = option_or_default("regularization")
        of_users, of_items = decays if isinstance(decays, tuple | list) else (decays, decays)
        return LossOptions(
            factors=int(self.factors),
            optimizer=self.optimizer,
            learning_rate=float(option_or_default("learning_rate")),
            regularization=(float(of_users), float(of_items)),
            bias_regularization=float(of_items if self.bias_regularization is None else self.bias_regularization),
            draws=int(option_or_default("n_negatives")),
            hardest=hardest is not None,
            margin=float(option_or_default("margin")),
            negative_weight=float(option_or_default("negative_weight")),
            temperature=float(self.temperature),
            implicit_feedback=bool(self.implicit_feedback),
            n_jobs=effective_jobs(self.n_jobs),
        )

    @property
    def _loss_class(self) -> type[Loss]:
        """The class of `loss`, whether or not it has been checked yet."""
        return LOSSES[self.loss] if isinstance(self.loss, str) and self.loss in LOSSES else Loss

    @property
    def takes_negatives(self) -> bool:  # type: ignore[override]
        """Tells whether values may be negative: ratings may, and so may dislikes."""
        return self._loss_class.takes_negatives

    @property
    def keeps_zeros(self) -> bool:  # type: ignore[override]
        """Tells whether zeros are entries: a rating of zero is one."""
        return self._loss_class.keeps_zeros

    @property
    def fades(self) -> bool:
        """See `Answering.fades`: ratings do not fade, since they are no weights."""
        return not self.keeps_zeros and super().fades

    # -- learning

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
            None. Items and users without events are then answered by their features. Not for "ccl" and "softmax".
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

    def _fit(self, matrix: CodeMatrix, item_features: Any = None, user_features: Any = None, X_val: Any = None) -> None:
        options = self._loss_options()
        loss = LOSSES[self.loss](options, matrix.shape[1])
        self._adopt_features(matrix.shape, item_features, user_features)
        if loss.unit and (item_features is not None or user_features is not None):
            raise ValueError(
                f"features need a loss without unit vectors, such as 'bpr' or 'warp', got loss={self.loss!r}"
            )
        given = None if X_val is None else self._select_learned(self._check_matrix(X_val))
        trained, hidden = hold_out(matrix, given, self.validation_fraction)
        squared = loss.measure == "RMSE"
        self.mean_, self.spread_ = RatingScale.of(trained.data) if squared else RatingScale()
        seed = seed_of(self.random_state)
        known = self._last(matrix.shape, loss)
        sides = self._start(matrix.shape, loss, seed, known)
        if loss.starts_spectral and known.users is None and known.items is None:
            users, items = (side.rows.reshape(-1, options.width) for side in (sides.users, sides.items))
            add_spectral_rows(users, items, trained, options.factors, seed, options.n_jobs)
        counts = np.bincount(trained.indices, minlength=trained.shape[1])
        block_schedule = BlockSchedule(trained, self._weights(trained), self._copies(counts), options.n_jobs)
        loss.begin(sides, trained)
        priors = self._find_priors(loss, trained)
        loop = self._epoch_loop(options)
        best = loop.run(
            lambda epoch: self._epoch(
                block_schedule, loss, np.random.default_rng([seed, epoch]), self._rate(options, epoch), priors
            ),
            None if hidden is None else lambda: self._validate(loss, trained, hidden),
            lambda: self._learned_arrays(loss, priors),
        )
        arrays = self._learned_arrays(loss, priors) if best is None else best
        self.item_factors_, self.presence_factors_, self.item_map_, self.user_map_ = arrays
        loop.record(self)

    def _find_priors(self, loss: Loss, matrix: CodeMatrix) -> dict[str, FeaturePrior]:
        """The sides with features, and the priors that draw their rows together."""
        priors, sides, n_jobs = {}, loss.sides, loss.options.n_jobs
        item_counts = count_codes(matrix.indices, matrix.shape[1])
        for name, side, features, counts in (
            ("item", sides.items, self.item_features_, item_counts),
            ("user", sides.users, self.user_features_, np.diff(matrix.indptr)),
        ):
            if features is not None:
                ridge = FeatureRidge(features, counts, self.feature_regularization, n_jobs)
                priors[name] = FeaturePrior(side, ridge, self.factors, self.identity)
        return priors

    def _epoch_loop(self, options: LossOptions) -> EpochLoop:
        advice = f"A learning_rate below {options.learning_rate} may help."
        return EpochLoop.of(self, advice, LOSSES[self.loss].measure)

    def _rate(self, options: LossOptions, epoch: int) -> float:
        left = 1.0 if self.schedule == "constant" else 1.0 - epoch / self.iterations
        return options.learning_rate * left

    @property
    def _scale(self) -> RatingScale:
        """The scale of ratings; files from before `spread_` learned raw ratings."""
        return RatingScale(self.mean_, self.spread_)

    def _weights(self, matrix: CodeMatrix) -> Floats:
        """A weight for each entry, or a rating in units of the spread; one number if all are equal."""
        if self._loss_class.keeps_zeros:
            return self._scale.in_units(matrix.data)
        if self.weighted:
            return matrix.data
        if self.takes_negatives and matrix.nnz and matrix.data.min() < 0:
            signs: Floats = np.sign(matrix.data)
            return signs
        return np.ones(1, np.float32)

    def _copies(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of copies of each item in the pool of negatives, from its number of users."""
        known = counts > 0
        if self.negatives != "popularity" or not known.any():
            return known.astype(np.int64)
        powers = counts**POPULARITY_EXPONENT
        copies = np.rint(POPULARITY_STEPS * powers / powers[known].mean())
        return np.where(known, np.maximum(1, copies), 0).astype(np.int64)

    def _last(self, shape: tuple[int, int], loss: Loss) -> KnownFactors:
        """The factors of the last fit, if training starts from them and their shapes match."""

        def fitting(name: str, *wanted: int) -> Floats | None:
            rows: Floats | None = getattr(self, name, None) if self.warm_start else None
            return rows if rows is not None and rows.shape == wanted else None

        width = loss.options.factors + count_bias_columns(loss)
        return KnownFactors(
            fitting("user_factors_", shape[0], width),
            fitting("item_factors_", shape[1], width),
            fitting("presence_factors_", shape[1], loss.options.factors),
        )

    def _start(self, shape: tuple[int, int], loss: Loss, seed: Any, known: KnownFactors) -> Sides:
        featured = self.user_features_ is not None, self.item_features_ is not None
        return start_sides(loss, shape, featured, self._scale, seed, known)

    def _epoch(
        self,
        block_schedule: BlockSchedule,
        loss: Loss,
        rng: np.random.Generator,
        rate: float,
        priors: dict[str, FeaturePrior],
    ) -> float:
        total, count = block_schedule.run_epoch(rng, loss.task(rate), loss.after(rate))
        for side in (loss.sides.users, loss.sides.items):
            for part in (side.rows, side.biases):
                if part.size and not (np.isfinite(part.min()) and np.isfinite(part.max())):
                    return float("nan")
        for prior in priors.values():
            prior.follow()
        return self.spread_**2 * total / max(1, count)

    def _validate(self, loss: Loss, trained: CodeMatrix, hidden: CodeMatrix) -> float:
        options, users = loss.options, loss.sides.users
        rows = users.rows.reshape(trained.shape[0], options.width)
        if isinstance(loss, RatingLoss) and loss.sides.presence is not None:
            rows = rows + loss.offsets.reshape(rows.shape)
        biases = users.biases if loss.user_biases else np.zeros(1, np.float32)
        user_factors, (item_factors, _) = user_columns(loss, rows, biases, self._scale), item_columns(loss)
        if loss.measure == "RMSE":
            return validation_rmse(user_factors, item_factors, hidden)
        return validation_ndcg(lambda rows: user_factors[rows] @ item_factors.T, trained, hidden)

    def _learned_arrays(
        self, loss: Loss, priors: dict[str, FeaturePrior]
    ) -> tuple[Floats, Floats | None, Floats | None, Floats | None]:
        """The item factors, the presence factors, and the maps of both sides' features."""
        maps = {name: prior.settle() for name, prior in priors.items()}
        return *item_columns(loss), maps.get("item"), maps.get("user")

    # -- updates

    def _update_items(self, change: Change) -> None:
        """Trains further on all entries of the changed users; new items begin as in a fit.

        The old entries are among them, so that they are neither forgotten nor drawn as negatives.
        """
        options, seed = self._loss_options(), update_seed(self)
        loss = LOSSES[self.loss](options, self.n_features_in_)
        rows = pick_rows(self._training, change.users)
        loss.sides = self._start(rows.shape, loss, seed, KnownFactors(None, self.item_factors_, self.presence_factors_))
        self.item_factors_, self.presence_factors_ = item_columns(loss)
        users = self._factors_of(change.users)
        sides = self._start(rows.shape, loss, seed, KnownFactors(users, self.item_factors_, self.presence_factors_))
        block_schedule = BlockSchedule(rows, self._weights(rows), self._copies(self.item_counts_), options.n_jobs)
        loss.begin(sides, rows)
        if isinstance(loss, RatingLoss) and sides.presence is not None:
            sides.users.rows[:] -= loss.offsets  # a fold-in adds them
        self._set_priors(loss, change.users)
        for step in range(UPDATE_PASSES):
            rate = options.learning_rate * UPDATE_RATE * (1 - step / UPDATE_PASSES)
            self._epoch(block_schedule, loss, np.random.default_rng([*seed, step]), rate, {})
        self.item_factors_, self.presence_factors_ = item_columns(loss)

    def _set_priors(self, loss: Loss, users: Codes) -> None:
        """Sets the priors as in the fit: an update does not learn the maps of features again."""
        sides, n_jobs = loss.sides, loss.options.n_jobs
        if self.item_features_ is not None and self.item_map_ is not None:
            spread = map_features(self.item_features_, self.item_map_, n_jobs)
            draw_rows(sides.items, spread, self.factors)
        if self.user_features_ is not None and self.user_map_ is not None:
            spread = map_features(pick_rows(self.user_features_, users), self.user_map_, n_jobs)
            draw_rows(sides.users, spread, self.factors)

    # -- columns

    def _as_item_factors(self, vectors: Floats) -> Floats:
        ones = np.ones((len(vectors), self.item_factors_.shape[1] - vectors.shape[1]), np.float32)
        return np.hstack([vectors, ones])

    def _as_user_factors(self, vectors: Floats) -> Floats:
        loss, _, _ = self._derived.get(FOLD_IN, self._fold_in_parts)
        return user_columns(loss, vectors, vectors[:, -1], self._scale)

    # -- folding in

    def _as_weights(self, histories: CodeMatrix) -> CodeMatrix:
        weights = self._weights(histories)
        if weights is histories.data:
            return histories
        return with_data(histories, np.resize(weights, histories.nnz))

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        """Folds in rows of histories; their values come from `_as_weights`."""
        loss, sides, pool = self._derived.get(FOLD_IN, self._fold_in_parts)
        rows, biases = loss.fold(matrix, matrix.data, pool, sides)
        return user_columns(loss, rows, biases, self._scale)

    def _fold_in_from(self, matrix: CodeMatrix, vectors: Floats) -> Floats:
        if not self.identity:
            return self._as_user_factors(vectors)
        loss, sides, pool = self._derived.get(FOLD_IN, self._fold_in_parts)
        vectors = np.where((np.diff(matrix.indptr) > 0)[:, None], DRAW * vectors, vectors)
        drawn_to = aligned_zeros(len(vectors), loss.options.width)
        drawn_to[:, : self.factors] = vectors[:, : self.factors]
        biases = np.ascontiguousarray(vectors[:, -1]) if loss.user_biases else np.zeros(1, np.float32)
        rows, biases = loss.fold(matrix, matrix.data, pool, sides, (drawn_to.reshape(-1), biases))
        return user_columns(loss, rows, biases, self._scale)

    def _fold_in_parts(self) -> tuple[Loss, Sides, NDArray[np.int32]]:
        """The loss, the items at the kernels' width, and the pool of negatives."""
        loss = LOSSES[self.loss](self._loss_options(), self.n_features_in_)
        pool = self._derived.get(POOL, self._pool)
        if not len(pool):  # a kernel that draws from an empty pool reads foreign memory
            raise ValueError(f"{type(self).__name__} has no items to draw negatives from: its file is not whole")
        loss.hold_items(sides_of_items(loss, self.item_factors_, self.presence_factors_, self._scale), pool)
        return loss, loss.sides, pool

    def _pool(self) -> Codes:
        """The pool of negatives: each item as often as it may be drawn; each once if there was no event."""
        copies = self._copies(self.item_counts_)
        return np.repeat(np.arange(self.n_features_in_, dtype=np.int32), copies if copies.any() else 1)

    def _whole(self) -> dict[str, NDArray[Any]]:
        """A part of the pool, the same for all histories: their vectors must be decoded."""
        pool = self._pool()
        return {"pool": np.sort(np.random.default_rng(0).permutation(pool)[:POOL_AT_HAND])}

    def _items_to_fold(self, whole: Mapping[str, NDArray[Any]]) -> Codes:
        return np.unique(whole["pool"])

    def _with_items(self, items: Codes, arrays: Mapping[str, Any], whole: Mapping[str, NDArray[Any]]) -> Self:
        part = super()._with_items(items, arrays, whole)
        part._derived.get(POOL, lambda: np.searchsorted(items, whole["pool"]).astype(np.int32))
        return part

    # -- similarities leave biases out

    def _comparable(self, factors: Floats) -> Floats:
        return np.ascontiguousarray(factors[:, : self.factors])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = not self.takes_negatives
        return tags
