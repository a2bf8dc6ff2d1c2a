"""Causal attention within sequences that lie one after the other, forward and backward.

A row of `mixed` has the queries, keys and values of one event, each `heads` · `width` numbers. A query of event i is
compared with the keys of the events j ≤ i of its sequence, and a nearer event may count more:

    p_ij = softmax over j of (q_i·k_j / √(true width) + bias[i − j]),      o_i = Σ_j p_ij v_j

The biases of a head are kept from the farthest to the nearest, in the order of a row of p. Products take four rows at a
time (`layers`). Rows of p are padded to whole lanes and are zero from j = i + 1 on, so that the four rows of a block
end together. All arrays are float32 and flat.
"""

from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Floats
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.layers import add_four_rows, clear
from fastrec.kernels.math import exp_lanes
from fastrec.kernels.simd import (
    add,
    broadcast,
    load,
    maximum,
    multiply,
    multiply_add,
    reduce_add,
    reduce_maximum,
    store,
    subtract,
    zeros,
)

NOTHING = np.float32(-1e30)


class Heads(NamedTuple):
    """The shape of attention: heads, their padded width, the factor of the products, the longest sequence."""

    heads: int
    width: int
    scale: np.float32
    span: int


class Scratch(NamedTuple):
    """Buffers for one head of one sequence: keys or values transposed, derivatives by p, and `make_fence`."""

    across: Floats
    slopes: Floats
    fence: Floats


def make_fence() -> Floats:
    """Returns zeros, then `NOTHING`, and ones, then zeros: the numbers around the end of a row, sixteen of each."""
    return np.repeat(np.array([0.0, NOTHING, 1.0, 0.0], np.float32), LANES)


@kernel(inline=True)
def count_shares(n: int, heads: int) -> int:
    """Returns the count of numbers in the rows of p of a sequence of n events."""
    return heads * n * padded_width(n)


@kernel(inline=True)
def _transpose(x: Floats, at: int, step: int, n: int, width: int, out: Floats, outer: int) -> None:
    """Writes n rows of x as columns; the rest of `outer` columns gets zeros."""
    for row in range(n):
        for f in range(width):
            out[f * outer + row] = x[at + row * step + f]
    for f in range(width):
        for row in range(n, outer):
            out[f * outer + row] = np.float32(0.0)


@kernel(inline=True)
def _scale_rows(x: Floats, at: int, step: int, n: int, width: int, scale: np.float32) -> None:
    """Multiplies the first `width` numbers of n rows."""
    factor = broadcast(scale, 16)
    for row in range(n):
        for place in range(at + row * step, at + row * step + width, LANES):
            store(x, place, multiply(load(x, place, 16), factor))


@kernel(inline=True)
def _gap(i: int, j: int) -> int:
    """Returns the place in a fence of the sixteen numbers from j on, for a row that ends with that of i."""
    return LANES - min(max(i + 1 - j, 0), LANES)


@kernel(inline=True)
def _start_row(shares: Floats, at: int, i: int, columns: int, bias: Floats, nearest: int, fence: Floats) -> None:
    """Writes the biases of the events up to i, whose own is at `nearest`, and far lower numbers for later events."""
    for j in range(0, columns, LANES):
        hidden = load(fence, _gap(i, j), 16)
        store(shares, at + j, add(load(bias, nearest - i + j, 16), hidden))


@kernel(inline=True)
def _softmax_row(shares: Floats, at: int, i: int, columns: int, fence: Floats) -> None:
    """Writes the softmax of the first i + 1 numbers; the others become zero."""
    # The largest number of the row, which is subtracted before exp.
    largest = broadcast(NOTHING, 16)
    for j in range(at, at + columns, LANES):
        largest = maximum(load(shares, j, 16), largest)
    top = broadcast(-reduce_maximum(largest), 16)
    # The shares, with zeros for later events, and their sum.
    total = zeros(16)
    for j in range(0, columns, LANES):
        seen = load(fence, 2 * LANES + _gap(i, j), 16)
        share = multiply(exp_lanes(add(load(shares, at + j, 16), top)), seen)
        total = add(total, share)
        store(shares, at + j, share)
    # Divides by the sum.
    factor = broadcast(np.float32(1.0) / np.float32(reduce_add(total)), 16)
    for j in range(at, at + columns, LANES):
        store(shares, j, multiply(load(shares, j, 16), factor))


