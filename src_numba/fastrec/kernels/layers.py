"""Dense layers: products of matrices, normalization, ReLU and dropout, forward and backward.

Matrices are flat float32 arrays, given by the place of their first element; widths are multiples of sixteen.
"""

import math

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Counts, Floats
from fastrec.kernels.random import random_bits32
from fastrec.kernels.simd import (
    add,
    broadcast,
    broadcast_load,
    divide,
    load,
    multiply,
    multiply_add,
    reduce_add,
    square_root,
    store,
    subtract,
    zeros,
)

EPSILON = np.float32(1e-5)  # added to variances
ROWS_AT_ONCE = 128  # rows whose outer products are summed at a time


@kernel(inline=True)
def _tile(
    x: Floats, at: int, across: int, down: int, w: Floats, first: int, wide: int, out: Floats, place: int, outer: int,
    inner: int,
) -> None:  # fmt: skip
    """Adds the products of four rows of x to 32 columns of `out`."""
    a0, a1 = load(out, place, 16), load(out, place + 16, 16)
    b0, b1 = load(out, place + outer, 16), load(out, place + outer + 16, 16)
    c0, c1 = load(out, place + 2 * outer, 16), load(out, place + 2 * outer + 16, 16)
    d0, d1 = load(out, place + 3 * outer, 16), load(out, place + 3 * outer + 16, 16)
    for _ in range(inner):
        w0, w1 = load(w, first, 16), load(w, first + 16, 16)
        s = broadcast_load(x, at, 16)
        a0, a1 = multiply_add(s, w0, a0), multiply_add(s, w1, a1)
        s = broadcast_load(x, at + across, 16)
        b0, b1 = multiply_add(s, w0, b0), multiply_add(s, w1, b1)
        s = broadcast_load(x, at + 2 * across, 16)
        c0, c1 = multiply_add(s, w0, c0), multiply_add(s, w1, c1)
        s = broadcast_load(x, at + 3 * across, 16)
        d0, d1 = multiply_add(s, w0, d0), multiply_add(s, w1, d1)
        at += down
        first += wide
    store(out, place, a0), store(out, place + 16, a1)
    store(out, place + outer, b0), store(out, place + outer + 16, b1)
    store(out, place + 2 * outer, c0), store(out, place + 2 * outer + 16, c1)
    store(out, place + 3 * outer, d0), store(out, place + 3 * outer + 16, d1)


@kernel(inline=True)
def _narrow_tile(
    x: Floats, at: int, across: int, down: int, w: Floats, first: int, wide: int, out: Floats, place: int, outer: int,
    inner: int,
) -> None:  # fmt: skip
    """Adds the products of four rows of x to 16 columns of `out`."""
    a, b = load(out, place, 16), load(out, place + outer, 16)
    c, d = load(out, place + 2 * outer, 16), load(out, place + 3 * outer, 16)
    for _ in range(inner):
        w0 = load(w, first, 16)
        a = multiply_add(broadcast_load(x, at, 16), w0, a)
        b = multiply_add(broadcast_load(x, at + across, 16), w0, b)
        c = multiply_add(broadcast_load(x, at + 2 * across, 16), w0, c)
        d = multiply_add(broadcast_load(x, at + 3 * across, 16), w0, d)
        at += down
        first += wide
    store(out, place, a), store(out, place + outer, b)
    store(out, place + 2 * outer, c), store(out, place + 3 * outer, d)


@kernel(inline=True)
def _strip(
    x: Floats, at: int, down: int, w: Floats, first: int, wide: int, out: Floats, place: int, inner: int
) -> None:
    """Adds the products of one row of x to 16 columns of `out`."""
    a = load(out, place, 16)
    for _ in range(inner):
        a = multiply_add(broadcast_load(x, at, 16), load(w, first, 16), a)
        at += down
        first += wide
    store(out, place, a)


