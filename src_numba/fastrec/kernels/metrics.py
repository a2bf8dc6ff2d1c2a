"""Kernels of the metrics: one pass over each ranking counts everything that they need at all cut-offs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles


class Tally(NamedTuple):
    """The counts of one pass over rankings, for m cut-offs and n users; the metrics are formulas over them.

    All but `relevant` are of shape (m, n) and count in the first `cutoffs[j]` places. A hit is a relevant item.
    """

    relevant: Counts  # (n,) the number of relevant items, |T|
    hits: Doubles
    first: Doubles  # the place of the first hit, from 1; 0 without one
    misses_above: Doubles  # sum over hits of the irrelevant items above them
    misses: Doubles  # irrelevant items in the list
    precisions: Doubles  # sum over hits of the precision at their place
    dcg: Doubles  # sum over hits of the place's discount
    gain: Doubles  # the same times the item's grade
    ideal_gain: Doubles  # the largest possible gain
    r_hits: Doubles  # hits in the first min(cut-off, |T|) places


@kernel()
def tally_rankings(
    start: int,
    stop: int,
    marks: Doubles,
    listers: Counts,
    tally: Tally,
    ranking: Codes,
    indptr: Counts,
    indices: Codes,
    grades: Doubles,
    best_grades: Doubles,
    cutoffs: Counts,
    discounts: Doubles,
) -> None:
    """Fills the columns start..stop of `tally` from the rows of `ranking` (codes, -1 for an empty place).

    `cutoffs` ascend. `best_grades` are `grades` sorted within each row, the largest first. `marks`, of shape
    (n_items,), is zero before and after the call. An item listed twice counts once, in its first place: `listers`, of
    shape (n_items,), all -1 at first, keeps the row that listed an item last.
    """
    width = ranking.shape[1]
    for u in range(start, stop):
        # The relevant items of the row, by their grades.
        size = indptr[u + 1] - indptr[u]
        tally.relevant[u] = size
        for e in range(indptr[u], indptr[u + 1]):
            marks[indices[e]] = grades[e]
        place = 0
        hits, first, misses_above, misses, r_hits = 0, 0, 0, 0, 0
        precisions, dcg, gain, ideal_gain = 0.0, 0.0, 0.0, 0.0
        # One pass down the list; at each cut-off the counts so far are written.
        for j in range(len(cutoffs)):
            while place < cutoffs[j] and (place < width or place < size):
                code = ranking[u, place] if place < width else -1
                if code >= 0 and listers[code] != u:
                    listers[code] = u
                    if marks[code] > 0.0:
                        hits += 1
                        first = place + 1 if first == 0 else first
                        r_hits += 1 if place < size else 0
                        misses_above += misses
                        precisions += hits / (place + 1)
                        dcg += discounts[place]
                        gain += discounts[place] * marks[code]
                    else:
                        misses += 1
                if place < size:
                    ideal_gain += discounts[place] * best_grades[indptr[u] + place]
                place += 1
            tally.hits[j, u] = hits
            tally.first[j, u] = first
            tally.misses_above[j, u] = misses_above
            tally.misses[j, u] = misses
            tally.precisions[j, u] = precisions
            tally.dcg[j, u] = dcg
            tally.gain[j, u] = gain
            tally.ideal_gain[j, u] = ideal_gain
            tally.r_hits[j, u] = r_hits
        # The marks are reset.
        for e in range(indptr[u], indptr[u + 1]):
            marks[indices[e]] = 0.0


@kernel()
def average_weights(
    start: int,
    stop: int,
    listers: Counts,
    means: Doubles,
    ranking: Codes,
    weights: Doubles,
    cutoffs: Counts,
) -> None:
    """Fills `means` (m, n) with the mean weight of the listed items within each cut-off; NaN for an empty list.

    An item listed twice counts once. `listers` is as in `tally_rankings`.
    """
    width = ranking.shape[1]
    for u in range(start, stop):
        place, listed, total = 0, 0, 0.0
        # One pass down the list; at each cut-off the mean so far is written.
        for j in range(len(cutoffs)):
            while place < cutoffs[j] and place < width:
                code = ranking[u, place]
                if code >= 0 and listers[code] != u:
                    listers[code] = u
                    listed += 1
                    total += weights[code]
                place += 1
            means[j, u] = total / listed if listed > 0 else np.nan


@kernel()
def mark_common(
    common: NDArray[np.bool_],
    indptr: Counts,
    indices: Codes,
    other_indptr: Counts,
    other_indices: Codes,
    rows: Codes,
) -> None:
    """Sets `common` for the entries of a sparse matrix that another matrix has too; row u is row `rows[u]` of the
    other.

    Indices are sorted in each row.
    """
    for u in range(len(rows)):
        other, end = other_indptr[rows[u]], other_indptr[rows[u] + 1]
        # Both rows are read side by side, in the order of their indices.
        for e in range(indptr[u], indptr[u + 1]):
            while other < end and other_indices[other] < indices[e]:
                other += 1
            common[e] = other < end and other_indices[other] == indices[e]
