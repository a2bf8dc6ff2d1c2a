"""A small neural network over pairs of a user and an item: forward, backward, inference and fold-in, a block at a time.

A pair's two vectors lie in rows of `users` and `items`: first the part that is multiplied, of width `product`, then
the part that is concatenated, of width `tower`; the concatenated parts are the input of the dense layers. What comes
out is

    w·(u∘i) + v·h + bias            h: the last layer's output, each layer dropout(ReLU(norm(x·W + b)))

Widths are padded to a multiple of sixteen; what is beyond a layer's own width stays zero of itself. All arrays are
float32 and flat, matrices are named by the place of their first element.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.simd import broadcast, broadcast_load, load, multiply, multiply_add, reduce_add, store, zeros

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]

BLOCK = 256  # pairs that go through the network together: what they need stays in a core's own cache
ROWS_AT_ONCE = 64  # rows of a block whose outer products are summed before the next
BATCH, LAYER = 1, 2  # normalization
LOGISTIC, SQUARED = 0, 1  # loss
EPSILON = np.float32(1e-5)  # added to variances
TRIES = 32  # negatives are drawn as often as this at most, until one is not in the user's row


class Network(NamedTuple):
    """The network as kernels see it.

    `layers` is int64, of shape (n, 4): padded inputs, padded outputs, true outputs, place of the parameters in
    `weights`: the kernel (inputs × outputs), bias, and with normalization gain and shift. At `output` are the weights
    of the product, those of the last layer's outputs, and the bias. `transposed` holds the kernels transposed, at the
    same places. With `tied`, all weights of the product are one, the first.
    """

    layers: NDArray[np.int64]
    weights: NDArray[np.float32]
    transposed: NDArray[np.float32]
    output: int
    product: int
    tower: int
    tied: int
    normalization: int
    loss: int
    dropout: np.float32


class Work(NamedTuple):
    """Buffers of one thread, for `BLOCK` pairs: see `fastrec.solvers.network.make_work`."""

    after: NDArray[np.float32]  # the input, then each layer's output
    normal: NDArray[np.float32]  # each layer's normalized values
    scales: NDArray[np.float32]  # 1 / standard deviation, of each row or column of each layer
    errors: NDArray[np.float32]  # derivatives by the outputs of a layer, and by its inputs
    logits: NDArray[np.float32]


# -- functions of one number


@kernel(fastmath=FAST, inline=True)
def exponential(x: np.float32) -> np.float32:
    """The exponential in float32, within 2 units in the last place (relative error 2e-7) from -87 to 88; NaN stays NaN.

    x = n·log 2 + r with |r| ≤ log(2)/2, e^r by its Taylor polynomial of degree 7; x is clamped to that range.
    """
    x = np.float32(88.0) if x > np.float32(88.0) else x
    x = np.float32(-87.0) if x < np.float32(-87.0) else x
    n = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    r = x - n * np.float32(0.693359375)
    r = r + n * np.float32(2.12194440e-4)
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1.0)
    p = p * r + np.float32(1.0)
    scale = np.int32(np.int32((n if n == n else np.float32(0.0)) + np.float32(127.0)) << np.int32(23))
    return np.float32(p * scale.view(np.float32))


@kernel(fastmath=FAST, inline=True)
def sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + e^-x), within a relative error of 5e-7."""
    return np.float32(1.0) / (np.float32(1.0) + exponential(-x))


