"""A causal transformer over sequences that lie one after the other, forward and backward.

A block adds twice to the rows x of its sequences, one row for each event, with norm(x) = x / √(mean x² + ε):

    x += dropout(attention(norm(x) A) O),      x += dropout(ReLU(norm(x) F) G)

and the output is norm(x). Without blocks, x becomes the mean of the events up to each one, weighted by their distance:
one head of attention whose queries and keys are zero. Only the biases of attention depend on the order. Widths are
padded to a multiple of sixteen; the padding stays zero by itself. All arrays are float32 and flat.
"""

import math
from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Counts, Floats
from fastrec.kernels.attention import Heads, Scratch, attend, count_shares, unattend
from fastrec.kernels.lanes import LANES
from fastrec.kernels.layers import add_outer, add_products, clear, multiply_across, write_scaled
from fastrec.kernels.random import random_bits, random_bits32
from fastrec.kernels.simd import broadcast, load, maximum, multiply_add, store, zeros

EPSILON = np.float32(1e-6)  # added to mean squares


class Transformer(NamedTuple):
    """The network as kernels see it.

    Each of `blocks` has, from `block · size` on, the matrices A (`width` × 3 `inner`), O (`inner` × `width`), F
    (`width` × `hidden`) and G (`hidden` × `width`), and at `biases` after them those of its heads. `transposed` has
    the matrices transposed, at the same places. `factors` is the width without padding.
    """

    blocks: int
    size: int
    biases: int
    width: int
    factors: int
    hidden: int
    shape: Heads
    weights: Floats
    transposed: Floats


class Passing(NamedTuple):
    """The values that a forward pass keeps for the backward pass: buffers of one thread."""

    x: Floats
    normal: Floats  # the inputs of each layer, and the output: 2 · blocks + 1 times the rows
    scales: Floats  # 1 / √(mean x² + ε) of each of these rows
    mixed: Floats  # queries, keys and values of each block
    shares: Floats  # p of each block
    heard: Floats  # the outputs of the heads of each block
    hidden: Floats
    change: Floats  # as wide as the widest rows: the output that a layer adds, or derivatives
    other: Floats
    scratch: Scratch


@kernel(inline=True)
def heads_inner(net: Transformer) -> int:
    """Returns the width of all heads together."""
    return net.shape.heads * net.shape.width


@kernel(inner=True)
def normalize(x: Floats, rows: int, width: int, factors: int, out: Floats, at: int, scales: Floats, first: int) -> None:
    """Writes norm(x) (Zhang, Sennrich 2019)."""
    for r in range(rows):
        total = multiply_across(x, r * width, x, r * width, width)
        scale = np.float32(1.0) / np.float32(math.sqrt(total / np.float32(factors) + EPSILON))
        scales[first + r] = scale
        write_scaled(x, r * width, scale, out, at + r * width, width)


@kernel(inner=True)
def unnormalize(
    errors: Floats, rows: int, width: int, factors: int, normal: Floats, at: int, scales: Floats, first: int, dx: Floats
) -> None:
    """Adds to dx the derivatives by x of `normalize`."""
    for r in range(rows):
        # The derivatives without their part along the row, whose mean square is fixed.
        along = multiply_across(errors, r * width, normal, at + r * width, width) / np.float32(factors)
        less, scale = broadcast(-along, 16), broadcast(scales[first + r], 16)
        for f in range(r * width, (r + 1) * width, LANES):
            gap = multiply_add(load(normal, at + f, 16), less, load(errors, f, 16))
            store(dx, f, multiply_add(gap, scale, load(dx, f, 16)))


@kernel(fastmath=FAST, inner=True)
def add_dropped(x: Floats, change: Floats, n: int, dropout: np.float32, seed: np.uint32) -> None:
    """Adds `change` to x, after dropout: some numbers are left out at random, and the others grow."""
    # Without dropout.
    if dropout == np.float32(0.0):
        for i in range(n):
            x[i] += change[i]
        return
    scale, bound = np.float32(1.0) / (np.float32(1.0) - dropout), np.uint32(np.float64(dropout) * 4294967296.0)
    for i in range(n):
        x[i] += np.float32(0.0) if random_bits32(seed, i) < bound else change[i] * scale


