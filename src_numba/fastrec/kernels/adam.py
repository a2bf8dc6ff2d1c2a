"""Adam (Kingma, Ba 2015) for parameters and for the rows of embeddings, with decoupled weight decay.

A row of an embedding that is in no sample has no gradient, but dense Adam still moves it by its momentum. These moves
are made up for when the row is needed next: after n steps without a gradient its moments have shrunk by β₁ⁿ and β₂ⁿ,
and from step s on it has moved by

    m/√v · (ρ·rate(s+1) + ρ²·rate(s+2) + … + ρⁿ·rate(s+n)) = m/√v · (R(s) − ρⁿ·R(s+n)),    ρ = β₁/√β₂

where rate(t) is the learning rate with its bias corrections and R(s) the same series without an end. So a row without
samples costs nothing. The steps are those of dense Adam, except that the series leaves out its ε and its own decay.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Codes, Floats
from fastrec.kernels.math import exp, log
from fastrec.kernels.row import add_square, blend, over_root
from fastrec.kernels.simd import broadcast, load, multiply, multiply_add, store, zeros

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # β₁, β₂ and ε
BETA1, BETA2, EPSILON, ONE = np.float32(FIRST), np.float32(SECOND), np.float32(TINY), np.float32(1)


class EmbeddingRows(NamedTuple):
    """An embedding and Adam's state of it: `last` is the step up to which each row is up to date, 0 for none."""

    values: Floats
    first: Floats
    second: Floats
    last: Codes
    width: int


class StepTables(NamedTuple):
    """Numbers that depend on a count alone, float32; the last of each stands for all greater counts.

    rates, corrections, resting: by steps done, the learning rate with its bias corrections, √(1 − β₂ⁿ), and R.
    fading_first, fading_second, fading_ratio, shrink: by steps without a gradient, β₁ⁿ, β₂ⁿ, ρⁿ, and the share of a row
    that weight decay leaves.
    """

    rates: Floats
    corrections: Floats
    resting: Floats
    fading_first: Floats
    fading_second: Floats
    fading_ratio: Floats
    shrink: Floats


@kernel(inline=True)
def catch_up_row(rows: EmbeddingRows, row: int, step: int, tables: StepTables) -> None:
    """Brings one row to its state after `step` steps."""
    gap = step - rows.last[row]
    if rows.last[row] == 0 or gap <= 0:
        return
    n, end = min(gap, len(tables.shrink) - 1), len(tables.resting) - 1
    # The moves that are still to be made: R(s) − ρⁿ·R(s+n) of the module's docstring. The tables end with their last
    # numbers.
    ahead = tables.resting[min(rows.last[row], end)] - tables.fading_ratio[n] * tables.resting[min(step, end)]
    rate = broadcast(-ahead, 16)
    fading_first, fading_second = broadcast(tables.fading_first[n], 16), broadcast(tables.fading_second[n], 16)
    shrink = broadcast(tables.shrink[n], 16)
    # Sixteen numbers at a time: the values move along the momentum, and the moments fade.
    for at in range(row * rows.width, (row + 1) * rows.width, 16):
        first, second = load(rows.first, at, 16), load(rows.second, at, 16)
        moved = multiply(rate, over_root(first, second, EPSILON))
        store(rows.values, at, multiply_add(load(rows.values, at, 16), shrink, moved))
        store(rows.first, at, multiply(first, fading_first))
        store(rows.second, at, multiply(second, fading_second))
    rows.last[row] = step


@kernel()
def catch_up_rows(rows: EmbeddingRows, step: int, tables: StepTables) -> None:
    """Brings all rows to their state after `step` steps."""
    for row in range(len(rows.last)):
        catch_up_row(rows, row, step, tables)


@kernel()
def group_rows(
    codes: Codes, rows: EmbeddingRows, step: int, tables: StepTables, heads: Codes, following: Codes, touched: Codes
) -> int:
    """Links the samples of each code, first to last, and brings the rows of these codes up to date; returns their
    number.

    `heads` is -1 throughout before and after; `touched` gets the codes, in the order of their last samples.
    """
    n = 0
    # From the last sample to the first, so that each sample links to the next one of its code.
    for place in range(len(codes) - 1, -1, -1):
        code = np.int64(codes[place])
        following[place] = heads[code]
        # The code's first visit: the row is listed and brought up to date.
        if heads[code] < 0:
            touched[n] = code
            n += 1
            catch_up_row(rows, code, step, tables)
        heads[code] = place
    return n


