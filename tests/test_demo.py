"""The contents of the demo: facts, users, their films and neighbours; `tests/cli/test_demo.py` runs the command."""

from types import SimpleNamespace

import numpy as np
import pytest

import fastrec as fr
from fastrec.demo import (
    Reader,
    describe,
    fit_rules,
    next_films,
    pick_users,
    read_taste,
    reader_table,
    save_and_load,
    similar_films,
)

DAY = 86_400
TITLES = ["Alien (1979)", "Heat (1995)", "Fargo (1996)", "Brazil (1985)", "Gone"]


@pytest.fixture
def films():
    """Returns films: user 7 liked items 0 and 1, the latter last, and not item 2; user 8 had 1 and 3, user 9 had 1."""
    return fr.Interactions(
        [0, 0, 0, 1, 1, 2],
        [0, 1, 2, 1, 3, 1],
        [5, 4, 1, 5, 5, 3],
        np.array([0, 2, 3, 1, 4, 5]) * DAY,
        users=[7, 8, 9],
        items=[10, 11, 12, 13, 14],
        time_unit="s",
        item_info={"title": TITLES},
    )


def test_facts_are_what_one_asks_first(films):
    assert dict(describe(films)) == {
        "users": "3",
        "films": "5",
        "ratings": "6",
        "density": "40.0 % of all pairs",
        "time span": "1970-01-01 to 1970-01-06",
    }


def test_users_have_histories_of_every_length():
    report = SimpleNamespace(history=np.array([30, 5, 9, 1, 70, 12]), users=np.arange(6) + 100)
    users = pick_users(report)
    assert users == [101, 105, 104]
    assert all(type(user) is int for user in users)


def test_a_taste_is_what_was_liked_latest_first_and_a_star_for_what_was_watched_later(films):
    model = fr.Popularity().fit(films)
    later = fr.Interactions([0], [3], users=[7, 8, 9], items=[10, 11, 12, 13, 14])
    reader = read_taste(model, films, later, 7)
    assert reader.liked == ["Heat (1995)", "Alien (1979)"], "not what got one star of five"
    assert reader.recommended[0] == "Brazil (1985)"
    assert reader.watched == [title == "Brazil (1985)" for title in reader.recommended]


def test_tastes_of_different_lengths_stand_side_by_side():
    table = reader_table(Reader(7, ["Heat"], ["Alien", "Fargo"], [False, True]))
    assert table.rows == [["1", "Heat", "Alien"], ["2", "", "Fargo *"]]
    table = reader_table(Reader(7, ["Heat", "Brazil"], ["Alien"], [True]))
    assert table.rows == [["1", "Heat", "Alien *"], ["2", "Brazil", ""]]


def test_films_that_are_not_there_give_way_to_popular_ones(films):
    table = similar_films(fr.Popularity().fit(films), films, ["Fargo (1996)", "Vertigo (1958)"], k=3)
    assert table.columns == ["", "Fargo (1996)", "Heat (1995)"]
    assert all(len(row) == 3 for row in table.rows)
    near = {row[2] for row in table.rows} - {""}
    assert near <= {"Alien (1979)", "Fargo (1996)", "Brazil (1985)"}


def test_a_loaded_model_must_recommend_the_same(films, tmp_path, monkeypatch):
    model = fr.Popularity().fit(films)
    assert "same recommendations" in save_and_load(model, tmp_path / "demo.fastrec", 7)
    other = fr.Popularity().fit(films.select(films.values == 1))
    monkeypatch.setattr(fr, "load", lambda path: other)
    with pytest.raises(RuntimeError, match="recommends other items than the one that was saved"):
        save_and_load(model, tmp_path / "demo.fastrec", 7)


def test_the_next_film_has_the_film_watched_last_as_its_reason(films):
    table = next_films(fit_rules(films), films, 9)
    assert table.columns == ["", "just watched", "next", "because you just watched"]
    assert table.rows[0] == ["1", "Heat (1995)", "Fargo (1996)", "Heat (1995)"], "user 7 turned from Heat to Fargo"
    assert table.rows[1] == ["2", "", "Brazil (1985)", "Heat (1995)"], "and user 8 to Brazil"
    newest_first = [row[1] for row in next_films(fit_rules(films), films, 7).rows]
    assert newest_first == ["Fargo (1996)", "Heat (1995)", "Alien (1979)"]


def test_many_ties_are_no_warning_in_the_demo():
    users, items = np.repeat(np.arange(60), 40), np.tile(np.arange(40), 60)
    assert fit_rules(fr.Interactions(users, items, times=items // 4)).weights_.nnz
