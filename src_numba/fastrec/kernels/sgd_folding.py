"""The factors of users from their histories, with fixed items: the same losses, minimised over the user's row alone.

A row begins at what `out` holds. The penalty draws it to its prior, or to zero if `priors`, flat, has one element. It
makes `passes` passes over its history, at a rate that falls to zero. Its random numbers depend only on the places of
its own entries, so a row's result does not depend on other rows.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.math import logistic_loss
from fastrec.kernels.random import random_below
from fastrec.kernels.row import add_scaled, blend, dot, load_row, store_row, subtract_rows, zero_row
from fastrec.kernels.sgd_pairs import DRAWS

float32 = np.float32
ONE = float32(1)


@kernel(fastmath=FAST)
def fold_pairs(
    entries: Any,
    first: Any,
    last: Any,
    pool: Any,
    marks: Any,
    negatives: Any,
    passes: Any,
    seed: Any,
    items: Any,
    sizes: Any,
    priors: Any,
    out: Any,
    width: Any,
) -> None:
    """Moves the rows `first` to `last` of `out`, flat, by BPR or WARP; `marks`, all -1, is used by no other task."""
    size = constant(width)
    rows, biases = items.rows, items.biases
    step, n_pool = min(1, entries.values.shape[0] - 1), pool.shape[0]
    bounded = not negatives.hardest and negatives.margin < float32(np.inf)
    scored = bounded or negatives.hardest
    # The user's items are marked, and the prior is read.
    for u in range(first, last):
        begin, end = entries.indptr[u], entries.indptr[u + 1]
        for entry in range(begin, end):
            marks[entries.indices[entry]] = u
        prior = zero_row(width)
        if priors.shape[0] > 1:
            prior = load_row(priors, np.int64(u) * size, width)
        x = load_row(out, np.int64(u) * size, width)
        # Passes over the history, each step shorter than the one before.
        for turn in range(passes):
            for entry in range(begin, end):
                taken = turn * (end - begin) + entry - begin
                number, rate = taken * DRAWS, sizes.rate * (ONE - float32(taken) / float32(passes * (end - begin)))
                i = np.int64(entries.indices[entry])
                y = load_row(rows, i * size, width)
                # The same draws as in `step_pairs`.
                best = float32(-np.inf)
                if bounded:
                    best = dot(x, y) + biases[i] - negatives.margin
                j, drawn = np.int64(-1), 0
                for draw in range(negatives.draws):
                    candidate = np.int64(pool[random_below(seed, number + draw, n_pool)])
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
                if j < 0:
                    continue
                # A step along the difference of the two scores, and towards the prior.
                difference = subtract_rows(y, load_row(rows, j * size, width))
                pull = entries.values[entry * step] * negatives.shares[drawn]
                if not negatives.hinge:
                    pull *= logistic_loss(dot(x, difference) + (biases[i] - biases[j]))[0]
                x = blend(ONE - rate * sizes.decay, x, rate * pull, difference)
                x = add_scaled(x, rate * sizes.decay, prior)
        store_row(out, np.int64(u) * size, x)


@kernel(fastmath=FAST)
def fold_labels(
    entries: Any,
    first: Any,
    last: Any,
    pool: Any,
    marks: Any,
    labels: Any,
    passes: Any,
    seed: Any,
    items: Any,
    sizes: Any,
    priors: Any,
    out: Any,
    width: Any,
) -> None:
    """Does as `fold_pairs` for the logistic loss."""
    size = constant(width)
    step, n_pool = min(1, entries.values.shape[0] - 1), pool.shape[0]
    # The user's items are marked, and the prior is read.
    for u in range(first, last):
        begin, end = entries.indptr[u], entries.indptr[u + 1]
        for entry in range(begin, end):
            marks[entries.indices[entry]] = u
        prior = zero_row(width)
        if priors.shape[0] > 1:
            prior = load_row(priors, np.int64(u) * size, width)
        x = load_row(out, np.int64(u) * size, width)
        # Passes over the history, each step shorter than the one before.
        steps = passes * (end - begin)
        for turn in range(passes):
            for entry in range(begin, end):
                taken = turn * (end - begin) + entry - begin
                rate, number = sizes.rate * (ONE - float32(taken) / float32(steps)), taken * DRAWS
                value = entries.values[entry * step]
                # The entry itself is draw -1; a dislike has no draws.
                ascent = zero_row(width)
                for draw in range(-1, labels.draws if value > 0 else 0):
                    j = np.int64(entries.indices[entry])
                    amount = value
                    if draw >= 0:
                        j = np.int64(pool[random_below(seed, number + draw, n_pool)])
                        if marks[j] == u:
                            continue
                        amount = -labels.weight
                    y = load_row(items.rows, j * size, width)
                    score = dot(x, y) + items.biases[j]
                    share, _ = logistic_loss(score if amount > 0 else -score)
                    ascent = add_scaled(ascent, amount * share, y)
                x = blend(ONE - rate * sizes.decay, x, rate, add_scaled(ascent, sizes.decay, prior))
        store_row(out, np.int64(u) * size, x)
