"""`SequenceRules`: counts of which item follows which."""

from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions, Vocabulary
from fastrec.fields import Fields, Matrix
from fastrec.kernels.sequence_rules import Pairs
from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.matrix.changed_rows import ChangedRows, row_of
from fastrec.matrix.code_matrix import CodeMatrix, keep_entries
from fastrec.matrix.rows import pick_rows
from fastrec.matrix.sequences import HistoryRow, Order, Sequences, pick_order, read_sequences
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.item_weights import ItemWeights
from fastrec.models.base.persistence import freeze
from fastrec.models.base.settled import Settled
from fastrec.models.base.unreached import faint_popularity
from fastrec.models.base.updating import Change
from fastrec.options import MIN_SUPPORT, RECENCY, Integer, Jobs, Number, Options
from fastrec.parallel import effective_jobs
from fastrec.solvers.follows import exchange, fades_of, sum_pairs, weigh
from fastrec.solvers.growing_rules import GrowingRules, NewEvents
from fastrec.solvers.neighbors import rows_of
from fastrec.solvers.pair_rows import ChangingPairs

# An event of a history that has faded below this does not count.
FAINT = 1e-3
# The score of the most popular item that no rule leads to: below every rule.
POPULAR = 1e-6
# Above this share of the events (old and new ones of changed users together), all pairs are counted again.
MOST_EXCHANGED = 0.5
# The largest number of events that is taken in place at a time.
FEW = 1000
# The mean number of users of an item below which rules go both ways, and popular items are lowered less.
SPARSE = 50
ONE = readonly(np.ones(1, np.float32))


