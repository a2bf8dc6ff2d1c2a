"""Rows in training, and factors in models: the first rows, and the columns of factors and biases.

A user's factors are [x, 1, bias + mean], an item's [y, bias, 1], each bias column only if the loss has biases, so a
score is an inner product. Ratings are learned in units of their spread, so a user's factors are then [spread · x,
spread, spread · bias + mean].
"""

from typing import NamedTuple

import numpy as np

from fastrec.matrix.arrays import Floats, aligned_zeros
from fastrec.solvers.losses import OPTIMIZERS, Loss, Sides, make_side
from fastrec.solvers.rating_scale import RatingScale

# The initial length of a row: from almost zero, rankings take epochs to leave the plateau of equal scores.
FIRST, FIRST_RATINGS = 0.3, 0.1


class KnownFactors(NamedTuple):
    """The factors to start from, for the first rows of users and items; None if there are none."""

    users: Floats | None
    items: Floats | None
    presence: Floats | None


def start_sides(
    loss: Loss,
    shape: tuple[int, int],
    featured: tuple[bool, bool],
    scale: RatingScale,
    seed: int | list[int],
    known: KnownFactors,
) -> Sides:
    """Makes normal rows, on the unit sphere if the loss needs it; known rows replace the first ones.

    `featured` tells whether users, and items, have features.
    """
    options, optimizer = loss.options, OPTIMIZERS[loss.options.optimizer]
    rng = np.random.default_rng(seed)
    sides = []
    for size, last, biased, column, has_features, own in (
        (shape[0], known.users, loss.user_biases, options.factors + 1, featured[0], scale),
        (shape[1], known.items, loss.item_biases, options.factors, featured[1], RatingScale()),
    ):
        rows = aligned_zeros(size, options.width)
        _fill_normal(rows, options.factors, FIRST_RATINGS if loss.measure == "RMSE" else FIRST, rng)
        if loss.unit:
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        side = make_side(rows, biased, optimizer, has_features)
        if last is not None:
            rows[: len(last), : options.factors] = last[:, : options.factors] / np.float32(own.spread)
            if biased:
                side.biases[: len(last)] = (last[:, column] - np.float32(own.mean)) / np.float32(own.spread)
        sides.append(side)
    presence = None
    if options.implicit_feedback:
        rows = aligned_zeros(shape[1], options.width)
        if known.presence is not None:
            rows[: len(known.presence), : options.factors] = known.presence
        presence = make_side(rows, False, OPTIMIZERS["adam"])
    return Sides(sides[0], sides[1], presence, scale.center)


def sides_of_items(loss: Loss, item_factors: Floats, presence_factors: Floats | None, scale: RatingScale) -> Sides:
    """The sides for a fold-in with fixed items; the items also stand in for the users, which fold-in does not read."""
    options = loss.options
    n, d = len(item_factors), options.factors
    rows = aligned_zeros(n, options.width)
    rows[:, :d] = item_factors[:, :d]
    items = make_side(rows, loss.item_biases, OPTIMIZERS["sgd"])
    if loss.item_biases:
        items.biases[:] = item_factors[:, d]
    presence = None
    if presence_factors is not None:
        rows = aligned_zeros(n, options.width)
        rows[:, :d] = presence_factors
        presence = make_side(rows, False, OPTIMIZERS["sgd"])
    return Sides(items, items, presence, scale.center)


def count_bias_columns(loss: Loss) -> int:
    """The columns beside the factors."""
    return int(loss.item_biases) + int(loss.user_biases)


def item_columns(loss: Loss) -> tuple[Floats, Floats | None]:
    """The item factors with their columns of biases, and those of presence."""
    items, options, presence = loss.sides.items, loss.options, loss.sides.presence
    n, d = len(items.counts), options.factors
    factors = np.ones((n, d + count_bias_columns(loss)), np.float32)  # [y, b, 1] against [x, 1, b_u + mean]
    factors[:, :d] = items.rows.reshape(n, options.width)[:, :d]
    if loss.item_biases:
        factors[:, d] = items.biases
    if presence is None:
        return factors, None
    return factors, presence.rows.reshape(n, options.width)[:, :d].copy()


def user_columns(loss: Loss, rows: Floats, biases: Floats, scale: RatingScale) -> Floats:
    """The user factors from rows and biases, with the columns that match the item factors' biases."""
    d = loss.options.factors
    spread = np.float32(scale.spread)
    factors = np.full((len(rows), d + count_bias_columns(loss)), spread, np.float32)
    factors[:, :d] = spread * rows[:, :d]
    if loss.user_biases:
        factors[:, d + 1] = spread * biases + np.float32(scale.mean)
    return factors


def _fill_normal(rows: Floats, factors: int, length: float, rng: np.random.Generator) -> None:
    block = 1 << 16
    for first in range(0, len(rows), block):
        part = rows[first : first + block]
        part[:, :factors] = rng.standard_normal((len(part), factors), np.float32)
        part *= np.float32(length / np.sqrt(factors))
