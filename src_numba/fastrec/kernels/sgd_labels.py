"""Steps on single items, taken or not: the logistic loss with sampled negatives, as in skip-gram.

    log(1 + exp(-s)) for an item taken, log(1 + exp(s)) for a dislike and for each item drawn     s = x_u·y + b

Mikolov, Sutskever, Chen, Corrado, Dean (2013) for the sampling. `width` and `optimizer` are `Static`.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.math import logistic_loss
from fastrec.kernels.random import random_below
from fastrec.kernels.row import add_scaled, dot, load_row, store_row, zero_row
from fastrec.kernels.sgd_pairs import AHEAD, DRAWS
from fastrec.kernels.sgd_steps import fetch_row, mark_samples, move_bias, move_row

float32 = np.float32
ONE = float32(1)


class Labels(NamedTuple):
    """The sampling of negatives: `draws` items of the pool for each item taken, without the user's own."""

    draws: int
    weight: np.float32  # of each negative
    biased: bool  # whether items have biases


@kernel(fastmath=FAST)
def step_labels(
    samples: Any,
    first: Any,
    last: Any,
    pool: Any,
    marks: Any,
    labels: Any,
    seed: Any,
    users: Any,
    items: Any,
    user_sizes: Any,
    item_sizes: Any,
    optimizer: Any,
    width: Any,
) -> tuple[float, int]:
    """Steps on the samples from `first` to `last`; returns (the sum of their losses, how many there were).

    A negative weight is a dislike. `marks` is as in `step_pairs`; it has one element if no items are left out.
    """
    size = constant(width)
    rows = items.rows
    step, n_pool, marked = min(1, samples.weights.shape[0] - 1), pool.shape[0], marks.shape[0] > 1
    loss, count = np.float64(0), 0
    k = first
    while k < last:
        u = samples.users[k]
        # The samples of one user follow each other: their items are marked, and the user's row stays in registers.
        end = mark_samples(samples, k, last, marks)
        x = load_row(users.rows, np.int64(u) * size, width)
        while k < end:
            # Prefetches the rows of a later sample: its item, its negatives, its user.
            if k + AHEAD < last:
                fetch_row(rows, samples.items[k + AHEAD], width)
                for draw in range(labels.draws):
                    fetch_row(rows, pool[random_below(seed, (k + AHEAD) * DRAWS + draw, n_pool)], width)
                if samples.users[k + AHEAD] != u:
                    fetch_row(users.rows, samples.users[k + AHEAD], width)
            i = np.int64(samples.items[k])
            value = samples.weights[k * step]
            # The sample itself is draw -1; a dislike has no draws. Items move at once, the user at the end.
            ascent = zero_row(width)
            for draw in range(-1, labels.draws if value > 0 else 0):
                j, amount = i, value
                if draw >= 0:
                    j, amount = np.int64(pool[random_below(seed, k * DRAWS + draw, n_pool)]), -labels.weight
                    if j == i or (marked and marks[j] == u):
                        continue
                y = load_row(rows, j * size, width)
                score = dot(x, y)
                if labels.biased:
                    score += items.biases[j]
                share, lost = logistic_loss(score if amount > 0 else -score)
                loss += abs(amount) * lost
                pull = amount * share
                if labels.biased:
                    move_bias(items, j, pull, item_sizes, optimizer)
                ascent = add_scaled(ascent, pull, y)
                store_row(rows, j * size, move_row(items, j, y, pull, x, item_sizes, optimizer, width))
            x = move_row(users, u, x, ONE, ascent, user_sizes, optimizer, width)
            count += 1
            k += 1
        store_row(users.rows, np.int64(u) * size, x)
    return loss, count
