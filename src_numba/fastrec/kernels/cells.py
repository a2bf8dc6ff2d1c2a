"""Events without values as the cells of a matrix: a counting sort by column, and one by row that counts as it goes."""

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts


@kernel()
def scatter_rows(rows: Codes, columns: Codes, places: Counts, sorted_rows: Codes) -> None:
    """Fills `sorted_rows` with the rows of events by their columns, those of each column from its place on.

    `places` holds each column's start before the call, and its end after it.
    """
    for event in range(len(rows)):
        column = columns[event]
        sorted_rows[places[column]] = rows[event]
        places[column] += 1


@kernel()
def count_cells(
    sorted_rows: Codes, column_ends: Counts, starts: Counts, ends: Counts, indices: Codes, counts: Codes
) -> int:
    """Fills each row from its start on with its columns, rising, and the number of events of each cell; returns the
    number of cells.

    `ends` holds the starts of the rows before the call, and their ends after it.
    """
    first, cells = 0, 0
    # Column by column: an event in the row's last cell adds to it, any other begins a new cell.
    for column in range(len(column_ends)):
        for event in range(first, column_ends[column]):
            row = sorted_rows[event]
            end = ends[row]
            if end > starts[row] and indices[end - 1] == column:
                counts[end - 1] += 1
            else:
                indices[end] = column
                counts[end] = 1
                ends[row] = end + 1
                cells += 1
        first = column_ends[column]
    return cells


@kernel()
def close_gaps(starts: Counts, ends: Counts, indptr: Counts, indices: Codes, counts: Codes) -> None:
    """Moves rows together, in place, and fills `indptr`."""
    at = 0
    for row in range(len(ends)):
        indptr[row] = at
        for place in range(starts[row], ends[row]):
            indices[at], counts[at] = indices[place], counts[place]
            at += 1
    indptr[len(ends)] = at


@kernel()
def to_values(counts: Codes, values: Codes, cap: int) -> int:
    """Writes counts as the bits of float32, in `values`, which may share their memory; returns how many are above 1.

    Each counts `cap` at most if `cap` is above 0.
    """
    repeated = 0
    for cell in range(len(counts)):
        count = counts[cell]
        repeated += count > 1
        if cap > 0:
            count = min(count, cap)
        values[cell] = np.float32(count).view(np.int32)
    return repeated
