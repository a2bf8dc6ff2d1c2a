"""Two towers: a network for histories and a network for items, whose vectors are compared by inner product."""

import itertools
import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fastrec.fields import Array, Fields, Sizes, Value
from fastrec.kernels.adam import update_weights
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.layers import add_products
from fastrec.matrix.arrays import Floats, readonly
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, keep_entries
from fastrec.matrix.rows import pick_rows
from fastrec.models.base.factors import FactorRecommender
from fastrec.models.base.fields import EPOCH_RESULTS, VALIDATION_CURVE
from fastrec.options import EPOCHS, FACTORS, VALIDATION, Integer, Number, Options, Widths
from fastrec.parallel import one_blas_thread
from fastrec.solvers.epochs import EpochLoop, hold_out, seed_of, validate_in_batches
from fastrec.solvers.network_layout import check_decay
from fastrec.solvers.network_training import SPREAD, Embedding, make_step_tables
from fastrec.solvers.ridge import check_features

Callback = Callable[[int, float, float], bool | None]

# The share of items that use their features alone in a step, so that the network learns to score cold items.
COLD = 0.25


class Tower:
    """Dense layers with ReLU between them, the last one linear: padded, in one flat array of parameters.

    Parameters
    ----------
    widths
        The padded widths, from the input to the output; a single width means no layer.
    at
        The place of the first parameter.
    """

    def __init__(self, widths: list[int], at: int) -> None:
        self.widths = widths
        self.places = []
        for inputs, outputs in itertools.pairwise(widths):
            self.places.append(at)
            at += inputs * outputs + outputs
        self.end = at

    def layer(self, flat: Floats, index: int) -> tuple[Floats, Floats]:
        """Views of the kernel (inputs × outputs) and the bias of a layer."""
        at, inputs, outputs = self.places[index], self.widths[index], self.widths[index + 1]
        return flat[at : at + inputs * outputs].reshape(inputs, outputs), flat[at + inputs * outputs :][:outputs]

    def start(self, flat: Floats, own: list[int], rng: np.random.Generator) -> None:
        """Draws the kernels (He et al. 2015); `own` are the widths without padding."""
        for index in range(len(self.places)):
            n, m = own[index], own[index + 1]
            kernel, _ = self.layer(flat, index)
            kernel[:n, :m] = rng.standard_normal((n, m), np.float32) * np.float32(math.sqrt(2 / n))

    def forward(self, flat: Floats, x: Floats) -> list[Floats]:
        """The input and each layer's output, of shape (n, width); a row's output depends on that row alone, to the
        bit.
        """
        outputs = [np.ascontiguousarray(x)]
        for index, at in enumerate(self.places):
            inputs, width = self.widths[index], self.widths[index + 1]
            out = np.empty((len(x), width), np.float32)
            out[:] = self.layer(flat, index)[1]
            add_products(
                readonly(outputs[-1]).reshape(-1), 0, inputs, 1, readonly(flat), at, out.reshape(-1), 0, len(x), inputs,
                width,
            )  # fmt: skip
            outputs.append(out if index == len(self.places) - 1 else np.maximum(out, 0, out=out))
        return outputs

    def backward(self, flat: Floats, outputs: list[Floats], errors: Floats, slopes: Floats) -> Floats:
        """The derivatives by the input, from those by the output; those by the parameters are written to `slopes`."""
        for index in reversed(range(len(self.places))):
            if index < len(self.places) - 1:
                errors = errors * (outputs[index + 1] > 0)
            kernel, bias = self.layer(slopes, index)
            np.matmul(outputs[index].T, errors, out=kernel)
            errors.sum(axis=0, out=bias)
            errors = errors @ self.layer(flat, index)[0].T
        return errors


