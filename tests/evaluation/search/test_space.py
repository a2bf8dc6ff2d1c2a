"""Candidates and combinations."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import loguniform, randint

import fastrec as fr
from fastrec.evaluation.search.space import _combination, _places, check_candidates, draw_combinations, list_grid
from tests.evaluation.search.models import als, told


def test_draws_are_the_same_by_seed_and_come_from_the_distributions(data):
    space = {"alpha": loguniform(0.1, 100), "factors": randint(2, 6), "regularization": [0.01, 0.1]}
    first = fr.search(als(), space, data, n_trials=6, cv=0.2, refit=False)
    again = fr.search(als(), space, data, n_trials=6, cv=0.2, refit=False, n_jobs=2)
    other = fr.search(als(), space, data, n_trials=6, cv=0.2, refit=False, random_state=1)
    assert told(first) == told(again)
    assert [t.options for t in first.trials] != [t.options for t in other.trials]
    for trial in first.trials[1:]:
        assert 0.1 <= trial.options["alpha"] <= 100
        assert type(trial.options["factors"]) is int
        assert 2 <= trial.options["factors"] < 6
    assert first.model is None


def test_lists_alone_are_drawn_without_repeats(data):
    found = fr.search(als(factors=3), {"factors": [2, 3]}, data, n_trials=9, cv=0.2, refit=False)
    assert sorted(trial.options["factors"] for trial in found.trials) == [2, 3]


def test_a_long_grid_is_drawn_from_without_being_made(data):
    space = {
        "factors": [2, 3],
        "alpha": [float(a) for a in range(1, 2000)],
        "regularization": [r / 1000 for r in range(1, 2000)],
        "random_state": list(range(10**6)),
        "warm_start": [False] * 10**6,
        "tol": [0.0] * 10**3,
    }
    few = draw_combinations(space, 3, seed=0)
    more = draw_combinations(space, 50, seed=0)
    assert more[:3] == few
    assert all(sorted(draw) == sorted(space) for draw in more)
    assert len({draw["random_state"] for draw in more}) > 40


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 5))
def test_places_of_a_grid_are_drawn_once_each(total, n, seed):
    places = _places(total, n, seed)
    assert len(set(places)) == len(places) == min(n, total)
    assert set(places) <= set(range(total))
    assert _places(total, n + 1, seed)[: len(places)] == places


def test_a_place_is_that_of_the_grid():
    space = {"b": [1, 2, 3], "a": ["x", "y"]}
    assert [_combination(space, place) for place in range(6)] == list_grid(space)


def test_candidates_in_a_set_have_one_order(data):
    options = {"cv": 0.2, "refit": False, "method": "grid"}
    listed = [fr.search(als(), {"alpha": made}, data, **options).trials for made in ({3.0, 1.0, 2.0}, {2.0, 3.0, 1.0})]
    assert [trial.options for trial in listed[0]] == [trial.options for trial in listed[1]]
    names = "abcdefgh"  # in a set of another process they come in another order
    code = f"from fastrec.evaluation.search.space import check_candidates as c; print(c('loss', set('{names}')))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == str(check_candidates("loss", set(names)))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space must map at least one option"),
        ({"n_factors": [2]}, "ImplicitALS has no option 'n_factors'; here it is called 'factors'"),
        ({"factors": []}, r"space\['factors'\] is empty"),
        ({"factors": 3}, r"space\['factors'\] must be a list of candidates or a distribution"),
        ({"dtype": "float16"}, r"space\['dtype'\] must be a list"),
    ],
)
def test_a_bad_space_is_named(data, space, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fr.search(als(), space, data)


def test_a_distribution_without_its_arguments_is_named(data):
    with pytest.raises(
        TypeError, match=r"space\['factors'\] is randint without its arguments: give randint\(low, high"
    ):
        fr.search(als(), {"factors": randint}, data)


def test_a_grid_takes_lists_alone(data):
    with pytest.raises(ValueError, match=r"space\['alpha'\] is a distribution: take method='random'"):
        fr.search(als(), {"alpha": loguniform(1, 2)}, data, method="grid")