@kernel(fastmath=FAST, inner=True)
def drop(x: Floats, n: int, dropout: np.float32, seed: np.uint32, out: Floats) -> None:
    """Writes x to `out` with the same dropout; `out` may be x."""
    if dropout == np.float32(0.0):
        for i in range(n):
            out[i] = x[i]
        return
    scale, bound = np.float32(1.0) / (np.float32(1.0) - dropout), np.uint32(np.float64(dropout) * 4294967296.0)
    for i in range(n):
        out[i] = np.float32(0.0) if random_bits32(seed, i) < bound else x[i] * scale


@kernel(inline=True)
def layer_seed(seed: np.uint64, layer: int) -> np.uint32:
    """Returns the seed of a layer's dropout."""
    return np.uint32(random_bits(seed, layer) >> np.uint64(32))


@kernel(inner=True)
def add_rows(
    x: Floats, at: int, w: Floats, first: int, out: Floats, to: int, rows: int, inner: int, outer: int
) -> None:
    """Adds x·w to `out`."""
    add_products(x, at, inner, 1, w, first, out, to, rows, inner, outer)


@kernel(inner=True)
def multiply_rows(
    x: Floats, at: int, w: Floats, first: int, out: Floats, to: int, rows: int, inner: int, outer: int
) -> None:
    """Writes x·w to `out`."""
    clear(out, to, rows * outer)
    add_rows(x, at, w, first, out, to, rows, inner, outer)


@kernel(inline=True)
def _rectify(x: Floats, at: int, n: int) -> None:
    for i in range(at, at + n, LANES):
        store(x, i, maximum(zeros(16), load(x, i, 16)))  # NaN stays NaN


@kernel(inline=True)
def _unrectify(errors: Floats, n: int, after: Floats, at: int) -> None:
    passed = after[at : at + n]
    for i in range(n):
        errors[i] = errors[i] if passed[i] > np.float32(0.0) else np.float32(0.0)