class TwoTowerRecommender(FactorRecommender):
    """Two networks (towers): one makes user vectors from histories, the other makes item vectors.

    The score is the inner product, so an index finds the best items. Values are weights of positive feedback; negative
    ones are refused, zeros are no feedback. The loss is the cross-entropy between a user's items, by their weights, and
    the softmax of the scores of all items, or of drawn ones:

        − sum over users  sum over i  (x_ui / sum_j x_uj) · log softmax_i(u · v),

        u = tower(sum over i of x_ui / ‖x_u‖ · (h_i + f_i H)),      v_i = tower(e_i + f_i E)

    with embeddings h and e, features f if there are any, and a part of each history left out at random in training
    (Liang et al. 2018, Yi et al. 2019). New users are answered by their history, like all others.

    Parameters
    ----------
    factors : int
        The width of the vectors.
    layers : sequence of int
        The widths of the hidden layers of both towers; with none, the vectors are the sums themselves.
    dropout : float
        The share of a history that is left out in a step, from 0 to below 1.
    negatives : int
        The number of items drawn for a step; all items, if there are no more.
    learning_rate : float
        The learning rate of Adam, above 0.
    regularization : float
        Weight decay, decoupled (Loshchilov, Hutter 2019).
    iterations : int
        The maximum number of epochs.
    batch_size : int
        The maximum number of users of a step.
    tol, validation_fraction : float
        The conditions of an early stop, as in `ImplicitALS`.
    n_iter_no_change : int
        The patience of validation, in epochs.
    random_state : int, RandomState or None
        The seed. The same seed gives the same vectors, bit for bit on one machine.
    n_jobs : int or None
        Threads for answers; None is all cores. Training uses one.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True.

    Attributes
    ----------
    user_factors_, item_factors_ : ndarray of shape (n_users, factors), (n_items, factors)
        float32, C-contiguous. Items without an event and without features have zeros.
    history_vectors_ : ndarray of shape (n_items, factors)
        h_i + f_i H: the contribution of an item to the input of the users' tower.
    tower_ : ndarray
        float32: the users' tower, padded and flat.
    network_ : list
        The trained network: factors and layers.
    loss_curve_ : ndarray of shape (n_iter_,)
        The mean loss of a user in each epoch, float64.
    validation_curve_ : ndarray of shape (n_iter_,) or None
        NDCG@10 of the hidden items after each epoch.
    n_iter_ : int
        The epochs that were run.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.
    FloatingPointError
        In `fit`, after the epoch in which the loss is no longer finite.

    Notes
    -----
    See docs/explanation/mlp.md for the equations.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((20, 5)))  # two groups of users, each with five items of its own
    >>> X[0, 0] = 0
    >>> model = TwoTowerRecommender(8, layers=(16,), learning_rate=0.01, random_state=0).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    _options: ClassVar[Options] = {
        "factors": FACTORS,
        "layers": Widths(),
        "dropout": Number(0, 0.99),
        "negatives": Integer(1, memory=True),
        "learning_rate": Number(0, above=True, log=True),
        "regularization": Number(0, log=True),
        **EPOCHS,
        "batch_size": Integer(1, memory=True, log=True),
        **VALIDATION,
    }
    _learned: ClassVar[Fields] = {
        "history_vectors_": Array(("n_items", "width")),
        "tower_": Array(("parameters",)),
        "network_": Value(list),
        **EPOCH_RESULTS,
        "validation_curve_": VALIDATION_CURVE,
    }

    _by_item: ClassVar[tuple[str, ...]] = ("item_factors_", "history_vectors_")

    history_vectors_: Floats
    tower_: Floats
    network_: list[Any]
    loss_curve_: NDArray[np.float64]
    validation_curve_: NDArray[np.float64] | None
    n_iter_: int

    def __init__(
        self,
        factors: int = 64,
        *,
        layers: Any = (128,),
        dropout: float = 0.5,
        negatives: int = 4096,
        learning_rate: float = 0.001,
        regularization: float = 0.0,
        iterations: int = 50,
        batch_size: int = 128,
        tol: float = 0.0,
        validation_fraction: float = 0.0,
        n_iter_no_change: int = 3,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.layers = layers
        self.dropout = dropout
        self.negatives = negatives
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.iterations = iterations
        self.batch_size = batch_size
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback

    def _check_options(self) -> None:
        super()._check_options()
        check_decay(f"{type(self).__name__}.regularization", self.learning_rate, self.regularization)

    def fit(self, X: Any, y: Any = None, *, item_features: Any = None, X_val: Any = None) -> Self:
        """Trains the towers.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; accepted because scikit-learn passes it.
        item_features
            A sparse or dense matrix of shape (n_items, n_features), or None. With it, items without events are
            recommended by their features.
        X_val
            The data to validate on: other interactions of the same users and items, of the shape of X.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As the class says. After an error or an interrupt (Ctrl-C) the model is unchanged.

        Examples
        --------
        >>> X = np.kron(np.eye(2), np.ones((20, 5)))
        >>> X[:, 0] = 0  # nobody has item 0; its features are those of the first group's
        >>> features = np.kron(np.eye(2), np.ones((5, 1)))
        >>> model = TwoTowerRecommender(8, learning_rate=0.01, random_state=0).fit(X, item_features=features)
        >>> int(model.recommend(3, k=1).codes[0, 0])
        0
        """
        return self._learn(X, item_features=item_features, X_val=X_val)

    def _fit(self, matrix: CodeMatrix, item_features: Any = None, X_val: Any = None) -> None:
        features = check_features("item_features", item_features, matrix.shape[1])
        validation = None if X_val is None else self._select_learned(self._check_matrix(X_val))
        trained, hidden = hold_out(matrix, validation, self.validation_fraction)
        rng = np.random.default_rng(seed_of(self.random_state))
        self.network_ = [self.factors, [int(width) for width in self.layers]]
        training = _Training(self, matrix.shape[1], features, rng)
        with one_blas_thread():
            self._train(training, trained, hidden)

    def _train(self, training: "_Training", trained: CodeMatrix, hidden: CodeMatrix | None) -> None:
        """Runs the epochs; keeps the last one, or with validation the best."""

        def validate() -> float:
            assert hidden is not None
            self._keep(training)
            return validate_in_batches(lambda rows: self._score_rows(trained, rows), trained, hidden)

        loop = EpochLoop.of(self, f"A learning_rate below {self.learning_rate} may help.")
        best = loop.run(
            lambda epoch: training.run_epoch(trained),
            None if hidden is None else validate,
            lambda: (self.item_factors_, self.history_vectors_, self.tower_),
        )
        if best is None:
            self._keep(training)
        else:
            self.item_factors_, self.history_vectors_, self.tower_ = best
            self._derived.__init__()  # type: ignore[misc]
        loop.record(self)

    def _keep(self, training: "_Training") -> None:
        """Takes over the present vectors of the towers."""
        known = self.item_counts_ > 0
        self.item_factors_ = training.item_vectors(known)[:, : self.factors].copy()
        self.history_vectors_ = training.history_vectors(known)[:, : self.factors].copy()
        self.tower_ = training.flat[: training.users.end].copy()
        self._derived.__init__()  # type: ignore[misc]

    def _score_rows(self, trained: CodeMatrix, rows: NDArray[np.int64]) -> Floats:
        return self._fold_in(pick_rows(trained, rows)) @ self.item_factors_.T

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        tower = make_towers(*self.network_)[0]
        summed = np.zeros((matrix.shape[0], tower.widths[0]), np.float32)
        summed[:, : self.history_vectors_.shape[1]] = (
            as_scipy(normalized(matrix), len(self.history_vectors_)) @ self.history_vectors_
        )
        vectors = tower.forward(self.tower_, summed)[-1]
        vectors = np.ascontiguousarray(vectors[:, : self.history_vectors_.shape[1]])
        vectors[np.diff(matrix.indptr) == 0] = 0
        return vectors

    def _find_recommendable(self) -> NDArray[np.bool_] | None:
        warm = (self.item_counts_ > 0) | self.item_factors_.any(axis=1)
        return None if warm.all() else warm

    def _sizes(self) -> Sizes:
        name, network = type(self).__name__, self.network_
        if len(network) != 2:
            raise ValueError(f"{name}.network_ must have 2 parts, got {len(network)}")
        factors, layers = network
        FACTORS.check(f"{name}.network_'s factors", factors)
        self._options["layers"].check(f"{name}.network_'s layers", layers)
        return super()._sizes() | {"width": factors, "parameters": make_towers(factors, layers)[0].end}


def make_towers(factors: int, layers: list[int]) -> tuple[Tower, Tower]:
    """The users' tower and the items' tower, one after the other in the flat array of parameters."""
    widths = (
        [padded_width(factors), *map(padded_width, layers), padded_width(factors)]
        if layers
        else [padded_width(factors)]
    )
    users = Tower(widths, 0)
    return users, Tower(widths, users.end)


def normalized(matrix: CodeMatrix) -> CodeMatrix:
    """The matrix with rows of length 1."""
    rows = row_numbers(matrix)
    norms = np.sqrt(np.bincount(rows, np.square(matrix.data, dtype=np.float64), matrix.shape[0]))
    values = (matrix.data / np.maximum(norms, 1e-30)[rows]).astype(np.float32)
    return assemble_csr(values, matrix.indices, matrix.indptr, matrix.shape)


def as_scipy(matrix: CodeMatrix, width: int | None = None) -> Any:
    """The matrix with one type of indices, which SciPy's products need; with another width, if that is given."""
    shape = (matrix.shape[0], matrix.shape[1] if width is None else width)
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=shape)


