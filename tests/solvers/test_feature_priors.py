"""Rows are drawn half the way to the prior of their features; rows that cannot move, or have no events, equal it."""

import numpy as np
import pytest

from fastrec.matrix.arrays import aligned_zeros
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.feature_priors import DRAW, FeaturePrior, draw_rows
from fastrec.solvers.losses import OPTIMIZERS, make_side
from fastrec.solvers.ridge import FeatureRidge

N, FACTORS, COLD = 40, 3, (4, 9)


def side_of(biased):
    rng = np.random.default_rng(0)
    rows = aligned_zeros(N, 16)
    rows[:, :FACTORS] = rng.normal(size=(N, FACTORS))
    side = make_side(rows, biased, OPTIMIZERS["sgd"], True)
    if biased:
        side.biases[:] = rng.normal(size=N)
    return side


def prior_of(side, identity):
    rng = np.random.default_rng(1)
    counts = np.full(N, 20)
    counts[list(COLD)] = 0
    ridge = FeatureRidge(check_matrix(rng.random((N, 4))), counts, 0.1, 1)
    return FeaturePrior(side, ridge, FACTORS, identity)


def priors_of(side):
    priors = side.priors.reshape(N, -1)
    return priors[:, :FACTORS] if side.bias_priors is None else np.c_[priors[:, :FACTORS], side.bias_priors]


def vectors_of(side):
    rows = side.rows.reshape(N, -1)[:, :FACTORS]
    return rows.copy() if side.bias_priors is None else np.c_[rows, side.biases]


@pytest.mark.parametrize("biased", [False, True])
def test_rows_are_drawn_half_the_way(biased):
    side = side_of(biased)
    spread = np.random.default_rng(2).normal(size=(N, FACTORS + biased)).astype(np.float32)
    draw_rows(side, spread, FACTORS)
    np.testing.assert_array_equal(priors_of(side), DRAW * spread)
    assert not side.priors.reshape(N, -1)[:, FACTORS:].any()


@pytest.mark.parametrize("biased", [False, True])
def test_rows_without_events_go_where_the_map_says_and_the_others_stay(biased):
    side = side_of(biased)
    prior, before = prior_of(side, True), vectors_of(side)
    expected, _ = prior.ridge.predict_apart(before, None, 5)
    prior.follow()
    after, warm = vectors_of(side), np.setdiff1d(np.arange(N), COLD)
    np.testing.assert_array_equal(after[warm], before[warm])
    np.testing.assert_array_equal(after[list(COLD)], expected[list(COLD)])
    np.testing.assert_array_equal(priors_of(side), DRAW * expected)
    mapping = prior.settle()
    np.testing.assert_array_equal(vectors_of(side)[list(COLD)], prior.ridge.spread(mapping)[list(COLD)])
    np.testing.assert_array_equal(vectors_of(side)[warm], before[warm])


@pytest.mark.parametrize("biased", [False, True])
def test_rows_that_cannot_stray_are_all_where_the_map_says(biased):
    side = side_of(biased)
    prior, before = prior_of(side, False), vectors_of(side)
    prior.follow()
    np.testing.assert_array_equal(vectors_of(side), prior.ridge.spread(prior.ridge.fit(before)))
