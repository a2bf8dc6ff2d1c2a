"""Adam (Kingma, Ba 2015) for parameters and for the rows of embeddings, with decoupled weight decay.

A row of an embedding that is in no sample has no gradient, but dense Adam moves it on by its momentum. Here that is
made up for when the row is next needed: after n steps without a gradient its moments have shrunk by β₁ⁿ and β₂ⁿ, and
it has moved, from step s on, by

    m/√v · (ρ·rate(s+1) + ρ²·rate(s+2) + … + ρⁿ·rate(s+n)) = m/√v · (R(s) − ρⁿ·R(s+n)),    ρ = β₁/√β₂

where rate(t) is the learning rate with its bias corrections and R(s) the same series without an end. So rows cost
nothing while they rest, and the steps are those of dense Adam, but for its ε in the series, and the decay of the
series itself.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel
from fastrec.kernels.row import over_root
from fastrec.kernels.simd import broadcast, load, multiply, multiply_add, store, zeros

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]

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

    rates, corrections, resting: by steps done, the learning rate with its bias corrections, √(1 − β₂ⁿ), and R.
    fading_first, fading_second, fading_ratio, shrink: by steps without a gradient, β₁ⁿ, β₂ⁿ, ρⁿ, and what weight decay
    leaves of a row.
    """

    rates: NDArray[np.float32]
    corrections: NDArray[np.float32]
    resting: NDArray[np.float32]
    fading_first: NDArray[np.float32]
    fading_second: NDArray[np.float32]
    fading_ratio: NDArray[np.float32]
    shrink: NDArray[np.float32]


@kernel(inline=True)
def catch_up_row(rows: Rows, row: int, step: int, pace: Pace) -> None:
    """Brings one row to what it is after `step` steps."""
    gap = step - rows.last[row]
    if rows.last[row] == 0 or gap <= 0:
        return
    n, end = min(gap, len(pace.shrink) - 1), len(pace.resting) - 1
    ahead = pace.resting[min(rows.last[row], end)] - pace.fading_ratio[n] * pace.resting[min(step, end)]
    rate = broadcast(-ahead, 16)
    fading_first, fading_second = broadcast(pace.fading_first[n], 16), broadcast(pace.fading_second[n], 16)
    shrink = broadcast(pace.shrink[n], 16)
    for at in range(row * rows.width, (row + 1) * rows.width, 16):
        first, second = load(rows.first, at, 16), load(rows.second, at, 16)
        moved = multiply(rate, over_root(first, second, np.float32(TINY)))
        store(rows.values, at, multiply_add(load(rows.values, at, 16), shrink, moved))
        store(rows.first, at, multiply(first, fading_first))
        store(rows.second, at, multiply(second, fading_second))
    rows.last[row] = step


@kernel()
def catch_up_rows(rows: Rows, step: int, pace: Pace) -> None:
    """Brings all rows to what they are after `step` steps."""
    for row in range(len(rows.last)):
        catch_up_row(rows, row, step, pace)


@kernel()
def group_rows(codes: Codes, rows: Rows, step: int, pace: Pace, heads: Codes, following: Codes, touched: Codes) -> int:
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


@kernel(inline=True)
def move(
    values: Floats,
    first: Floats,
    second: Floats,
    at: int,
    slope: Any,
    rate: np.float32,
    tiny: np.float32,
    shrink: np.float32,
) -> None:
    """A step of Adam for sixteen numbers, by their slope."""
    m = multiply_add(
        broadcast(np.float32(FIRST), 16), load(first, at, 16), multiply(broadcast(np.float32(1 - FIRST), 16), slope)
    )
    squared = multiply(multiply(broadcast(np.float32(1 - SECOND), 16), slope), slope)
    v = multiply_add(broadcast(np.float32(SECOND), 16), load(second, at, 16), squared)
    store(first, at, m)
    store(second, at, v)
    store(
        values,
        at,
        multiply_add(
            broadcast(shrink, 16), load(values, at, 16), multiply(broadcast(-rate, 16), over_root(m, v, tiny))
        ),
    )


@kernel()
def update_rows(
    rows: Rows, step: int, pace: Pace, heads: Codes, following: Codes, touched: Codes, n: int, slopes: Floats
) -> None:
    """A step of Adam, the `step`-th, for `n` rows, each by the sum of its samples' slopes."""
    width = rows.width
    rate = pace.rates[min(step, len(pace.rates) - 1)]
    tiny = np.float32(TINY) * pace.corrections[min(step, len(pace.rates) - 1)]
    one = broadcast(np.float32(1.0), 16)
    for index in range(n):
        row = np.int64(touched[index])
        for j in range(0, width, 16):
            place = np.int64(heads[row])
            slope = zeros(16)
            while place >= 0:
                slope = multiply_add(one, load(slopes, place * width + j, 16), slope)
                place = np.int64(following[place])
            move(rows.values, rows.first, rows.second, row * width + j, slope, rate, tiny, pace.shrink[1])
        heads[row] = -1
        rows.last[row] = step


@kernel()
def update_weights(values: Floats, first: Floats, second: Floats, slopes: Floats, step: int, pace: Pace) -> None:
    """A step of Adam for all parameters, by the sum over the rows of `slopes`, of shape (pieces, n)."""
    rate = pace.rates[min(step, len(pace.rates) - 1)]
    tiny = np.float32(TINY) * pace.corrections[min(step, len(pace.rates) - 1)]
    n = len(values)
    one = broadcast(np.float32(1.0), 16)
    for at in range(0, n, 16):
        slope = load(slopes, at, 16)
        for piece in range(1, len(slopes)):
            slope = multiply_add(one, load(slopes, piece * n + at, 16), slope)
        move(values, first, second, at, slope, rate, tiny, pace.shrink[1])
