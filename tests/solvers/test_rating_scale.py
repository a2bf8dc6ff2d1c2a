import numpy as np
import pytest

from fastrec.solvers.rating_scale import RatingScale


def test_ratings_in_units_have_a_spread_of_one():
    ratings = np.random.default_rng(0).normal(40, 12, 300).astype(np.float32)
    scale = RatingScale.of(ratings)
    assert scale.in_units(ratings).std() == pytest.approx(1, rel=1e-5)
    assert scale.in_units(ratings).mean() == pytest.approx(scale.center, rel=1e-5)


def test_ratings_that_do_not_differ_are_left_as_they_are():
    assert RatingScale.of(np.empty(0, np.float32)) == RatingScale(0, 1)
    ratings = np.full(3, 7, np.float32)
    assert RatingScale.of(ratings).in_units(ratings) is ratings