# A step of Adam for numbers, vectors or rows: both moments first, then the values.


@kernel(fastmath=FAST, inline=True)
def next_mean(mean: Any, slope: Any) -> Any:
    """Returns the first moment: the running mean of the slopes."""
    return blend(BETA1, mean, ONE - BETA1, slope)


@kernel(fastmath=FAST, inline=True)
def next_square(square: Any, slope: Any) -> Any:
    """Returns the second moment: the running mean of the slopes' squares."""
    return add_square(BETA2, square, ONE - BETA2, slope)


@kernel(fastmath=FAST, inline=True)
def step_adam(value: Any, mean: Any, square: Any, rate: Any, tiny: Any, shrink: Any) -> Any:
    """Returns the values after the step; `rate` and `tiny` hold bias corrections, `shrink` the share left by decay."""
    return blend(shrink, value, -rate, over_root(mean, square, tiny))


@kernel(inline=True)
def step_lanes(
    values: Floats, means: Floats, squares: Floats, at: int, slope: Any, rate: Any, tiny: Any, shrink: Any
) -> None:
    """Makes a step of Adam for the sixteen numbers from `at` on."""
    mean, square = next_mean(load(means, at, 16), slope), next_square(load(squares, at, 16), slope)
    store(means, at, mean)
    store(squares, at, square)
    store(values, at, step_adam(load(values, at, 16), mean, square, rate, tiny, shrink))


@kernel()
def update_rows(
    rows: EmbeddingRows,
    step: int,
    tables: StepTables,
    heads: Codes,
    following: Codes,
    touched: Codes,
    n: int,
    slopes: Floats,
) -> None:
    """Makes the `step`-th step of Adam for `n` rows, each by the sum of its samples' slopes."""
    width = rows.width
    rate = tables.rates[min(step, len(tables.rates) - 1)]
    tiny = EPSILON * tables.corrections[min(step, len(tables.rates) - 1)]
    one = broadcast(np.float32(1.0), 16)
    for index in range(n):
        row = np.int64(touched[index])
        # The slope is the sum over the linked samples, sixteen columns at a time.
        for j in range(0, width, 16):
            place = np.int64(heads[row])
            slope = zeros(16)
            while place >= 0:
                slope = multiply_add(one, load(slopes, place * width + j, 16), slope)
                place = np.int64(following[place])
            step_lanes(rows.values, rows.first, rows.second, row * width + j, slope, rate, tiny, tables.shrink[1])
        # The chain is cleared for the next step.
        heads[row] = -1
        rows.last[row] = step


@kernel()
def update_weights(
    values: Floats, first: Floats, second: Floats, slopes: Floats, step: int, tables: StepTables
) -> None:
    """Makes a step of Adam for all parameters, by the sum over the rows of `slopes`, of shape (pieces, n)."""
    rate = tables.rates[min(step, len(tables.rates) - 1)]
    tiny = EPSILON * tables.corrections[min(step, len(tables.rates) - 1)]
    n = len(values)
    one = broadcast(np.float32(1.0), 16)
    # Sixteen parameters at a time: the slope is the sum over the pieces.
    for at in range(0, n, 16):
        slope = load(slopes, at, 16)
        for piece in range(1, len(slopes)):
            slope = multiply_add(one, load(slopes, piece * n + at, 16), slope)
        step_lanes(values, first, second, at, slope, rate, tiny, tables.shrink[1])


@kernel(inline=True)
def correction(count: Any) -> tuple[Any, Any]:
    """Returns the factors of Adam's moments after this many steps: the first's, and the root of the second's."""
    n = np.float32(count)
    first = ONE / (ONE - exp(n * log(BETA1)))
    return first, np.sqrt(ONE - exp(n * log(BETA2)))
