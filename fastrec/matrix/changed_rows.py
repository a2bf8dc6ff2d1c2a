"""A sparse matrix of histories of which some rows have changed: these are kept apart until somebody reads the whole."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.history import History, append_events
from fastrec.kernels.splice import LAST, MAX, SUM
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.sequences import Order

POLICIES = {"sum": SUM, "last": LAST, "max": MAX}


class Appended(NamedTuple):
    """A history with events behind it.

    Parameters
    ----------
    row
        The history.
    before, after
        The items whose values are not 0, the oldest first, without the events and with them.
    gained
        int64, for each event: 1 where its item is in `after` alone, -1 where it is in `before` alone, else 0.
    """

    row: History
    before: Codes
    after: Codes
    gained: NDArray[np.int64]


class ChangedRows:
    """Histories with their order, and rows that have taken the place of some of them.

    A row is exchanged for another by one assignment, and never written to: who reads it in another thread has it as it
    was, or as it is.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> changed = ChangedRows(check_matrix([[1, 0], [0, 1]]), np.array([0, 0], "i4"))
    >>> appended = changed.with_events(1, readonly(np.array([0], "i4")), readonly(np.ones(1, "f4")), "sum")
    >>> changed.put(1, appended.row)
    >>> changed.join(2)[0].toarray(), appended.after
    (array([[1., 0.],
           [1., 1.]], dtype=float32), array([1, 0], dtype=int32))
    """

    def __init__(self, matrix: CodeMatrix, order: Order) -> None:
        self._matrix, self._order = matrix, order
        self._rows: dict[int, History] = {}

    def row(self, number: int) -> History:
        """A row as it is now; an empty one behind the last."""
        found = self._rows.get(number)
        return row_of(self._matrix, self._order, number) if found is None else found

    def with_events(self, number: int, codes: Codes, values: Floats, policy: str) -> "Appended":
        """A row with events behind it, the oldest first, each of another item; their arrays are read-only.

        Raises
        ------
        ValueError
            If a sum is beyond float32.
        """
        old = self.row(number)
        most = len(old.codes) + len(codes)
        found = History(np.empty(most, np.int32), np.empty(most, np.float32), np.empty(most, np.int32))
        room, before, after = np.empty((3, most), np.int32)
        gained = np.empty(len(codes), np.int64)
        size, had, has, finite = append_events(old, codes, values, POLICIES[policy], found, room, before, after, gained)
        if not finite:
            raise ValueError('the values of a repeated pair add up to more than float32 holds: use duplicates="max"')
        row = History(found.codes[:size], found.values[:size], found.order[:size])
        for part in row:
            part.flags.writeable = False
        return Appended(row, before[:had], after[:has], gained)

    def put(self, number: int, row: History) -> None:
        """Lets a row take the place of another, or stand behind the last."""
        self._rows[number] = row

    def join(self, n_rows: int) -> tuple[CodeMatrix, Order]:
        """The whole, of so many rows, and its order."""
        numbers = np.array(sorted(self._rows), np.int64)
        rows = [self._rows[number] for number in numbers.tolist()]
        before = self._matrix
        lengths = np.zeros(n_rows, np.int64)
        lengths[: before.shape[0]] = np.diff(before.indptr)
        lengths[numbers] = [len(row.codes) for row in rows]
        changed = np.zeros(n_rows, bool)
        changed[numbers] = True
        starts = readonly(starts_of(lengths))
        new, kept = np.repeat(changed, lengths), ~repeat_by_row(before, changed[: before.shape[0]])
        joined = []
        for number, old in enumerate((before.indices, before.data, self._order)):
            part = np.empty(int(starts[-1]), old.dtype)
            part[~new] = old[kept]
            part[new] = np.concatenate([row[number] for row in rows]) if rows else part[:0]
            joined.append(readonly(part))
        codes, values, order = joined
        return assemble_csr(values, codes, starts, (n_rows, before.shape[1])), order


def row_of(matrix: CodeMatrix, order: Order, number: int) -> History:
    """A row of a matrix and of its order; an empty one behind the last.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> row_of(check_matrix([[1, 0], [0, 1]]), np.array([0, 0], "i4"), 1).codes
    array([1], dtype=int32)
    """
    start, stop = matrix.indptr[number : number + 2].tolist() if number < matrix.shape[0] else (0, 0)
    return History(matrix.indices[start:stop], matrix.data[start:stop], order[start:stop])