@kernel(inline=True)
def mix(x: np.uint64) -> np.uint64:
    """The finalizer of SplitMix64: random bits out of a counter (Steele, Lea, Flood 2014)."""
    x = np.uint64(x + np.uint64(0x9E3779B97F4A7C15))
    x = np.uint64((x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    x = np.uint64((x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return np.uint64(x ^ (x >> np.uint64(31)))


@kernel(inline=True)
def mix_short(x: np.uint32) -> np.uint32:
    """The finalizer of MurmurHash3: thirty-two random bits, eight or sixteen lanes at a time."""
    x = np.uint32(x ^ np.uint32(x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x85EBCA6B))
    x = np.uint32(x ^ np.uint32(x >> np.uint32(13)))
    x = np.uint32(x * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ np.uint32(x >> np.uint32(16)))


# -- products of matrices


@kernel(inline=True)
def _tile(
    x: Floats, at: int, across: int, down: int, w: Floats, first: int, out: Floats, place: int, inner: int, outer: int
) -> None:
    """Adds to four rows of 32 columns."""
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
        first += outer
    store(out, place, a0), store(out, place + 16, a1)
    store(out, place + outer, b0), store(out, place + outer + 16, b1)
    store(out, place + 2 * outer, c0), store(out, place + 2 * outer + 16, c1)
    store(out, place + 3 * outer, d0), store(out, place + 3 * outer + 16, d1)


@kernel(inline=True)
def _narrow_tile(
    x: Floats, at: int, across: int, down: int, w: Floats, first: int, out: Floats, place: int, inner: int, outer: int
) -> None:
    """Adds to four rows of 16 columns."""
    a, b = load(out, place, 16), load(out, place + outer, 16)
    c, d = load(out, place + 2 * outer, 16), load(out, place + 3 * outer, 16)
    for _ in range(inner):
        w0 = load(w, first, 16)
        a = multiply_add(broadcast_load(x, at, 16), w0, a)
        b = multiply_add(broadcast_load(x, at + across, 16), w0, b)
        c = multiply_add(broadcast_load(x, at + 2 * across, 16), w0, c)
        d = multiply_add(broadcast_load(x, at + 3 * across, 16), w0, d)
        at += down
        first += outer
    store(out, place, a), store(out, place + outer, b)
    store(out, place + 2 * outer, c), store(out, place + 3 * outer, d)


@kernel(inline=True)
def _strip(
    x: Floats, at: int, down: int, w: Floats, first: int, out: Floats, place: int, inner: int, outer: int
) -> None:
    """Adds to one row of 16 columns."""
    a = load(out, place, 16)
    for _ in range(inner):
        a = multiply_add(broadcast_load(x, at, 16), load(w, first, 16), a)
        at += down
        first += outer
    store(out, place, a)


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
    """Adds products, out += x·w, `rows` × `inner` by `inner` × `outer`, where x[r, k] at `at` + r·`across` + k·`down`.

    `outer` is a multiple of sixteen, `out` and `w` are of that width. Each sum runs over k in its order, whatever the
    number of rows: a row's result does not hang on the others.
    """
    for column in range(0, outer - 16, 32):
        for row in range(0, rows - 3, 4):
            _tile(
                x, at + row * across, across, down, w, first + column, out, place + row * outer + column, inner, outer
            )
        for row in range(rows - rows % 4, rows):
            for part in range(column, column + 32, 16):
                _strip(x, at + row * across, down, w, first + part, out, place + row * outer + part, inner, outer)
    if outer % 32:
        column = outer - 16
        for row in range(0, rows - 3, 4):
            _narrow_tile(
                x, at + row * across, across, down, w, first + column, out, place + row * outer + column, inner, outer
            )
        for row in range(rows - rows % 4, rows):
            _strip(x, at + row * across, down, w, first + column, out, place + row * outer + column, inner, outer)


@kernel(inline=True)
def spread_row(row: Floats, first: int, out: Floats, place: int, rows: int, width: int) -> None:
    """Writes `rows` copies of a row."""
    for r in range(rows):
        for j in range(0, width, 16):
            store(out, place + r * width + j, load(row, first + j, 16))


@kernel(inline=True)
def sum_rows(x: Floats, at: int, out: Floats, place: int, rows: int, width: int) -> None:
    """Adds the sum of the rows of x."""
    for j in range(0, width, 16):
        a = load(out, place + j, 16)
        one = broadcast(np.float32(1.0), 16)
        for r in range(rows):
            a = multiply_add(one, load(x, at + r * width + j, 16), a)
        store(out, place + j, a)


@kernel()
def transpose_kernels(layers: NDArray[np.int64], weights: Floats, transposed: Floats) -> None:
    """Fills `transposed`."""
    for index in range(len(layers)):
        inputs, outputs, at = layers[index, 0], layers[index, 1], layers[index, 3]
        for k in range(0, inputs, 16):
            for j in range(outputs):
                for i in range(k, k + 16):
                    transposed[at + j * inputs + i] = weights[at + i * outputs + j]


# -- normalization, ReLU and dropout


@kernel(fastmath=FAST)
def normalize_rows(
    x: Floats, rows: int, width: int, padded: int, gain: int, weights: Floats, normal: Floats, scales: Floats
) -> None:
    """Layer normalization of each row of x, in place: gain·(x − mean)/deviation + shift (Ba, Kiros, Hinton 2016)."""
    for r in range(rows):
        row, kept = x[r * padded : (r + 1) * padded], normal[r * padded : (r + 1) * padded]
        mean = np.float32(0.0)
        for j in range(width):
            mean += row[j]
        mean /= np.float32(width)
        variance = np.float32(0.0)
        for j in range(width):
            variance += (row[j] - mean) * (row[j] - mean)
        scale = np.float32(1.0) / np.float32(math.sqrt(variance / np.float32(width) + EPSILON))
        scales[r] = scale
        for j in range(width):
            kept[j] = (row[j] - mean) * scale
            row[j] = kept[j] * weights[gain + j] + weights[gain + padded + j]
        for j in range(width, padded):
            kept[j] = np.float32(0.0)
            row[j] = np.float32(0.0)


@kernel(fastmath=FAST)
def normalize_columns(
    x: Floats, rows: int, padded: int, gain: int, weights: Floats, normal: Floats, scales: Floats, moments: Floats
) -> None:
    """Batch normalization of the columns of x, in place (Ioffe, Szegedy 2015), moments summed in `moments`."""
    for j in range(0, padded):
        mean = np.float32(0.0)
        for r in range(rows):
            mean += x[r * padded + j]
        mean /= np.float32(rows)
        variance = np.float32(0.0)
        for r in range(rows):
            variance += (x[r * padded + j] - mean) * (x[r * padded + j] - mean)
        variance /= np.float32(rows)
        scale = np.float32(1.0) / np.float32(math.sqrt(variance + EPSILON))
        scales[j] = scale
        moments[gain + j] += mean
        moments[gain + padded + j] += variance
        for r in range(rows):
            normal[r * padded + j] = (x[r * padded + j] - mean) * scale
            x[r * padded + j] = normal[r * padded + j] * weights[gain + j] + weights[gain + padded + j]


@kernel(fastmath=FAST)
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
    """The derivatives by the inputs of `normalize_rows`, in place of those by its outputs; adds slopes."""
    for r in range(rows):
        row, kept = errors[r * padded : (r + 1) * padded], normal[r * padded : (r + 1) * padded]
        if not frozen:
            for j in range(width):
                slopes[gain + j] += row[j] * kept[j]
                slopes[gain + padded + j] += row[j]
        mean, along = np.float32(0.0), np.float32(0.0)
        for j in range(width):
            row[j] *= weights[gain + j]
            mean += row[j]
            along += row[j] * kept[j]
        mean /= np.float32(width)
        along /= np.float32(width)
        for j in range(width):
            row[j] = (row[j] - mean - kept[j] * along) * scales[r]


@kernel(fastmath=FAST)
def unnormalize_columns(
    errors: Floats, rows: int, padded: int, gain: int, weights: Floats, normal: Floats, scales: Floats, slopes: Floats
) -> None:
    """The same for `normalize_columns`."""
    for j in range(padded):
        mean, along = np.float32(0.0), np.float32(0.0)
        for r in range(rows):
            mean += errors[r * padded + j]
            along += errors[r * padded + j] * normal[r * padded + j]
        slopes[gain + j] += along
        slopes[gain + padded + j] += mean
        mean /= np.float32(rows)
        along /= np.float32(rows)
        factor = weights[gain + j] * scales[j]
        for r in range(rows):
            errors[r * padded + j] = (errors[r * padded + j] - mean - normal[r * padded + j] * along) * factor


@kernel(fastmath=FAST)
def rectify(x: Floats, n: int, dropout: np.float32, seed: np.uint32) -> None:
    """ReLU in place; with dropout, outputs vanish at random and the others grow, so that the mean stays."""
    if dropout == np.float32(0.0):
        for i in range(n):
            x[i] = max(x[i], np.float32(0.0)) if x[i] == x[i] else x[i]
        return
    scale = np.float32(1.0) / (np.float32(1.0) - dropout)
    bound = np.uint32(np.float64(dropout) * 4294967296.0)
    for i in range(n):
        bits = mix_short(np.uint32(np.uint32(i) * np.uint32(0x9E3779B9)) ^ seed)
        value = x[i] * scale
        x[i] = np.float32(0.0) if value <= np.float32(0.0) or bits < bound else value


@kernel(fastmath=FAST)
def unrectify(errors: Floats, after: Floats, n: int, dropout: np.float32) -> None:
    """The derivatives by the inputs of `rectify`, in place, by its outputs: where these are zero, none goes through."""
    scale = np.float32(1.0) / (np.float32(1.0) - dropout)
    for i in range(n):
        errors[i] = errors[i] * scale if after[i] > np.float32(0.0) else np.float32(0.0)


# -- a block of pairs


@kernel()
def gather_pairs(
    net: Network,
    users: Floats,
    user_codes: Codes,
    items: Floats,
    item_codes: Codes,
    start: int,
    rows: int,
    after: Floats,
) -> None:
    """Fills the input of the dense layers: the concatenated parts."""
    width = net.product + net.tower
    for r in range(rows):
        u = np.int64(user_codes[start + r]) * width + net.product
        i = np.int64(item_codes[start + r]) * width + net.product
        place = 2 * r * net.tower
        for j in range(0, net.tower, 16):
            store(after, place + j, load(users, u + j, 16))
            store(after, place + net.tower + j, load(items, i + j, 16))


@kernel()
def run_layers(net: Network, rows: int, work: Work, moments: Floats, seed: np.uint64, training: bool) -> int:
    """The dense layers, forward; returns where the last one's output begins in `work.after`."""
    at, size = 0, 0
    for index in range(len(net.layers)):
        inputs, outputs, width = net.layers[index, 0], net.layers[index, 1], net.layers[index, 2]
        kernel_at = net.layers[index, 3]
        bias = kernel_at + inputs * outputs
        out = at + rows * inputs
        spread_row(net.weights, bias, work.after, out, rows, outputs)
        add_products(work.after, at, inputs, 1, net.weights, kernel_at, work.after, out, rows, inputs, outputs)
        x = work.after[out : out + rows * outputs]
        scales = work.scales[index * len(work.scales) // len(net.layers) :]
        if net.normalization == LAYER:
            normalize_rows(x, rows, width, outputs, bias + outputs, net.weights, work.normal[size:], scales)
        elif net.normalization == BATCH:
            normalize_columns(x, rows, outputs, bias + outputs, net.weights, work.normal[size:], scales, moments)
        dropout = net.dropout if training else np.float32(0.0)
        rectify(x, rows * outputs, dropout, np.uint32(mix(np.uint64(seed + np.uint64(index))) >> np.uint64(32)))
        size += rows * outputs
        at = out
    return at


@kernel()
def unrun_layers(net: Network, rows: int, work: Work, slopes: Floats, at: int, training: bool) -> int:
    """The dense layers, backward: from derivatives by the last outputs, in the first half of `work.errors`.

    Adds derivatives by the parameters to `slopes`, but those of a network that is not in training. Returns where in
    `work.errors` those by the input are.
    """
    half = len(work.errors) // 2
    here, there = 0, half
    last = len(net.layers) - 1
    size = 0
    for index in range(len(net.layers)):
        size += rows * net.layers[index, 1]
    for index in range(last, -1, -1):
        inputs, outputs, width = net.layers[index, 0], net.layers[index, 1], net.layers[index, 2]
        kernel_at = net.layers[index, 3]
        bias = kernel_at + inputs * outputs
        size -= rows * outputs
        errors = work.errors[here : here + rows * outputs]
        unrectify(errors, work.after[at:], rows * outputs, net.dropout if training else np.float32(0.0))
        scales = work.scales[index * len(work.scales) // len(net.layers) :]
        gain, normal = bias + outputs, work.normal[size:]
        if net.normalization == LAYER:
            unnormalize_rows(errors, rows, width, outputs, gain, net.weights, normal, scales, slopes, not training)
        elif net.normalization == BATCH:
            unnormalize_columns(errors, rows, outputs, gain, net.weights, normal, scales, slopes)
        at -= rows * inputs
        if training:
            sum_rows(errors, 0, slopes, bias, rows, outputs)
            for first in range(0, rows, ROWS_AT_ONCE):
                some = min(ROWS_AT_ONCE, rows - first)
                add_products(
                    work.after, at + first * inputs, 1, inputs, errors, first * outputs,
                    slopes, kernel_at, inputs, some, outputs,
                )  # fmt: skip
        for j in range(0, rows * inputs, 16):
            store(work.errors, there + j, zeros(16))
        add_products(
            work.errors, here, outputs, 1, net.transposed, kernel_at, work.errors, there, rows, outputs, inputs
        )
        here, there = there, here
    return here


@kernel(inline=True)
def multiplied(net: Network, users: Floats, u: int, items: Floats, i: int) -> np.float32:
    """The weighted inner product of the multiplied parts: w·(u∘i)."""
    a = zeros(16)
    for j in range(0, net.product, 16):
        w = broadcast_load(net.weights, net.output, 16) if net.tied else load(net.weights, net.output + j, 16)
        a = multiply_add(w, multiply(load(users, u + j, 16), load(items, i + j, 16)), a)
    return reduce_add(a)


@kernel(fastmath=FAST)
def judge(logits: Floats, targets: Floats, weights: Floats, rows: int, loss: int, scale: np.float32) -> float:
    """The sum of the losses, and in place of each logit the derivative by it, times `scale`."""
    lost = np.float64(0.0)
    for r in range(rows):
        x, y, w = logits[r], targets[r], weights[r]
        if loss == LOGISTIC:
            e = exponential(-abs(x))  # log(1 + e^-|x|): no overflow, and of two cases only signs differ
            one = np.float32(1.0) / (np.float32(1.0) + e)
            p = one if x >= np.float32(0.0) else e * one
            lost += np.float64(w) * (max(np.float64(x), 0.0) - np.float64(x * y) + math.log1p(np.float64(e)))
            logits[r] = w * (p - y) * scale
        else:
            lost += np.float64(w) * np.float64(x - y) * np.float64(x - y)
            logits[r] = np.float32(2.0) * w * (x - y) * scale
    return lost


@kernel()
def learn_block(
    net: Network,
    users: Floats,
    user_codes: Codes,
    items: Floats,
    item_codes: Codes,
    targets: Floats,
    weights: Floats,
    start: int,
    rows: int,
    scale: np.float32,
    seed: np.uint64,
    work: Work,
    slopes: Floats,
    moments: Floats,
    user_slopes: Floats,
    item_slopes: Floats,
    training: bool,
) -> float:
    """Forward and backward for the pairs from `start` on; returns the sum of their losses.

    Derivatives of the loss times `scale`: by the parameters added to `slopes`, by each pair's vectors written to
    `user_slopes` and `item_slopes`. A network that is not in training has no dropout, and learns nothing itself.
    """
    gather_pairs(net, users, user_codes, items, item_codes, start, rows, work.after)
    top = run_layers(net, rows, work, moments, seed, training)
    last = net.layers[len(net.layers) - 1, 1] if len(net.layers) else 0
    width, v = net.product + net.tower, net.output + net.product
    for r in range(rows):
        u, i = np.int64(user_codes[start + r]) * width, np.int64(item_codes[start + r]) * width
        a = zeros(16)
        for j in range(0, last, 16):
            a = multiply_add(load(net.weights, v + j, 16), load(work.after, top + r * last + j, 16), a)
        work.logits[r] = multiplied(net, users, u, items, i) + reduce_add(a) + net.weights[v + last]
    lost = judge(work.logits, targets[start:], weights[start:], rows, net.loss, scale)
    for r in range(rows):
        error = work.logits[r]
        many = broadcast(error, 16)
        u, i = np.int64(user_codes[start + r]) * width, np.int64(item_codes[start + r]) * width
        place = (start + r) * width
        for j in range(0, net.product, 16):
            w = broadcast_load(net.weights, net.output, 16) if net.tied else load(net.weights, net.output + j, 16)
            mine, its = load(users, u + j, 16), load(items, i + j, 16)
            store(user_slopes, place + j, multiply(many, multiply(w, its)))
            store(item_slopes, place + j, multiply(many, multiply(w, mine)))
            if training:
                to = net.output if net.tied else net.output + j
                store(slopes, to, multiply_add(many, multiply(mine, its), load(slopes, to, 16)))
        for j in range(0, last, 16):
            store(work.errors, r * last + j, multiply(many, load(net.weights, v + j, 16)))
            if training:
                store(
                    slopes, v + j, multiply_add(many, load(work.after, top + r * last + j, 16), load(slopes, v + j, 16))
                )
        if training:
            slopes[v + last] += error
    if len(net.layers):
        here = unrun_layers(net, rows, work, slopes, top, training)
        for r in range(rows):
            place = (start + r) * width + net.product
            for j in range(0, net.tower, 16):
                store(user_slopes, place + j, load(work.errors, here + 2 * r * net.tower + j, 16))
                store(item_slopes, place + j, load(work.errors, here + (2 * r + 1) * net.tower + j, 16))
    return lost


@kernel()
def learn_blocks(
    net: Network,
    users: Floats,
    user_codes: Codes,
    items: Floats,
    item_codes: Codes,
    targets: Floats,
    weights: Floats,
    start: int,
    stop: int,
    block: int,
    scale: np.float32,
    seed: np.uint64,
    work: Work,
    slopes: Floats,
    moments: Floats,
    user_slopes: Floats,
    item_slopes: Floats,
) -> float:
    """`learn_block` for all pairs from `start` to `stop`, `block` at a time; `slopes` and `moments` begin at zero."""
    slopes[:] = np.float32(0.0)
    moments[:] = np.float32(0.0)
    lost = 0.0
    for first in range(start, stop, block):
        lost += learn_block(
            net, users, user_codes, items, item_codes, targets, weights, first, min(block, stop - first), scale,
            mix(np.uint64(seed + np.uint64(first))), work, slopes, moments, user_slopes, item_slopes, True,
        )  # fmt: skip
    if net.tied:  # sixteen partial sums
        sum_ = np.float32(0.0)
        for j in range(16):
            sum_ += slopes[net.output + j]
            slopes[net.output + j] = np.float32(0.0)
        slopes[net.output] = sum_
    return lost


# -- samples


@kernel(inline=True)
def contains(codes: Codes, start: int, stop: int, code: int) -> bool:
    """Whether the sorted codes from `start` to `stop` hold the code."""
    end = stop
    while start < end:
        middle = (start + end) >> 1
        if codes[middle] < code:
            start = middle + 1
        else:
            end = middle
    return start < stop and codes[start] == code


@kernel(inline=True)
def draw_negative(codes: Codes, start: int, stop: int, n_items: int, state: np.uint64) -> int:
    """A code that is not among the sorted codes from `start` to `stop`, or -1 where none was found."""
    for _ in range(TRIES):
        state = mix(state)
        code = np.int64(((state >> np.uint64(32)) * np.uint64(n_items)) >> np.uint64(32))
        if not contains(codes, start, stop, code):
            return code  # type: ignore[return-value]
    return np.int64(-1)  # type: ignore[return-value]


@kernel()
def draw_samples(
    order: NDArray[Any],
    first: int,
    last: int,
    negatives: int,
    rows: Codes,
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats,
    n_items: int,
    loss: int,
    seed: np.uint64,
    users: Codes,
    items: Codes,
    targets: Floats,
    weights: Floats,
) -> None:
    """Fills places `first` to `last` with the samples that `order` names: an entry, or one of its negatives.

    Sample s is of entry s // (1 + negatives); a negative hangs on s and the seed alone.
    """
    for place in range(first, last):
        sample = np.int64(order[place])
        entry = sample // (1 + negatives)
        user = np.int64(rows[entry])
        users[place] = user
        items[place] = indices[entry]
        targets[place] = np.float32(1.0) if loss == LOGISTIC else values[entry]
        weights[place] = values[entry] if loss == LOGISTIC else np.float32(1.0)
        if sample != entry * (1 + negatives):
            state = mix(np.uint64(seed ^ np.uint64(sample)))
            code = draw_negative(indices, indptr[user], indptr[user + 1], n_items, state)
            items[place] = max(code, 0)
            targets[place] = np.float32(0.0)
            weights[place] = np.float32(1.0) if code >= 0 else np.float32(0.0)


# -- inference


@kernel()
def score_block(
    net: Network,
    user_rows: Codes,
    item_codes: Codes,
    rows: int,
    mine: Floats,
    first: Floats,
    its: Floats,
    second: Floats,
    work: Work,
    out: Floats,
    at: int,
) -> None:
    """Scores of the pairs of a block, to `out` from `at` on.

    `mine` and `its` are the multiplied parts of users and items, `first` and `second` what each adds to the first
    layer before its normalization and ReLU.
    """
    top, last = 0, 0
    if len(net.layers):
        last = net.layers[0, 1]
        for r in range(rows):
            u, i = np.int64(user_rows[r]) * last, np.int64(item_codes[r]) * last
            one = broadcast(np.float32(1.0), 16)
            for j in range(0, last, 16):
                store(work.after, r * last + j, multiply_add(one, load(first, u + j, 16), load(second, i + j, 16)))
        top = finish_layers(net, rows, work)
        last = net.layers[len(net.layers) - 1, 1]
    v = net.output + net.product
    for r in range(rows):
        a = zeros(16)
        for j in range(0, last, 16):
            a = multiply_add(load(net.weights, v + j, 16), load(work.after, top + r * last + j, 16), a)
        u, i = np.int64(user_rows[r]) * net.product, np.int64(item_codes[r]) * net.product
        logit = multiplied(net, mine, u, its, i) + reduce_add(a) + net.weights[v + last]
        out[at + r] = sigmoid(logit) if net.loss == LOGISTIC else logit


@kernel()
def finish_layers(net: Network, rows: int, work: Work) -> int:
    """The dense layers from the first one's sums on, which lie at the beginning of `work.after`."""
    at = 0
    for index in range(len(net.layers)):
        inputs, outputs, width = net.layers[index, 0], net.layers[index, 1], net.layers[index, 2]
        kernel_at = net.layers[index, 3]
        bias = kernel_at + inputs * outputs
        if index > 0:
            out = at + rows * inputs
            spread_row(net.weights, bias, work.after, out, rows, outputs)
            add_products(work.after, at, inputs, 1, net.weights, kernel_at, work.after, out, rows, inputs, outputs)
            at = out
        x = work.after[at : at + rows * outputs]
        if net.normalization == LAYER:
            normalize_rows(x, rows, width, outputs, bias + outputs, net.weights, work.normal, work.scales)
        rectify(x, rows * outputs, np.float32(0.0), np.uint32(0))
    return at


@kernel()
def score_items(
    net: Network,
    start: int,
    stop: int,
    n_items: int,
    mine: Floats,
    first: Floats,
    its: Floats,
    second: Floats,
    work: Work,
    out: Floats,
) -> None:
    """Scores of all items for the users from `start` to `stop`, to rows of `out`."""
    rows, codes = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    for user in range(start, stop):
        rows[:] = user
        for code in range(0, n_items, BLOCK):
            some = min(BLOCK, n_items - code)
            for r in range(some):
                codes[r] = code + r
            score_block(net, rows, codes, some, mine, first, its, second, work, out, user * n_items + code)


@kernel()
def score_pairs(
    net: Network,
    start: int,
    stop: int,
    user_rows: Codes,
    item_codes: Codes,
    mine: Floats,
    first: Floats,
    its: Floats,
    second: Floats,
    work: Work,
    out: Floats,
) -> None:
    """Scores of the pairs from `start` to `stop`."""
    for place in range(start, stop, BLOCK):
        some = min(BLOCK, stop - place)
        score_block(net, user_rows[place:], item_codes[place:], some, mine, first, its, second, work, out, place)


# -- fold-in


@kernel(fastmath=FAST)
def fold_in_rows(
    net: Network,
    start: int,
    stop: int,
    indptr: NDArray[np.int64],
    indices: Codes,
    values: Floats,
    seeds: NDArray[np.uint64],
    negatives: int,
    items: Floats,
    n_items: int,
    center: Floats,
    steps: int,
    rate: np.float32,
    shrink: np.float32,
    work: Work,
    scratch: Floats,
    out: Floats,
) -> None:
    """Vectors of users by their histories: steps of Adam from `center`, the network and the items as they are.

    A row's negatives hang on its own seed alone, and stay the same for all steps.
    """
    width = net.product + net.tower
    longest = 0
    for row in range(start, stop):
        longest = max(longest, (indptr[row + 1] - indptr[row]) * (1 + negatives))
    nobody, codes = np.zeros(longest, np.int32), np.empty(longest, np.int32)
    targets, weights = np.empty(longest, np.float32), np.empty(longest, np.float32)
    mean, square = np.empty(width, np.float32), np.empty(width, np.float32)
    user, slope = np.empty(width, np.float32), np.empty(width, np.float32)
    user_slopes, item_slopes = scratch[: BLOCK * width], scratch[BLOCK * width :]
    nothing = np.empty(0, np.float32)
    for row in range(start, stop):
        low, high = indptr[row], indptr[row + 1]
        if low == high:
            out[row * width : (row + 1) * width] = np.float32(0.0)
            continue
        n = 0
        weight = np.float32(0.0)
        for entry in range(low, high):
            for extra in range(1 + negatives):
                code = np.int64(indices[entry])
                if extra:
                    state = mix(seeds[row] + np.uint64((entry - low) * (1 + negatives) + extra))
                    code = draw_negative(indices, low, high, n_items, state)
                if code >= 0:
                    codes[n] = code
                    targets[n] = np.float32(0.0)
                    weights[n] = np.float32(1.0)
                    if extra == 0:
                        targets[n] = np.float32(1.0) if net.loss == LOGISTIC else values[entry]
                        weights[n] = values[entry] if net.loss == LOGISTIC else np.float32(1.0)
                    weight += weights[n]
                    n += 1
        user[:] = center
        mean[:] = np.float32(0.0)
        square[:] = np.float32(0.0)
        for step in range(1, steps + 1):
            slope[:] = np.float32(0.0)
            for first in range(0, n, BLOCK):
                some = min(BLOCK, n - first)
                learn_block(
                    net, user, nobody, items, codes[first:], targets[first:], weights[first:], 0, some,
                    np.float32(1.0) / max(weight, np.float32(1e-30)), np.uint64(0), work, nothing, nothing,
                    user_slopes, item_slopes, False,
                )  # fmt: skip
                for r in range(some):
                    for j in range(width):
                        slope[j] += user_slopes[r * width + j]
            first_part, second_part = np.float32(1.0 - 0.9**step), np.float32(1.0 - 0.999**step)
            for j in range(width):
                mean[j] = np.float32(0.9) * mean[j] + np.float32(0.1) * slope[j]
                square[j] = np.float32(0.999) * square[j] + np.float32(0.001) * slope[j] * slope[j]
                ahead = (mean[j] / first_part) / (np.float32(math.sqrt(square[j] / second_part)) + np.float32(1e-8))
                user[j] = user[j] * shrink - rate * ahead
        out[row * width : (row + 1) * width] = user
