"""Drift: whether a model still predicts the next events of users as well as when it was made."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.rows import rows_of_lists
from fastrec.metrics import ndcg
from fastrec.online.journal import Entry, Event, EventLog, Id, JournalTrimmedError
from fastrec.online.snapshot import Snapshot
from fastrec.validation import check_number, check_size

CUT = 10  # the cut-off of NDCG
# The number of events read at a time, and of their users who are tested: this takes some ten milliseconds.
MOST_EVENTS, MOST_USERS = 5_000, 200
# A fall of fewer standard errors than this may be chance.
ERRORS = 3.0


class Drift:
    """A measure of how well a model predicts new events: each is predicted by the snapshot before it.

    The first users after a refit show how good the model was when it was new, the newest users how good it still is. If
    many events come at a time, a part of them is tested.

    Parameters
    ----------
    fall
        The share by which NDCG@10 must have fallen, from 0 to 1, beyond chance.
    window
        The number of users of a mean.

    Examples
    --------
    >>> drift = Drift(0.2, window=3)
    >>> drift.add([0.5, 0.6, 0.7])
    >>> drift.has_fallen
    False
    >>> drift.add([0.1, 0.0, 0.0])
    >>> round(drift.first, 2), round(drift.newest, 2), drift.has_fallen
    (0.6, 0.03, True)
    """

    def __init__(self, fall: float, *, window: int = 1000) -> None:
        self.fall = check_number("fall", fall, minimum=0, maximum=1)
        self.window = check_size("window", window, minimum=2)
        self._before: Snapshot | None = None
        self.reset()

    def reset(self) -> None:
        """Starts again, with a new model."""
        self._first: list[float] = []
        self._newest: deque[float] = deque(maxlen=self.window)

    def look(self, snapshot: Snapshot, journal: EventLog) -> None:
        """Tests the snapshot of the last call on the events since."""
        before, self._before = self._before, snapshot
        if before is None or before.seq >= snapshot.seq:
            return
        try:
            entries = journal.read(before.seq, min(MOST_EVENTS, snapshot.seq - before.seq))
        except JournalTrimmedError:
            return
        self.add(foresee(before, entries).tolist())

    def add(self, values: Sequence[float]) -> None:
        """Adds the NDCGs of some users."""
        missing = self.window - len(self._first)
        self._first += values[:missing]
        self._newest.extend(values[missing:])

    @property
    def first(self) -> float:
        """The mean of the first users; NaN until there are enough."""
        return _mean(self._first, self.window)

    @property
    def newest(self) -> float:
        """The mean of the newest users, without the first ones; NaN until there are enough."""
        return _mean(self._newest, self.window)

    @property
    def has_fallen(self) -> bool:
        """Tells whether the model has become worse by `fall`, beyond chance."""
        fallen = self.first - self.newest
        if not fallen > self.fall * self.first:
            return False
        error = np.sqrt((np.var(self._first) + np.var(self._newest)) / self.window)
        return bool(fallen > ERRORS * error)


def foresee(snapshot: Snapshot, entries: Sequence[Entry]) -> NDArray[np.float64]:
    """The NDCG@10 of each user's next items, for users with a history and items new to them, of shape (users,)."""
    events = [entry for entry in entries if isinstance(entry, Event) and entry.value > 0]
    new: dict[Id, list[int]] = {}
    for event, code in zip(events, snapshot.codes_of([event.item for event in events]), strict=True):
        if code >= 0:
            new.setdefault(event.user, []).append(code)
    users: list[Id] = []
    codes: list[int] = []
    lengths: list[int] = []
    for user, some in new.items():
        seen = set(snapshot.history(user).codes.tolist())
        unseen = set(some) - seen
        if seen and unseen:
            users.append(user)
            codes += sorted(unseen)
            lengths.append(len(unseen))
        if len(users) == MOST_USERS:
            break
    if not users:
        return np.empty(0)
    truth = rows_of_lists(np.array(codes, np.int32), lengths, snapshot.model.n_features_in_)
    top = snapshot.recommend(users, CUT, on_unknown="popular")
    return np.asarray(ndcg(top.codes, truth, CUT), np.float64)


def _mean(values: Sequence[float] | deque[float], wanted: int) -> float:
    return float(np.mean(values)) if len(values) >= wanted else float("nan")
