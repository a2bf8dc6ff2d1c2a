"""Steps on pairs of an item that a user took and one that they did not: BPR and WARP.

    BPR   log(1 + exp(-(s_i - s_j)))                  Rendle, Freudenthaler, Gantner, Schmidt-Thieme (2009)
    WARP  Φ(rank of i)·max(0, 1 - (s_i - s_j))        Weston, Bengio, Usunier (2011)

with s = x_u·y + b. `width` and `optimizer` are `Static`; `width` is a multiple of sixteen.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.arrays import Codes, Floats
from fastrec.kernels.math import logistic_loss
from fastrec.kernels.random import random_below
from fastrec.kernels.row import dot, load_row, store_row, subtract_rows
from fastrec.kernels.sgd_steps import fetch_row, mark_samples, move_bias, move_row

AHEAD = 6  # samples between prefetching rows and reading them
DRAWS = 64  # random numbers kept for each sample

float32 = np.float32


class Samples(NamedTuple):
    """The observations in the order of work: a user's samples follow each other. One weight may stand for all."""

    users: Codes
    items: Codes
    weights: Floats


class Negatives(NamedTuple):
    """The search for a negative: among at most `draws` items of the pool, without the user's own.

    It is the first one that scores above s_i - margin; or, with `hardest`, the one with the highest score.
    """

    draws: int
    margin: np.float32  # infinite if the first one is taken
    hardest: bool
    hinge: bool  # WARP's loss, else BPR's
    shares: Floats  # (draws + 1,): the weight of a sample by the number of unseen items drawn


@kernel(fastmath=FAST)
def step_pairs(
    samples: Any,
    first: Any,
    last: Any,
    pool: Any,
    marks: Any,
    negatives: Any,
    seed: Any,
    users: Any,
    items: Any,
    user_sizes: Any,
    item_sizes: Any,
    optimizer: Any,
    width: Any,
) -> tuple[float, int]:
    """Steps on the samples from `first` to `last`; returns (the sum of their losses, how many there were).

    `pool` holds the items to draw from. `marks`, of shape (n_items,), holds the last user that marked an item, -1 for
    none; no other task may use the marks of these items at the same time.
    """
    # One function, though a long one: with the draws in their own function, a step takes a quarter longer.
    size = constant(width)
    rows, biases = items.rows, items.biases
    step, n_pool = min(1, samples.weights.shape[0] - 1), pool.shape[0]
    bounded = not negatives.hardest and negatives.margin < float32(np.inf)
    scored = bounded or negatives.hardest
    loss, count = np.float64(0), 0
    k = first
    while k < last:
        u = samples.users[k]
        # The samples of one user follow each other: their items are marked, and the user's row stays in registers.
        end = mark_samples(samples, k, last, marks)
        x = load_row(users.rows, np.int64(u) * size, width)
        while k < end:
            # Prefetches the rows of a later sample: its item, its first draw, its user.
            if k + AHEAD < last:
                fetch_row(rows, samples.items[k + AHEAD], width)
                fetch_row(rows, pool[random_below(seed, (k + AHEAD) * DRAWS, n_pool)], width)
                if samples.users[k + AHEAD] != u:
                    fetch_row(users.rows, samples.users[k + AHEAD], width)
            i = np.int64(samples.items[k])
            y = load_row(rows, i * size, width)
            # The first drawn item that is not the user's; or the first, or the highest, that scores too high.
            best = float32(-np.inf)
            if bounded:
                best = dot(x, y) + biases[i] - negatives.margin
            j, drawn = np.int64(-1), 0
            for draw in range(negatives.draws):
                candidate = np.int64(pool[random_below(seed, k * DRAWS + draw, n_pool)])
                if marks[candidate] == u:
                    continue
                drawn += 1
                if not scored:
                    j = candidate
                    break
                other = dot(x, load_row(rows, candidate * size, width)) + biases[candidate]
                if not other <= best:  # also true for NaN, which then shows in the loss
                    j, best = candidate, other
                    if not negatives.hardest:
                        break
            # A step along the difference of the two scores; if no item was found, nothing moves.
            if j >= 0:
                # The loss of the pair, and the pull along its difference.
                z = load_row(rows, j * size, width)
                weight = samples.weights[k * step] * negatives.shares[drawn]
                difference = subtract_rows(y, z)
                gap = dot(x, difference) + (biases[i] - biases[j])
                if negatives.hinge:
                    loss += weight * (float32(1) - gap)
                    pull = weight
                else:
                    share, value = logistic_loss(gap)
                    loss += weight * value
                    pull = weight * share
                # Both biases and all three rows move.
                move_bias(items, i, pull, item_sizes, optimizer)
                move_bias(items, j, -pull, item_sizes, optimizer)
                store_row(rows, i * size, move_row(items, i, y, pull, x, item_sizes, optimizer, width))
                store_row(rows, j * size, move_row(items, j, z, -pull, x, item_sizes, optimizer, width))
                x = move_row(users, u, x, pull, difference, user_sizes, optimizer, width)
            count += 1
            k += 1
        store_row(users.rows, np.int64(u) * size, x)
    return loss, count
