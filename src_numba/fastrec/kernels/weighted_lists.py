"""The best sums of rows of sparse weights; only columns that occur in these rows are read."""

from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import pointer, prefetch
from fastrec.kernels.sparse import Entries
from fastrec.kernels.topk import EMPTY, finish_row, is_open, open_doors, sift_down

AHEAD, LINES = 2, 4  # rows of weights that are prefetched ahead, and the number of cache lines of each
UNANSWERED = -1


@kernel()
def list_best(
    rows: Entries, first: int, last: int, weights: Entries, filters: Any, sums: Any, touched: Any, codes: Any,
    scores: Any,
) -> None:  # fmt: skip
    """Fills rows `first` to `last` of codes and scores with the best columns by Σ_i rows[u, i] · weights[i, j] above 0.

    Each column is summed as `neighbors.add_weighted_rows` does. A row gets `UNANSWERED` as its first code if fewer
    columns than wanted are above 0, or if it meets more columns than `touched` has places for.

    Parameters
    ----------
    sums
        Zeros for the columns, before and after the call.
    touched
        At least as long as the longest row of weights.
    """
    doors, flat, k = open_doors(filters), pointer(sums), codes.shape[1]
    for row in range(first, last):
        own_codes, own_scores = codes[row], scores[row]
        own_codes[:] = EMPTY
        own_scores[:] = -np.inf
        count = add_touched(row, rows, weights, flat, touched)
        # Sums are read, and set to zero again.
        for t in range(abs(count)):
            column = touched[t]
            score = flat[column]
            flat[column] = 0
            if score > 0 and (score > own_scores[0] or (score == own_scores[0] and column < own_codes[0])):
                if is_open(doors, row, column):
                    sift_down(own_scores, own_codes, k, score, column)
        # A row with too few columns above 0 needs another search.
        if count < 0 or own_codes[0] == EMPTY:
            own_codes[0] = UNANSWERED
        else:
            finish_row(own_scores, own_codes, k)


@kernel(inner=True)
def add_touched(row: int, rows: Entries, weights: Entries, sums: Any, touched: Any) -> int:
    """Adds up a row's sums, and lists the columns whose sum was 0: without a branch, which could not be predicted.

    Returns the number of listed columns; below 0 if there are too few places, when only a part is added up.
    """
    row_step, step, count = min(1, len(rows.values) - 1), min(1, len(weights.values) - 1), 0
    end = rows.indptr[row + 1]
    # Entry by entry; the weights of a later one are prefetched.
    for p in range(rows.indptr[row], end):
        ahead = weights.indptr[rows.indices[min(p + AHEAD, end - 1)]]
        for line in range(0, 16 * LINES, 16):
            prefetch(weights.indices, ahead + line)
            prefetch(weights.values, ahead + line)
        value = rows.values[p * row_step]
        if value == 0:  # value of a faded event
            continue
        start, stop = weights.indptr[rows.indices[p]], weights.indptr[rows.indices[p] + 1]
        if count + stop - start > len(touched):
            return -count
        for q in range(start, stop):
            column = np.uint32(weights.indices[q])
            sum = sums[column]
            touched[count] = column
            sums[column] = sum + value * weights.values[q * step]
            count += sum == 0
    return count
