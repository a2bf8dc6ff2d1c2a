"""Item2Vec: item vectors by skip-gram with negative sampling over the items that users took one after the other."""

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fastrec.data import Interactions
from fastrec.fields import Array, Fields, Sizes
from fastrec.kernels._jit import Static
from fastrec.kernels.item2vec import count_pairs, place_pairs
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.sgd_labels import Labels, step_labels
from fastrec.kernels.sgd_pairs import Samples
from fastrec.kernels.sgd_steps import SGD, Parameters, StepSizes
from fastrec.matrix.arrays import Floats, aligned_zeros, readonly, starts_of
from fastrec.matrix.cells import added_entries, count_codes, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows
from fastrec.matrix.sequences import Sequences, drop_cells, group_events, read_sequences
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.factors import INDEXES, NONZERO, Side
from fastrec.models.base.fading import Fading
from fastrec.models.base.fields import EPOCH_RESULTS, VALIDATION_CURVE
from fastrec.models.base.updating import Change, coded_events
from fastrec.models.base.updating_factors import UpdatingFactors
from fastrec.options import EPOCHS, FACTORS, VALIDATION, Choice, Flag, Integer, Number, Options
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces
from fastrec.solvers.blocks import Cell, Cells, assign_items, count_blocks
from fastrec.solvers.epochs import Callback, EpochLoop, hold_out, seed_of, update_seed, validation_ndcg
from fastrec.solvers.losses import make_side

PAIRS_AT_ONCE = 1 << 22  # pairs made, assigned to blocks and trained on at a time: 32 MiB
POOL_STEPS = 8  # items are drawn in proportion to a power of their events, in steps of an eighth of the mean
UPDATE_PASSES, UPDATE_RATE = 5, 0.5  # passes of an update, and its share of the learning rate, which falls to 0
OLD_CONTEXT = 10  # items of the old history paired with new ones if there is no window
LOWEST_RATE = 1e-3  # the share of the learning rate left at the end, as in word2vec


