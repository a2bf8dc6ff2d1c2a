"""Conditions on facts of items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.online.conditions import select_items
from fastrec.online.facts import read_column

FACTS = {
    "price": [5, 20.5, None, 5],
    "genres": ["War|Drama", "Drama", "", "a|b"],
    "new": [True, False, None, True],
    "mixed": [1, "1", True, ["x", "y"]],
}
COLUMNS = {name: read_column(np.array(column, object)) for name, column in FACTS.items()}


def chosen(where):
    return np.flatnonzero(select_items(where, COLUMNS.__getitem__, 4)).tolist()


@pytest.mark.parametrize(
    ("where", "items"),
    [
        ({}, [0, 1, 2, 3]),
        ({"price": 5}, [0, 3]),
        ({"price": {"=": 5.0}}, [0, 3]),
        ({"price": [5, 20.5]}, [0, 1, 3]),
        ({"price": {"in": []}}, []),
        ({"price": {">": 5}}, [1]),
        ({"price": {">=": 5, "<": 20.5}}, [0, 3]),
        ({"price": {"<=": 5}, "new": True}, [0, 3]),
        ({"price": None}, [2]),
        ({"price": {"not": None}}, [0, 1, 3]),
        ({"price": {"not": {"<": 10}}}, [1, 2]),
        ({"price": {"not": [5, None]}}, [1]),
        ({"genres": "Drama"}, [0, 1]),
        ({"genres": "War|Drama"}, [0]),
        ({"genres": "Dra"}, []),
        ({"genres": {"<": "E"}}, [1]),
        ({"new": False}, [1]),
        ({"new": {"not": True}}, [1, 2]),
        ({"mixed": 1}, [0]),
        ({"mixed": "1"}, [1]),
        ({"mixed": True}, [2]),
        ({"mixed": ["y", 1]}, [0, 3]),
        ({"mixed": {"<": 2}}, [0]),
        ({"mixed": {">": "0"}}, [1]),
        ({"price": {"not": {"not": {"not": 5}}}}, [1, 2]),
    ],
)
def test_conditions_choose(where, items):
    assert chosen(where) == items


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"price": "5"}, 'where.price must have the kind of the fact, which has numbers, got "5"'),
        ({"price": True}, "where.price must have the kind"),
        ({"price": {"<": "5"}}, "where.price.< must have the kind"),
        ({"new": {"<": True}}, "where.new.< must be a number or a text"),
        ({"price": {"<": None}}, "where.price.< must be a number or a text"),
        ({"price": {"<": [5]}}, "where.price.< must be a value"),
        ({"price": {"near": 5}}, "where.price has no operator 'near': there are =, in, <, <=, >, >=, not"),
        ({"price": {}}, "where.price must have an operator"),
        ({"price": {"in": 5}}, "where.price.in must be a list of values"),
        ({"price": {"=": [5]}}, "where.price.= must be a value"),
        ({"price": [[5]]}, "where.price must be a value"),
        ({"price": {"not": {"<": "a"}}}, "where.price.not.< must have the kind"),
    ],
)
def test_invalid_conditions_are_named(where, words):
    with pytest.raises(ValueError, match=words):
        chosen(where)


def test_conditions_are_not_nested_without_end():
    where = 5
    for _ in range(9):
        where = {"not": where}
    with pytest.raises(ValueError, match="more than 8 deep"):
        chosen({"price": where})


numbers = st.sampled_from([1, 2, 3, None])
orders = st.dictionaries(st.sampled_from(["<", "<=", ">", ">="]), st.integers(1, 3), min_size=1)
conditions = st.recursive(
    numbers | st.lists(numbers, max_size=3) | orders,
    lambda inner: st.builds(lambda one: {"not": one}, inner),
    max_leaves=4,
)  # fmt: skip


def holds(value, condition):
    """Evaluates the grammar plainly."""
    if isinstance(condition, list):
        return any(holds(value, one) for one in condition)
    if not isinstance(condition, dict):
        return value == condition
    known = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}
    return all(
        not holds(value, wanted) if name == "not" else value is not None and known[name](value, wanted)
        for name, wanted in condition.items()
    )


@given(conditions)
def test_numbers_are_chosen_as_by_the_plain_grammar(condition):
    values = [1, 2, 3, None, 2]
    mask = select_items({"n": condition}, lambda name: read_column(values), 5)
    assert mask.tolist() == [holds(value, condition) for value in values]