@kernel(inline=True)
def add_four_rows(
    x: Floats, at: int, across: int, down: int, w: Floats, first: int, wide: int, out: Floats, place: int, outer: int,
    rows: int, inner: int, columns: int,
) -> None:  # fmt: skip
    """Does as `add_products`, for at most four rows; the rows of w lie `wide` apart, and those of `out` `outer`."""
    # Four rows: pairs of vectors, and a single one if the width is odd in vectors.
    column = 0
    if rows == 4:
        for column in range(0, columns - 16, 32):
            _tile(x, at, across, down, w, first + column, wide, out, place + column, outer, inner)
        if columns % 32:
            column = columns - 16
            _narrow_tile(x, at, across, down, w, first + column, wide, out, place + column, outer, inner)
        return
    # Fewer rows, one by one.
    for row in range(rows):
        for column in range(0, columns, 16):
            _strip(x, at + row * across, down, w, first + column, wide, out, place + row * outer + column, inner)


@kernel()
def add_products(
    x: Floats,
    at: int,
    across: int,
    down: int,
    w: Floats,
    first: int,
    out: Floats,
    place: int,
    rows: int,
    inner: int,
    outer: int,
) -> None:
    """Adds the product of x (`rows` × `inner`) and w (`inner` × `outer`) to `out`; x[r, k] is at `at` + r·`across` +
    k·`down`.

    `outer` is a multiple of sixteen, `out` and `w` are of that width. Each sum runs over k in its order, whatever the
    number of rows: a row's result does not depend on the others.
    """
    # Strips of 32 columns: four rows at a time, then the rows that are left.
    for column in range(0, outer - 16, 32):
        for row in range(0, rows - 3, 4):
            _tile(
                x, at + row * across, across, down, w, first + column, outer, out, place + row * outer + column, outer,
                inner,
            )  # fmt: skip
        for row in range(rows - rows % 4, rows):
            for part in range(column, column + 32, 16):
                _strip(x, at + row * across, down, w, first + part, outer, out, place + row * outer + part, inner)
    # The last strip of 16 columns.
    if outer % 32:
        column = outer - 16
        for row in range(0, rows - 3, 4):
            _narrow_tile(
                x, at + row * across, across, down, w, first + column, outer, out, place + row * outer + column, outer,
                inner,
            )  # fmt: skip
        for row in range(rows - rows % 4, rows):
            _strip(x, at + row * across, down, w, first + column, outer, out, place + row * outer + column, inner)


@kernel(inline=True)
def _copy_columns(x: Floats, at: int, step: int, rows: int, out: Floats, to: int, width: int) -> None:
    """Writes the first `width` numbers of rows that lie `step` apart, one row after the other."""
    for r in range(rows):
        for f in range(0, width, 16):
            store(out, to + r * width + f, load(x, at + r * step + f, 16))


@kernel(inner=True)
def add_outer(
    x: Floats, at: int, errors: Floats, first: int, out: Floats, to: int, rows: int, inner: int, outer: int
) -> None:
    """Adds xᵀ·errors to `out`.

    Both matrices are copied in the order of reading: sixteen columns of x and 32 of `errors`, one row after the other.
    Without the copies, columns of rows that lie a power of two apart would evict each other from the cache.
    """
    most, zero, one, lanes = min(rows, ROWS_AT_ONCE), np.int64(0), np.int64(1), np.int64(16)
    columns, panel = np.empty(most * inner, np.float32), np.empty(most * 32, np.float32)
    # Some rows at a time: sixteen columns of x are copied, then 32 of the errors, whose products are added.
    for row in range(0, rows, ROWS_AT_ONCE):
        some = min(ROWS_AT_ONCE, rows - row)
        for k in range(0, inner, 16):
            _copy_columns(x, at + row * inner + k, inner, some, columns, k * some, lanes)
        for column in range(0, outer, 32):
            wide = min(32, outer - column)
            _copy_columns(errors, first + row * outer + column, outer, some, panel, zero, wide)
            for k in range(0, inner, 4):
                begin, place = k // 16 * 16 * some + k % 16, to + k * outer + column
                if wide == 32:
                    _tile(columns, begin, one, lanes, panel, zero, wide, out, place, outer, some)
                else:
                    _narrow_tile(columns, begin, one, lanes, panel, zero, wide, out, place, outer, some)


@kernel(inline=True)
def clear(out: Floats, at: int, n: int) -> None:
    """Writes n zeros."""
    for place in range(at, at + n, 16):
        store(out, place, zeros(16))


