"""`SequenceKNN`: sessions that share late items with a history, and the items that came next in them."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.fields import Array, Fields
from fastrec.kernels.session_neighbors import Sessions, Shares
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import with_data
from fastrec.matrix.sequences import Sequences, order_entries, read_sequences
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining
from fastrec.models.base.unreached import faint_popularity
from fastrec.models.base.updating import Change, Updating, coded_events
from fastrec.options import RECENCY, Integer, Jobs, Number, Options
from fastrec.parallel import effective_jobs
from fastrec.solvers.session_neighbors import as_shares, fading, index_sessions, score_histories, share_score

# The score of the most popular item that no session leads to: below the contribution of any session.
POPULAR = 1e-20
INDEX: Key[Sessions] = Key("sessions")
# The options that determine the weights of events, items and sessions.
WEIGHING = ("recency", "decay", "before", "source_exponent", "target_exponent", "length_exponent")


class SequenceKNN(Explaining, Updating):
    """Finds sessions that share late items with a history, and recommends the items near the latest common one.

    A session is the ordered history of one user of the training data. Give an id for each visit in place of the user to
    keep visits apart. With n_i the users of item i, and a history whose newest event has age 0:

        similarity_v = Σ recency^age(i) / (1 + n_i)^source_exponent / length_v^length_exponent

    over the items i that the history shares with session v. The `neighbors` most similar sessions count. In each, an
    item counts by its distance from the common item that is newest in the history:

        score_j = Σ_v similarity_v · decay^distance · [1 after it, `before` before it] / (1 + n_j)^target_exponent.

    Nothing is learned beforehand: the data is the model, so each event of an update counts in the next answer. A change
    of an option on a fitted model acts at once.

    Learns from Interactions with times. A plain matrix has no times, so its values count as places: larger values are
    later, and equal ones follow the order of the codes. Other values are not read; zeros are no feedback.

    Parameters
    ----------
    neighbors : int
        The number of similar sessions, at least 1. Ties go to the later last event, then to the lower code.
    candidates : int
        The number of sessions compared for each item of the history, at least 1: those with the latest last events. It
        bounds the time of an answer, whatever the popularity of items.
    recency : float
        The fading of the history for each later event, above 0 and at most 1; an item that has faded below a thousandth
        does not count.
    decay : float
        The fading of a session's items for each step away from the common item, above 0 and at most 1; below a
        thousandth an item does not count.
    before : float
        The weight of an item before the common one, relative to one after it, from 0 to 1.
    source_exponent, target_exponent : float
        The exponents that lower items with many users, from 0 to 2: in the history, and as recommendations.
    length_exponent : float
        The exponent that lowers long sessions, from 0 to 2; 0.5 is that of the cosine.
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    order_ : ndarray of shape (n_entries,)
        The place of each entry of `seen_` in its user's history, the oldest first, int32.
    active_ : ndarray of shape (n_users,)
        The rank of each user's last event among those of all users, the latest the highest, int64; 0 for all without
        times.

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or a value of X is invalid, or X has no times.

    Notes
    -----
    Users of the training data are their own neighbours, too, which affects only items that they have seen. Items that
    no session leads to come last, by popularity, with scores of at most 1e-20, which `explain` leaves out. Repeated
    events of a user and an item count once, as the last one.

    The family is that of V-SKNN (Ludewig, Jannach, *Evaluation of session-based recommendation algorithms*, UMUAI
    2018) and STAN (Garg, Gupta, Malhotra, Vig, Shroff, *Sequence and time aware neighborhood for session-based
    recommendations*, SIGIR 2019). See docs/explanation/sequence.md for its accuracy.

    Examples
    --------
    >>> from fastrec import Interactions
    >>> data = Interactions([0, 0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 1, 3], times=[1, 2, 3, 5, 6, 7, 8])
    >>> model = SequenceKNN().fit(data)
    >>> model.recommend(1, k=2).codes
    array([[2, 3]], dtype=int32)
    """

    reads_order: ClassVar[bool] = True
    needs_order: ClassVar[bool] = True
    reads_others: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[str]] = frozenset({"explain", "partial_fit"})
    _options: ClassVar[Options] = {
        "neighbors": Integer(1, memory=True, log=True, answers=True),
        "candidates": Integer(1, memory=True, log=True, answers=True),
        "recency": RECENCY,
        "decay": Number(0, 1, above=True, answers=True),
        "before": Number(0, 1, answers=True),
        "source_exponent": Number(0, 2, answers=True),
        "target_exponent": Number(0, 2, answers=True),
        "length_exponent": Number(0, 2, answers=True),
        "n_jobs": Jobs(),
    }
    _learned: ClassVar[Fields] = {"active_": Array(("n_users",), "int64", least=0)}

    active_: NDArray[np.int64]

    def __init__(
        self,
        neighbors: int = 500,
        *,
        candidates: int = 2000,
        recency: float = 0.85,
        decay: float = 0.75,
        before: float = 0.35,
        source_exponent: float = 0.5,
        target_exponent: float = 0.2,
        length_exponent: float = 0.5,
        n_jobs: int | None = None,
    ) -> None:
        self.neighbors = neighbors
        self.candidates = candidates
        self.recency = recency
        self.decay = decay
        self.before = before
        self.source_exponent = source_exponent
        self.target_exponent = target_exponent
        self.length_exponent = length_exponent
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Keeps the sessions, and the order of their last events.

        Parameters
        ----------
        X
            Interactions with times; or any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items),
            whose values are places.
        y
            Not used; accepted because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.
        """
        return self._learn(X, events=X if isinstance(X, Interactions) else None)

    def _fit(self, matrix: CodeMatrix, events: Interactions | None = None) -> None:
        self.active_ = np.zeros(matrix.shape[0], np.int64)
        if events is not None and events.times is not None:
            users, ranks = _last_ranks(*_learned_from(events, events.user_codes))
            self.active_[users] = ranks

    def _update(self, change: Change) -> None:
        """Updates the order of activity: the users of new events are now the last, in the order of these."""
        highest = int(self.active_.max(initial=0))
        active = np.concatenate([self.active_, np.zeros(self.seen_.shape[0] - len(self.active_), np.int64)])
        if change.events is not None and change.events.times is not None:
            users, ranks = _last_ranks(*_learned_from(change.events, coded_events(self, change.events)[0]))
        else:
            lost = np.diff(self._training.indptr)[change.users] < np.diff(change.before.indptr)[change.users]
            users, ranks = change.users[~lost].astype(np.int64), np.ones(1, np.int64)
        active[users] = highest + ranks
        self.active_ = active

    # -- answers

    def _weigh(self, audience: Audience) -> CodeMatrix:
        """The histories with places as values."""
        histories, order = audience.histories_in_order()
        order = order_entries(histories) if order is None else order
        return with_data(histories, (order + 1).astype(np.float32))

    def _score_batch(self, histories: CodeMatrix, codes: Codes | None) -> Floats:
        sequences, jobs = _sequences_of(histories), effective_jobs(self.n_jobs)
        scores = score_histories(sequences, self._sessions(), self._shares(), self.candidates, self.neighbors, jobs)
        return scores + faint_popularity(self, POPULAR)

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        sequence = _sequences_of(history).items
        sessions, shares = self._sessions(), self._shares()
        return share_score(sequence, item, sessions, shares, self.candidates, self.neighbors)[history.indices]

    def _sessions(self) -> Sessions:
        """The sessions of the training data, the latest first."""
        return self._derived.get(INDEX, self._index)

    def _index(self) -> Sessions:
        sequences = read_sequences(self._training, self._training_order())
        return index_sessions(sequences, self.active_, self.n_features_in_)

    def _shares(self) -> Shares:
        """The weights of events, items and sessions, for the present options."""
        options = tuple(getattr(self, name) for name in WEIGHING)
        key: Key[Shares] = Key(f"shares {options}")
        return self._derived.get(key, self._make_shares)

    def _make_shares(self) -> Shares:
        counts, lengths = self.item_counts_ + 1.0, np.maximum(np.diff(self._sessions().starts), 1.0)
        after = fading(self.decay, self.n_features_in_)
        return Shares(
            fading(self.recency, self.n_features_in_),
            as_shares(counts**-self.source_exponent),
            as_shares(lengths**-self.length_exponent),
            after,
            as_shares(after * self.before if self.before else after[:0]),
            as_shares(counts**-self.target_exponent),
        )


def _sequences_of(histories: CodeMatrix) -> Sequences:
    """The sequences of a matrix whose values are places, from 1 on."""
    return read_sequences(histories, histories.data.astype(np.int32) - 1)


def _learned_from(events: Interactions, users: Codes) -> tuple[Codes, NDArray[np.int64]]:
    """The users and times of the events that count: all except those of value 0."""
    assert events.times is not None
    if events.values is None:
        return users, events.times
    kept = events.values != 0
    return users[kept], events.times[kept]


def _last_ranks(users: Codes, times: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The users that have events, and the ranks of their last ones, from 1 on; equal times have equal ranks.

    >>> _last_ranks(np.array([3, 0, 3], "i4"), np.array([50, 60, 70]))
    (array([0, 3]), array([1, 2]))
    """
    present = np.flatnonzero(np.bincount(users))
    last = np.full(int(users.max(initial=0)) + 1, times.min() if len(times) else 0, times.dtype)
    np.maximum.at(last, users, times)
    return present, np.unique(last[present], return_inverse=True)[1] + 1
