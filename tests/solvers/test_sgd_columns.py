"""Rows in training and factors as models keep them: scores are inner products of the latter, and no digit is lost."""

import numpy as np
import pytest

from fastrec.solvers.losses import LOSSES, LossOptions, Sides
from fastrec.solvers.rating_scale import RatingScale
from fastrec.solvers.sgd_columns import (
    KnownFactors,
    item_columns,
    sides_of_items,
    start_sides,
    user_columns,
)

SHAPE, FACTORS, SCALE = (5, 7), 3, RatingScale(2.5, 4.0)
NOTHING = KnownFactors(None, None, None)


def loss_of(name, optimizer="adagrad", implicit_feedback=False):
    options = LossOptions(FACTORS, optimizer, 0.1, (0.1, 0.1), 0.1, 2, False, 0.1, 1.0, 1.0, implicit_feedback, 1)
    return LOSSES[name](options, SHAPE[1])


def begun(loss, known=NOTHING, seed=0):
    sides = start_sides(loss, SHAPE, (False, False), SCALE, seed, known)
    for side in (sides.users, sides.items):
        if len(side.biases) > 1:
            side.biases[:] = np.arange(1, len(side.biases) + 1)
    loss.sides = sides
    return sides


def columns(loss, sides):
    users = sides.users.rows.reshape(SHAPE[0], -1)
    biases = sides.users.biases if loss.user_biases else np.zeros(SHAPE[0], np.float32)
    return user_columns(loss, users, biases, SCALE), *item_columns(loss)


@pytest.mark.parametrize("name", LOSSES)
def test_scores_are_inner_products_of_factors_with_columns_of_biases(name):
    loss = loss_of(name)
    sides = begun(loss)
    x, y = (side.rows.reshape(n, -1) for side, n in zip((sides.users, sides.items), SHAPE, strict=True))
    assert not x[:, FACTORS:].any()
    assert not y[:, FACTORS:].any()
    expected = x @ y.T
    if loss.item_biases:
        expected = expected + sides.items.biases
    if loss.user_biases:
        expected = expected + sides.users.biases[:, None] + sides.mean
    users, items, presence = columns(loss, sides)
    np.testing.assert_allclose(users @ items.T, SCALE.spread * expected, rtol=1e-5, atol=1e-6)
    assert presence is None


@pytest.mark.parametrize("name", ["ccl", "softmax"])
def test_rows_of_losses_on_the_sphere_begin_there(name):
    for side in (begun(loss_of(name)).users, begun(loss_of(name)).items):
        lengths = np.linalg.norm(side.rows.reshape(len(side.counts), -1), axis=1)
        np.testing.assert_allclose(lengths, 1, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_training_goes_on_from_the_factors_of_one_before(name):
    loss = loss_of(name)
    first = begun(loss)
    users, items, _ = columns(loss, first)
    again = start_sides(loss, SHAPE, (False, False), SCALE, 1, KnownFactors(users[:3], items[:4], None))
    for known, side, n in ((first.users, again.users, 3), (first.items, again.items, 4)):
        rows, old = (one.rows.reshape(len(one.counts), -1) for one in (side, known))
        np.testing.assert_array_equal(rows[:n], old[:n])
        assert not np.array_equal(rows[n:], old[n:])
        if len(side.biases) > 1:
            np.testing.assert_allclose(side.biases[:n], known.biases[:n], rtol=1e-6)


def test_sides_at_rest_are_those_that_the_columns_were_made_of():
    loss = loss_of("squared", implicit_feedback=True)
    sides = begun(loss)
    sides.presence.rows[:] = np.arange(len(sides.presence.rows))
    sides.presence.rows.reshape(SHAPE[1], -1)[:, FACTORS:] = 0
    _, items, presence = columns(loss, sides)
    rest = sides_of_items(loss, items, presence, SCALE)
    assert isinstance(rest, Sides)
    np.testing.assert_array_equal(rest.items.rows, sides.items.rows)
    np.testing.assert_array_equal(rest.items.biases, sides.items.biases)
    np.testing.assert_array_equal(rest.presence.rows, sides.presence.rows)