@kernel(inline=True)
def write_scaled(x: Floats, at: int, factor: np.float32, out: Floats, to: int, n: int) -> None:
    """Writes n numbers, each times a factor."""
    factors = broadcast(factor, 16)
    for i in range(0, n, 16):
        store(out, to + i, multiply(load(x, at + i, 16), factors))


@kernel(inline=True)
def multiply_across(a: Floats, at: int, b: Floats, first: int, n: int) -> np.float32:
    """Returns the inner product of n numbers and n others."""
    total = zeros(16)
    for i in range(0, n, 16):
        total = multiply_add(load(a, at + i, 16), load(b, first + i, 16), total)
    return np.float32(reduce_add(total))


@kernel(inline=True)
def spread_row(row: Floats, first: int, out: Floats, place: int, rows: int, width: int) -> None:
    """Writes `rows` copies of a row."""
    for r in range(rows):
        for j in range(0, width, 16):
            store(out, place + r * width + j, load(row, first + j, 16))


@kernel(inline=True)
def sum_rows(x: Floats, at: int, out: Floats, place: int, rows: int, width: int) -> None:
    """Adds the sum of the rows of x to `out`."""
    # One strip of columns at a time.
    for j in range(0, width, 16):
        a = load(out, place + j, 16)
        one = broadcast(np.float32(1.0), 16)
        for r in range(rows):
            a = multiply_add(one, load(x, at + r * width + j, 16), a)
        store(out, place + j, a)


@kernel()
def transpose_kernels(layers: Counts, weights: Floats, transposed: Floats) -> None:
    """Fills `transposed` with the transposed matrices of all layers, at the same places."""
    for index in range(len(layers)):
        inputs, outputs, at = layers[index, 0], layers[index, 1], layers[index, 3]
        for k in range(0, inputs, 16):
            for j in range(outputs):
                for i in range(k, k + 16):
                    transposed[at + j * inputs + i] = weights[at + i * outputs + j]


@kernel(fastmath=FAST, inline=True)
def normalize_rows(
    x: Floats, rows: int, width: int, padded: int, gain: int, weights: Floats, normal: Floats, scales: Floats
) -> None:
    """Normalizes each row of x in place: gain·(x − mean)/deviation + shift (Ba, Kiros, Hinton 2016)."""
    for r in range(rows):
        row, kept = x[r * padded : (r + 1) * padded], normal[r * padded : (r + 1) * padded]
        # Mean and variance of the row, in two passes.
        mean = np.float32(0.0)
        for j in range(width):
            mean += row[j]
        mean /= np.float32(width)
        variance = np.float32(0.0)
        for j in range(width):
            variance += (row[j] - mean) * (row[j] - mean)
        scale = np.float32(1.0) / np.float32(math.sqrt(variance / np.float32(width) + EPSILON))
        scales[r] = scale
        # The normalized row, and its gain and shift; the padding stays zero.
        for j in range(width):
            kept[j] = (row[j] - mean) * scale
            row[j] = kept[j] * weights[gain + j] + weights[gain + padded + j]
        for j in range(width, padded):
            kept[j] = np.float32(0.0)
            row[j] = np.float32(0.0)


@kernel(inline=True)
def normalize_columns(
    x: Floats, rows: int, padded: int, gain: int, weights: Floats, normal: Floats, scales: Floats, moments: Floats
) -> None:
    """Normalizes the columns of x in place (batch normalization: Ioffe, Szegedy 2015); sums the moments in `moments`.

    Sixteen columns at a time, each summed in the order of the rows.
    """
    count, one, least = broadcast(np.float32(rows), 16), broadcast(np.float32(1.0), 16), broadcast(EPSILON, 16)
    for j in range(0, padded, 16):
        # Mean and variance of the columns, in two passes.
        mean, variance = zeros(16), zeros(16)
        for at in range(j, rows * padded, padded):
            mean = add(mean, load(x, at, 16))
        mean = divide(mean, count)
        for at in range(j, rows * padded, padded):
            gap = subtract(load(x, at, 16), mean)
            variance = multiply_add(gap, gap, variance)
        variance = divide(variance, count)
        scale = divide(one, square_root(add(variance, least)))
        # The moments are added to the sums over blocks.
        store(scales, j, scale)
        store(moments, gain + j, add(load(moments, gain + j, 16), mean))
        store(moments, gain + padded + j, add(load(moments, gain + padded + j, 16), variance))
        # The normalized column, with its gain and shift.
        gains, shifts = load(weights, gain + j, 16), load(weights, gain + padded + j, 16)
        for at in range(j, rows * padded, padded):
            value = multiply(subtract(load(x, at, 16), mean), scale)
            store(normal, at, value)
            store(x, at, multiply_add(value, gains, shifts))