class _Training:
    """A training of the towers: embeddings of items in histories and as candidates, maps of features, two networks."""

    def __init__(self, model: TwoTowerRecommender, n_items: int, features: CodeMatrix | None, rng: Any) -> None:
        self.model, self.rng, self.n_items = model, rng, n_items
        self.features = None if features is None else as_scipy(features)
        factors = model.factors
        self.width = padded_width(factors)
        self.users, self.items = make_towers(factors, model.network_[1])
        n_features = 0 if features is None else features.shape[1]
        self.maps = self.items.end + np.arange(3) * n_features * self.width  # of histories, of candidates, and the end
        self.flat, self.slopes, self.first, self.second = (np.zeros(int(self.maps[2]), np.float32) for _ in range(4))
        own = [factors, *model.network_[1], factors]
        for tower in (self.users, self.items):
            tower.start(self.flat, own, rng)
        self.drawn = min(n_items, model.negatives)
        self.tables = make_step_tables(model.learning_rate, model.regularization)
        self.histories, self.candidates = (
            Embedding(self._draw(n_items, factors), self.width, n_items) for _ in range(2)
        )
        self.steps = 0

    def _draw(self, n: int, factors: int) -> Floats:
        vectors = np.zeros((n, self.width), np.float32)
        vectors[:, :factors] = self.rng.standard_normal((n, factors), np.float32) * np.float32(SPREAD)
        return vectors.reshape(-1)

    def _map(self, flat: Floats, side: int) -> Floats:
        return flat[self.maps[side] : self.maps[side + 1]].reshape(-1, self.width)

    def _inputs(self, side: int, codes: NDArray[Any], kept: NDArray[np.bool_] | None = None) -> Floats:
        """Embeddings of items (zeros unless `kept`) plus their mapped features, of shape (n, width)."""
        rows = (self.histories if side == 0 else self.candidates).values.reshape(-1, self.width)[codes]
        if kept is not None:
            rows *= kept[:, None]
        if self.features is not None:
            rows += self.features[codes] @ self._map(self.flat, side)
        inputs: Floats = rows
        return inputs

    def _descend(self, side: int, codes: NDArray[Any], errors: Floats, kept: NDArray[np.bool_] | None = None) -> None:
        """Propagates derivatives by inputs back to embeddings and maps."""
        embedding = self.histories if side == 0 else self.candidates
        own = errors if kept is None else errors * kept[:, None]
        embedding.slopes[: own.size] = own.reshape(-1)
        if self.features is not None:
            self._map(self.slopes, side)[:] = self.features[codes].T @ errors
        embedding.update(self.steps, self.tables)

    def run_epoch(self, matrix: CodeMatrix) -> float:
        """Learns from all users in random order; returns the mean loss of a user."""
        users = self.rng.permutation(np.flatnonzero(np.diff(matrix.indptr)))
        total = 0.0
        for part in np.array_split(users, -(-len(users) // self.model.batch_size)) if len(users) else ():
            total += self.step(pick_rows(matrix, part))
            if not math.isfinite(total):
                break
        for embedding in (self.histories, self.candidates):
            embedding.settle(self.steps, self.tables)
        return total / max(len(users), 1)

    def step(self, rows: CodeMatrix) -> float:
        """Learns from some users; returns the sum of their losses before it."""
        self.steps += 1
        kept = self.rng.random(rows.nnz, np.float32) >= self.model.dropout
        seen = normalized(keep_entries(rows, kept))
        codes, places = np.unique(seen.indices, return_inverse=True)
        sums = csr_array((seen.data, places.reshape(-1), seen.indptr), shape=(rows.shape[0], len(codes)))
        some = np.arange(self.n_items, dtype=np.int32)
        if self.drawn < self.n_items:
            some = np.sort(self.rng.choice(self.n_items, self.drawn, replace=False, shuffle=False)).astype(np.int32)
        own = None if self.features is None else self.rng.random(len(some)) >= COLD
        self.histories.prepare(codes, self.steps, self.tables)
        self.candidates.prepare(some, self.steps, self.tables)

        mine = self.users.forward(self.flat, sums @ self._inputs(0, codes))
        its = self.items.forward(self.flat, self._inputs(1, some, own))
        with np.errstate(all="ignore"):  # the loss reveals a divergence
            lost, errors = cross_entropy(mine[-1] @ its[-1].T, as_scipy(rows)[:, some].toarray())
        errors /= np.float32(rows.shape[0])

        back = self.users.backward(self.flat, mine, errors @ its[-1], self.slopes)
        self._descend(0, codes, sums.T @ back)
        self._descend(1, some, self.items.backward(self.flat, its, errors.T @ mine[-1], self.slopes), own)
        update_weights(self.flat, self.first, self.second, self.slopes[None], self.steps, self.tables)
        return lost

    def item_vectors(self, known: NDArray[np.bool_]) -> Floats:
        """The items' vectors: from features alone unless `known`, and zeros without features."""
        vectors = self.items.forward(self.flat, self._inputs(1, np.arange(self.n_items), known))[-1]
        vectors[~(known | self._items_with_features())] = 0
        return vectors

    def history_vectors(self, known: NDArray[np.bool_]) -> Floats:
        """The vectors that items add to a history."""
        return self._inputs(0, np.arange(self.n_items), known)

    def _items_with_features(self) -> NDArray[np.bool_]:
        return np.zeros(self.n_items, bool) if self.features is None else np.diff(self.features.indptr) > 0


def cross_entropy(scores: Floats, weights: Floats) -> tuple[float, Floats]:
    """The sum over rows of the cross-entropy of softmax(scores) with the weights; each row's weights are scaled to sum
    1.

    Returns it and its derivatives by the scores. Rows without weights count for nothing.

    >>> lost, slopes = cross_entropy(np.zeros((1, 2), "f4"), np.array([[3, 0]], "f4"))
    >>> round(lost, 4), slopes.tolist()
    (0.6931, [[-0.5, 0.5]])
    """
    sums = weights.sum(axis=1, keepdims=True)
    wanted = weights / np.maximum(sums, np.float32(1e-30))
    scores = scores - scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    totals = shares.sum(axis=1, keepdims=True)
    lost = (np.log(totals) * (sums > 0) - (wanted * scores).sum(axis=1, keepdims=True)).sum(dtype=np.float64)
    return float(lost), (shares / totals) * (sums > 0) - wanted
