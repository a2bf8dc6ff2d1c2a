"""Values of each kind in files."""

import pickle

import numpy as np
import pytest

from fastrec.data import Interactions
from fastrec.models import Popularity, load, save


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.fastrec"


def named_data(**options):
    return Interactions([0, 0, 1], [0, 1, 2], [1.0, 2.0, 3.0], users=["ann", "bøb"], items=["a", "b/c", ""], **options)


def test_facts_about_items_of_all_kinds_travel(path):
    info = {
        "title": ["É", "", "b\0c"],
        "year": np.array([1990, 2000, 2010], np.int16),
        "seen on": np.array(["2020-01-01", "NaT", "2021-01-01"], "M8[ns]"),
        "tags/all": np.array([["x", "y"], None, {"a": 1}], object),
        "price": np.array([1.5, np.nan, np.inf]),
        "new": np.array([True, False, True]),
    }
    model = Popularity().fit(named_data(item_info=info))
    save(model, path)
    again = load(path)
    assert list(again.item_info_) == list(info)
    for name, column in model.item_info_.items():
        np.testing.assert_array_equal(again.item_info_[name], column, strict=True)
    assert pickle.loads(pickle.dumps(again)).item_info_["title"].tolist() == info["title"]
    assert "title" in repr(again.item_info_)
    assert again.recommend("ann").to_frame().title.tolist() == ["b\0c"]


def test_facts_that_a_file_cannot_hold_are_named(path):
    model = Popularity().fit(named_data(item_info={"what": np.array([object()] * 3)}))
    with pytest.raises(TypeError, match=r"Popularity.item_info_\['what'\] holds a value"):
        save(model, path)
