"""Replaces rows of a sparse matrix by others, or merges them, in a new matrix; all other rows are copied."""

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts
from fastrec.kernels.sparse import Entries

# The rule for an entry that both rows have: the old row is dropped as a whole, or its entry is combined with the new.
REPLACE, SUM, LAST, MAX = range(4)


@kernel()
def count_merged(old: Entries, rows: Codes, new: Entries, lengths: Counts) -> None:
    """Fills `lengths[j]` with the number of columns that row `rows[j]` of `old` and row j of `new` have together."""
    for j in range(rows.shape[0]):
        a, b = old.indptr[rows[j]], new.indptr[j]
        a_end, b_end = old.indptr[rows[j] + 1], new.indptr[j + 1]
        length = a_end - a + b_end - b
        # Each column that both rows have counts once.
        while a < a_end and b < b_end:
            one, two = old.indices[a], new.indices[b]
            length -= one == two
            a += one <= two
            b += two <= one
        lengths[j] = length


@kernel()
def splice_rows(old: Entries, rows: Codes, new: Entries, policy: int, first: int, last: int, out: Entries) -> bool:
    """Fills the rows of `out` from `rows[first]`, or the first row, up to `rows[last]`, or the end.

    Row `rows[j]` (ascending) is made of that of `old` and of row j of `new`; all others are those of `old`.
    `out.indptr` is filled already. Returns whether all sums are finite.
    """
    finite = True
    for j in range(first, last):
        row = np.int64(rows[j])
        if j == 0:
            _copy(old, 0, row, out)
        # The changed row: both merged in the order of columns, by the policy where a column is in both.
        a, b, at = old.indptr[row], new.indptr[j], out.indptr[row]
        a_end, b_end = old.indptr[row + 1], new.indptr[j + 1]
        if policy == REPLACE:
            a = a_end
        while a < a_end and b < b_end:
            one, two = old.indices[a], new.indices[b]
            value = old.values[a]
            if one >= two:
                value = new.values[b]
                if one == two and policy == SUM:
                    value += old.values[a]
                    finite &= abs(value) < np.inf
                elif one == two and policy == MAX:
                    value = max(value, old.values[a])
            out.indices[at], out.values[at] = min(one, two), value
            at += 1
            a += one <= two
            b += two <= one
        # The rest of both, and the unchanged rows up to the next changed one.
        for i in range(a, a_end):
            out.indices[at + i - a], out.values[at + i - a] = old.indices[i], old.values[i]
        at += a_end - a
        for i in range(b, b_end):
            out.indices[at + i - b], out.values[at + i - b] = new.indices[i], new.values[i]
        _copy(old, row + 1, np.int64(rows[j + 1]) if j + 1 < rows.shape[0] else old.indptr.shape[0] - 1, out)
    return finite


@kernel(inline=True)
def _copy(old: Entries, first: int, last: int, out: Entries) -> None:
    start, stop, at = old.indptr[first], old.indptr[last], out.indptr[first]
    for i in range(start, stop):
        out.indices[at + i - start], out.values[at + i - start] = old.indices[i], old.values[i]