@kernel(inner=True)
def attend(
    shape: Heads, mixed: Floats, at: int, n: int, bias: Floats, first: int, shares: Floats, place: int, out: Floats,
    to: int, scratch: Scratch,
) -> None:  # fmt: skip
    """Computes attention within one sequence of n events; its first row begins at `at` of `mixed` and at `to` of `out`.

    The queries are multiplied by the scale in place. `shares` gets p from `place` on, for the backward pass.
    """
    heads, width, span = shape.heads, shape.width, shape.span
    inner, outer = heads * width, padded_width(n)
    step, begin, one = 3 * inner, np.int64(0), np.int64(1)  # no literals, for which kernels would be compiled again
    _scale_rows(mixed, at, step, n, inner, shape.scale)
    clear(out, to, n * inner)
    # Head by head: the keys transposed, then four queries at a time.
    for head in range(heads):
        query, nearest = at + head * width, first + (head + 1) * span - 1
        _transpose(mixed, query + inner, step, n, width, scratch.across, outer)
        for i in range(0, n, 4):
            rows = min(4, n - i)
            columns = padded_width(i + rows)
            row = place + (head * n + i) * outer
            # The biases, then the products with the keys, then the softmax.
            for r in range(rows):
                _start_row(shares, row + r * outer, i + r, columns, bias, nearest, scratch.fence)
            add_four_rows(
                mixed, query + i * step, step, one, scratch.across, begin, outer, shares, row, outer, rows, width,
                columns,
            )  # fmt: skip
            for r in range(rows):
                _softmax_row(shares, row + r * outer, i + r, columns, scratch.fence)
            # Adds the values, weighted by p.
            add_four_rows(
                shares, row, outer, one, mixed, query + 2 * inner, step, out, to + i * inner + head * width, inner,
                rows, i + rows, width,
            )  # fmt: skip


@kernel(inline=True)
def _unsoftmax_row(shares: Floats, at: int, slopes: Floats, to: int, columns: int, bias: Floats, first: int) -> None:
    """Replaces derivatives by p by those by the logits of a row, and adds them to those of the biases from `first` on.

    They are zero where p is zero.
    """
    # The mean of the derivatives, weighted by p: the softmax's part that all logits share.
    total = zeros(16)
    for j in range(0, columns, LANES):
        total = multiply_add(load(shares, at + j, 16), load(slopes, to + j, 16), total)
    along = broadcast(reduce_add(total), 16)
    for j in range(0, columns, LANES):
        slope = multiply(load(shares, at + j, 16), subtract(load(slopes, to + j, 16), along))
        store(slopes, to + j, slope)
        store(bias, first + j, add(load(bias, first + j, 16), slope))


@kernel(inner=True)
def unattend(
    shape: Heads, mixed: Floats, at: int, n: int, shares: Floats, place: int, errors: Floats, to: int,
    mixed_slopes: Floats, bias_slopes: Floats, first: int, scratch: Scratch,
) -> None:  # fmt: skip
    """Writes the derivatives by `mixed`, as it was before `attend`, to `mixed_slopes`.

    `errors` holds the derivatives by the outputs of `attend`. Those by the biases are added to `bias_slopes`, whose
    head 0 begins at `first`.
    """
    heads, width, span = shape.heads, shape.width, shape.span
    inner, outer = heads * width, padded_width(n)
    step, begin, one = 3 * inner, np.int64(0), np.int64(1)
    clear(mixed_slopes, at, n * step)
    # Head by head: the values transposed, then four outputs at a time.
    for head in range(heads):
        query, error, share = at + head * width, to + head * width, place + head * n * outer
        nearest = first + (head + 1) * span - 1
        _transpose(mixed, query + 2 * inner, step, n, width, scratch.across, outer)
        for i in range(0, n, 4):
            rows = min(4, n - i)
            columns = padded_width(i + rows)
            for r in range(rows):
                clear(scratch.slopes, (i + r) * outer, columns)
            # Derivatives by p, by the logits, by the biases, and by the queries.
            add_four_rows(
                errors, error + i * inner, inner, one, scratch.across, begin, outer, scratch.slopes, i * outer, outer,
                rows, width, columns,
            )  # fmt: skip
            for r in range(i, i + rows):
                _unsoftmax_row(shares, share + r * outer, scratch.slopes, r * outer, columns, bias_slopes, nearest - r)
            add_four_rows(
                scratch.slopes, i * outer, outer, one, mixed, query + inner, step, mixed_slopes, query + i * step, step,
                rows, i + rows, width,
            )  # fmt: skip
        for j in range(0, n, 4):
            # Derivatives by keys and values: sums over the events from j on, since no earlier one sees them.
            rows, key = min(4, n - j), query + inner + j * step
            add_four_rows(
                scratch.slopes, j * outer + j, one, outer, mixed, query + j * step, step, mixed_slopes, key, step, rows,
                n - j, width,
            )  # fmt: skip
            add_four_rows(
                shares, share + j * outer + j, one, outer, errors, error + j * inner, inner, mixed_slopes, key + inner,
                step, rows, n - j, width,
            )  # fmt: skip
    _scale_rows(mixed_slopes, at, step, n, inner, shape.scale)
