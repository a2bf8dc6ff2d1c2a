"""Sparse matrices by rows, and their transposes, by a counting sort."""

from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats


class Entries(NamedTuple):
    """The rows of a sparse matrix; `values` has one value for each entry, or a single one for all."""

    indptr: Counts
    indices: Codes
    values: Floats


@kernel()
def count_columns(indices: Codes, start: int, stop: int, counts: Counts) -> None:
    """Adds to `counts`, of shape (columns,), how often each column occurs in `indices[start:stop]`."""
    for i in range(start, stop):
        counts[indices[i]] += 1


@kernel()
def place_entries(
    indptr: Counts,
    indices: Codes,
    values: Floats,
    first: int,
    last: int,
    places: Counts,
    rows: Codes,
    placed: Floats,
) -> None:
    """Writes the entries of rows from `first` to `last` to the places that `places` holds for their columns.

    `places`, of shape (columns,), advances with each entry written. `values` and `placed` may be empty.
    """
    for row in range(first, last):
        for i in range(indptr[row], indptr[row + 1]):
            column = indices[i]
            place = places[column]
            rows[place] = row
            if values.shape[0] > 0:
                placed[place] = values[i]
            places[column] = place + 1


@kernel()
def sum_rows(indptr: Counts, values: Floats, sums: Doubles) -> None:
    """Fills `sums` with each row's sum; `values` has one value for each entry, or a single one for all."""
    step = min(1, values.shape[0] - 1)
    for row in range(sums.shape[0]):
        total = np.float64(0)
        for i in range(indptr[row], indptr[row + 1]):
            total += values[i * step]
        sums[row] = total
