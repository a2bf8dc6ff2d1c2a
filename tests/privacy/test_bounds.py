"""Lower bounds: exact intervals, above the bounded value only as rarely as they say, and near it."""

import numpy as np
import pytest
from scipy.stats import beta, binomtest, norm

from fastrec.privacy.bounds import FIRST, _epsilons, _lower, area_under_curve, bound_epsilon, bound_mu


def gaussian_scores(mu, n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(mu, 1, n), rng.normal(0, 1, n)


def test_chances_are_bounded_as_scipy_does():
    for successes, trials, confidence in ((0, 10, 0.95), (1, 10, 0.9), (7, 10, 0.999), (10, 10, 0.95)):
        interval = binomtest(successes, trials, alternative="greater").proportion_ci(confidence, "exact")
        assert _lower(successes, trials, confidence) == pytest.approx(interval.low, rel=1e-9)


def test_a_bound_of_mu_is_what_right_guesses_give():
    inside, outside = np.ones(100), np.zeros(100)
    right = 2 * int(100 * (1 - FIRST))  # all numbers that are counted
    assert bound_mu(inside, outside, 0.95) == pytest.approx(2 * norm.ppf(beta.ppf(0.05, right, 1)), rel=1e-9)


@pytest.mark.parametrize("mu", [0.27, 1.0, 2.0])
def test_bounds_are_near_and_rarely_above(mu):
    bounds = [bound_mu(*gaussian_scores(mu, 5000, seed), 0.95) for seed in range(100)]
    assert sum(bound > mu for bound in bounds) <= 12  # 5 are expected
    assert 0.8 * mu < np.median(bounds) < mu
    assert max(bound_mu(*gaussian_scores(mu, 5000, seed), 0.9999) for seed in range(100)) < mu


def test_epsilon_is_bounded_without_a_word_on_the_noise():
    """Randomised response tells the truth with a chance of e^ε / (1 + e^ε)."""
    rng, truth = np.random.default_rng(0), np.exp(1.0) / (1 + np.exp(1.0))
    bounds = []
    for _ in range(50):
        inside, outside = rng.random(4000) < truth, rng.random(4000) > truth
        bounds.append(bound_epsilon(inside.astype(float), outside.astype(float), 0.0, 0.95))
    assert 0.8 < np.median(bounds) < 1.0
    assert sum(bound > 1 for bound in bounds) <= 6


def test_a_user_who_is_published_once_in_a_while_shows_in_epsilon():
    rng = np.random.default_rng(1)
    inside, outside = rng.normal(0, 1, 5000), rng.normal(0, 1, 5000)
    inside[rng.random(5000) < 0.05] = 100
    assert bound_epsilon(inside, outside, 1e-6, 0.95) > 3
    assert bound_mu(inside, outside, 0.95) < 0.5


def test_delta_is_taken_off():
    inside, outside = np.ones(1000), np.zeros(1000)
    assert bound_epsilon(inside, outside, 0.9, 0.95) < bound_epsilon(inside, outside, 0.0, 0.95)
    assert bound_epsilon(inside, outside, 1.0, 0.95) == 0


def test_scores_that_say_nothing_bound_nothing():
    same = np.full(100, 3.0)
    assert bound_mu(same, same, 0.95) == 0
    assert bound_epsilon(same, same, 1e-6, 0.95) == 0
    assert area_under_curve(same, same) == 0.5


def test_both_sides_of_a_threshold_are_looked_at():
    inside = np.array([0.0] * 50 + [1.0] * 50)
    outside = np.zeros(100)
    above, below = _epsilons(inside, outside, np.array([0.0]), 0.0, 0.95)[0]
    assert above > below > 0
    swapped = _epsilons(-outside, -inside, np.array([-0.5]), 0.0, 0.95)[0]
    assert swapped[1] == pytest.approx(above)


def test_a_bound_of_two_chances_shares_the_confidence_between_them():
    # Always told apart, 800 times each: Clopper and Pearson's bounds have a closed form there.
    likely = 0.025 ** (1 / 800)
    found = bound_epsilon(np.ones(1000), np.zeros(1000), 0.0, 0.95)
    assert found == pytest.approx(np.log(likely / (1 - likely)))
