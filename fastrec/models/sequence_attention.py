"""A small causal transformer: the next item by attention to all earlier ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array, Fields, Sizes, Value
from fastrec.matrix.arrays import Floats
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import with_data
from fastrec.matrix.sequences import Sequences, hide_newest, order_entries, pick_sequences, read_sequences
from fastrec.models.base.audience import Audience
from fastrec.models.base.fields import EPOCH_RESULTS, VALIDATION_CURVE
from fastrec.models.base.updating import Change
from fastrec.models.base.updating_factors import UpdatingFactors
from fastrec.options import EPOCHS, FACTORS, VALIDATION, Integer, Number, Options
from fastrec.parallel import effective_jobs
from fastrec.solvers.attention_encoding import encode
from fastrec.solvers.attention_layout import AttentionLayout
from fastrec.solvers.attention_training import AttentionTrainer, ItemDraws, deal_steps
from fastrec.solvers.epochs import Callback, EpochLoop, hold_out, seed_of, update_seed, validate_in_batches
from fastrec.solvers.network_layout import check_decay
from fastrec.solvers.network_training import runner

UPDATE_PASSES, UPDATE_RATE = 3, 0.5  # passes of an update, and its share of the learning rate, which falls to 0


class SequenceAttention(UpdatingFactors):
    """A causal transformer over ordered histories, trained to predict each next item.

    After each event, blocks of attention and hidden layers as in SASRec (Kang, McAuley 2018) make a vector h from it
    and all earlier events. The score of an item is h · v, with the same vectors v as in the history. The loss is the
    cross-entropy of the next item, over all events, among drawn items (the same for all events of a step) or all items:

        −log(exp(h·v_next) / (exp(h·v_next) + Σ over drawn c of exp(h·v_c − log(expected number of draws of c))))

    Biases of attention, one for each distance, encode the positions of events, so histories need no padding, and no
    position has its own parameters. New histories are answered like those of the training data. Values are not read.

    Learns from Interactions with times. A plain matrix has no times, so its values count as places: larger values are
    later, and equal ones follow the order of the codes.

    Parameters
    ----------
    factors : int
        The width of the vectors.
    blocks : int
        The number of blocks of attention; with 0, h is the mean of a history, weighted by the age of its events.
    heads : int
        Heads of attention in a block, at least 1.
    hidden : int or None
        The width of the hidden layers; None is four times `factors`.
    window : int
        The number of the newest events of a history that count, at least 1; training cuts longer histories into pieces.
    dropout : float
        The share of numbers set to 0 at random in training, in vectors and in the outputs of layers, from 0 to below 1.
    negatives : int
        The number of items drawn for a step; all items, if there are no more.
    negative_exponent : float
        0 draws items uniformly, 1 as often as they occur.
    learning_rate : float
        The learning rate of Adam, above 0; it falls to 0 over `iterations`.
    regularization : float
        Weight decay, decoupled (Loshchilov, Hutter 2019).
    iterations : int
        The maximum number of epochs.
    batch_size : int or None
        The approximate number of events of a step; None is a two-hundredth of all, from 128 to 1024.
    tol, validation_fraction : float
        As in `ImplicitALS`: the conditions of an early stop. The newest event of this share of users is held out to
        validate.
    n_iter_no_change : int
        The patience of validation, in epochs.
    random_state : int, RandomState or None
        The seed. The same seed gives the same vectors, bit for bit on one machine, for any number of threads.
    n_jobs : int or None
        Threads; None is all cores.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True.

    Attributes
    ----------
    user_factors_, item_factors_ : ndarray of shape (n_users, factors), (n_items, factors)
        float32: h after the newest event of each user, and the items' vectors; zeros for items without events.
    parameters_ : ndarray
        float32: the network, padded and flat.
    network_ : list of int
        The trained network: factors, blocks, heads, hidden, window.
    order_ : ndarray of shape (n_entries,)
        The place of each entry of `seen_` in its user's history, the oldest first, int32.
    loss_curve_ : ndarray of shape (n_iter_,)
        The mean loss of an event in each epoch, float64.
    validation_curve_ : ndarray of shape (n_iter_,) or None
        NDCG@10 of the events held out after each epoch.
    n_iter_ : int
        The epochs that were run.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or X has no times.
    FloatingPointError
        In `fit`, after the epoch in which the loss is no longer finite.

    Notes
    -----
    An update of users alone folds their histories in. An update of items trains further on the changed histories, new
    items included. See docs/explanation/sequence.md for the equations and the accuracy.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> first, places = rng.integers(12, size=200), np.zeros((200, 12))  # each item is followed by the next one
    >>> for step in range(5):
    ...     places[np.arange(200), (first + step) % 12] = step + 1
    >>> model = SequenceAttention(16, blocks=1, learning_rate=0.01, iterations=15, random_state=0).fit(places)
    >>> model.recommend([[1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]], k=1).codes
    array([[3]], dtype=int32)
    """

    reads_order: ClassVar[bool] = True
    needs_order: ClassVar[bool] = True

    _options: ClassVar[Options] = {
        "factors": FACTORS,
        "blocks": Integer(0, 64),
        "heads": Integer(1, 1024),
        "hidden": Integer(1, memory=True, log=True, also=(None,)),
        "window": Integer(1, memory=True, log=True),
        "dropout": Number(0, 0.99),
        "negatives": Integer(1, memory=True, log=True),
        "negative_exponent": Number(0, 1),
        "learning_rate": Number(0, above=True, log=True),
        "regularization": Number(0, log=True),
        **EPOCHS,
        "batch_size": Integer(1, memory=True, log=True, also=(None,)),
        **VALIDATION,
    }
    _learned: ClassVar[Fields] = {
        "parameters_": Array(("parameters",)),
        "network_": Value(list),
        **EPOCH_RESULTS,
        "validation_curve_": VALIDATION_CURVE,
    }

    parameters_: Floats
    network_: list[int]
    loss_curve_: NDArray[np.float64]
    validation_curve_: NDArray[np.float64] | None
    n_iter_: int

    def __init__(
        self,
        factors: int = 64,
        *,
        blocks: int = 2,
        heads: int = 2,
        hidden: int | None = None,
        window: int = 200,
        dropout: float = 0.2,
        negatives: int = 512,
        negative_exponent: float = 0.5,
        learning_rate: float = 0.002,
        regularization: float = 0.0,
        iterations: int = 18,
        batch_size: int | None = None,
        tol: float = 0.0,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.blocks = blocks
        self.heads = heads
        self.hidden = hidden
        self.window = window
        self.dropout = dropout
        self.negatives = negatives
        self.negative_exponent = negative_exponent
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

    def fit(self, X: Any, y: Any = None, *, X_val: Any = None) -> Self:
        """Trains the network.

        Parameters
        ----------
        X
            Interactions with times, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; accepted because scikit-learn passes it.
        X_val
            What to validate on: later interactions of the same users and items, of the shape of X.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As the class says. After an error or an interrupt (Ctrl-C) the model is unchanged.
        """
        return self._learn(X, X_val=X_val)

    def _fit(self, matrix: CodeMatrix, X_val: Any = None) -> None:
        order, validation = self._training_order(), None
        if X_val is not None:
            validation = self._select_learned(self._check_matrix(X_val))
            matrix, hidden = hold_out(matrix, validation, 0.0)
        else:
            matrix, order, hidden = hide_newest(matrix, order, self.validation_fraction)
        sequences = read_sequences(matrix, order)
        hidden_factors = 4 * self.factors if self.hidden is None else int(self.hidden)
        longest = max(1, int(np.diff(self.seen_.indptr).max(initial=1)))
        self.network_ = [self.factors, self.blocks, self.heads, hidden_factors, min(self.window, longest)]
        rng = np.random.default_rng(seed_of(self.random_state))
        with self._trainer(sequences, rng) as trainer:
            self._train(trainer, sequences, matrix, hidden)

    def _train(
        self, trainer: AttentionTrainer, sequences: Sequences, trained: CodeMatrix, hidden: CodeMatrix | None
    ) -> None:
        """Runs the epochs; keeps the last one, or with validation the best."""

        def run_epoch(epoch: int) -> float:
            trainer.set_rate(self.learning_rate * (1 - epoch / self.iterations))
            return trainer.run_epoch(
                deal_steps(sequences, self._layout.length, self._step_size(sequences), trainer.rng)
            )

        def validate() -> float:
            assert hidden is not None
            self._keep(trainer)
            return validate_in_batches(lambda rows: self._score_rows(sequences, rows), trained, hidden)

        loop = EpochLoop.of(self, f"A learning_rate below {self.learning_rate} may help.")
        best = loop.run(run_epoch, None if hidden is None else validate, lambda: (self.item_factors_, self.parameters_))
        if best is None:
            self._keep(trainer)
        else:
            self.item_factors_, self.parameters_ = best
        loop.record(self)

    def _step_size(self, sequences: Sequences) -> int:
        return min(1024, max(128, len(sequences.items) // 200)) if self.batch_size is None else int(self.batch_size)

    @contextmanager
    def _trainer(self, sequences: Sequences, rng: np.random.Generator) -> Iterator[AttentionTrainer]:
        """The trainer of the sequences, new or from the model's present state."""
        counts = np.bincount(sequences.items, minlength=self.n_features_in_)
        draws = ItemDraws(counts, self.negatives, self.negative_exponent)
        most = min(len(sequences.items), 2 * self._step_size(sequences) + self._layout.length)
        with runner(effective_jobs(self.n_jobs)) as run:
            yield AttentionTrainer(
                self._layout, self.n_features_in_, draws, learning_rate=self.learning_rate, decay=self.regularization,
                dropout=self.dropout, most=most, rng=rng, run=run,
            )  # fmt: skip

    def _keep(self, trainer: AttentionTrainer) -> None:
        """Takes over the present state of the network."""
        self.item_factors_ = trainer.vectors()
        self.item_factors_[self.item_counts_ == 0] = 0
        self.parameters_ = trainer.weights.copy()

    def _score_rows(self, sequences: Sequences, rows: NDArray[np.int64]) -> Floats:
        return self._encode(pick_sequences(sequences, rows)) @ self.item_factors_.T

    @property
    def _layout(self) -> AttentionLayout:
        return AttentionLayout(*self.network_)

    # -- histories

    def _weigh(self, audience: Audience) -> CodeMatrix:
        """The histories with the places of their events as values."""
        histories, order = audience.histories_in_order()
        return histories if order is None else with_data(histories, order.astype(np.float32) + 1)

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        return self._encode(read_sequences(matrix, order_entries(matrix, matrix.data)))

    def _encode(self, sequences: Sequences) -> Floats:
        return encode(self._layout, self.parameters_, self.item_factors_, sequences, effective_jobs(self.n_jobs))

    def _training_factors(self, matrix: CodeMatrix) -> Floats:
        return self._factors_of(slice(None))

    # -- updates

    def _update_items(self, change: Change) -> None:
        """Trains further on the changed histories; new items begin as in a fit."""
        rng = np.random.default_rng(update_seed(self))
        matrix = self._weigh(Audience.of_users(self, change.users))
        sequences = read_sequences(matrix, order_entries(matrix, matrix.data))
        with self._trainer(sequences, rng) as trainer:
            trainer.begin_from(self.item_factors_, self.parameters_)
            for step in range(UPDATE_PASSES):
                trainer.set_rate(self.learning_rate * UPDATE_RATE * (1 - step / UPDATE_PASSES))
                trainer.run_epoch(deal_steps(sequences, self._layout.length, self._step_size(sequences), rng))
            self._keep(trainer)

    # -- files

    def _sizes(self) -> Sizes:
        name, network = type(self).__name__, self.network_
        if len(network) != 5:
            raise ValueError(f"{name}.network_ must have 5 parts, got {len(network)}")
        for option, value in zip(("factors", "blocks", "heads", "hidden", "window"), network, strict=True):
            self._options[option].check(f"{name}.network_'s {option}", value)
        return super()._sizes() | {"width": network[0], "parameters": self._layout.size}
