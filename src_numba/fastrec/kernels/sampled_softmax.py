"""The loss of the next item among drawn candidates, the same for all rows of a step, and its derivatives.

A row h has the target t and the candidates c. The correction of a candidate is the log of its expected number of draws
(Bengio, Senécal 2008; Yi et al. 2019):

    loss = −log(exp(h·v_t) / (exp(h·v_t) + Σ_(c ≠ t) exp(h·v_c − correction_c)))

With all items as candidates and corrections of 0 it is the full softmax. Vectors are padded to a multiple of sixteen,
and candidates to whole lanes with vectors of zeros. All arrays but codes are float32 and flat.
"""

import math
from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Floats
from fastrec.kernels.attention import NOTHING
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.layers import add_outer, multiply_across, write_scaled
from fastrec.kernels.math import exp, exp_lanes
from fastrec.kernels.simd import add, broadcast, load, maximum, multiply, reduce_add, reduce_maximum, store, zeros
from fastrec.kernels.transformer import add_rows

ROWS = 64  # rows whose logits are computed at a time


class Candidates(NamedTuple):
    """Drawn items: codes, vectors and these transposed, corrections, and each item's place among them or -1."""

    codes: Codes
    vectors: Floats
    across: Floats
    corrections: Floats
    slots: Codes


@kernel()
def gather_candidates(values: Floats, width: int, candidates: Candidates) -> None:
    """Fills the vectors, their transpose, and the places; all `slots` are -1 before."""
    n = len(candidates.codes)
    padded = padded_width(n)
    # The vectors and their transpose; after the last candidate follow zeros.
    for place in range(padded):
        code = np.int64(candidates.codes[place]) if place < n else np.int64(0)
        if place < n:
            candidates.slots[code] = place
        for f in range(width):
            value = values[code * width + f] if place < n else np.float32(0.0)
            candidates.vectors[place * width + f] = value
            candidates.across[f * padded + place] = value


@kernel()
def forget_candidates(codes: Codes, slots: Codes) -> None:
    """Sets all `slots` to -1 again."""
    for code in codes:
        slots[code] = -1


@kernel(inline=True)
def _softmax(logits: Floats, at: int, padded: int, own: np.float32, weight: np.float32) -> tuple[float, np.float32]:
    """Returns the loss and the target's share of a row; `own` is its logit. Turns logits into weighted shares."""
    # The largest logit, which is subtracted before exp.
    largest = broadcast(own, 16)
    for j in range(at, at + padded, 16):
        largest = maximum(load(logits, j, 16), largest)
    top = np.float32(reduce_maximum(largest))
    # The shares of the candidates, and their sum with the target's.
    less, sums = broadcast(-top, 16), zeros(16)
    for j in range(at, at + padded, 16):
        share = exp_lanes(add(load(logits, j, 16), less))
        sums = add(sums, share)
        store(logits, j, share)
    mine = exp(own - top)
    total = np.float32(reduce_add(sums)) + mine
    factor = broadcast(weight / total, 16)
    for j in range(at, at + padded, 16):
        store(logits, j, multiply(load(logits, j, 16), factor))
    return math.log(np.float64(total)) - np.float64(own - top), mine / total


@kernel(inner=True)
def lose_rows(
    h: Floats, rows: int, width: int, targets: Codes, first: int, values: Floats, candidates: Candidates,
    weight: np.float32, logits: Floats, errors: Floats, target_slopes: Floats, candidate_slopes: Floats,
) -> float:  # fmt: skip
    """Returns the sum of the losses of rows of h, whose targets begin at `first`.

    The derivatives by h, times `weight`, are written to `errors`, and those by the targets' vectors to `target_slopes`
    from row `first` on. Those by the candidates' vectors are added to `candidate_slopes`. `logits` has space for `ROWS`
    rows.
    """
    n = len(candidates.codes)
    padded, zero, lost = padded_width(n), np.int64(0), 0.0
    for begin in range(0, rows, ROWS):
        # The logits: products with the candidates minus the corrections.
        some = min(ROWS, rows - begin)
        for r in range(some):
            write_scaled(candidates.corrections, zero, np.float32(-1.0), logits, r * padded, padded)
        add_rows(h, begin * width, candidates.across, zero, logits, zero, some, width, padded)
        # Row by row: the target does not count among the candidates; then the loss and the shares.
        for r in range(some):
            row = (begin + r) * width
            target = np.int64(targets[first + begin + r])
            hit = np.int64(candidates.slots[target])
            if hit >= 0:
                logits[r * padded + hit] = NOTHING
            own = multiply_across(h, row, values, target * width, width)
            loss, share = _softmax(logits, r * padded, padded, own, weight)
            lost += loss
            if hit >= 0:
                logits[r * padded + hit] = np.float32(0.0)
            for j in range(n, padded):
                logits[r * padded + j] = np.float32(0.0)
            # The target's part of the derivatives.
            gap = weight * (share - np.float32(1.0))
            write_scaled(values, target * width, gap, errors, row, width)
            write_scaled(h, row, gap, target_slopes, (first + begin + r) * width, width)
        # The candidates' part of the derivatives.
        add_rows(logits, zero, candidates.vectors, zero, errors, begin * width, some, padded, width)
        add_outer(logits, zero, h, begin * width, candidate_slopes, zero, some, padded, width)
    return lost
