"""Families of models: their classes accept all that their spaces draw."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.evaluation.automatic.families import FAMILIES, OneOf, Range, Shape, families_for, forms_of
from fastrec.options import check_options

SHAPE = Shape(100, 50, 900, True)


@pytest.mark.parametrize("family", families_for(SHAPE), ids=lambda family: family.name)
@given(st.integers(0, 2**32 - 1))
def test_classes_accept_the_drawn_options(family, seed):
    rng = np.random.default_rng(seed)
    drawn = family.draw(rng)
    for options in (drawn, family.near(drawn, rng), family.near({}, rng)):
        assert set(options) == set(family.space) <= set(inspect.signature(family.kind).parameters)
        check_options(family.make(options, "log", 0, 1))


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e4), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_range_draws_between_its_ends(low, ratio, linear, seed):
    values, rng = Range(low, low * ratio, linear=linear), np.random.default_rng(seed)
    for value in (values.draw(rng), values.near(low, rng), values.near(low * ratio, rng), values.near(0.0, rng)):
        assert low * 0.99 <= value <= low * ratio * 1.01


def test_one_of_some_stays_one_of_them():
    rng = np.random.default_rng(0)
    values = OneOf(("a", "b"))
    near = [values.near("a", rng) for _ in range(200)]
    assert set(near) == {"a", "b"}
    assert near.count("a") > 120


def test_near_the_defaults_is_not_anywhere():
    rng = np.random.default_rng(0)
    families = {family.name: family for family in families_for(SHAPE)}
    near = [families["EASE"].near({}, rng)["regularization"] for _ in range(50)]
    assert 60 < min(near) < 200 < max(near) < 650  # the default is 200, and a sixth of the range a factor of 3.2
    anywhere = [families["ImplicitALS"].near({}, rng)["factors"] for _ in range(50)]  # the class chooses by the data
    assert min(anywhere) < 24 < 128 < max(anywhere)


def test_the_shape_decides_what_is_tried():
    names = [family.name for family in families_for(SHAPE)]
    assert {"EASE", "SequenceRules", "LinearSequence"} <= set(names)
    assert len(names) == len(set(names))
    without = families_for(SHAPE._replace(has_times=False))
    assert not any(family.name.startswith(("Sequence", "Linear")) for family in without)
    assert all("recency" not in family.space for family in without)
    wide = families_for(SHAPE._replace(items=100_000))
    for name in ("EASE", "LinearSequence"):
        assert [family.fixed for family in wide if family.name == name] == [{"method": "sparse", "neighbors": 128}]
    assert next(family for family in families_for(SHAPE) if family.name == "EASE").space["recency"].values[0] == 1.0


@pytest.mark.parametrize(
    ("users", "events", "tried"), [(30_000, 800_000, True), (30_000, 100_000, False), (300_000, 8_000_000, False)]
)
def test_singular_vectors_are_left_out_where_they_take_long_or_events_are_few_for_their_cost(users, events, tried):
    names = [family.name for family in families_for(Shape(users, 20_000, events, False))]
    assert ("GraphFilter" in names) == tried


def test_passes_over_many_events_are_left_out():
    names = {n: [family.name for family in families_for(Shape(9000, 3000, n, False))] for n in (400_000, 600_000)}
    assert ("SGDFactorization" in names[400_000], "SGDFactorization" in names[600_000]) == (True, False)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_more_data_takes_longer(family):
    small, large = Shape(1000, 500, 20_000, True), Shape(4000, 5000, 900_000, True)
    assert 0 < family.seconds(small) < family.seconds(large)


def test_penalties_are_searched_around_what_the_class_takes_by_itself():
    short, long = (SHAPE._replace(users=9000, items=3000, events=events) for events in (30_000, 900_000))
    ranges = [
        next(family for family in families_for(shape) if family.name == "ImplicitALS").space["regularization"]
        for shape in (short, long)
    ]
    assert ranges[0].low > 2 * ranges[1].low
    assert ranges[0].high == pytest.approx(9 * ranges[0].low)


def test_only_models_that_read_values_get_their_form():
    found = {family.name: family.make({}, "binary", 0, 1).get_params() for family in families_for(SHAPE)}
    assert {name for name, params in found.items() if params.get("weighting") == "binary"} == {
        "EASE", "GraphFilter", "ImplicitALS", "ItemKNN", "UserKNN",
    }  # fmt: skip


def test_forms_that_say_the_same_are_one():
    assert forms_of(Interactions([0, 1], [0, 1])) == forms_of(Interactions([0, 1], [0, 1], [2, 2])) == ["raw"]
    assert forms_of(Interactions([0, 1], [0, 1], [2, 9])) == ["binary", "log", "raw"]
