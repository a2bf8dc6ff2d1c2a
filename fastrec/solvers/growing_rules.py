"""Rules of sequences with their histories, which take in events one at a time, in place."""

import threading
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.pair_rows import Powers, count_gained
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.matrix.changed_rows import ChangedRows
from fastrec.solvers.pair_rows import ChangingPairs


class NewEvents(NamedTuple):
    """Events of one user, the oldest first, each of another item, in read-only arrays."""

    user: int
    items: Codes
    values: Floats


class GrowingRules:
    """The parts of rules of sequences, changed in place by each event: to the bit those of a count of all events.

    Reading and changing it both need `lock`.

    Parameters
    ----------
    histories
        The items of each user, with their order.
    pairs
        The sums over pairs of these.
    counts
        The number of users of each item with a nonzero value, of shape (n_items,).
    key
        The options of the counts: `window`, `decay`, `before`, and the exponents that lower items with many users, as
        the source and as the target of a rule.
    """

    def __init__(
        self,
        histories: ChangedRows,
        pairs: ChangingPairs,
        counts: NDArray[np.int64],
        key: tuple[int, float, float, tuple[float, float]],
    ) -> None:
        self.lock, self.key = threading.RLock(), key
        self.histories, self.pairs = histories, pairs
        self._counts = counts.copy()
        self._shown: NDArray[np.int64] | None = counts
        self.total, self._highest = int(counts.sum()), int(counts.max(initial=0))
        self.powers = self._make_powers()

    def take(self, events: Iterable[NewEvents], policy: str) -> None:
        """Takes in events of several users. If a history refuses one, none is taken.

        Parameters
        ----------
        events
            The events, with each user at most once.
        policy
            The policy to merge two values of a user and an item: "sum", "last" or "max".
        """
        changes = [(new, self.histories.with_events(*new, policy=policy)) for new in events]
        for new, appended in changes:
            self._highest += 1  # no item has more users
            if self._highest >= len(self.powers.of_left):
                self.powers = self._make_powers()
            self.pairs.change(appended.before, appended.after)
            self.histories.put(new.user, appended.row)
            self._shown = None
            self.total += count_gained(new.items, appended.gained, self._counts, self.powers)

    @property
    def item_counts(self) -> NDArray[np.int64]:
        """The users of each item as they are now: a read-only array, which later events do not change."""
        with self.lock:
            if self._shown is None:
                self._shown = readonly(self._counts.copy())
            return self._shown

    def _make_powers(self) -> Powers:
        """Makes the powers of all items, and of the counts that they may reach."""
        users = 2 * self._highest + 1000
        of_items, of_numbers = (
            [np.asarray((counts + 1.0) ** -exponent) for exponent in self.key[3]]
            for counts in (self._counts, np.arange(users))
        )
        return Powers(*of_items, *of_numbers)

    def score(self, histories: Entries) -> Floats:
        """The scores of all items for histories, of shape (n, n_items), to the bit those of the weights of `weigh`."""
        scores = np.zeros((len(histories.indptr) - 1, len(self.item_counts)), np.float32)
        self.pairs.add_scores(histories, self.powers, scores)
        return scores
