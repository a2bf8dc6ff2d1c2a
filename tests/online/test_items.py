"""The items of a model, and updates of them."""

import numpy as np
import pytest

from fastrec.data import Interactions
from fastrec.models import Popularity
from fastrec.online import ItemUpdate
from fastrec.online import items as module
from fastrec.online.items import Items


@pytest.fixture
def model():
    info = {"title": ["Alien", "", "Clue"], "year": [1979.0, np.nan, 1985.0], "genres": ["Horror|SF", "SF", ""]}
    return Popularity().fit(Interactions([0, 0, 1], [0, 1, 2], items=["a", "b", "c"], item_info=info))


def test_without_updates_items_are_the_models(model):
    items = Items(model)
    assert items.shown is None
    assert items.titles([0, 1]) == ["Alien", None]
    assert items.facts_of("a") == {"title": "Alien", "year": 1979.0, "genres": "Horror|SF"}
    assert items.facts_of("b") == {"genres": "SF"}
    assert items.facts_of("z") is None
    assert items.fact_names() == ["genres", "title", "year"]
    assert items.select({"genres": "SF", "year": {"<": 1980}}).tolist() == [True, False, False]


def test_updates_are_laid_over_the_models_facts(model):
    items = Items(model).after([ItemUpdate("a", {"year": 2000, "price": 5}), ItemUpdate("z", {"title": "Zed"})])
    assert items.facts_of("a") == {"title": "Alien", "year": 2000, "genres": "Horror|SF", "price": 5}
    assert items.select({"year": {">": 1990}}).tolist() == [True, False, False]
    assert items.select({"price": None}).tolist() == [False, True, True]
    assert items.title_of("z") == "Zed"
    assert items.title_of("y") is None
    assert items.fact_names() == ["genres", "price", "title", "year"]
    later = items.after([ItemUpdate("a", {"title": None}), ItemUpdate("b", {"title": "Brazil"}, hidden=True)])
    assert later.titles([0, 1, 2]) == [None, "Brazil", "Clue"]
    assert later.shown.tolist() == [True, False, True]
    assert later.facts_of("a") == {"year": 1979.0, "genres": "Horror|SF"}
    assert items.titles([0, 1]) == ["Alien", None], "what was, stays"
    with pytest.raises(ValueError, match=r"where.price is a fact that no item has: there are 'genres', 'title'"):
        later.select({"price": 5})


def test_an_item_is_shown_until_it_is_hidden_or_removed_and_again(model):
    items = Items(model)
    for update, shown, known in (
        (ItemUpdate("a", {}, True), False, True),
        (ItemUpdate("a", {}, False), True, True),
        (ItemUpdate("a", {}, False, removed=True), False, False),
        (ItemUpdate("a", {"x": 1}, False), True, True),
    ):
        items = items.after([update])
        assert items.is_shown("a") is shown
        assert (items.shown is None) is shown
        assert (items.facts_of("a") is not None) is known
    assert not items.after([ItemUpdate("z", {}, True)]).is_shown("z"), "one that the model does not know, too"
    assert items.is_shown("y")


def test_titles_that_changed_and_items_that_are_new(model):
    updates = [ItemUpdate("a", {"title": "Aliens"}), ItemUpdate("c", {"title": None}), ItemUpdate("b", {"price": 1})]
    items = Items(model, [*updates, ItemUpdate("y", {}, True), ItemUpdate("z", {})])
    assert items.changed_titles() == {0: "Aliens", 2: "c"}
    assert items.new_items() == ["z"]
    assert Items(model).changed_titles() == {}


def test_masks_are_kept_and_bounded(model, monkeypatch):
    items = Items(model)
    where = {"genres": "SF"}
    assert not items.is_ready(where)
    assert items.select(where) is items.select(dict(where))
    assert items.is_ready(where)
    monkeypatch.setattr(module, "_MOST_MASKS", 2)
    for year in (1, 2):
        items.select({"year": year})
    assert not items.is_ready(where), "the oldest has made room"
    assert not items.after([ItemUpdate("z", {})]).is_ready({"year": 2})


def test_labels_say_which_items_belong_together(model):
    items = Items(model, [ItemUpdate("c", {"genres": ["SF"]})])
    together = items.labels("genres") @ items.labels("genres").T
    assert (together.toarray() > 0).tolist() == [[True, True, True], [True, True, True], [True, True, True]]
    assert items.labels("genres") is items.labels("genres")