@kernel(inner=True)
def attend_all(net: Transformer, block: int, starts: Counts, first: int, last: int, work: Passing, rows: int) -> None:
    """Computes the attention of a block within the sequences from `first` to `last`."""
    inner, place = heads_inner(net), block * (len(work.shares) // max(1, net.blocks))
    bias = block * net.size + net.biases
    # Sequence by sequence; the shares of one come after those of the one before.
    for sequence in range(first, last):
        n, row = starts[sequence + 1] - starts[sequence], starts[sequence] - starts[first] + block * rows
        attend(
            net.shape, work.mixed, 3 * inner * row, n, net.weights, bias, work.shares, place, work.heard, inner * row,
            work.scratch,
        )  # fmt: skip
        place += count_shares(n, net.shape.heads)


@kernel(inner=True)
def unattend_all(
    net: Transformer, block: int, starts: Counts, first: int, last: int, work: Passing, rows: int, slopes: Floats
) -> None:
    """Turns derivatives by the outputs, in `work.other`, into those by queries, keys and values, in `work.change`."""
    inner, place = heads_inner(net), block * (len(work.shares) // max(1, net.blocks))
    bias = block * net.size + net.biases
    mixed = work.mixed[3 * inner * rows * block :]
    # Sequence by sequence; the shares of one come after those of the one before.
    for sequence in range(first, last):
        n, row = starts[sequence + 1] - starts[sequence], starts[sequence] - starts[first]
        unattend(
            net.shape, mixed, 3 * inner * row, n, work.shares, place, work.other, inner * row, work.change, slopes,
            bias, work.scratch,
        )  # fmt: skip
        place += count_shares(n, net.shape.heads)


@kernel(inline=True)
def _take_as_values(x: Floats, rows: int, width: int, mixed: Floats) -> None:
    """Fills rows of `mixed` with those of x as values, and with zeros as queries and keys."""
    for row in range(rows):
        clear(mixed, 3 * width * row, 2 * width)
        write_scaled(x, row * width, np.float32(1.0), mixed, 3 * width * row + 2 * width, width)


@kernel(inline=True)
def _take_values(mixed: Floats, rows: int, width: int, x: Floats) -> None:
    """Fills rows of x with the values of those of `mixed`."""
    for row in range(rows):
        write_scaled(mixed, 3 * width * row + 2 * width, np.float32(1.0), x, row * width, width)


@kernel(inner=True)
def pass_forward(
    net: Transformer, starts: Counts, first: int, last: int, dropout: np.float32, seed: np.uint64, work: Passing
) -> None:
    """Runs the rows of x, one for each event, through all blocks; the output is the last of `normal`."""
    rows, width, inner = starts[last] - starts[first], net.width, heads_inner(net)
    n, begin = rows * width, np.int64(0)  # not a literal, for which kernels would be compiled again
    if net.blocks == 0:  # weighted means of the events up to each one
        _take_as_values(work.x, rows, width, work.mixed)
        attend_all(net, net.blocks, starts, first, last, work, rows)
        write_scaled(work.heard, begin, np.float32(1.0), work.x, begin, n)
    for block in range(net.blocks):
        at, layer = block * net.size, 2 * block
        # The attention: norm, A, the heads, O, dropout.
        normalize(work.x, rows, width, net.factors, work.normal, layer * n, work.scales, layer * rows)
        multiply_rows(
            work.normal, layer * n, net.weights, at, work.mixed, 3 * inner * rows * block, rows, width, 3 * inner
        )
        attend_all(net, block, starts, first, last, work, rows)
        at += 3 * width * inner
        multiply_rows(work.heard, inner * rows * block, net.weights, at, work.change, begin, rows, inner, width)
        add_dropped(work.x, work.change, n, dropout, layer_seed(seed, layer))
        # The hidden layer: norm, F, ReLU, G, dropout.
        at, layer = at + width * inner, layer + 1
        hidden = net.hidden * rows * block
        normalize(work.x, rows, width, net.factors, work.normal, layer * n, work.scales, layer * rows)
        multiply_rows(work.normal, layer * n, net.weights, at, work.hidden, hidden, rows, width, net.hidden)
        _rectify(work.hidden, hidden, rows * net.hidden)
        at += width * net.hidden
        multiply_rows(work.hidden, hidden, net.weights, at, work.change, begin, rows, net.hidden, width)
        add_dropped(work.x, work.change, n, dropout, layer_seed(seed, layer))
    # The output is normalized.
    layer = 2 * net.blocks
    normalize(work.x, rows, width, net.factors, work.normal, layer * n, work.scales, layer * rows)


@kernel(inner=True)
def pass_backward(
    net: Transformer, starts: Counts, first: int, last: int, dropout: np.float32, seed: np.uint64, work: Passing,
    errors: Floats, slopes: Floats,
) -> None:  # fmt: skip
    """Turns `errors`, derivatives by norm(x), into those by the incoming rows, in `work.x`; adds to `slopes`."""
    rows, width, inner = starts[last] - starts[first], net.width, heads_inner(net)
    n, dx, begin = rows * width, work.x, np.int64(0)
    clear(dx, begin, n)
    layer = 2 * net.blocks
    unnormalize(errors, rows, width, net.factors, work.normal, layer * n, work.scales, layer * rows, dx)
    for block in range(net.blocks - 1, -1, -1):
        at, layer, hidden = block * net.size + net.biases, 2 * block + 1, net.hidden
        # The hidden layer.
        at -= hidden * width
        drop(dx, n, dropout, layer_seed(seed, layer), work.change)
        add_outer(work.hidden, hidden * rows * block, work.change, begin, slopes, at, rows, hidden, width)
        multiply_rows(work.change, begin, net.transposed, at, work.other, begin, rows, width, hidden)
        _unrectify(work.other, rows * hidden, work.hidden, hidden * rows * block)
        at -= width * hidden
        add_outer(work.normal, layer * n, work.other, begin, slopes, at, rows, width, hidden)
        multiply_rows(work.other, begin, net.transposed, at, work.change, begin, rows, hidden, width)
        unnormalize(work.change, rows, width, net.factors, work.normal, layer * n, work.scales, layer * rows, dx)
        # Attention.
        at, layer = at - inner * width, layer - 1
        drop(dx, n, dropout, layer_seed(seed, layer), work.change)
        add_outer(work.heard, inner * rows * block, work.change, begin, slopes, at, rows, inner, width)
        multiply_rows(work.change, begin, net.transposed, at, work.other, begin, rows, width, inner)
        unattend_all(net, block, starts, first, last, work, rows, slopes)
        at -= 3 * width * inner
        add_outer(work.normal, layer * n, work.change, begin, slopes, at, rows, width, 3 * inner)
        multiply_rows(work.change, begin, net.transposed, at, work.other, begin, rows, 3 * inner, width)
        unnormalize(work.other, rows, width, net.factors, work.normal, layer * n, work.scales, layer * rows, dx)
    # Without blocks: back through the weighted means.
    if net.blocks == 0:
        write_scaled(work.x, begin, np.float32(1.0), work.other, begin, n)
        unattend_all(net, net.blocks, starts, first, last, work, rows, slopes)
        _take_values(work.change, rows, width, work.x)
