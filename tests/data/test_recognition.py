"""Columns recognised by their names, and a first line that names them or does not."""

import numpy as np
import pandas as pd
import pytest

import fastrec as fr
from fastrec.data.recognition import begins_with_header, recognise, refuse_table
from tests.data.tables import CSV, write


def test_columns_in_two_roles_are_refused(tmp_path):
    with pytest.raises(ValueError, match="different columns"):
        fr.read_interactions(write(tmp_path, CSV), user="movieId", item="movieId")
    with pytest.raises(TypeError, match="user must be the name or number"):
        fr.read_interactions(write(tmp_path, CSV), user=False)


@pytest.mark.parametrize(
    "names",
    [
        "userId movieId rating timestamp", "user_id item_id rating timestamp", "User-ID ISBN Book-Rating x",
        "visitorid itemid x timestamp", "uid iid value ts", "reviewerID asin overall unixReviewTime",
        "CustomerID StockCode Quantity InvoiceDate", "user track plays time", "session_id product_id count date",
        "user_id parent_asin rating timestamp", "userID artistID weight x", "USER_ID ITEM_ID EVENT_VALUE TIMESTAMP",
    ],
)  # fmt: skip
def test_usual_names_are_recognised(names):
    roles = recognise(names.split(), user=None, item=None, value=None, time=None)
    assert roles[:2] == (0, 1)
    assert roles.value in (2, None)
    assert roles.time in (3, None)


def test_general_names_win_over_special_ones():
    roles = recognise(["session_id", "user_id", "movie_id", "item_id"], user=None, item=None, value=None, time=None)
    assert roles[:2] == (1, 3)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"user": "who"}, "'who'"),
        ({"user": 3}, "3"),
        ({"value": "stars"}, "'stars'"),
        ({"user": "movie_id", "item": "movie_id"}, "must be different columns"),
    ],
)
def test_columns_that_are_not_there_or_taken_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        recognise(["user_id", "movie_id", "rating"], **dict.fromkeys(("user", "item", "value", "time")) | chosen)


def test_a_chosen_column_wins_and_a_role_may_have_none():
    names = ["user_id", "movie_id", "rating", "votes"]
    assert recognise(names, user=None, item=None, value="votes", time=None) == (0, 1, 3, None, None)
    assert recognise(names, user=1, item=0, value=False, time=None) == (1, 0, None, None, None)


NUMBERED = {"user": 0, "item": 1}


@pytest.mark.parametrize(
    ("first", "header", "chosen", "expected"),
    [
        (["1", "2"], True, NUMBERED, True),
        (["user", "item"], False, NUMBERED, False),
        (["a", "b"], None, {"user": "a", "item": 1}, True),  # a caller who names a column says that there are names
        (["1", "b", "c"], None, NUMBERED, False),
        (["a", "b", "2020-01-31 10:00"], None, NUMBERED, False),
        (["a", "b", "-1.5e3"], None, NUMBERED, False),
        (["user", "film", "5"], None, NUMBERED, True),
    ],
)
def test_a_first_line_is_known_by_its_fields(first, header, chosen, expected):
    assert begins_with_header(first, header, chosen) is expected


def test_a_first_line_of_words_is_asked_about():
    with pytest.raises(ValueError, match="the first line, 'ann', 'heat', may name the columns"):
        begins_with_header(["ann", "heat"], None, NUMBERED)


def test_a_table_of_interactions_is_no_matrix():
    table = pd.DataFrame({"user_id": [1], "movieId": [2]})
    with pytest.raises(TypeError, match=r"got a table with the columns 'user_id', 'movieId': make Interactions"):
        refuse_table(table, "X")
    for matrix in (np.eye(2), pd.DataFrame(np.eye(2)), pd.DataFrame(np.eye(2), columns=["user", "x"]), [[1]], None):
        refuse_table(matrix, "X")
