"""Adam (Kingma, Ba 2015) for parameters and for the rows of embeddings, with decoupled weight decay.

A row of an embedding that is in no sample has no gradient, but dense Adam moves it on by its momentum. Here that is
made up for when the row is next needed: after n steps without a gradient its moments have shrunk by β₁ⁿ and β₂ⁿ, and
it has moved by the geometric series

    rate · m/√v · (ρ + ρ² + … + ρⁿ)         ρ = β₁/√β₂

so that rows cost nothing while they rest, and the steps are those of dense Adam (but for its ε in the series, and the
bias correction of the series, which is that of its first step). Arrays of rows are flat float32.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import FAST, kernel

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # β₁, β₂ and ε


class Rows(NamedTuple):
    """An embedding and what Adam knows about it: `last` is the step after which each row is up to date, 0 for never."""

    values: NDArray[np.float32]
    first: NDArray[np.float32]
    second: NDArray[np.float32]
    last: NDArray[np.int32]
    width: int


class Pace(NamedTuple):
    """Numbers that hang on a count alone, float32, the last of each standing for all greater counts.

    rates: the learning rate by steps done, bias corrections included. fading_first, fading_second, drift, shrink: for
    each number of steps without a gradient, β₁ⁿ, β₂ⁿ, the sum of the series, and what weight decay leaves of a row.
    """

    rates: NDArray[np.float32]
    corrections: NDArray[np.float32]
    fading_first: NDArray[np.float32]
    fading_second: NDArray[np.float32]
    drift: NDArray[np.float32]
    shrink: NDArray[np.float32]


@kernel(fastmath=FAST, inline=True)
def catch_up_row(rows, row, step, pace):
    """Brings one row to what it is after `step` steps."""
    gap = step - rows.last[row]
    if rows.last[row] == 0 or gap <= 0:
        return
    n = min(gap, len(pace.drift) - 1)
    rate = pace.rates[min(rows.last[row] + 1, len(pace.rates) - 1)] * pace.drift[n]
    at, stop = row * rows.width, (row + 1) * rows.width
    values, first, second = rows.values[at:stop], rows.first[at:stop], rows.second[at:stop]
    fading_first, fading_second, shrink = pace.fading_first[n], pace.fading_second[n], pace.shrink[n]
    for j in range(rows.width):
        moved = rate * first[j] / (np.float32(math.sqrt(second[j])) + np.float32(TINY))
        values[j] = values[j] * shrink - moved
        first[j] *= fading_first
        second[j] *= fading_second
    rows.last[row] = step


@kernel()
def catch_up_rows(rows, step, pace):
    """Brings all rows to what they are after `step` steps."""
    for row in range(len(rows.last)):
        catch_up_row(rows, row, step, pace)


@kernel()
def group_rows(codes, rows, step, pace, heads, following, touched):
    """Links the samples of each code, first to last, and brings the rows of these codes up to date; returns how many.

    `heads` is -1 throughout before and after; `touched` gets the codes, in the order of their last samples.
    """
    n = 0
    for place in range(len(codes) - 1, -1, -1):
        code = np.int64(codes[place])
        following[place] = heads[code]
        if heads[code] < 0:
            touched[n] = code
            n += 1
            catch_up_row(rows, code, step, pace)
        heads[code] = place
    return n


@kernel(fastmath=FAST)
def update_rows(rows, step, pace, heads, following, touched, n, slopes, summed):
    """A step of Adam, the `step`-th, for `n` rows, each by the sum of its samples' slopes; `summed` is of row width."""
    width = rows.width
    rate = pace.rates[min(step, len(pace.rates) - 1)]
    tiny = np.float32(TINY) * pace.corrections[min(step, len(pace.rates) - 1)]
    first_part, second_part = np.float32(1 - FIRST), np.float32(1 - SECOND)
    shrink = pace.shrink[1]
    for index in range(n):
        row = np.int64(touched[index])
        place = heads[row]
        heads[row] = -1
        for j in range(width):
            summed[j] = slopes[place * width + j]
        place = following[place]
        while place >= 0:
            for j in range(width):
                summed[j] += slopes[place * width + j]
            place = following[place]
        at, stop = row * width, (row + 1) * width
        values, first, second = rows.values[at:stop], rows.first[at:stop], rows.second[at:stop]
        for j in range(width):
            first[j] = np.float32(FIRST) * first[j] + first_part * summed[j]
            second[j] = np.float32(SECOND) * second[j] + second_part * summed[j] * summed[j]
            values[j] = values[j] * shrink - rate * first[j] / (np.float32(math.sqrt(second[j])) + tiny)
        rows.last[row] = step


@kernel(fastmath=FAST)
def update_weights(values, first, second, slopes, step, pace):
    """A step of Adam for all parameters, by the sum over the rows of `slopes`, of shape (pieces, n)."""
    rate = pace.rates[min(step, len(pace.rates) - 1)]
    tiny = np.float32(TINY) * pace.corrections[min(step, len(pace.rates) - 1)]
    first_part, second_part = np.float32(1 - FIRST), np.float32(1 - SECOND)
    shrink = pace.shrink[1]
    for piece in range(1, len(slopes)):
        for j in range(len(values)):
            slopes[0, j] += slopes[piece, j]
    for j in range(len(values)):
        slope = slopes[0, j]
        first[j] = np.float32(FIRST) * first[j] + first_part * slope
        second[j] = np.float32(SECOND) * second[j] + second_part * slope * slope
        values[j] = values[j] * shrink - rate * first[j] / (np.float32(math.sqrt(second[j])) + tiny)
