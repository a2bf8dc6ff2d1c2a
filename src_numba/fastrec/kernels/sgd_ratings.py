"""Steps on ratings: biased matrix factorization, and SVD++, which adds the user's other rated items.

    r ≈ mean + b_u + b_i + (x_u + |N(u)|^(-1/2) · sum over N(u) of z_j)·y_i             Koren (2008)

The sum over N(u), `offsets`, is fixed during the steps. Its gradient is gathered in `asked`, one row for each user,
from which all rows z_j move afterwards. `width` and `optimizer` are `Static`.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.row import add_scaled, blend, dot, load_row, scale, store_row, zero_row
from fastrec.kernels.sgd_pairs import AHEAD
from fastrec.kernels.sgd_steps import fetch_row, move_bias, move_row
from fastrec.kernels.simd import prefetch

float32 = np.float32
ONE = float32(1)


@kernel(fastmath=FAST)
def step_ratings(
    samples: Any,
    first: Any,
    last: Any,
    mean: Any,
    offsets: Any,
    asked: Any,
    users: Any,
    items: Any,
    user_sizes: Any,
    item_sizes: Any,
    optimizer: Any,
    width: Any,
) -> tuple[float, int]:
    """Steps on the samples from `first` to `last`; returns (the sum of the squared errors, how many there were).

    `offsets` and `asked` are flat (n_users · width), or have one element if there are none.
    """
    size = constant(width)
    rows, aided = items.rows, offsets.shape[0] > 1
    loss = np.float64(0)
    k = first
    while k < last:
        # The ratings of one user follow each other: the user's row stays in registers.
        u = samples.users[k]
        place = np.int64(u) * size
        x = load_row(users.rows, place, width)
        offset, wish = zero_row(width), zero_row(width)
        if aided:
            offset = load_row(offsets, place, width)
            wish = load_row(asked, place, width)
        while k < last and samples.users[k] == u:
            # Prefetches the rows of a later sample.
            if k + AHEAD < last:
                fetch_row(rows, samples.items[k + AHEAD], width)
                if samples.users[k + AHEAD] != u:
                    fetch_row(users.rows, samples.users[k + AHEAD], width)
            # Biases and both rows move along the error; an offset is a part of the user that is not learned here.
            i = np.int64(samples.items[k])
            y = load_row(rows, i * size, width)
            whole = add_scaled(x, ONE, offset) if aided else x
            error = samples.weights[k] - (mean + users.biases[u] + items.biases[i] + dot(whole, y))
            loss += np.float64(error) * np.float64(error)
            move_bias(users, u, error, user_sizes, optimizer)
            move_bias(items, i, error, item_sizes, optimizer)
            store_row(rows, i * size, move_row(items, i, y, error, whole, item_sizes, optimizer, width))
            x = move_row(users, u, x, error, y, user_sizes, optimizer, width)
            if aided:
                wish = add_scaled(wish, error, y)
            k += 1
        store_row(users.rows, place, x)
        if aided:
            store_row(asked, place, wish)
    return loss, last - first


@kernel(fastmath=FAST)
def sum_sources(
    indptr: Any, indices: Any, first: Any, last: Any, scales: Any, row_scales: Any, sources: Any, out: Any, width: Any
) -> None:
    """Writes to the rows from `first` to `last` of `out` the scaled sums of the rows of `sources`, both flat.

    One scale may stand for all.
    """
    size, end = constant(width), indices.shape[0]
    step, row_step = min(1, scales.shape[0] - 1), min(1, row_scales.shape[0] - 1)
    for row in range(first, last):
        # The scaled sum of the sources; the row of a later one is prefetched.
        result = zero_row(width)
        for entry in range(indptr[row], indptr[row + 1]):
            if entry + AHEAD < end:
                soon = np.int64(indices[entry + AHEAD]) * size
                for f in range(0, size, 16):
                    prefetch(sources, soon + f)
            source = np.int64(indices[entry])
            result = add_scaled(result, scales[source * step], load_row(sources, source * size, width))
        store_row(out, np.int64(row) * size, scale(row_scales[row * row_step], result))


@kernel(fastmath=FAST)
def move_rows(
    side: Any, first: Any, last: Any, ascents: Any, penalties: Any, sizes: Any, optimizer: Any, width: Any
) -> None:
    """Adds their ascents (flat) minus `penalties`, of shape (n,), times the row to the rows `first` to `last`."""
    size = constant(width)
    for row in range(first, last):
        place = np.int64(row) * size
        x = load_row(side.rows, place, width)
        ascent = add_scaled(load_row(ascents, place, width), -penalties[row], x)
        store_row(side.rows, place, move_row(side, row, x, ONE, ascent, sizes, optimizer, width))


@kernel(fastmath=FAST)
def fold_ratings(
    entries: Any,
    first: Any,
    last: Any,
    mean: Any,
    offsets: Any,
    items: Any,
    sizes: Any,
    steps: Any,
    tolerance: Any,
    out: Any,
    out_biases: Any,
    width: Any,
) -> None:
    """Writes the rows `first` to `last` of `out` and `out_biases` that fit the ratings best, by conjugate gradients.

    Minimised is the sum of (r - mean - b_u - b_i - (x + offset)·y)² + decay·‖x‖² + bias_decay·b_u² over the row's
    ratings, until the squared residual is at most `tolerance` of the first one.
    """
    size = constant(width)
    rows, aided = items.rows, offsets.shape[0] > 1
    for u in range(first, last):
        begin, end = entries.indptr[u], entries.indptr[u + 1]
        n = float32(end - begin)
        offset = zero_row(width)
        if aided:
            offset = load_row(offsets, np.int64(u) * size, width)
        # The right side of the equations, equal to the residual at x = 0.
        residual, residual_b = zero_row(width), float32(0)
        for entry in range(begin, end):
            i = np.int64(entries.indices[entry])
            y = load_row(rows, i * size, width)
            target = entries.values[entry] - mean - items.biases[i] - dot(offset, y)
            residual = add_scaled(residual, target, y)
            residual_b += target
        # Conjugate gradients from 0 on.
        x, bias = zero_row(width), float32(0)
        direction, direction_b = residual, residual_b
        norm = dot(residual, residual) + residual_b * residual_b
        goal = norm * tolerance
        for _ in range(steps):
            if not norm > goal:
                break
            # The matrix times the direction, from the row's own entries.
            image, image_b = zero_row(width), float32(0)
            for entry in range(begin, end):
                y = load_row(rows, np.int64(entries.indices[entry]) * size, width)
                product = dot(direction, y) + direction_b
                image = add_scaled(image, product, y)
                image_b += product
            image = add_scaled(image, n * sizes.decay, direction)
            image_b += n * sizes.bias_decay * direction_b
            curvature = dot(direction, image) + direction_b * image_b
            if not curvature > float32(0):
                break
            # The step to the minimum along it, and the next conjugate direction.
            length = norm / curvature
            x = add_scaled(x, length, direction)
            bias += length * direction_b
            residual = add_scaled(residual, -length, image)
            residual_b -= length * image_b
            new = dot(residual, residual) + residual_b * residual_b
            direction = blend(ONE, residual, new / norm, direction)
            direction_b = residual_b + new / norm * direction_b
            norm = new
        store_row(out, np.int64(u) * size, x)
        out_biases[u] = bias
