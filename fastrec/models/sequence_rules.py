"""`SequenceRules`: what follows what, counted."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Fields, Matrix
from fastrec.kernels.sequence_rules import Pairs
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows
from fastrec.matrix.sequences import Order, Sequences, pick_order, read_sequences
from fastrec.models.base.asking import Rows
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.item_weights import ItemWeights
from fastrec.models.base.unreached import faint_popularity
from fastrec.models.base.updating import Change
from fastrec.options import RECENCY, Integer, Jobs, Number, Options
from fastrec.parallel import effective_jobs
from fastrec.solvers.follows import exchange, fades_of, sum_pairs, weigh

# An event of a history of which less is left than this counts nothing.
FAINT = 1e-3
# The score of the most popular item that no rule leads to: below every rule.
POPULAR = 1e-6
# Above this share of the events, the old and the new ones of changed users together, all pairs are counted anew.
MOST_EXCHANGED = 0.5


class SequenceRules(ItemWeights):
    """Items that users turned to soon after those that somebody turned to last.

    The weight from item i to item j counts how often j came after i in one history, at most `window` events later:

        w_ij = Σ decay^(distance - 1) / ((1 + n_i)^source_exponent · (1 + n_j)^target_exponent),

    over all users who had first i and then j, with n the number of users of an item. The score of item j for a history
    is Σ_i recency^(events since i) · w_ij. Values say nothing but that an event took place; zeros are no feedback.

    Learns from Interactions with times. A plain matrix has no times, so its values are taken for places: the larger,
    the later, equal ones in the order of the codes.

    Parameters
    ----------
    window : int
        How many events after an item still count as following it, at least 1.
    decay : float
        What a pair counts less for each event between the two, above 0 and at most 1.
    recency : float
        What an item of a history counts less for each event since, above 0 and at most 1; what has fallen below a
        thousandth counts nothing. Set on a fitted model, it acts at once.
    source_exponent, target_exponent : float
        How far items with many users are set back, from 0 to 2: in the history, and as what is recommended.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    weights_ : csr_array of shape (n_items, n_items)
        w, float32: in row i and column j, what item i as the last of a history adds to the score of item j.
    order_ : ndarray of shape (n_entries,)
        The place of each entry of `seen_` in its user's history, the oldest first, int32.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be, or X has no times.

    Notes
    -----
    Items that no rule leads to follow behind all others in the order of their popularity, with scores of at most 1e-6,
    which `explain` leaves out. A user's events of one item count once, as the last of them. See docs/sequence.md for
    equations, papers, and what they reach.

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
        "source_exponent": Number(0, 2),
        "target_exponent": Number(0, 2),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {"weights_": Matrix(("n_items", "n_items"), least=0)}

    weights_: CodeMatrix

    def __init__(
        self,
        window: int = 20,
        *,
        decay: float = 0.8,
        recency: float = 0.7,
        source_exponent: float = 0.5,
        target_exponent: float = 0.3,
        n_jobs: int | None = None,
    ) -> None:
        self.window = window
        self.decay = decay
        self.recency = recency
        self.source_exponent = source_exponent
        self.target_exponent = target_exponent
        self.n_jobs = n_jobs

    def _fit(self, matrix: CodeMatrix) -> None:
        sequences = read_sequences(matrix, self._training_order())
        self._weigh_pairs(sum_pairs(sequences, matrix.shape[1], self._fades(), effective_jobs(self.n_jobs)))

    def _update(self, change: Change) -> None:
        """Where items are to follow: the pairs of the changed users are exchanged, in sums that are exact."""
        pairs, jobs = change.derived.peek(self._sums_key()), effective_jobs(self.n_jobs)
        gone = _sequences_of(change.before, change.order, change.users)
        new = _sequences_of(self._training, self._training_order(), change.users)
        exchanged = len(gone.items) + len(new.items)
        if pairs is None or not len(change.items) or exchanged > MOST_EXCHANGED * self._training.nnz:
            super()._update(change)
        else:
            self._weigh_pairs(exchange(pairs, gone, new, self.n_features_in_, self._fades(), jobs))

    def _weigh_pairs(self, pairs: Pairs) -> None:
        """Sets the weights by sums, and keeps these for the next update: of float32 weights they cannot be had."""
        counts = self.item_counts_ + 1.0
        left, right = (np.asarray(counts**-power) for power in (self.source_exponent, self.target_exponent))
        self.weights_ = weigh(pairs, left, right, effective_jobs(self.n_jobs))
        self._derived.get(self._sums_key(), lambda: pairs)

    def _fades(self) -> NDArray[np.float64]:
        return fades_of(min(self.window, self.n_features_in_), self.decay)

    def _sums_key(self) -> Key[Pairs]:
        return Key(f"sums over pairs {self.window} {self.decay}")

    def _weigh(self, audience: Audience) -> CodeMatrix:
        return audience.faded(self.recency, FAINT)

    def _dense(self, audience: Audience) -> Floats:
        scores = super()._dense(audience)
        scores += faint_popularity(self, POPULAR)
        return scores

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        return super().pair_scores(audience, rows, items) + faint_popularity(self, POPULAR)[items]


def _sequences_of(matrix: CodeMatrix, order: Order | None, users: Codes) -> Sequences:
    """The items of some users, the oldest first."""
    return read_sequences(pick_rows(matrix, users), None if order is None else pick_order(matrix, order, users))
