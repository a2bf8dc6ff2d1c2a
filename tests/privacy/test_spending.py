"""Spending: shares of an epsilon, and no more."""

import numpy as np
import pytest

from fastrec.privacy import Budget, BudgetSpentError, Spending, epsilon_of, mu_of
from fastrec.privacy.gaussian import SIGMA


def test_shares_add_up_to_the_epsilon_that_was_asked_for():
    spending = Spending(2.0, 1e-6, 1000, seed=0)
    for share in (0.25, 0.75):
        unit = spending.unit(share)
        spending.release("sums", np.zeros(5, np.int64), unit)
    record = spending.record()
    assert 1.9999 < record["epsilon"] <= 2.0
    assert record["mu"] < mu_of(2.0, 1e-6)
    assert [release["numbers"] for release in record["releases"]] == [5, 5]


def test_more_than_the_whole_is_refused():
    spending = Spending(2.0, 1e-6, 1000, seed=0)
    unit = spending.unit(0.6)
    spending.release("once", np.zeros(1, np.int64), unit)
    with pytest.raises(RuntimeError, match="'twice' would spend more"):
        spending.release("twice", np.zeros(1, np.int64), unit)
    assert len(spending.record()["releases"]) == 1


def test_the_noise_has_the_size_that_mu_asks_for():
    spending = Spending(1.0, 1e-6, 10, seed=1)
    unit = spending.unit(1.0)
    noised = spending.release("nothing", np.zeros(50_000, np.int64), unit)
    assert noised.std() == pytest.approx(1 / mu_of(1.0, 1e-6), rel=0.02)
    assert spending.deviation(unit) == pytest.approx(SIGMA / unit)


def test_a_seed_repeats_the_noise_and_says_so():
    one, two = (Spending(1.0, 1e-6, 10, seed=3) for _ in range(2))
    draws = [spending.release("s", np.zeros(4, np.int64), spending.unit(1.0)) for spending in (one, two)]
    np.testing.assert_array_equal(*draws)
    assert one.record()["private"] is False
    assert Spending(1.0, 1e-6, 10).record()["private"] is True


@pytest.mark.parametrize(("epsilon", "delta", "users", "said"), [
    (0.0, 1e-6, 10, "epsilon"), (-1.0, 1e-6, 10, "epsilon"), (1e9, 1e-6, 10, "epsilon"), (1.0, 0.0, 10, "delta"),
    (1.0, 0.01, 100, "delta must be below 1 / users, which is 0.01 here"), (1.0, 1.0, 1, "delta"),
])  # fmt: skip
def test_a_budget_that_protects_no_user_is_refused(epsilon, delta, users, said):
    with pytest.raises(ValueError, match=said):
        Spending(epsilon, delta, users)


def test_a_budget_is_charged_before_anything_is_released(tmp_path):
    budget = Budget(tmp_path / "b", epsilon=3.0, delta=1e-6)
    first = Spending(2.0, 1e-6, 10, budget=budget)
    assert budget.epsilon_spent == pytest.approx(2.0, rel=1e-6)
    with pytest.raises(BudgetSpentError):
        Spending(2.9, 1e-6, 10, budget=budget)
    assert first.record()["budget"] == budget.id
    assert epsilon_of(first.mu, 1e-6) <= 2.0


def test_the_noise_is_paid_for_out_of_delta():
    with pytest.raises(ValueError, match=r"delta must be above 5.* at an epsilon of 100"):
        Spending(100.0, 1e-17, 10)
    assert Spending(100.0, 1e-12, 10, seed=0).mu < mu_of(100.0, 1e-12)