@kernel(fastmath=FAST, inline=True)
def unnormalize_rows(
    errors: Floats,
    rows: int,
    width: int,
    padded: int,
    gain: int,
    weights: Floats,
    normal: Floats,
    scales: Floats,
    slopes: Floats,
    frozen: bool,
) -> None:
    """Turns derivatives by the outputs of `normalize_rows` into those by its inputs; adds those by gain and shift."""
    for r in range(rows):
        row, kept = errors[r * padded : (r + 1) * padded], normal[r * padded : (r + 1) * padded]
        # The slopes of gain and shift.
        if not frozen:
            for j in range(width):
                slopes[gain + j] += row[j] * kept[j]
                slopes[gain + padded + j] += row[j]
        # The derivatives by the normalized row; their mean and their part along the row vanish, as a row has a fixed
        # mean and length.
        mean, along = np.float32(0.0), np.float32(0.0)
        for j in range(width):
            row[j] *= weights[gain + j]
            mean += row[j]
            along += row[j] * kept[j]
        mean /= np.float32(width)
        along /= np.float32(width)
        for j in range(width):
            row[j] = (row[j] - mean - kept[j] * along) * scales[r]


@kernel(inline=True)
def unnormalize_columns(
    errors: Floats, rows: int, padded: int, gain: int, weights: Floats, normal: Floats, scales: Floats, slopes: Floats
) -> None:
    """Does the same for `normalize_columns`."""
    count = broadcast(np.float32(rows), 16)
    for j in range(0, padded, 16):
        # The sums of the errors, and of their products with the normalized values, are the slopes of shift and gain.
        mean, along = zeros(16), zeros(16)
        for at in range(j, rows * padded, padded):
            mean = add(mean, load(errors, at, 16))
            along = multiply_add(load(errors, at, 16), load(normal, at, 16), along)
        store(slopes, gain + j, add(load(slopes, gain + j, 16), along))
        store(slopes, gain + padded + j, add(load(slopes, gain + padded + j, 16), mean))
        mean, along = divide(mean, count), divide(along, count)
        # What is left of the errors after their mean and their part along the values.
        factor = multiply(load(weights, gain + j, 16), load(scales, j, 16))
        for at in range(j, rows * padded, padded):
            rest = subtract(subtract(load(errors, at, 16), mean), multiply(load(normal, at, 16), along))
            store(errors, at, multiply(rest, factor))


@kernel(fastmath=FAST)
def rectify(x: Floats, n: int, dropout: np.float32, seed: np.uint32) -> None:
    """Applies ReLU in place; with dropout, outputs vanish at random and the others grow, so that the mean stays."""
    # Without dropout: ReLU that keeps a NaN.
    if dropout == np.float32(0.0):
        for i in range(n):
            x[i] = max(x[i], np.float32(0.0)) if x[i] == x[i] else x[i]
        return
    # With dropout: a number is left out if its random bits are below the bound.
    scale = np.float32(1.0) / (np.float32(1.0) - dropout)
    bound = np.uint32(np.float64(dropout) * 4294967296.0)
    for i in range(n):
        bits = random_bits32(seed, i)
        value = x[i] * scale
        x[i] = np.float32(0.0) if value <= np.float32(0.0) or bits < bound else value


@kernel(fastmath=FAST)
def unrectify(errors: Floats, after: Floats, n: int, dropout: np.float32) -> None:
    """Turns derivatives into those by the inputs of `rectify`, in place: a zero output has the derivative zero."""
    scale = np.float32(1.0) / (np.float32(1.0) - dropout)
    for i in range(n):
        errors[i] = errors[i] * scale if after[i] > np.float32(0.0) else np.float32(0.0)
