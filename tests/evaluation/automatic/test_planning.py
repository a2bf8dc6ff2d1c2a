"""The plan of a contest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.evaluation.automatic.families import Shape, families_for
from fastrec.evaluation.automatic.planning import EVENTS, FEWEST, MOST, parse_budget, plan_trials


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**9), st.floats(0.1, 1e5), st.integers(1, 64))
def test_a_plan_is_within_its_bounds_and_grows_with_the_budget(users, items, events, seconds, cores):
    contests = [
        (families_for(shape), shape)
        for has_times in (True, False)
        for shape in [Shape(users, items, events, has_times)]
    ]
    plan = plan_trials(contests, seconds, cores)
    assert FEWEST <= plan.trials <= MOST
    assert 0 < plan.share <= 1
    assert plan.share * events <= max(EVENTS, events if plan.share == 1 else 0) * 1.001
    assert plan_trials(contests, 2 * seconds, cores).trials >= plan.trials
    assert plan_trials(contests, seconds, 2 * cores).trials >= plan.trials
    assert plan_trials(contests[1:], seconds, cores).trials >= plan.trials
    assert plan_trials(contests[1:], seconds, cores).share == plan.share


def test_a_budget_is_a_span_of_time():
    assert parse_budget("2min") == 120
    with pytest.raises(ValueError, match="budget"):
        parse_budget("soon")
    with pytest.raises(ValueError, match="budget"):
        parse_budget(0)
