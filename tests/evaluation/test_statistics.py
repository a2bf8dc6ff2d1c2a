import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastrec.evaluation.statistics import holm, mean_interval, paired_p_value


def test_analytic_interval_is_scipys_t_interval():
    values = np.random.default_rng(0).random(40)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    mean, low, high, n = mean_interval(values, confidence=0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert (mean, n) == (pytest.approx(values.mean()), 40)


@pytest.mark.parametrize("method", ["analytic", "bootstrap"])
def test_intervals_of_degenerate_samples(method):
    assert np.isnan(mean_interval(np.array([]), method=method)[:3]).all()
    assert np.isnan(mean_interval(np.array([np.nan, np.nan]), method=method)[0])
    assert mean_interval(np.array([0.5]), method=method)[0] == 0.5
    assert np.isnan(mean_interval(np.array([0.5]), method=method)[1])
    assert mean_interval(np.array([1.0, 1.0, np.nan]), method=method) == (1.0, 1.0, 1.0, 2)


@pytest.mark.parametrize("method", ["analytic", "bootstrap"])
def test_intervals_cover_the_truth_as_often_as_they_say(method):
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        sample = rng.beta(0.5, 1.5, 80)  # as skewed as a metric with many zeros; its mean is 1/4
        _, low, high, _ = mean_interval(sample, method=method, random_state=seed)
        covered += low <= 0.25 <= high
    assert 180 <= covered <= 199


@pytest.mark.parametrize("method", ["analytic", "bootstrap"])
def test_intervals_by_user_cover_the_truth_where_values_of_a_user_are_alike(method):
    rng = np.random.default_rng(1)
    covered = {"by user": 0, "by value": 0}
    for seed in range(200):
        counts = rng.integers(1, 9, 80)
        groups = np.repeat(np.arange(80), counts)
        values = np.repeat(rng.beta(0.5, 1.5, 80), counts)
        for name, of in (("by user", groups), ("by value", None)):
            _, low, high, _ = mean_interval(values, groups=of, method=method, random_state=seed)
            covered[name] += low <= 0.25 <= high
    assert 180 <= covered["by user"] <= 199
    assert covered["by value"] < 150


def test_an_interval_by_user_is_that_of_values_where_each_user_has_one():
    values = np.random.default_rng(0).random(40)
    alone = mean_interval(values, groups=np.arange(40)[::-1] * 3)
    assert alone == pytest.approx(mean_interval(values))
    assert mean_interval(np.array([1.0, 3.0, np.nan]), groups=np.array([2, 2, 5]))[::3] == (2.0, 1)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(holm([0.9, 0.8]), [1.0, 1.0])
    assert holm([]).shape == (0,)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_order_and_never_helps(p_values):
    p, corrected = np.array(p_values), holm(p_values)
    assert np.all(corrected >= p)
    assert np.all(corrected <= np.minimum(1.0, len(p) * p.max()) + 1e-12)
    assert np.all(np.diff(corrected[np.argsort(p, kind="stable")]) >= 0)


@pytest.mark.parametrize("test", ["wilcoxon", "randomization"])
def test_p_values_are_uniform_where_nothing_differs(test):
    rng = np.random.default_rng(2)
    small = sum(paired_p_value(rng.normal(size=12), test=test) < 0.2 for _ in range(100))
    assert 8 <= small <= 34


def test_few_users_are_enumerated():
    # Two users: of the four ways to flip signs, the two extreme ones are as large.
    assert paired_p_value(np.array([1.0, 2.0]), test="randomization") == 0.5


@pytest.mark.parametrize("test", ["wilcoxon", "randomization"])
def test_users_without_a_value_are_left_out(test):
    differences = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    with_gap = np.append(differences, np.nan)
    assert paired_p_value(with_gap, test=test) == paired_p_value(differences, test=test)
    assert paired_p_value(np.array([np.nan]), test=test) == 1.0


@pytest.mark.parametrize("test", ["wilcoxon", "randomization"])
def test_the_rounding_of_floating_point_numbers_is_no_difference(test):
    rng = np.random.default_rng(0)
    differences = rng.integers(-2, 3, 40) / 3
    noise = rng.normal(0, 1e-16, 40)
    assert paired_p_value(differences + noise, test=test) == paired_p_value(differences, test=test)
    assert paired_p_value(np.array([0.1 + 0.2 - 0.3] * 30), test=test) == 1.0
    large = 1e6 * differences + 1e6 * noise
    assert paired_p_value(large, test=test, scale=1e6) == paired_p_value(differences, test=test)
