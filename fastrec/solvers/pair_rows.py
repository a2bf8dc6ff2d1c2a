"""Sums over pairs that follow events one at a time, in place; and scores from them."""

import numpy as np

from fastrec.kernels.pair_rows import PairRows, Powers, add_pair_rows, change_pairs, count_joined, join_pair_rows
from fastrec.kernels.sequence_rules import Pairs
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.solvers.follows import Doubles


class ChangingPairs:
    """Sums over pairs that are changed in place; the given sums stay unchanged.

    >>> from fastrec.matrix.sequences import Sequences
    >>> from fastrec.solvers.follows import fades_of, sum_pairs, weigh
    >>> fades, events = fades_of(2, 0.5), np.array([0, 1, 2], "i4")
    >>> changing = ChangingPairs(sum_pairs(Sequences(np.array([0, 2]), events[:2]), 3, fades), fades)
    >>> changing.change(events[:2].copy(), events)
    >>> weigh(changing.join(), np.ones(3), np.ones(3)).toarray()
    array([[0. , 1. , 0.5],
           [0. , 0. , 1. ],
           [0. , 0. , 0. ]], dtype=float32)
    """

    def __init__(self, pairs: Pairs, fades: Doubles) -> None:
        n = len(pairs.indptr) - 1
        self._base, self._fades, self._used = pairs, readonly(fades), 0
        starts, lengths, rooms = np.full(n, -1), np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._rows = PairRows(starts, lengths, rooms, np.empty(0, np.int32), np.empty(0))

    def change(self, before: Codes, after: Codes) -> None:
        """Replaces a user's items, the oldest first, each once, by others: some lost, the new ones after the rest.

        The arrays of `before` are not kept.
        """
        lost = np.empty(len(before), np.int32)
        used = change_pairs(self._rows, self._used, before, after, self._fades, lost)
        if used < 0:
            self._grow(-1 - used)
            used = change_pairs(self._rows, self._used, before, after, self._fades, lost)
        self._used = used

    def _grow(self, least: int) -> None:
        """Makes room for at least twice as many entries as needed; unwritten memory is not allocated."""
        size, used = 2 * least, self._used
        codes, sums = np.empty(size, np.int32), np.empty(size)
        codes[:used], sums[:used] = self._rows.codes[:used], self._rows.sums[:used]
        self._rows = self._rows._replace(codes=codes, sums=sums)

    @property
    def is_large(self) -> bool:
        """Tells whether the changes take much more memory than the sums did."""
        return self._used > 4 * len(self._base.codes) + (1 << 20)

    def join(self) -> Pairs:
        """The present sums."""
        lengths = np.diff(self._base.indptr)
        count_joined(self._base, self._rows, lengths)
        indptr = starts_of(lengths)
        found = Pairs(readonly(indptr), np.empty(indptr[-1], np.int32), np.empty(indptr[-1]))
        join_pair_rows(self._base, self._rows, found)
        return Pairs(found.indptr, readonly(found.codes), readonly(found.sums))

    def add_scores(self, histories: Entries, powers: Powers, scores: Floats) -> None:
        """Adds the scores of histories by the weights that `weigh` makes from the sums, of shape (n, n_items)."""
        add_pair_rows(histories, self._base, self._rows, powers, scores)
