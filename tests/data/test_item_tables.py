"""Titles and other facts about items, by the names that people give to columns."""

import pandas as pd
import pytest

import fastrec as fr

DATA = pd.DataFrame({"userID": [1, 2, 2], "artistID": [51, 51, 60]})


@pytest.mark.parametrize("name", ["name", "Book-Title", "product_name", "title", "original_title"])
@pytest.mark.parametrize("id_name", ["id", "artistID", "item_id"])
def test_usual_names_are_recognised(name, id_name):
    info = pd.DataFrame({id_name: [60, 51, 7], name: ["Sixty", "The Band", "None"], "url": ["x", "y", "z"]})
    data = fr.read_interactions(DATA, item_info=info)
    assert data.item_info["title"].tolist() == ["The Band", "Sixty"]
    assert sorted(data.item_info) == ["title", "url"]


def test_a_title_column_comes_before_a_name():
    info = pd.DataFrame({"id": [51, 60], "name": ["a", "b"], "title": ["A", "B"]})
    assert fr.read_interactions(DATA, item_info=info).item_info["title"].tolist() == ["A", "B"]


def test_columns_are_given_by_name_or_number(tmp_path):
    path = tmp_path / "movies.dat"
    path.write_bytes("51::A Film é (1975)::Drama\n60::Other::Comedy\n".encode("latin-1"))
    data = fr.read_interactions(DATA, item_info=path, items_id=0, title=1, encoding="latin-1")
    assert data.item_info["title"].tolist() == ["A Film é (1975)", "Other"]
    info = pd.DataFrame({"key": [51, 60], "label": ["A", "B"]})
    assert fr.read_interactions(DATA, item_info=info, items_id="key", title="label").titles([1]) == ["B"]


def test_titles_stand_in_the_table_itself():
    plays = DATA.assign(label=["The Band", "The Band (live)", "Sixty"])
    assert fr.read_interactions(plays, title="label").item_info["title"].tolist() == ["The Band", "Sixty"]


def test_missing_columns_are_named_in_the_tables_own_words():
    info = pd.DataFrame({"key": [51, 60], "label": ["A", "B"]})
    with pytest.raises(
        ValueError, match="the column of item ids was not recognised among 'key', 'label': name it with items_id="
    ):
        fr.read_interactions(DATA, item_info=info)
    with pytest.raises(ValueError, match="there is no column 'no' for items_id"):
        fr.read_interactions(DATA, item_info=info, items_id="no")


def test_a_few_texts_in_a_column_of_numbers_are_warned_of(tmp_path):
    bought = pd.DataFrame({"user": [0] * 30, "item": range(30)})
    prices = [f"{price}.5" for price in range(29)]
    pd.DataFrame({"item": range(30), "price": [*prices, "on request"]}).to_csv(tmp_path / "texts.csv", index=False)
    with pytest.warns(UserWarning, match=r"'price' is read as text, since 1 of its 30 values .* 'on request'"):
        data = fr.read_interactions(bought, item_info=tmp_path / "texts.csv")
    assert data.item_info["price"][29] == "on request"
    pd.DataFrame({"item": range(30), "price": [*prices, ""]}).to_csv(tmp_path / "gap.csv", index=False)
    assert fr.read_interactions(bought, item_info=tmp_path / "gap.csv").item_info["price"][0] == 0.5
