"""Sequences of items through a transformer: it learns the next items, and encodes histories as vectors.

The row of an item is its vector times `grow`, and the network's output is multiplied by `gain`; scores are inner
products with the same vectors of items. Sequences go through the network a few at a time, so that their data stays in a
core's own cache.
"""

from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.layers import write_scaled
from fastrec.kernels.random import random_bits
from fastrec.kernels.sampled_softmax import Candidates, lose_rows
from fastrec.kernels.simd import load, multiply, multiply_add, store
from fastrec.kernels.transformer import Passing, Transformer, drop, layer_seed, pass_backward, pass_forward


class Steps(NamedTuple):
    """Sequences, one after the other: their starts, their items, and the next item of each item."""

    starts: Counts
    items: Codes
    targets: Codes


class Slopes(NamedTuple):
    """The derivatives of the loss; those by the network and by candidates are added, the others are written."""

    weights: Floats
    inputs: Floats
    targets: Floats
    candidates: Floats


class Ends(NamedTuple):
    """Buffers of one thread, beside those of the passes: output rows, derivatives by them, logits."""

    h: Floats
    errors: Floats
    logits: Floats


@kernel(inline=True)
def end_of_part(starts: Counts, first: int, last: int, room: int) -> int:
    """Returns the end of the sequences, at least one, that fit the buffers together."""
    end = first + 1
    while end < last and starts[end + 1] - starts[first] <= room:
        end += 1
    return end


@kernel(inner=True)
def embed(items: Codes, first: int, last: int, values: Floats, width: int, grow: np.float32, x: Floats) -> None:
    """Writes the vectors of the items from `first` to `last`, times `grow`, to x."""
    for place in range(first, last):
        write_scaled(values, np.int64(items[place]) * width, grow, x, (place - first) * width, width)


@kernel(inline=True)
def _gain(normal: Floats, at: int, rows: int, width: int, gain: Floats, first: int, h: Floats) -> None:
    for row in range(0, rows * width, width):
        for f in range(0, width, 16):
            store(h, row + f, multiply(load(normal, at + row + f, 16), load(gain, first + f, 16)))


@kernel(inline=True)
def _ungain(
    errors: Floats, rows: int, width: int, normal: Floats, at: int, gain: Floats, first: int, slopes: Floats
) -> None:
    """Replaces the derivatives by h by those by `normal`; adds those by the gain."""
    # Sixteen columns at a time: the slope of the gain, and the derivatives times the gain.
    for f in range(0, width, 16):
        total, factor = load(slopes, first + f, 16), load(gain, first + f, 16)
        for place in range(f, f + rows * width, width):
            error = load(errors, place, 16)
            total = multiply_add(error, load(normal, at + place, 16), total)
            store(errors, place, multiply(error, factor))
        store(slopes, first + f, total)


@kernel()
def learn_sequences(
    net: Transformer, gain: int, steps: Steps, first: int, last: int, room: int, values: Floats,
    candidates: Candidates, dropout: np.float32, grow: np.float32, weight: np.float32, seed: np.uint64, work: Passing,
    ends: Ends, slopes: Slopes,
) -> float:  # fmt: skip
    """Returns the sum of the losses of sequences `first` to `last`; `slopes` gets `weight` times the derivatives."""
    width, lost, begin = net.width, 0.0, first
    # The sequences that fit the buffers together.
    while begin < last:
        end = end_of_part(steps.starts, begin, last, room)
        row, rows = steps.starts[begin], steps.starts[end] - steps.starts[begin]
        n, own = rows * width, random_bits(seed, begin)
        layer = 2 * net.blocks
        # Forward: embedding, dropout, blocks, gain.
        embed(steps.items, row, row + rows, values, width, grow, work.x)
        drop(work.x, n, dropout, layer_seed(own, layer), work.x)
        pass_forward(net, steps.starts, begin, end, dropout, own, work)
        _gain(work.normal, layer * n, rows, width, net.weights, gain, ends.h)
        # The loss of each row, and the derivatives by rows, targets and candidates.
        lost += lose_rows(
            ends.h, rows, width, steps.targets, row, values, candidates, weight, ends.logits, ends.errors,
            slopes.targets, slopes.candidates,
        )  # fmt: skip
        # Backward: gain, blocks, dropout, embedding.
        _ungain(ends.errors, rows, width, work.normal, layer * n, net.weights, gain, slopes.weights)
        pass_backward(net, steps.starts, begin, end, dropout, own, work, ends.errors, slopes.weights)
        drop(work.x, n, dropout, layer_seed(own, layer), work.x)
        write_scaled(work.x, np.int64(0), grow, slopes.inputs, row * width, n)
        begin = end
    return lost


@kernel()
def encode_sequences(
    net: Transformer, gain: int, starts: Counts, items: Codes, first: int, last: int, room: int, values: Floats,
    grow: np.float32, work: Passing, out: Floats,
) -> None:  # fmt: skip
    """Writes the vector after the last event of each of the sequences from `first` to `last` to its row of `out`.

    The first row of `out` is that of sequence 0. No sequence is empty. A vector depends on its own sequence alone.
    """
    width, begin, one = net.width, first, np.int64(1)
    # The sequences that fit the buffers together go forward, and the last row of each is written.
    while begin < last:
        end = end_of_part(starts, begin, last, room)
        row, rows = starts[begin], starts[end] - starts[begin]
        embed(items, row, row + rows, values, width, grow, work.x)
        pass_forward(net, starts, begin, end, np.float32(0.0), np.uint64(0), work)
        for sequence in range(begin, end):
            at = (2 * net.blocks * rows + starts[sequence + 1] - row - 1) * width
            _gain(work.normal, at, one, width, net.weights, gain, out[sequence * width :])
        begin = end
