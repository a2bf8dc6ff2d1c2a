"""Settings of iALS by the size of the data: in units that follow the data."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers import als_settings
from fastrec.solvers.als_settings import DataSize, choose_alpha, choose_factors, choose_regularization


def random(n_users, n_items, density, seed=0):
    return (np.random.default_rng(seed).random((n_users, n_items)) < density).astype(np.float32)


def test_rows_and_columns_without_events_are_not_met():
    X = np.zeros((6, 9), np.float32)
    X[1, 2], X[1, 3], X[4, 3] = 2, 3, 4
    assert DataSize.of(check_matrix(X)) == DataSize((6, 9), (2, 2), 3, 9.0)


def test_all_feedback_weighs_a_tenth_of_all_cells():
    size = DataSize((400, 300), (400, 300), 5000, 15_000.0)
    assert choose_alpha(size) * 15_000 == pytest.approx(0.1 * 400 * 300)


def test_short_histories_ask_for_a_stronger_penalty():
    few, many = (DataSize((5000, 2000), (5000, 2000), n, float(n)) for n in (15_000, 600_000))
    weak, strong = (choose_regularization(size, choose_alpha(size), 1.0) for size in (many, few))
    assert 0.005 < weak < 0.02 < strong < 0.1


@pytest.mark.parametrize(("length", "share"), [(1, 1.25), (5, 1.25), (6.5, 1.125), (8, 1.0), (200, 1.0)])
def test_the_penalty_grows_by_a_fourth_where_histories_are_very_short(length, share, monkeypatch):
    size = DataSize((500, 900), (500, 900), int(500 * length), 500.0 * length)
    longer = choose_regularization(size, choose_alpha(size), 1.0)
    monkeypatch.setattr(als_settings, "SHORT", 0.0)
    assert longer == pytest.approx(share * choose_regularization(size, choose_alpha(size), 1.0))


def test_users_without_events_hold_the_penalty_in_balance():
    plain, padded = DataSize((50, 40), (50, 40), 300, 300.0), DataSize((5000, 40), (50, 40), 300, 300.0)
    balanced = [
        choose_regularization(size, 0.5, 1.0) * np.sqrt((size.shape[0] + 0.5 * 7.5) * (40 + 0.5 * 6))
        for size in (plain, padded)
    ]
    assert balanced[0] == pytest.approx(balanced[1])


def test_values_of_another_unit_change_nothing():
    ones, hundreds = DataSize((50, 40), (50, 40), 300, 300.0), DataSize((50, 40), (50, 40), 300, 30_000.0)
    penalties = [choose_regularization(size, choose_alpha(size), 1.0) for size in (ones, hundreds)]
    assert penalties[0] == pytest.approx(penalties[1])


def test_the_penalty_is_a_share_of_that_at_which_noise_is_learned():
    X = random(900, 700, 0.02)
    size, values = DataSize.of(check_matrix(X)), np.linalg.svd(X - X.mean(), compute_uv=False)
    alpha = 0.1 / 0.02
    noise = (1 + alpha) * values[0] / np.sqrt(900 * 700) / 1.1
    assert choose_regularization(size, alpha, 1.0) == pytest.approx(0.55 * noise, rel=0.1)


def test_another_exponent_gives_the_same_penalty_to_a_row_of_mean_weight():
    size = DataSize((90, 40), (90, 40), 500, 500.0)
    alpha = choose_alpha(size)
    mean = 1.1 * np.sqrt(90 * 40)
    plain, scaled = (choose_regularization(size, alpha, exponent) for exponent in (0.0, 1.0))
    assert plain == pytest.approx(scaled * mean)


@pytest.mark.parametrize(
    ("met", "factors"), [((1, 1), 16), ((400, 1682), 96), ((40_000, 290), 80), ((10**6, 10**6), 128)]
)
def test_factors_grow_with_the_lesser_side(met, factors):
    assert choose_factors(DataSize(met, met, 1, 1.0)) == factors


def test_data_without_events_has_settings():
    nothing = DataSize((3, 4), (0, 0), 0, 0.0)
    assert (choose_factors(nothing), choose_alpha(nothing)) == (16, 1.0)
    assert choose_regularization(nothing, 1.0, 1.0) > 0
