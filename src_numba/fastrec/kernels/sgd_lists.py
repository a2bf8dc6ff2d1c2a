"""Steps on the cosines of a user with items taken and with many other items: cosine contrastive loss and softmax.

    CCL      1 - s_i + w · mean over j of max(0, s_j - m)         Mao, Zhu, Wang, Dai, Dong, Xiao, He (SimpleX, 2021)
    softmax  -log(exp(s_i/t) / (exp(s_i/t) + sum over j of exp(s_j/t)))                   Wu et al. (2024), sampled

A user's items in a cell share one draw of negatives, and the user moves once for them all. Rows are unit vectors:
steps go along the sphere and end on it. `width` and `optimizer` are `Static`.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.math import exp, log
from fastrec.kernels.random import random_below
from fastrec.kernels.row import add_scaled, dot, load_row, scale, store_row, zero_row
from fastrec.kernels.sgd_steps import mark_samples, move_row
from fastrec.kernels.simd import prefetch

AHEAD = 8
float32 = np.float32
ONE, TINY, INFINITY = float32(1), float32(1e-30), float32(np.inf)


class Contrast(NamedTuple):
    """The negatives that a user's items are compared with."""

    draws: int
    softmax: bool
    margin: np.float32  # m
    weight: np.float32  # w
    temperature: np.float32  # t


@kernel(inline=True, fastmath=FAST)
def on_sphere(row: Any) -> Any:
    """Returns the unit vector in a row's direction; NaN if its length overflows float32, so that the error shows."""
    square = dot(row, row)
    return scale(ONE / np.sqrt(square + TINY) if square < INFINITY else float32(np.nan), row)


@kernel(inline=True, fastmath=FAST)
def along(direction: Any, row: Any) -> Any:
    """Returns the part of a direction that is tangent to the sphere at a unit row."""
    return add_scaled(direction, -dot(direction, row), row)


@kernel(fastmath=FAST)
def draw_negatives(
    x: Any,
    user: Any,
    pool: Any,
    marks: Any,
    contrast: Any,
    seed: Any,
    number: Any,
    rows: Any,
    drawn: Any,
    pulls: Any,
    width: Any,
) -> tuple[int, float]:
    """Draws unseen items into `drawn`, with their shares of the loss in `pulls`; returns (number, sum of shares)."""
    size, n_pool, n = constant(width), pool.shape[0], 0
    # The drawn items that are not the user's.
    for draw in range(contrast.draws):
        candidate = pool[random_below(seed, number + draw, n_pool)]
        if marks[candidate] != user:
            drawn[n] = candidate
            n += 1
    # Their shares of the loss; the row of a later item is prefetched.
    mass = np.float64(0)
    for place in range(n):
        if place + AHEAD < n:
            for f in range(0, size, 16):
                prefetch(rows, np.int64(drawn[place + AHEAD]) * size + f)
        score = dot(x, load_row(rows, np.int64(drawn[place]) * size, width))
        if contrast.softmax:
            pulls[place] = exp((score - ONE) / contrast.temperature)
        else:
            pulls[place] = max(float32(0), score - contrast.margin)
        mass += pulls[place]
    return n, mass


@kernel(fastmath=FAST, inline=True)
def weigh_item(score: Any, weight: Any, n: Any, mass: Any, contrast: Any) -> tuple[Any, Any, Any]:
    """Returns the pull on one of the user's items, its part in the push of the n drawn items, and its own loss."""
    # Softmax: the shares of the item and of all drawn ones.
    if contrast.softmax:
        own = exp((score - ONE) / contrast.temperature)
        everything = own + float32(mass)
        pull = weight * (ONE - own / everything) / contrast.temperature
        push = weight / everything / contrast.temperature
        return pull, push, weight * (log(everything) + (ONE - score) / contrast.temperature)
    # CCL: a pull of the whole weight, and the mean over the drawn items.
    push = weight * contrast.weight / float32(n) if n > 0 else float32(0)
    return weight, push, weight * (ONE - score)


