"""Neural collaborative filtering: a small network over the embeddings of a user and an item."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data.ids import as_sequence
from fastrec.fields import Array, Fields, Sizes, Value
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import common_entries, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.hashing import hash_rows_and_values
from fastrec.matrix.known_rows import KnownRows
from fastrec.matrix.rows import pick_rows, rows_of_lists
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.fields import EPOCH_RESULTS, VALIDATION_CURVE
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.items import encode_items
from fastrec.models.base.recommender import Recommender
from fastrec.options import EPOCHS, FACTORS, VALIDATION, Choice, Flag, Integer, Number, Options, Widths
from fastrec.parallel import effective_jobs
from fastrec.retrieval import ExactIndex, TopK
from fastrec.solvers.epochs import EpochLoop, hold_out, seed_of, validate_in_batches
from fastrec.solvers.network_layout import (
    ARCHITECTURES,
    LOSSES,
    NORMALIZATIONS,
    NetworkLayout,
    check_decay,
    check_depth,
)
from fastrec.solvers.network_scoring import Scorer
from fastrec.solvers.network_training import SPREAD, EpochSamples, Trainer, make_step_tables
from fastrec.solvers.network_training import runner as threads

Callback = Callable[[int, float, float], bool | None]

# The names of the trained architecture's parts, as in `network_`.
NETWORK = ("architecture", "factors", "layers", "normalization", "loss", "negatives", "regularization")

WEIGHT_RANGE = 1e30  # beyond it, the network's output soon overflows

# Fold-in of users: the number of Adam's steps, and their size.
FOLD_IN_STEPS = 40
FOLD_IN_RATE = 0.05


SCORER: Key[Scorer] = Key("scorer")
KNOWN_ROWS: Key[KnownRows] = Key("known rows")
CENTER: Key[Floats] = Key("center")
ITEM_INDEX: Key[ExactIndex] = Key("index of items")


class MLPRecommender(Recommender):
    """A small neural network over the embeddings of a user and an item (neural collaborative filtering).

    With `loss="logistic"`, an entry is a positive sample whose weight is its value, and the score is a probability;
    with "squared", an entry's value is the number that the score should reach, such as a rating. Values below zero are
    refused, zeros are no entries. With both, each epoch draws `negatives` items outside the user's row for each entry,
    as samples of 0. For ratings, set `negatives=0`.

    Parameters
    ----------
    factors : int
        The width of an embedding. "neumf" has two for each user and item.
    architecture : {"dot", "gmf", "mlp", "neumf"}
        "dot": the inner product of the two embeddings, times a weight, plus a bias: what Keras calls Embedding, Dot,
        Dense(1). "gmf": a weight for each factor. "mlp": dense layers over the two embeddings side by side. "neumf":
        both, each with embeddings of its own (He et al. 2017).
    layers : sequence of int
        The widths of the dense layers of "mlp" and "neumf": each linear, then normalization, ReLU, dropout.
    dropout : float
        The share of a layer's outputs set to 0 in training, from 0 to below 1.
    normalization : {"batch", "layer"} or None
        Batch normalization takes its means over blocks of at most 256 samples of a batch.
    loss : {"logistic", "squared"}
        Binary cross-entropy of a sigmoid, or squared error.
    negatives : int
        Samples of 0 for each entry.
    learning_rate : float
        The learning rate of Adam, above 0.
    regularization : float
        Weight decay, decoupled (Loshchilov, Hutter 2019): each step takes learning_rate · regularization off all
        parameters, and off the embeddings that have been in a sample.
    iterations : int
        The maximum number of epochs.
    batch_size : int
        The maximum number of samples of a step.
    tol : float
        Training stops when an epoch lowers the loss by less than this share of it; 0 never stops. With validation, an
        epoch counts as better when NDCG@10 rises by more than this.
    validation_fraction : float
        The share of each row's items to hide from training and to rank after each epoch; 0 is none. Training stops
        when NDCG@10 has not risen for `n_iter_no_change` epochs, and the best epoch is kept.
    n_iter_no_change : int
        The patience of validation, in epochs.
    random_state : int, RandomState or None
        The seed. The same seed gives the same model, bit for bit on one machine.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.
    warm_start : bool
        Start from the learned values of the last fit, if the shapes are the same.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True.

    Attributes
    ----------
    user_embeddings_, item_embeddings_ : ndarray of shape (n_users, width), (n_items, width)
        float32; width is `factors`, for "neumf" twice that: first the part that is multiplied. Users with the same
        history share the mean of their vectors.
    weights_ : ndarray of shape (n_weights,)
        float32: all other parameters; `network_weights()` returns them by name.
    moments_ : ndarray of shape (n_weights,) or None
        Batch normalization's running means and variances, at the places of gains and shifts in `weights_`.
    network_ : list
        The trained network: architecture, factors, layers, normalization, loss, negatives, regularization.
    loss_curve_ : ndarray of shape (n_iter_,)
        The mean loss of a sample in each epoch, float64.
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
    See docs/explanation/mlp.md for the equations, how unseen users are answered, and a Keras model line by line.

    A history that is a training user's own gets that user's embedding. Any other history is folded in from the mean
    embedding, by 40 steps of Adam on the same loss over its items and its own negatives; all else is fixed. Both
    embeddings depend on the history alone.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((20, 5)))  # two groups of users, each with five items of its own
    >>> X[0, 0] = 0
    >>> model = MLPRecommender(8, layers=(16,), learning_rate=0.01, iterations=60, random_state=0).fit(X)
    >>> int(model.recommend(0, k=1).codes[0, 0])
    0
    """

    _options: ClassVar[Options] = {
        "factors": FACTORS,
        "architecture": Choice(ARCHITECTURES),
        "layers": Widths(),
        "dropout": Number(0, 0.99),
        "normalization": Choice(tuple(NORMALIZATIONS)),
        "loss": Choice(tuple(LOSSES)),
        "negatives": Integer(0, 1000),
        "learning_rate": Number(0, above=True, log=True),
        "regularization": Number(0, log=True),
        **EPOCHS,
        "batch_size": Integer(1, 1 << 20, log=True),
        **VALIDATION,
        "warm_start": Flag(),
    }
    _learned: ClassVar[Fields] = {
        "user_embeddings_": Array(("n_users", "columns")),
        "item_embeddings_": Array(("n_items", "columns")),
        "center_": Array(("columns",), absent=True),
        "weights_": Array(("parameters",)),
        "moments_": Array(("parameters",), optional=True),
        "network_": Value(list),
        **EPOCH_RESULTS,
        "validation_curve_": VALIDATION_CURVE,
    }

    user_embeddings_: Floats
    item_embeddings_: Floats
    center_: Floats
    weights_: Floats
    moments_: Floats | None
    network_: list[Any]
    loss_curve_: NDArray[np.float64]
    validation_curve_: NDArray[np.float64] | None
    n_iter_: int

    def __init__(
        self,
        factors: int = 32,
        *,
        architecture: str = "neumf",
        layers: Any = (64, 32, 16),
        dropout: float = 0.0,
        normalization: str | None = None,
        loss: str = "logistic",
        negatives: int = 4,
        learning_rate: float = 0.001,
        regularization: float = 0.0,
        iterations: int = 20,
        batch_size: int = 256,
        tol: float = 0.0,
        validation_fraction: float = 0.0,
        n_iter_no_change: int = 3,
        random_state: Any = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.architecture = architecture
        self.layers = layers
        self.dropout = dropout
        self.normalization = normalization
        self.loss = loss
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
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def _check_options(self) -> None:
        super()._check_options()
        check_depth(f"{type(self).__name__}.layers", self.layers, self.architecture)
        check_decay(f"{type(self).__name__}.regularization", self.learning_rate, self.regularization)

    # -- learning

    def fit(self, X: Any, y: Any = None, *, X_val: Any = None) -> Self:
        """Trains the network.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; accepted because scikit-learn passes it.
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

        Examples
        --------
        >>> MLPRecommender(4, iterations=2, random_state=0).fit([[1, 0, 1], [0, 1, 1]]).n_iter_
        2
        """
        return self._learn(X, X_val=X_val)

    def _fit(self, matrix: CodeMatrix, X_val: Any = None) -> None:
        validation = None if X_val is None else self._select_learned(self._check_matrix(X_val))
        trained, hidden = hold_out(matrix, validation, self.validation_fraction)
        layout = self._layout()
        rng = np.random.default_rng(seed_of(self.random_state))
        start = self._start(layout, matrix, rng)
        self.network_ = [
            *(layout.architecture, layout.factors, list(layout.layers), layout.normalization),
            *(self.loss, self.negatives, float(self.regularization)),
        ]
        with threads(effective_jobs(self.n_jobs)) as run:
            trainer = Trainer(
                layout, *start, loss=self.loss, dropout=self.dropout, batch=self.batch_size,
                tables=make_step_tables(self.learning_rate, self.regularization), run=run,
            )  # fmt: skip
            self._train(trainer, EpochSamples(trained, self.negatives, self.loss), rng, trained, hidden)
        self.user_embeddings_ = _share_equal(self.user_embeddings_, matrix)

    def _layout(self) -> NetworkLayout:
        return NetworkLayout(self.architecture, self.factors, tuple(map(int, self.layers)), self.normalization)

    def _start(
        self, layout: NetworkLayout, matrix: CodeMatrix, rng: np.random.Generator
    ) -> tuple[Floats, Floats, Floats]:
        """The first weights and embeddings, padded."""
        weights = layout.start(rng)
        if self.loss == "squared" and self.negatives == 0 and matrix.nnz:
            weights[layout.places[-1]] = matrix.data.mean(dtype=np.float64)
        sides = [rng.standard_normal((n, len(layout.columns)), np.float32) * np.float32(SPREAD) for n in matrix.shape]
        if self.warm_start and getattr(self, "network_", [None])[:4] == self._describe_layout(layout):
            weights = layout.pad(self.weights_)
            known = (self.user_embeddings_, self.item_embeddings_)
            sides = [old.copy() if old.shape == new.shape else new for old, new in zip(known, sides, strict=True)]
        return weights, layout.pad_rows(sides[0]), layout.pad_rows(sides[1])

    @staticmethod
    def _describe_layout(layout: NetworkLayout) -> list[Any]:
        return [layout.architecture, layout.factors, list(layout.layers), layout.normalization]

    def _train(
        self,
        trainer: Trainer,
        samples: EpochSamples,
        rng: np.random.Generator,
        trained: CodeMatrix,
        hidden: CodeMatrix | None,
    ) -> None:
        """Runs the epochs; keeps the last one, or with validation the best."""

        def validate() -> float:
            assert hidden is not None
            self._keep(trainer)
            return validate_in_batches(self._score_users, trained, hidden)

        loop = EpochLoop.of(self, self._advice())
        best = loop.run(
            lambda epoch: self._run_epoch(trainer, samples, rng, epoch),
            None if hidden is None else validate,
            lambda: (self.user_embeddings_, self.item_embeddings_, self.weights_, self.moments_),
        )
        if best is None:
            self._keep(trainer)
        else:
            self.user_embeddings_, self.item_embeddings_, self.weights_, self.moments_ = best
            self._derived.__init__()  # type: ignore[misc]
        loop.record(self)

    def _run_epoch(self, trainer: Trainer, samples: EpochSamples, rng: np.random.Generator, epoch: int) -> float:
        total = 0.0
        seed = int(rng.integers(2**62))
        for number, batch in enumerate(samples.batches(self.batch_size, rng, trainer.run)):
            total += trainer.step(*batch, seed + number)
            if not math.isfinite(total):
                raise self._divergence_error(f"the loss is {total} in epoch {epoch + 1}")
        trainer.settle()
        largest = max(float(np.abs(part).max(initial=0)) for part in (trainer.weights, *trainer.views))
        if not largest < WEIGHT_RANGE:
            raise self._divergence_error(f"the largest parameter is {largest} after epoch {epoch + 1}")
        return total / max(samples.n, 1)

    def _divergence_error(self, what: str) -> FloatingPointError:
        name = type(self).__name__
        return FloatingPointError(f"{what}: {name} has diverged. {self._advice()}")

    def _advice(self) -> str:
        return f"A learning_rate below {self.learning_rate} or smaller values may help."

    def _keep(self, trainer: Trainer) -> None:
        """Takes over copies of the trainer's parameters."""
        layout = trainer.layout
        self.user_embeddings_ = layout.unpad_rows(trainer.users.values.copy())
        self.item_embeddings_ = layout.unpad_rows(trainer.items.values.copy())
        self.weights_ = trainer.weights[layout.places]
        self.moments_ = trainer.running[layout.places] if layout.normalization == "batch" else None
        self._derived.__init__()  # type: ignore[misc]

    def _score_users(self, rows: NDArray[np.int64]) -> Floats:
        return self._scorer().score_all(self.user_embeddings_[rows], effective_jobs(self.n_jobs))

    # -- asking

    def rerank(self, users: Any, candidates: Any, k: int = 10, *, on_unknown: str = "error") -> TopK:
        """Ranks the candidates of another model; returns the `k` best of each user.

        Only the candidates are scored: hundreds of pairs for a user instead of all items.

        Parameters
        ----------
        users
            One for each row of candidates; ids, or histories, as in `recommend`.
        candidates
            The TopK of another model, whose items are this model's; or ids of items, of shape (n, m), or a sequence
            of a sequence for each user.
        k
            The number of items for each user.
        on_unknown
            As in `recommend`.

        Returns
        -------
        TopK
            Codes and scores of shape (n, k), best first. A seen item is among them if it is a candidate.

        Raises
        ------
        ValueError
            If the model does not know a candidate, or there is not one row for each user.

        Examples
        --------
        >>> import numpy as np
        >>> from fastrec.models import Popularity
        >>> X = np.kron(np.eye(2), np.ones((6, 3)))
        >>> X[0, 0] = 0
        >>> first = Popularity().fit(X)
        >>> second = MLPRecommender(4, layers=(8,), learning_rate=0.02, iterations=60, random_state=0).fit(X)
        >>> int(second.rerank(0, first.recommend(0, k=4), k=1).codes[0, 0])
        0
        """
        self._check_fitted()
        rows = self._candidate_rows(candidates, on_unknown) if isinstance(candidates, TopK) else candidates
        if not isinstance(candidates, TopK):
            rows = list(as_sequence(candidates))
        return self.recommend(users, k, exclude_seen=False, allow=rows, on_unknown=on_unknown)  # type: ignore[arg-type]

    def _candidate_rows(self, candidates: TopK, on_unknown: str) -> CodeMatrix:
        codes = candidates.codes
        valid = codes >= 0
        theirs = candidates._about.item_vocabulary
        if theirs is not None and self.items_ is not None and theirs != self.items_:
            known = np.full(codes.shape, -1, np.int32)
            known[valid] = encode_items(self, "candidates", theirs.decode(codes[valid]), on_unknown)
            codes = known
        elif valid.any() and int(codes.max()) >= self.n_features_in_:
            raise ValueError(f"candidates must be codes from 0 to {self.n_features_in_ - 1}, got {int(codes.max())}")
        return rows_of_lists(codes.ravel(), np.full(len(codes), codes.shape[1]), self.n_features_in_)

    def network_weights(self) -> dict[str, Floats]:
        """The parameters except the embeddings, by name: kernel0 (inputs × outputs), bias0, …, product, output, bias.

        Examples
        --------
        >>> model = MLPRecommender(4, layers=(8,), iterations=1, random_state=0).fit([[1, 0, 1], [0, 1, 1]])
        >>> {name: values.shape for name, values in model.network_weights().items()}
        {'kernel0': (8, 8), 'bias0': (8,), 'product': (4,), 'output': (8,), 'bias': (1,)}
        """
        self._check_fitted()
        return self._layout_of_network().named(self.weights_)

    def _layout_of_network(self) -> NetworkLayout:
        architecture, factors, layers, normalization = self.network_[:4]
        return NetworkLayout(architecture, factors, tuple(layers), normalization)

    def _check_network(self) -> None:
        """Raises a ValueError or TypeError if a file's network is not one that `fit` makes."""
        name, network = type(self).__name__, self.network_
        if len(network) != len(NETWORK):
            raise ValueError(f"{name}.network_ must have {len(NETWORK)} parts, got {len(network)}")
        for option, value in zip(NETWORK, network, strict=True):
            self._options[option].check(f"{name}.network_'s {option}", value)
        check_depth(f"{name}.network_'s layers", network[2], network[0])

    def _scorer(self) -> Scorer:
        return self._derived.get(SCORER, self._make_scorer)

    def _make_scorer(self) -> Scorer:
        layout = self._layout_of_network()
        moments = None if self.moments_ is None else layout.pad(self.moments_)
        return Scorer(layout, layout.pad(self.weights_), moments, self.item_embeddings_, self.network_[4])

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        users = self._fold_in(histories) if codes is None else self.user_embeddings_[codes]
        return self._scorer().score_all(users, effective_jobs(self.n_jobs) if len(users) > 1 else 1)

    def _vectors(self, audience: Audience) -> Floats:
        if audience.codes is None:
            return self._fold_in(audience.histories())
        vectors: Floats = self.user_embeddings_[audience.codes]
        return vectors

    def _fold_in(self, histories: CodeMatrix) -> Floats:
        """Folds in users by their histories; returns embeddings of shape (n, width)."""
        known = self._derived.get(KNOWN_ROWS, lambda: KnownRows(self._training)).find(histories)
        old, new = np.flatnonzero(known >= 0), np.flatnonzero(known < 0)
        vectors = np.empty((len(known), self.user_embeddings_.shape[1]), np.float32)
        vectors[old] = self.user_embeddings_[known[old]]
        if len(new):
            rows = pick_rows(histories, new)
            center = self._derived.get(CENTER, self._find_center)
            vectors[new] = self._scorer().fold_in(
                rows, hash_rows_and_values(rows), center, negatives=self.network_[5], steps=FOLD_IN_STEPS,
                rate=FOLD_IN_RATE, decay=self.network_[6], n_jobs=effective_jobs(self.n_jobs) if len(new) > 1 else 1,
            )  # fmt: skip
        return vectors

    def _drop_users(self) -> None:
        """See `Learner._drop_users`: the mean of the user vectors is kept, from which users are folded in."""
        self.center_ = self._derived.get(CENTER, self._find_center)
        super()._drop_users()

    def _find_center(self) -> Floats:
        """The start of a fold-in: the mean of the users' vectors."""
        if not self.has_users:
            return self.center_
        active = np.diff(self._training.indptr) > 0
        some = self.user_embeddings_[active] if active.any() else self.user_embeddings_
        center: Floats = some.mean(axis=0, dtype=np.float64).astype(np.float32)
        return center

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        exclude, allow = wanted
        if not isinstance(allow, CodeMatrix):
            return super()._search(audience, k, wanted)
        if isinstance(exclude, np.ndarray):
            exclude = rows_of_lists(exclude, [len(exclude)], self.n_features_in_)
        return self._search_among(audience, k, allow, exclude)

    def _search_among(
        self, audience: Audience, k: int, allowed: CodeMatrix, exclude: CodeMatrix | None
    ) -> tuple[Codes, Floats]:
        """Searches rows that have items of their own: only these are scored."""
        scores = self._score_rows(self._vectors(audience), allowed)
        open_ = np.ones(allowed.nnz, bool) if exclude is None else ~common_entries(allowed, exclude)
        codes = np.full((len(audience), k), -1, np.int32)
        best = np.full((len(audience), k), -np.inf, np.float32)
        rows = row_numbers(allowed)[open_]
        order = np.lexsort((allowed.indices[open_], -scores[open_], rows))
        rows, items, scores = rows[order], allowed.indices[open_][order], scores[open_][order]
        ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
        first = ranks < k
        codes[rows[first], ranks[first]] = items[first]
        best[rows[first], ranks[first]] = scores[first]
        return codes, best

    def _score_rows(self, vectors: Floats, items: CodeMatrix) -> Floats:
        """The scores of the entries of a matrix that has a row of items for each user."""
        jobs = effective_jobs(self.n_jobs)
        return self._scorer().score_pairs(vectors, row_numbers(items).astype(np.int32), items.indices, jobs)

    def _score_pairs(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        jobs = effective_jobs(self.n_jobs)
        return self._scorer().score_pairs(self._vectors(audience), rows.astype(np.int32), items, jobs)

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, Floats]:
        """Finds items by the cosine of their embeddings."""
        index = self._derived.get(
            ITEM_INDEX, lambda: ExactIndex(metric="cosine", n_jobs=self.n_jobs).fit(self.item_embeddings_)
        )
        itself = rows_of_lists(items, np.ones(len(items), np.int64), self.n_features_in_)
        top = index.search(self.item_embeddings_[items], k, itself, allow=self.recommendable_items())
        return top.codes.copy(), top.scores.copy()

    def _sizes(self) -> Sizes:
        self._check_network()
        layout = self._layout_of_network()
        return super()._sizes() | {"columns": layout.width, "parameters": layout.n_parameters}


def _share_equal(vectors: Floats, matrix: CodeMatrix) -> Floats:
    """The vectors, with those of equal rows replaced by their mean: a user is known by the history."""
    groups = KnownRows(matrix).groups()
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    if (sizes == 1).all():
        return vectors
    shared = vectors.copy()
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        rows = order[start : start + size]
        shared[rows] = vectors[rows].mean(axis=0, dtype=np.float64)
    return shared
