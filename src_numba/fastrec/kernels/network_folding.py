"""Folds users into the network: their vectors move by steps of Adam, the network and the items stay fixed."""

import math

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.adam import FIRST, SECOND, TINY, step_lanes
from fastrec.kernels.arrays import Codes, Counts, Floats, Seeds
from fastrec.kernels.network import BLOCK, Network, Work, learn_block
from fastrec.kernels.network_samples import LOGISTIC, draw_negative
from fastrec.kernels.random import random_bits
from fastrec.kernels.simd import (
    add,
    load,
    store,
)


@kernel(inline=True)
def list_samples(
    loss: int,
    low: int,
    high: int,
    indices: Codes,
    values: Floats,
    negatives: int,
    n_items: int,
    seed: np.uint64,
    codes: Codes,
    targets: Floats,
    weights: Floats,
) -> tuple[int, np.float32]:
    """Writes the entries from `low` to `high` and their negatives; returns the samples' number and weight."""
    n, total = 0, np.float32(0.0)
    for entry in range(low, high):
        for extra in range(1 + negatives):
            code = np.int64(indices[entry])
            # Beside each entry, items that are not in the row.
            if extra:
                number = (entry - low) * (1 + negatives) + extra
                code = draw_negative(indices, low, high, n_items, random_bits(seed, number))
            if code >= 0:
                codes[n] = code
                targets[n], weights[n] = np.float32(0.0), np.float32(1.0)
                if extra == 0:
                    targets[n] = np.float32(1.0) if loss == LOGISTIC else values[entry]
                    weights[n] = values[entry] if loss == LOGISTIC else np.float32(1.0)
                total += weights[n]
                n += 1
    return n, total


@kernel(inline=True)
def add_slopes(rows: Floats, n: int, width: int, slope: Floats) -> None:
    """Adds the sum of the first `n` rows to the slope."""
    for r in range(n):
        for j in range(0, width, 16):
            store(slope, j, add(load(slope, j, 16), load(rows, r * width + j, 16)))


@kernel()
def fold_in_rows(
    net: Network,
    start: int,
    stop: int,
    indptr: Counts,
    indices: Codes,
    values: Floats,
    seeds: Seeds,
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
    """Writes users' vectors from their histories: steps of Adam from `center`, with the network and the items fixed.

    A row's negatives depend only on its own seed, and stay the same for all steps.
    """
    width = net.product + net.tower
    # The longest history with its negatives gives the size of the buffers.
    longest = 0
    for row in range(start, stop):
        longest = max(longest, (indptr[row + 1] - indptr[row]) * (1 + negatives))
    nobody, codes = np.zeros(longest, np.int32), np.empty(longest, np.int32)
    targets, weights = np.empty(longest, np.float32), np.empty(longest, np.float32)
    mean, square = np.empty(width, np.float32), np.empty(width, np.float32)
    user, slope = np.empty(width, np.float32), np.empty(width, np.float32)
    user_slopes, item_slopes = scratch[: BLOCK * width], scratch[BLOCK * width :]
    nothing = np.empty(0, np.float32)
    # User by user; one without a history gets zeros.
    for row in range(start, stop):
        if indptr[row] == indptr[row + 1]:
            out[row * width : (row + 1) * width] = np.float32(0.0)
            continue
        # The samples, which stay the same for all steps, and the start at the center.
        n, weight = list_samples(
            net.loss, indptr[row], indptr[row + 1], indices, values, negatives, n_items, seeds[row], codes, targets,
            weights,
        )  # fmt: skip
        scale = np.float32(1.0) / max(weight, np.float32(1e-30))
        for j in range(width):
            user[j] = center[j]
        mean[:] = np.float32(0.0)
        square[:] = np.float32(0.0)
        for step in range(1, steps + 1):
            # The slope by the user's vector, summed over all samples.
            slope[:] = np.float32(0.0)
            for first in range(0, n, BLOCK):
                some = min(BLOCK, n - first)
                learn_block(
                    net, user, nobody, items, codes[first:], targets[first:], weights[first:], 0, some, scale,
                    np.uint64(0), work, nothing, nothing, user_slopes, item_slopes, False,
                )  # fmt: skip
                add_slopes(user_slopes, some, width, slope)
            # One step along it.
            correction = math.sqrt(1 - SECOND**step)
            paced, tiny = np.float32(rate * correction / (1 - FIRST**step)), np.float32(TINY * correction)
            for j in range(0, width, 16):
                step_lanes(user, mean, square, j, load(slope, j, 16), paced, tiny, shrink)
        for j in range(width):
            out[row * width + j] = user[j]