@kernel(fastmath=FAST)
def step_lists(
    samples: Any,
    first: Any,
    last: Any,
    pool: Any,
    marks: Any,
    contrast: Any,
    seed: Any,
    users: Any,
    items: Any,
    user_sizes: Any,
    item_sizes: Any,
    drawn: Any,
    pulls: Any,
    optimizer: Any,
    width: Any,
) -> tuple[float, int]:
    """Steps on the samples from `first` to `last`; returns (the sum of their losses, how many there were).

    `marks` as in `step_pairs`; `drawn` (int32) and `pulls` (float32) hold a task's `contrast.draws` items.
    """
    size = constant(width)
    rows = items.rows
    step = min(1, samples.weights.shape[0] - 1)
    loss = np.float64(0)
    k = first
    while k < last:
        u = samples.users[k]
        # The samples of one user follow each other; all of them share the same drawn items.
        end = mark_samples(samples, k, last, marks)
        x = load_row(users.rows, np.int64(u) * size, width)
        n, mass = draw_negatives(x, u, pool, marks, contrast, seed, k * contrast.draws, rows, drawn, pulls, width)
        # The user's items are pulled to the user along the sphere; `push` collects the push on the drawn ones.
        ascent = zero_row(width)
        push = float32(0)
        while k < end:
            i = np.int64(samples.items[k])
            weight = samples.weights[k * step]
            y = load_row(rows, i * size, width)
            score = dot(x, y)
            pull, more, lost = weigh_item(score, weight, n, mass, contrast)
            push += more
            loss += lost
            ascent = add_scaled(ascent, pull, y)
            up = add_scaled(x, -score, y)
            store_row(rows, i * size, on_sphere(move_row(items, i, y, pull, up, item_sizes, optimizer, width)))
            k += 1
        if not contrast.softmax:
            loss += push * mass
        # The drawn items are pushed away, each by its share.
        for place in range(n):
            if pulls[place] == float32(0):
                continue
            j = np.int64(drawn[place])
            y = load_row(rows, j * size, width)
            pull = -push * (pulls[place] if contrast.softmax else ONE)
            ascent = add_scaled(ascent, pull, y)
            side = along(x, y)
            store_row(rows, j * size, on_sphere(move_row(items, j, y, pull, side, item_sizes, optimizer, width)))
        # The user moves by the sum of all pulls.
        x = on_sphere(move_row(users, u, x, ONE, along(ascent, x), user_sizes, optimizer, width))
        store_row(users.rows, np.int64(u) * size, x)
    return loss, last - first


@kernel(fastmath=FAST)
def fold_lists(
    entries: Any,
    first: Any,
    last: Any,
    pool: Any,
    marks: Any,
    contrast: Any,
    passes: Any,
    seed: Any,
    rows: Any,
    rate: Any,
    drawn: Any,
    pulls: Any,
    out: Any,
    width: Any,
) -> None:
    """Writes the unit rows from `first` to `last` of `out`, flat, by `passes` steps over each whole history.

    A step goes along the sphere, `rate` of the mean gradient of the row's items, falling to zero. `marks`, all -1, is
    used by no other task.
    """
    size = constant(width)
    step = min(1, entries.values.shape[0] - 1)
    for u in range(first, last):
        begin, end = entries.indptr[u], entries.indptr[u + 1]
        if begin == end:
            continue
        # It starts from the mean of the row's items.
        x = zero_row(width)
        for entry in range(begin, end):
            marks[entries.indices[entry]] = u
            x = add_scaled(x, ONE, load_row(rows, np.int64(entries.indices[entry]) * size, width))
        x = on_sphere(x)
        for turn in range(passes):
            number = turn * contrast.draws
            n, mass = draw_negatives(x, u, pool, marks, contrast, seed, number, rows, drawn, pulls, width)
            # The pull of the row's items, and the push of the drawn ones.
            ascent, push, total = zero_row(width), float32(0), float32(0)
            for entry in range(begin, end):
                weight = entries.values[entry * step]
                y = load_row(rows, np.int64(entries.indices[entry]) * size, width)
                pull, more, _ = weigh_item(dot(x, y), weight, n, mass, contrast)
                push += more
                total += weight
                ascent = add_scaled(ascent, pull, y)
            # The push of the drawn items, each by its share.
            for place in range(n):
                pull = -push * (pulls[place] if contrast.softmax else ONE)
                if pulls[place] != float32(0):
                    ascent = add_scaled(ascent, pull, load_row(rows, np.int64(drawn[place]) * size, width))
            # A step along the sphere, shorter with each turn.
            sizes = rate * (ONE - float32(turn) / float32(passes)) / total
            x = on_sphere(add_scaled(x, sizes, along(ascent, x)))
        store_row(out, np.int64(u) * size, x)
