"""A small neural network over pairs of a user and an item: forward, backward and inference, a block at a time.

A pair's two vectors lie in rows of `users` and `items`: first the part that is multiplied, of width `product`, then the
part that is concatenated, of width `tower`. The concatenated parts are the input of the dense layers. The output is

    w·(u∘i) + v·h + bias            h: the last layer's output, each layer dropout(ReLU(norm(x·W + b)))

Widths are padded to a multiple of sixteen; the padding stays zero by itself. All arrays are float32 and flat; matrices
are given by the place of their first element.
"""

from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.layers import (
    add_products,
    normalize_columns,
    normalize_rows,
    rectify,
    spread_row,
    sum_rows,
    unnormalize_columns,
    unnormalize_rows,
    unrectify,
)
from fastrec.kernels.math import logistic_loss, sigmoid
from fastrec.kernels.network_samples import LOGISTIC
from fastrec.kernels.random import random_bits
from fastrec.kernels.simd import broadcast, broadcast_load, load, multiply, multiply_add, reduce_add, store, zeros

BLOCK = 256  # pairs that go through the network together: their data stays in a core's own cache
ROWS_AT_ONCE = 64  # rows of a block whose outer products are summed at a time
BATCH, LAYER = 1, 2  # normalization


class Network(NamedTuple):
    """The network as kernels see it.

    `layers` is int64, of shape (n, 4): padded inputs, padded outputs, true outputs, place of the parameters in
    `weights`: the kernel (inputs × outputs), bias, and with normalization gain and shift. At `output` are the weights
    of the product, those of the last layer's outputs, and the bias. `transposed` holds the kernels transposed, at the
    same places. With `tied`, the first weight of the product stands for all.
    """

    layers: Counts
    weights: Floats
    transposed: Floats
    output: int
    product: int
    tower: int
    tied: int
    normalization: int
    loss: int
    dropout: np.float32


