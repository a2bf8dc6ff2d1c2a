"""Searches in titles and ids."""

import pytest

from fastrec.data import Interactions
from fastrec.models import Popularity
from fastrec.online import Items, ItemUpdate, Snapshot
from fastrec.serving.catalogue import Catalogue, Titles

TITLES = ["The Alien", "Alien", "Brazil", "An alienist"]


@pytest.fixture(scope="module")
def model():
    users, items = [0, 1, 2, 0, 1, 0, 3], [3, 3, 3, 2, 2, 0, 1]
    data = Interactions(
        users, items, users=["ann", "anna", "bob", "b2"], items=[7, 8, 9, 10], item_info={"title": TITLES}
    )
    return Popularity().fit(data)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", [3, 2, 0, 1]),  # the most popular
        ("alien", [1, 3, 0]),  # titles that begin so, then those with a word that does, the more popular first
        ("ALIEN the", [0]),
        ("9", [2]),  # an id
        ("nothing", []),
    ],
)
def test_items_by_words(model, wanted, found):
    found = [7 + code for code in found]
    assert Titles(model).find_items(Items(model), wanted, 10) == found


def test_items_are_searched_as_updates_have_made_them(model):
    updates = [ItemUpdate(8, {}, hidden=True), ItemUpdate(9, {"title": "Aliens"}), ItemUpdate(70, {"title": "Alien 3"})]
    items, titles = Items(model, [*updates, ItemUpdate(71, {}, removed=True)]), Titles(model)
    assert titles.find_items(items, "alien", 10) == [9, 10, 7, 70]
    assert titles.find_items(items, "brazil", 10) == []
    assert titles.find_items(items, "alien", 2) == [9, 10]
    assert titles.find_items(items, "", 10) == [10, 9, 7]
    assert titles.find_items(items, "70", 10) == [70]


@pytest.mark.parametrize(("wanted", "found"), [("an", ["ann", "anna"]), ("b", ["b2", "bob"]), ("x", [])])
def test_users_by_how_they_begin(model, wanted, found):
    assert Titles(model).find_users(wanted, 10) == found


def test_titles_are_made_once_for_each_model(model):
    catalogue = Catalogue()
    first = catalogue.get(Snapshot(model))
    assert catalogue.get(Snapshot(model, version="2")) is first
    assert catalogue.get(Snapshot(Popularity().fit([[1, 0]]))) is not first
