"""A sparse matrix of histories with some changed rows, which are kept apart until the whole is read."""

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


class PackedRow(NamedTuple):
    """A `History` in one read-only array, of shape (3, n), of which the first `size` places are filled.

    It is of int32, and has the bits of the values.
    """

    arrays: NDArray[np.int32]
    size: int

    @classmethod
    def of(cls, row: History) -> "PackedRow":
        """A copy of a row."""
        arrays = np.empty((3, len(row.codes)), np.int32)
        arrays[0], arrays[1], arrays[2] = row.codes, row.values.view(np.int32), row.order
        arrays.flags.writeable = False
        return cls(arrays, len(row.codes))

    def history(self) -> History:
        """The row as views."""
        arrays, size = self
        return History(arrays[0, :size], arrays[1, :size].view(np.float32), arrays[2, :size])


class Appended(NamedTuple):
    """A history with events appended.

    Parameters
    ----------
    row
        The history, as `ChangedRows` keeps it.
    before, after
        The items with nonzero values, the oldest first, without the events and with them.
    gained
        int64, for each event: 1 if its item is in `after` alone, -1 if it is in `before` alone, otherwise 0.
    """

    row: PackedRow
    before: Codes
    after: Codes
    gained: NDArray[np.int64]


class ChangedRows:
    """Histories with their order, and rows that replace some of them.

    A row is replaced in one assignment, and never written to: another thread reads the old row, or the new one.

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
        self._rows: dict[int, PackedRow] = {}

    def row(self, number: int) -> History:
        """The present row; an empty one after the last."""
        found = self._rows.get(number)
        return row_of(self._matrix, self._order, number) if found is None else found.history()

    def with_events(self, number: int, codes: Codes, values: Floats, policy: str) -> "Appended":
        """Returns a row with events appended, the oldest first, each of another item; their arrays are read-only.

        Raises
        ------
        ValueError
            If a sum is beyond float32.
        """
        row = self._rows.get(number) or PackedRow.of(row_of(self._matrix, self._order, number))
        most = row.size + len(codes)
        found, lists = np.empty((3, most), np.int32), np.empty((3, most), np.int32)
        gained = np.empty(len(codes), np.int64)
        size, had, has, finite = append_events(*row, codes, values, POLICIES[policy], found, lists, gained)
        if not finite:
            raise ValueError('the values of a repeated pair add up to more than float32 holds: use duplicates="max"')
        found.flags.writeable = False
        return Appended(PackedRow(found, size), lists[0, :had], lists[1, :has], gained)

    def put(self, number: int, row: PackedRow) -> None:
        """Replaces a row, or adds one after the last."""
        self._rows[number] = row

    def join(self, n_rows: int) -> tuple[CodeMatrix, Order]:
        """The whole matrix, with so many rows, and its order."""
        numbers = np.array(sorted(self._rows), np.int64)
        rows = [self._rows[number].history() for number in numbers.tolist()]
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
    """A row of a matrix with its order; an empty one after the last.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> row_of(check_matrix([[1, 0], [0, 1]]), np.array([0, 0], "i4"), 1).codes
    array([1], dtype=int32)
    """
    start, stop = matrix.indptr[number : number + 2].tolist() if number < matrix.shape[0] else (0, 0)
    return History(matrix.indices[start:stop], matrix.data[start:stop], order[start:stop])