class Work(NamedTuple):
    """Buffers of one thread, for `BLOCK` pairs: see `fastrec.solvers.network.make_work`."""

    after: Floats  # the input, then each layer's output
    normal: Floats  # each layer's normalized values
    scales: Floats  # 1 / standard deviation, of each row or column of each layer
    errors: Floats  # derivatives by the outputs of a layer, and by its inputs
    logits: Floats


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
    """Fills the input of the dense layers with the concatenated parts."""
    # Row by row: the user's part, then the item's.
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
    """Runs the dense layers forward; returns the place of the last one's output in `work.after`."""
    at, size = 0, 0
    for index in range(len(net.layers)):
        inputs, outputs, width = net.layers[index, 0], net.layers[index, 1], net.layers[index, 2]
        kernel_at = net.layers[index, 3]
        bias = kernel_at + inputs * outputs
        out = at + rows * inputs
        # The sums, starting from the bias.
        spread_row(net.weights, bias, work.after, out, rows, outputs)
        add_products(work.after, at, inputs, 1, net.weights, kernel_at, work.after, out, rows, inputs, outputs)
        # Normalization, ReLU and dropout, in place.
        x = work.after[out : out + rows * outputs]
        scales = work.scales[index * len(work.scales) // len(net.layers) :]
        if net.normalization == LAYER:
            normalize_rows(x, rows, width, outputs, bias + outputs, net.weights, work.normal[size:], scales)
        elif net.normalization == BATCH:
            normalize_columns(x, rows, outputs, bias + outputs, net.weights, work.normal[size:], scales, moments)
        dropout = net.dropout if training else np.float32(0.0)
        rectify(x, rows * outputs, dropout, np.uint32(random_bits(seed, index) >> np.uint64(32)))
        size += rows * outputs
        at = out
    return at


@kernel()
def unrun_layers(net: Network, rows: int, work: Work, slopes: Floats, at: int, training: bool) -> int:
    """Runs the dense layers backward, from derivatives by the last outputs, in the first half of `work.errors`.

    In training it adds derivatives by the parameters to `slopes`. Returns the place of those by the input in
    `work.errors`.
    """
    half = len(work.errors) // 2
    here, there = 0, half
    last = len(net.layers) - 1
    # The place behind the normalized values of all layers; each step backward takes off its own.
    size = 0
    for index in range(len(net.layers)):
        size += rows * net.layers[index, 1]
    for index in range(last, -1, -1):
        inputs, outputs, width = net.layers[index, 0], net.layers[index, 1], net.layers[index, 2]
        kernel_at = net.layers[index, 3]
        bias = kernel_at + inputs * outputs
        size -= rows * outputs
        # Back through dropout, ReLU and normalization.
        errors = work.errors[here : here + rows * outputs]
        unrectify(errors, work.after[at:], rows * outputs, net.dropout if training else np.float32(0.0))
        scales = work.scales[index * len(work.scales) // len(net.layers) :]
        gain, normal = bias + outputs, work.normal[size:]
        if net.normalization == LAYER:
            unnormalize_rows(errors, rows, width, outputs, gain, net.weights, normal, scales, slopes, not training)
        elif net.normalization == BATCH:
            unnormalize_columns(errors, rows, outputs, gain, net.weights, normal, scales, slopes)
        # The slopes by bias and kernel; a few rows at a time, so that they stay in the nearest cache.
        at -= rows * inputs
        if training:
            sum_rows(errors, 0, slopes, bias, rows, outputs)
            for first in range(0, rows, ROWS_AT_ONCE):
                some = min(ROWS_AT_ONCE, rows - first)
                add_products(
                    work.after, at + first * inputs, 1, inputs, errors, first * outputs,
                    slopes, kernel_at, inputs, some, outputs,
                )  # fmt: skip
        # The errors of the layer below.
        for j in range(0, rows * inputs, 16):
            store(work.errors, there + j, zeros(16))
        add_products(
            work.errors, here, outputs, 1, net.transposed, kernel_at, work.errors, there, rows, outputs, inputs
        )
        here, there = there, here
    return here


@kernel(inline=True)
def multiplied(net: Network, users: Floats, u: int, items: Floats, i: int) -> np.float32:
    """Returns the weighted inner product of the multiplied parts: w·(u∘i)."""
    a = zeros(16)
    for j in range(0, net.product, 16):
        w = broadcast_load(net.weights, net.output, 16) if net.tied else load(net.weights, net.output + j, 16)
        a = multiply_add(w, multiply(load(users, u + j, 16), load(items, i + j, 16)), a)
    return reduce_add(a)


@kernel(fastmath=FAST, inline=True)
def judge(logits: Floats, targets: Floats, weights: Floats, rows: int, loss: int, scale: np.float32) -> float:
    """Returns the sum of the losses, and replaces each logit by the derivative by it, times `scale`."""
    lost = np.float64(0.0)
    # The loss and its derivative: p − y for the logistic loss, 2 (x − y) for the squared one.
    for r in range(rows):
        x, y, w = logits[r], targets[r], weights[r]
        if loss == LOGISTIC:
            p, loss_of_0 = logistic_loss(-x)  # the loss of 1 is smaller by x
            lost += np.float64(w) * (np.float64(loss_of_0) - np.float64(x) * np.float64(y))
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
    """Runs forward and backward for the pairs from `start` on; returns the sum of their losses.

    Derivatives of the loss times `scale`: by the parameters added to `slopes`, by each pair's vectors written to
    `user_slopes` and `item_slopes`. Outside training the network has no dropout, and its parameters get no derivatives.
    """
    gather_pairs(net, users, user_codes, items, item_codes, start, rows, work.after)
    top = run_layers(net, rows, work, moments, seed, training)
    last = net.layers[len(net.layers) - 1, 1] if len(net.layers) else 0
    width, v = net.product + net.tower, net.output + net.product
    # The logits: the product of the multiplied parts, the last layer's outputs, the bias.
    for r in range(rows):
        u, i = np.int64(user_codes[start + r]) * width, np.int64(item_codes[start + r]) * width
        a = zeros(16)
        for j in range(0, last, 16):
            a = multiply_add(load(net.weights, v + j, 16), load(work.after, top + r * last + j, 16), a)
        work.logits[r] = multiplied(net, users, u, items, i) + reduce_add(a) + net.weights[v + last]
    lost = judge(work.logits, targets[start:], weights[start:], rows, net.loss, scale)
    # Backward to the vectors' multiplied parts, the weights of both products, and the last layer's outputs.
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
    # Backward through the layers to the concatenated parts.
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
    """Runs `learn_block` for all pairs from `start` to `stop`, `block` at a time, with new `slopes` and `moments`."""
    # The sums begin with zeros; one block at a time goes forward and backward.
    slopes[:] = np.float32(0.0)
    moments[:] = np.float32(0.0)
    lost = 0.0
    for first in range(start, stop, block):
        lost += learn_block(
            net, users, user_codes, items, item_codes, targets, weights, first, min(block, stop - first), scale,
            random_bits(seed, first), work, slopes, moments, user_slopes, item_slopes, True,
        )  # fmt: skip
    if net.tied:  # sixteen partial sums
        sum_ = np.float32(0.0)
        for j in range(16):
            sum_ += slopes[net.output + j]
            slopes[net.output + j] = np.float32(0.0)
        slopes[net.output] = sum_
    return lost


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
    """Writes the scores of a block's pairs to `out` from `at` on.

    `mine` and `its` are the multiplied parts of users and items, `first` and `second` their terms of the first layer
    before its normalization and ReLU.
    """
    # The dense layers, the first from its two halves.
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
    # The logits, and the scores that they stand for.
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
    """Runs the dense layers from the sums of the first one on, which lie at the beginning of `work.after`."""
    at = 0
    for index in range(len(net.layers)):
        inputs, outputs, width = net.layers[index, 0], net.layers[index, 1], net.layers[index, 2]
        kernel_at = net.layers[index, 3]
        bias = kernel_at + inputs * outputs
        # From the second layer on, the sums start from the bias; those of the first are given.
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
    """Writes the scores of all items for the users from `start` to `stop` to rows of `out`."""
    # Block by block of items, for each user.
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
    """Writes the scores of the pairs from `start` to `stop`."""
    for place in range(start, stop, BLOCK):
        some = min(BLOCK, stop - place)
        score_block(net, user_rows[place:], item_codes[place:], some, mine, first, its, second, work, out, place)
