"""A -1 among ratings is warned of if it is likely to be no rating."""

import warnings

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrec as fr


def table_of(ratings):
    return pd.DataFrame({"user": range(len(ratings)), "item": [n % 3 for n in range(len(ratings))], "rating": ratings})


def test_ratings_of_which_some_are_minus_one():
    with pytest.warns(fr.UnratedWarning, match="33.3% of column 'rating' are -1, and all others are at least 0"):
        data = fr.read_interactions(table_of([-1, 8, 10]))
    assert data.values.tolist() == [-1, 8, 10]


def test_the_remedies_of_the_warning_end_it():
    table = table_of([-1, 8, 10, -1, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", fr.UnratedWarning)
        assert fr.read_interactions(table, value=False).values is None
    with pytest.warns(fr.UnratedWarning):
        data = fr.read_interactions(table)
    assert data.select(data.values >= 0).values.tolist() == [8, 10, 0]


def test_rows_that_are_not_taken_are_not_looked_at():
    table = table_of([-1, 8, 10]).assign(kind=["old", "new", "new"])
    assert fr.read_interactions(table, where={"kind": "new"}).values.tolist() == [8, 10]


@given(st.lists(st.sampled_from([-3, -2, -1, -0.5, 0, 0.5, 1, 4, 5]), min_size=1, max_size=12))
def test_only_a_lone_minus_one_below_ratings_is_warned_of(ratings):
    marked = -1 in ratings and max(ratings) > 1 and all(value == -1 or value >= 0 for value in ratings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fr.read_interactions(table_of(ratings))
    assert [one.category for one in caught if one.category is fr.UnratedWarning] == [fr.UnratedWarning] * marked
