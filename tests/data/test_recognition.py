"""Columns recognised by their names, and a first line that names them or does not."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastrec as fr
from fastrec.data.recognition import _NAMES, begins_with_header, recognise, recognise_item_columns, refuse_table
from tests.data.tables import CSV, write

ROOT = Path(__file__).parents[2]
UNNAMED = {"user": None, "item": None, "value": None, "time": None}


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


@pytest.mark.parametrize(
    "user", ["Customer No", "Customer No.", "customer number", "customer_no", "Client", "Client-No:token", "CUST_ID"]
)
@pytest.mark.parametrize(
    "item", ["ISBN", "isbn13", "ISBN-13", "EAN", "gtin", "Article", "article_no", "Product No", "item number", "UPC"]
)
def test_names_of_shops_are_recognised(user, item):
    assert recognise([user, item, "Event", "Qty", "Date"], **UNNAMED, event=None) == (0, 1, 3, 4, 2)
    assert recognise_item_columns(["Price", item, "Title"], item=None, title=None) == (1, 2)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Kunden-Nr.", "Artikelnr", "Menge", "Datum", "Ereignis"], (0, 1, 2, 3, 4)),
        (["Id_Client", "Produit", "Quantité", "Date", "Événement"], (0, 1, 2, 3, 4)),
        (["Usuario", "Artículo", "Puntuación", "Fecha", "Evento"], (0, 1, 2, 3, 4)),
        (["Artikel", "user_id", "product_id", "Menge", "Anzahl", "qty", "Datum", "date"], (1, 2, 5, 7, None)),
    ],
)
def test_names_of_other_languages_are_recognised_after_the_english_ones(names, expected):
    assert recognise(names, **UNNAMED, event=None) == expected


@pytest.mark.parametrize("name", ["hours", "hours_played", "Playtime", "playtime_forever", "minutes"])
def test_times_played_are_values_if_there_is_no_other(name):
    assert recognise(["user_id", "game", name], **UNNAMED).value == 2
    assert recognise(["user_id", "game", name, "rating"], **UNNAMED).value == 3


def test_numbers_and_codes_of_articles_give_way_to_their_ids():
    assert recognise(["EAN", "article_no", "product_id", "customer_no", "email"], **UNNAMED)[:2] == (3, 2)
    assert recognise(["EAN", "article_no", "customer_no", "customer_id"], **UNNAMED)[:2] == (3, 1)
    assert recognise_item_columns(["isbn13", "isbn", "title"], item=None, title=None) == (1, 2)
    with pytest.raises(ValueError, match="item column could be any of 'EAN', 'GTIN'"):
        recognise(["EAN", "GTIN", "customer_no"], **UNNAMED)


def test_orders_by_number_without_users_are_told_to_join():
    with pytest.raises(ValueError, match="if another table has the users of the orders, join the two first"):
        recognise(["Order No", "Article No", "Qty"], **UNNAMED)


def test_the_documentation_lists_every_recognised_name():
    lines = (ROOT / "docs" / "how-to" / "reading.md").read_text(encoding="utf-8").splitlines()
    first = lines.index("| column | names |") + 2
    listed = [line.split("|")[2] for line in lines[first : first + len(_NAMES)]]
    written = [tuple(" ".join(re.findall("`(.*?)`", group)) for group in names.split(";")) for names in listed]
    assert written == list(_NAMES.values())
    assert not lines[first + len(_NAMES)]


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
        ([" a", "b ", " 2"], None, NUMBERED, False),
        (["a", "b", "31.01.2020 10:00"], None, NUMBERED, False),
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