class SequenceRules(ItemWeights):
    """Recommends the items that users turned to soon after the newest items of a history.

    The weight from item i to item j counts how often j came after i in a history, at most `window` events later, and
    how often before i:

        w_ij = Σ decay^(distance - 1) · [1, or `before`] / ((1 + n_i)^source_exponent · (1 + n_j)^target_exponent),

    over all users who had both; it is 1 if j came after i, and n is the number of users of an item. The score of item j
    for a history is Σ_i recency^(events since i) · w_ij. Values are not read; zeros are no feedback.

    Learns from Interactions with times. A plain matrix has no times, so its values count as places: larger values are
    later, and equal ones follow the order of the codes.

    Parameters
    ----------
    window : int
        The number of events after an item that count as following it, at least 1.
    decay : float
        The fading of a pair for each event between the two, above 0 and at most 1.
    recency : float
        The fading of the history for each later event, above 0 and at most 1; an item that has faded below a thousandth
        does not count. A change on a fitted model acts at once.
    before : float or None
        The weight of a pair in which j came before i, from 0 to 1. With few events of each item, much of their order is
        chance: None is 0.35 if an item has fewer than 50 users on average, and otherwise 0.
    source_exponent : float
        The exponent that lowers items with many users in the history, from 0 to 2.
    target_exponent : float or None
        The exponent that lowers them as recommendations, from 0 to 2; None is 0.2 if an item has fewer than 50 users on
        average, and otherwise 0.3.
    min_support : int
        The minimum number of users who have had both items of a weight, at most `window` events apart and in an order
        that counts, and of users of each recommended item, at least 1. Other weights are 0.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weights_ : csr_array of shape (n_items, n_items)
        w, float32: the entry in row i and column j is what item i, as the newest of a history, adds to item j's score.
    order_ : ndarray of shape (n_entries,)
        The place of each entry of `seen_` in its user's history, the oldest first, int32.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or X has no times.

    Notes
    -----
    Items that no rule leads to come last, by popularity, with scores of at most 1e-6, which `explain` leaves out.
    Repeated events of a user and an item count once, as the last one. See docs/explanation/sequence.md for the
    equations, the papers and the accuracy.

    Examples
    --------
    >>> from fastrec import Interactions
    >>> data = Interactions([0, 0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 1, 3], times=[1, 2, 3, 5, 6, 7, 8])
    >>> model = SequenceRules().fit(data)
    >>> model.recommend(1, k=2).codes
    array([[2, 3]], dtype=int32)
    >>> model.similar_items(0, k=1).codes
    array([[1]], dtype=int32)
    """

    reads_order: ClassVar[bool] = True
    needs_order: ClassVar[bool] = True
    _options: ClassVar[Options] = {
        "window": Integer(1, log=True),
        "decay": Number(0, 1, above=True),
        "recency": RECENCY,
        "before": Number(0, 1, also=(None,)),
        "source_exponent": Number(0, 2),
        "target_exponent": Number(0, 2, also=(None,)),
        "min_support": MIN_SUPPORT,
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {"weights_": Matrix(("n_items", "n_items"), least=0)}

    seen_: CodeMatrix = Settled()  # type: ignore[assignment]
    order_: Order | None = Settled(None)  # type: ignore[assignment]
    weights_: CodeMatrix = Settled()  # type: ignore[assignment]
    _growing: GrowingRules | None = None
    """The rules with the events since `seen_`, `order_` and `weights_` were made; reading these updates them."""

    def __init__(
        self,
        window: int = 20,
        *,
        decay: float = 0.8,
        recency: float = 0.7,
        before: float | None = None,
        source_exponent: float = 0.5,
        target_exponent: float | None = None,
        min_support: int = 1,
        n_jobs: int | None = None,
    ) -> None:
        self.window = window
        self.decay = decay
        self.recency = recency
        self.before = before
        self.source_exponent = source_exponent
        self.target_exponent = target_exponent
        self.min_support = min_support
        self.n_jobs = n_jobs

    def _fit(self, matrix: CodeMatrix) -> None:
        sequences, fades = read_sequences(matrix, self._training_order()), self._fades()
        jobs = effective_jobs(self.n_jobs)
        self._weigh_pairs(sum_pairs(sequences, matrix.shape[1], fades, jobs))
        if self.min_support > 1:  # each user has a pair at one distance alone, so that ones count users
            users = sum_pairs(sequences, matrix.shape[1], np.sign(fades), jobs).sums
            self.weights_ = keep_entries(self.weights_, users >= self.min_support)

    def _update(self, change: Change) -> None:
        """Updates the rules; if items are to follow, the pairs of the changed users are exchanged, in exact sums."""
        pairs, jobs = change.derived.peek(self._sums_key()), effective_jobs(self.n_jobs)
        gone = _sequences_of(change.before, change.order, change.users)
        new = _sequences_of(self._training, self._training_order(), change.users)
        exchanged = len(gone.items) + len(new.items)
        anew = self.min_support > 1 or exchanged > MOST_EXCHANGED * self._training.nnz
        if pairs is None or not len(change.items) or anew:
            super()._update(change)
        else:
            self._weigh_pairs(exchange(pairs, gone, new, self.n_features_in_, self._fades(), jobs))

    def _weigh_pairs(self, pairs: Pairs) -> None:
        """Sets the weights from sums, and keeps the sums for the next update: float32 weights do not give them back."""
        counts = self.item_counts_ + 1.0
        left, right = (np.asarray(counts**-power) for power in self._exponents())
        self.weights_ = weigh(pairs, left, right, effective_jobs(self.n_jobs))
        self._derived.put(self._sums_key(), pairs)

    def _fades(self) -> NDArray[np.float64]:
        return fades_of(min(self.window, self.n_features_in_), self.decay, self._backward())

    def _backward(self) -> float:
        """The weight of a pair in the row of its later item."""
        if self.before is None:
            return 0.35 if self._surplus() < 0 else 0.0
        return self.before

    def _exponents(self) -> tuple[float, float]:
        if self.target_exponent is None:
            return self.source_exponent, 0.2 if self._surplus() < 0 else 0.3
        return self.source_exponent, self.target_exponent

    def _surplus(self) -> int:
        """The number of events beyond those of sparse data; below 0 for sparse data."""
        total = int(self.item_counts_.sum()) if self._growing is None else self._growing.total
        return total - SPARSE * self.n_features_in_

    def _sums_key(self) -> Key[Pairs]:
        return _sums_key(self.window, self.decay, self._backward())

    # -- a few events, taken in place

    def _adopt(self, X: Any) -> None:
        self._growing = None
        super()._adopt(X)

    def _take_in(self, X: Interactions) -> Self:
        """Runs `partial_fit` for data with ids; a few events of known items take time that depends on them alone."""
        coded = self._code_few(X)
        policy = X.duplicates or self.duplicate_policy
        while coded is not None and (growing := self._find_growing()) is not None:
            with growing.lock:
                if self._growing is not growing:  # another thread has just read the whole
                    continue
                growing.take(self._read_events(X, coded), policy)
                self.users_ = coded.vocabulary
                self.clear_derived()
            if growing.pairs.is_large:
                self.settle()
            return self
        return super()._take_in(X)

    def _code_few(self, X: Interactions) -> "Coded | None":
        """The codes of X's ids; None if its events are many, or cannot be taken in place."""
        if self.users_ is None or self.items_ is None:
            return None
        if not 0 < X.n_interactions <= FEW or X.times is None or X.duplicates == "error":
            return None
        if self.min_support > 1:  # the users of pairs are counted again
            return None
        if abs(self._surplus()) <= X.n_interactions:  # the values that options of None choose may change
            return None
        if X.users.kind != self.users_.kind or (X.values is not None and X.values.min() < 0):
            return None
        items = None if X.items is self.items_ else self.items_.encode(X.items.ids, unknown="code")
        if items is not None and items.min(initial=0) < 0:
            return None
        vocabulary, users = (self.users_, None) if X.users is self.users_ else self.users_.grow("users", X.users.ids)
        return Coded(vocabulary, users, items)

    def _find_growing(self) -> GrowingRules | None:
        """The rules that take in events, for the present options; None if they would have to take in every event."""
        key = (self.window, self.decay, self._backward(), self._exponents())
        growing = self._growing
        if growing is not None:
            return growing if growing.key == key else None
        pairs, order = self._derived.peek(self._sums_key()), self.order_
        if pairs is not None and order is not None:
            histories = ChangedRows(self.seen_, order)
            changing = ChangingPairs(pairs, self._fades())
            self._growing = GrowingRules(histories, changing, self.item_counts_, key)
        return self._growing

    def _read_events(self, X: Interactions, coded: "Coded") -> list[NewEvents]:
        """The events of X, the pairs that it repeats merged, by users."""
        if X.n_interactions == 1:
            values = ONE if X.values is None else X.values
            return [NewEvents(coded.user(X.user_codes[0]), coded.items_of(X.item_codes), values)]
        self._joining(X)
        given, order = self._check_matrix(X), X.order()
        assert order is not None
        events = []
        for row in np.flatnonzero(np.diff(given.indptr)).tolist():
            codes, values, places = row_of(given, order, row)
            oldest = np.argsort(places)
            events.append(NewEvents(coded.user(row), coded.items_of(codes[oldest]), readonly(values[oldest])))
        return events

    def settle(self) -> None:
        """See `Asked.settle`."""
        growing = self._growing
        if growing is None:
            return
        with growing.lock:
            if self._growing is not growing:
                return
            seen, order = growing.histories.join(len(self.user_vocabulary))
            pairs = growing.pairs.join()
            weights = weigh(pairs, growing.powers.left, growing.powers.right, effective_jobs(self.n_jobs))
            self._derived.put(_sums_key(*growing.key[:3]), pairs)  # `get` waits for makers, who may wait for this lock
            self.seen_, self.order_, self.weights_ = seen, order, weights
            self.item_counts_ = growing.item_counts
            freeze(self)
            del self._growing

    def __getstate__(self) -> Any:
        self.settle()  # only one object takes in events in place
        return super().__getstate__()

    @property
    def item_counts_(self) -> NDArray[np.int64]:
        """The users of each item, of shape (n_items,): with the events that were taken in place."""
        growing = self._growing
        if growing is not None:
            return growing.item_counts
        if "item_counts_" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'item_counts_'")
        counts: NDArray[np.int64] = vars(self)["item_counts_"]
        return counts

    @item_counts_.setter
    def item_counts_(self, counts: NDArray[np.int64]) -> None:
        self.__dict__["item_counts_"] = counts

    @property
    def has_users(self) -> bool:
        """See `Learner.has_users`."""
        return self._growing is not None or super().has_users

    def user_row(self, code: int) -> HistoryRow:
        """See `Asked.user_row`."""
        growing = self._growing
        return super().user_row(code) if growing is None else HistoryRow(*growing.histories.row(code))

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        growing = self._growing
        if growing is None or histories.shape[0] != 1:
            return super()._score_batch(histories, codes)
        with growing.lock:
            return growing.score(rows_of(histories))

    # -- answers

    def _weigh(self, audience: Audience) -> CodeMatrix:
        return audience.faded(self.recency, FAINT)

    def _dense(self, audience: Audience) -> Floats:
        scores = super()._dense(audience)
        scores += faint_popularity(self, POPULAR)
        return scores

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        return super().pair_scores(audience, rows, items) + faint_popularity(self, POPULAR)[items]


class Coded(NamedTuple):
    """The users and items of some Interactions in the model's codes: its users with theirs added, and its item codes.

    The codes are None if the two are equal.
    """

    vocabulary: Vocabulary
    users: Codes | None
    items: Codes | None

    def user(self, code: int) -> int:
        """The model's code for one of their users."""
        return int(code if self.users is None else self.users[code])

    def items_of(self, codes: Codes) -> Codes:
        """The model's codes for some of their items."""
        return readonly(codes if self.items is None else self.items[codes])


def _sums_key(window: int, decay: float, before: float) -> Key[Pairs]:
    return Key(f"sums over pairs {window} {decay} {before}")


def _sequences_of(matrix: CodeMatrix, order: Order | None, users: Codes) -> Sequences:
    """The items of some users, the oldest first."""
    return read_sequences(pick_rows(matrix, users), None if order is None else pick_order(matrix, order, users))
