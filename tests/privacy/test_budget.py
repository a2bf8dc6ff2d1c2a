"""The budget file is charged by everybody who names it, and never beyond the budget."""

import concurrent.futures

import pytest

from fastrec.privacy import Budget, BudgetSpentError, mu_of


@pytest.fixture
def budget(tmp_path):
    return Budget(tmp_path / "users.budget", epsilon=2.0, delta=1e-6)


def test_a_charge_stays_charged(budget):
    budget.charge(mu_of(1.0, 1e-6), "first")
    again = Budget(budget.path)
    assert (again.epsilon, again.delta, again.id) == (2.0, 1e-6, budget.id)
    assert [what for what, _ in again.charges()] == ["first"]
    assert again.epsilon_spent == pytest.approx(1.0)


def test_all_of_it_can_be_spent_and_no_more(budget):
    budget.charge(mu_of(2.0, 1e-6), "all")
    with pytest.raises(BudgetSpentError, match=r"spent up to 2: 'more' would make it 2\.0"):
        budget.charge(0.1, "more")
    assert len(budget.charges()) == 1


def test_many_at_once_cannot_spend_more_than_there_is(budget):
    share = mu_of(2.0, 1e-6) / 3  # nine of them are the whole

    def charge(number):
        try:
            budget.charge(share, str(number))
        except BudgetSpentError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(charge, range(15))) == 9


def test_a_file_that_is_not_there_or_none_of_these_is_refused(tmp_path, budget):
    with pytest.raises(FileNotFoundError, match=r"make it by Budget\(path, epsilon="):
        Budget(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello" * 1000)
    with pytest.raises(ValueError, match="is not a budget"):
        Budget(tmp_path / "text")
    with pytest.raises(ValueError, match="has the epsilon 2, not 3"):
        Budget(budget.path, epsilon=3.0, delta=1e-6)
    with pytest.raises(ValueError, match="delta"):
        Budget(tmp_path / "new", epsilon=3.0, delta=2.0)
    assert not (tmp_path / "new").exists()