class Item2Vec(Fading, Explaining, UpdatingFactors):
    """Learns item vectors from users' sequences or baskets, by skip-gram with negative sampling (Word2Vec).

    Values weigh a history in fold-in, not in training; negative ones are refused, zeros are no feedback. Interactions
    with times are sequences: the items within `window` events of an item are its context. Without times a row is a
    basket, in which all items are context (`window=None`). The fit minimises, for each pair of a center c and a context
    o,

        -log sigmoid(y_c·z_o) - sum over n_negatives items drawn  log sigmoid(-y_c·z_j)

    (Mikolov et al. 2013; Barkan, Koenigstein 2016 for items). The score of an item j for a history is the mean of

        y_i·z_j + popularity_exponent · log(users of j)

    over the items i of the history. It ranks items that are likely to occur beside them: y·z measures how much more
    frequent a pair is than a drawn negative, and popular items are drawn more often. With `scoring="similar"` the score
    is the mean cosine of y_i and y_j, which ranks similar items, however rare. `explain` shows the parts of either.

    Parameters
    ----------
    factors : int
        The length of a vector.
    window : int or None
        The number of events on either side that are context in sequences; None is the whole sequence.
    dynamic_window : bool
        Whether each center's window is drawn from 1 to `window`, as word2vec does, so that near events count more.
    n_negatives : int
        The number of items drawn for each pair.
    negative_exponent : float
        Items are drawn in proportion to this power of their events: with 1 as often as they occur, with 0 uniformly.
    scoring : {"next", "similar"}
        The score of an item, as above. With both, `similar_items` uses the cosine of the y.
    popularity_exponent : float or "auto"
        The weight of an item's popularity in the score "next"; "auto" is `negative_exponent` + 0.25.
    subsample : float
        The share of all events above which an item's events are left out at random, as in word2vec (its `sample`); 0
        leaves out none.
    learning_rate : float
        The length of a step; it falls to a thousandth with the epochs.
    iterations : int
        The number of epochs; each visits every event once.
    recency : float
        The fading of a history's events in answers, above 0 and at most 1: the event k places back counts recency^k.
        With 1 nothing fades, nor does a history without an order. Below 1, users of the training data are folded in for
        each answer. A change on a fitted model acts at once; learned values, even `user_factors_`, do not depend on it.
    tol, validation_fraction, n_iter_no_change, random_state, n_jobs, warm_start, verbose, callback
        As in `SGDFactorization`; the hidden part of a row is ranked by NDCG@10.

    Attributes
    ----------
    item_factors_ : ndarray of shape (n_items, factors + 1) or (n_items, factors)
        float32: z and the popularity term; with "similar" the unit vectors of y. Zero for an item without events.
    user_factors_ : ndarray of shape (n_users, factors + 1) or (n_users, factors)
        float32: the weighted means of the y of their items, and 1; with "similar" those of the unit vectors.
    center_factors_ : ndarray of shape (n_items, factors) or None
        float32: the y, with which items are compared: ready for an index by cosine. None with "similar", whose
        `item_factors_` are the y.
    context_factors_ : ndarray of shape (n_items, factors)
        float32: the vectors of items as contexts.
    item_norms_ : ndarray of shape (n_items,)
        float32: the lengths of the item vectors in training, from which updates continue.
    loss_curve_ : ndarray of shape (n_iter_,)
        The mean loss of a pair in each epoch, float64.
    validation_curve_ : ndarray of shape (n_iter_,) or None
        NDCG@10 of the hidden items after each epoch.
    n_iter_ : int
        The epochs that were run.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid.
    FloatingPointError
        In `fit`, after the epoch in which the loss or a vector is no longer finite.

    Notes
    -----
    See docs/explanation/item2vec.md for the equations, how pairs are assigned to blocks, and a comparison with
    word2vec.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(2), np.ones((20, 5)))  # two kinds of baskets
    >>> model = Item2Vec(factors=4, iterations=20, learning_rate=0.2, subsample=0, random_state=0).fit(X)
    >>> sorted(model.similar_items(0, k=4).codes[0].tolist())
    [1, 2, 3, 4]
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"transform", "similar_users", "explain", "partial_fit"})
    _options: ClassVar[Options] = {
        "factors": FACTORS,
        "window": Integer(1, memory=True, also=(None,)),
        "dynamic_window": Flag(),
        "n_negatives": Integer(1, 64),
        "negative_exponent": Number(-2, 2),
        "scoring": Choice(("next", "similar")),
        "popularity_exponent": Number(-4, 4, also=("auto",)),
        "subsample": Number(0, log=True),
        "learning_rate": Number(0, above=True, log=True),
        **EPOCHS,
        **VALIDATION,
        "warm_start": Flag(),
    }
    _former_options: ClassVar[Mapping[str, object]] = {"scoring": "similar"}
    _learned: ClassVar[Fields] = {
        "center_factors_": Array(("n_items", "factors"), optional=True, absent=True),
        "context_factors_": Array(("n_items", "factors")),
        "item_norms_": Array(("n_items",), least=0),
        **EPOCH_RESULTS,
        "validation_curve_": VALIDATION_CURVE,
    }
    _by_item: ClassVar[tuple[str, ...]] = ("item_factors_", "center_factors_")
    _alike_by: ClassVar[tuple[Side, ...]] = ("center_factors_", "item_factors_")
    _spare: ClassVar[tuple[str, ...]] = ("context_factors_", "item_norms_")
    _of_items: ClassVar[tuple[Key[Any], ...]] = (
        *UpdatingFactors._of_items,
        INDEXES["center_factors_", "cosine"],
        NONZERO["center_factors_"],
    )

    center_factors_: Floats | None = None
    context_factors_: Floats
    item_norms_: Floats
    loss_curve_: NDArray[np.float64]
    validation_curve_: NDArray[np.float64] | None
    n_iter_: int

    def __init__(
        self,
        factors: int = 64,
        *,
        window: int | None = 5,
        dynamic_window: bool = True,
        n_negatives: int = 5,
        negative_exponent: float = 0.75,
        scoring: str = "next",
        popularity_exponent: float | str = "auto",
        subsample: float = 1e-3,
        learning_rate: float = 0.05,
        iterations: int = 10,
        recency: float = 1.0,
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
        self.window = window
        self.dynamic_window = dynamic_window
        self.n_negatives = n_negatives
        self.negative_exponent = negative_exponent
        self.scoring = scoring
        self.popularity_exponent = popularity_exponent
        self.subsample = subsample
        self.learning_rate = learning_rate
        self.iterations = iterations
        self.recency = recency
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any = None, *, X_val: Any = None) -> Self:
        """Learns the vectors.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items). Interactions
            with times are sequences, repeated events included; others are baskets.
        y
            Not used; accepted because scikit-learn passes it.
        X_val
            The data to validate on: other interactions of the same users and items, of the shape of X.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As the class says. After an error or an interrupt the model is unchanged.
        """
        timed = isinstance(X, Interactions) and X.times is not None
        if timed:
            X.tell_far_times("Item2Vec")
        return self._learn(X, X_val=X_val, sequences=_sequences_of(X) if timed else None)

    def _fit(self, matrix: CodeMatrix, X_val: Any = None, sequences: Sequences | None = None) -> None:
        given = None if X_val is None else self._select_learned(self._check_matrix(X_val))
        trained, hidden = hold_out(matrix, given, self.validation_fraction)
        window = 0 if sequences is None or self.window is None else self.window
        if sequences is None:
            sequences = read_sequences(trained, None)
        elif hidden is not None:
            sequences = drop_cells(sequences, hidden)
        seed = seed_of(self.random_state)
        counts = np.bincount(sequences.items, minlength=matrix.shape[1])
        skipgram = _SkipGram(self, sequences, window, counts, seed)
        if self.warm_start and getattr(self, "context_factors_", np.empty(0)).shape == (matrix.shape[1], self.factors):
            skipgram.begin_from(*self._trained())
        loop = EpochLoop.of(self, f"A learning_rate below {self.learning_rate} may help.")
        best = loop.run(
            lambda epoch: skipgram.run_epoch(epoch, 1 - (1 - LOWEST_RATE) * epoch / self.iterations),
            None if hidden is None else lambda: self._validate(skipgram.arrays(), trained, hidden),
            skipgram.arrays,
        )
        self._take_vectors(best or skipgram.arrays(), self.item_counts_)
        loop.record(self)

    def _validate(self, vectors: "Vectors", trained: CodeMatrix, hidden: CodeMatrix) -> float:
        twin = copy.copy(self)
        twin._take_vectors(vectors, count_codes(trained.indices, trained.shape[1]))
        users = twin._fold_in(trained)
        return validation_ndcg(lambda rows: users[rows] @ twin.item_factors_.T, trained, hidden)

    def _take_vectors(self, vectors: "Vectors", counts: NDArray[np.int64]) -> None:
        """Sets the factors with which histories and items are scored, and the items' numbers of users."""
        self.item_norms_, self.context_factors_ = vectors.norms, vectors.contexts
        if self.scoring == "similar":
            self.item_factors_, self.center_factors_ = vectors.units, None
            return
        exponent = self.popularity_exponent
        exponent = self.negative_exponent + 0.25 if isinstance(exponent, str) else exponent
        popularity = exponent * np.log(np.maximum(counts, 1))
        self.item_factors_ = np.column_stack([vectors.contexts, popularity]).astype(np.float32)
        self.center_factors_ = vectors.units * vectors.norms[:, None]

    def _trained(self) -> tuple[Floats, Floats]:
        """The vectors of items as centers and as contexts, with their lengths from training."""
        if self.center_factors_ is None:
            return self.item_factors_ * self.item_norms_[:, None], self.context_factors_
        return self.center_factors_, self.context_factors_

    def _sizes(self) -> Sizes:
        factors = int(self.factors)
        return super()._sizes() | {"factors": factors, "width": factors + (self.scoring == "next")}

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        if "item_factors_" in vars(self) and (self.center_factors_ is None) != (self.scoring == "similar"):
            raise ValueError("center_factors_ must be given with scoring='next', and must be None with 'similar'")

    def _update_items(self, change: Change) -> None:
        """Trains further on pairs among the new events of each user and some old ones."""
        seed = update_seed(self)
        rng = np.random.default_rng(seed)
        sequences, window = self._new_sequences(change, rng)
        skipgram = _SkipGram(self, sequences, window, self.item_counts_, int(rng.integers(2**31)))
        skipgram.begin_from(*self._trained())
        for step in range(UPDATE_PASSES):
            skipgram.run_epoch(step, UPDATE_RATE * (1 - step / UPDATE_PASSES))
        self._take_vectors(skipgram.arrays(), self.item_counts_)

    def _new_sequences(self, change: Change, rng: np.random.Generator) -> tuple[Sequences, int]:
        """For each changed user a few old items in random order, then the new ones; and the window."""
        old = pick_rows(change.before, change.users)
        numbers = row_numbers(old)
        order = np.lexsort((rng.random(old.nnz), numbers))
        few = order[np.arange(old.nnz) - old.indptr[numbers] < (self.window or OLD_CONTEXT)]
        users, items, in_time = self._new_events(change, old)
        users = np.concatenate([numbers[few], users])
        order = np.argsort(users, kind="stable")
        lengths = np.bincount(users, minlength=len(change.users))
        starts = starts_of(lengths)
        items = np.concatenate([old.indices[few], items])[order].astype(np.int32)
        return Sequences(starts, items), (self.window or 0) if in_time else 0

    def _new_events(self, change: Change, old: CodeMatrix) -> tuple[NDArray[Any], NDArray[Any], bool]:
        """The place of each new event's user among the changed users, its item, and whether events are in order of
        time.
        """
        events = change.events
        if events is None or events.times is None:
            new = added_entries(old, pick_rows(self._training, change.users))
            return row_numbers(new), new.indices, False
        events = _without_zeros(events)
        assert events.times is not None
        users, items = coded_events(self, events)
        order = np.argsort(events.times, kind="stable")
        order = order[np.isin(users[order], change.users)]
        return np.searchsorted(change.users, users[order]), items[order], True

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        if self.center_factors_ is None:
            return _means(matrix, self.item_factors_)
        something = np.diff(matrix.indptr) > 0
        return np.column_stack([_means(matrix, self.center_factors_), something.astype(np.float32)])

    def _comparable(self, factors: Floats) -> Floats:
        """The factors without the column of popularity."""
        return np.ascontiguousarray(factors[:, : self.factors])

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[np.float64]:
        values, target = history.data.astype(np.float64), self.item_factors_[item].astype(np.float64)
        if self.center_factors_ is None:
            scores = self.item_factors_[history.indices].astype(np.float64) @ target
        else:
            scores = self.center_factors_[history.indices].astype(np.float64) @ target[:-1] + target[-1]
        parts: NDArray[np.float64] = values * scores / max(float(values.sum()), 1e-30)
        return parts


class Vectors(NamedTuple):
    """The item vectors of a training: unit vectors and norms as centers, and vectors as contexts."""

    units: Floats
    norms: Floats
    contexts: Floats


class _SkipGram:
    """One training: the item vectors as centers and as contexts, and the pairs of an epoch."""

    def __init__(
        self, model: Item2Vec, sequences: Sequences, window: int, counts: NDArray[np.int64], seed: int
    ) -> None:
        self.model, self.window, self.counts, self.seed = model, window, counts, seed
        self.sequences = Sequences(readonly(sequences.starts), readonly(sequences.items))
        self.n_items = n_items = len(counts)
        self.jobs = effective_jobs(model.n_jobs)
        self.width = padded_width(model.factors)
        self.blocks = count_blocks(n_items)
        self.shares = _kept_shares(self.counts, model.subsample)
        self.copies = _copies(self.counts, model.negative_exponent)
        self.centers, self.contexts = self._start()
        self.labels = Labels(model.n_negatives, np.float32(1), False)
        lengths = np.diff(sequences.starts)
        self.longest = int(lengths.max(initial=0))
        reach = lengths if window == 0 else np.minimum(lengths, 2 * window)
        most = np.cumsum(lengths * reach)
        groups = max(1, int(-(-most[-1] // PAIRS_AT_ONCE))) if len(most) else 1
        self.groups = np.unique(balanced_cuts(lengths * reach, groups))

    def _start(self) -> tuple[Parameters, Parameters]:
        """Initialises the vectors as in word2vec: centers uniform in ±1 / (2 · factors), contexts zero."""
        factors = self.model.factors
        centers, contexts = (aligned_zeros(self.n_items, self.width) for _ in range(2))
        rng = np.random.default_rng(self.seed)
        centers[:, :factors] = (rng.random((self.n_items, factors), np.float32) - np.float32(0.5)) / np.float32(factors)
        return make_side(centers, False, SGD), make_side(contexts, False, SGD)

    def begin_from(self, centers: Floats, contexts: Floats) -> None:
        """Puts the known vectors of the first items, or of all, in place of the initial ones."""
        known = centers.any(axis=1)
        for side, rows in ((self.centers, centers), (self.contexts, contexts)):
            own = side.rows.reshape(self.n_items, self.width)
            own[: len(rows), : self.model.factors][known] = rows[known]

    def arrays(self) -> Vectors:
        """The vectors of items; the centers of items without events are zeros."""
        centers, contexts = (
            side.rows.reshape(self.n_items, self.width)[:, : self.model.factors]
            for side in (self.centers, self.contexts)
        )
        norms = np.where(self.counts > 0, np.linalg.norm(centers, axis=1), 0).astype(np.float32)
        known = norms[:, None] > 0
        units = np.where(known, centers / np.where(known, norms[:, None], 1), 0)
        return Vectors(np.ascontiguousarray(units, np.float32), norms, contexts.copy())

    def run_epoch(self, epoch: int, left: float) -> float:
        """Trains on the pairs of all sequences, group by group; returns their mean loss."""
        rate = np.float32(self.model.learning_rate * left)
        sizes = StepSizes(rate, np.float32(0), np.float32(0))
        loss, pairs = 0.0, 0
        for group in range(len(self.groups) - 1):
            rng = np.random.default_rng([self.seed, epoch, group])
            part, n = self._run_group(int(self.groups[group]), int(self.groups[group + 1]), rng, sizes)
            loss, pairs = loss + part, pairs + n
        for side in (self.centers, self.contexts):
            if not (np.isfinite(side.rows.min()) and np.isfinite(side.rows.max())):
                return float("nan")
        return loss / max(1, pairs)

    def _run_group(self, first: int, last: int, rng: np.random.Generator, sizes: StepSizes) -> tuple[float, int]:
        nothing = np.zeros(1, np.int32)  # draws do not leave out a center's contexts

        def run(cell: Cell) -> tuple[float, int]:
            return step_labels(
                cell.samples, cell.first, cell.last, cell.pool, nothing, self.labels, cell.seed, self.centers,
                self.contexts, sizes, sizes, Static(SGD), Static(self.width),
            )  # fmt: skip

        return self._assign_pairs(first, last, rng).run(rng, run, self.jobs)

    def _assign_pairs(self, first: int, last: int, rng: np.random.Generator) -> Cells:
        """Makes the pairs of some sequences, assigned to blocks."""
        blocks, pieces = self.blocks, 16
        center_block, _ = assign_items(rng, self.counts, self.copies, blocks)
        context_block, pools = assign_items(rng, self.counts, self.copies, blocks)
        seed = np.uint64(rng.integers(0, 2**63))
        cuts = first + balanced_cuts(np.diff(self.sequences.starts[first : last + 1]), pieces)
        counts = np.zeros((pieces, blocks, blocks), np.int64)
        shrink = self.model.dynamic_window

        def count(piece: int) -> None:
            count_pairs(
                *self.sequences, cuts[piece], cuts[piece + 1], self.shares, self.window, shrink, seed, center_block,
                context_block, np.empty(self.longest, np.int64), counts[piece],
            )  # fmt: skip

        run_pieces(count, range(pieces), self.jobs)
        starts = starts_of(counts.sum(axis=0).ravel())
        places = starts[:-1].reshape(blocks, blocks) + np.cumsum(counts, axis=0) - counts
        centers, contexts = (np.empty(int(starts[-1]), np.int32) for _ in range(2))

        def assign(piece: int) -> None:
            place_pairs(
                *self.sequences, cuts[piece], cuts[piece + 1], self.shares, self.window, shrink, seed, center_block,
                context_block, np.empty(self.longest, np.int64), places[piece], centers, contexts,
            )  # fmt: skip

        run_pieces(assign, range(pieces), self.jobs)
        return Cells(Samples(centers, contexts, np.ones(1, np.float32)), starts, pools)


def _sequences_of(data: Interactions) -> Sequences:
    """The events of each user by time; those of value 0 are no feedback."""
    data = _without_zeros(data)
    assert data.times is not None
    return group_events(data.user_codes, data.item_codes, data.times, data.shape[0])


def _without_zeros(data: Interactions) -> Interactions:
    return data if data.values is None or data.values.all() else data.select(data.values != 0)


def _kept_shares(counts: NDArray[np.int64], subsample: float) -> Floats:
    """The probability with which an item's events are kept: √(t/f) + t/f for its share f of all events, as in
    word2vec's C.
    """
    if subsample == 0 or not counts.any():
        return np.ones(len(counts), np.float32)
    ratios = subsample / np.maximum(counts / counts.sum(), 1e-12)
    shares: Floats = np.minimum(1, np.sqrt(ratios) + ratios).astype(np.float32)
    return shares


def _copies(counts: NDArray[np.int64], exponent: float) -> NDArray[np.int64]:
    known = counts > 0
    powers = np.where(known, np.maximum(counts, 1).astype(np.float64) ** exponent, 0)
    if not known.any():
        return powers.astype(np.int64)
    copies = np.rint(POOL_STEPS * powers / powers[known].mean())
    return np.where(known, np.maximum(1, copies), 0).astype(np.int64)


def _means(matrix: CodeMatrix, items: Floats) -> Floats:
    """The weighted means of the vectors in each row, summed in the row's order; zeros for an empty row."""
    shape = (matrix.shape[0], len(items))
    sums = np.asarray(csr_array((matrix.data, matrix.indices, matrix.indptr), shape=shape) @ items)
    rows = row_numbers(matrix)
    totals = np.bincount(rows, weights=matrix.data, minlength=matrix.shape[0])
    return np.ascontiguousarray(sums / np.maximum(totals, 1e-30)[:, None], np.float32)
