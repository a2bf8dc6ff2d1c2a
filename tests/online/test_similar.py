"""Items like one item, or like several."""

import numpy as np
import pytest

from fastrec.models import Popularity
from fastrec.online import ItemUpdate, Snapshot, find_similar
from fastrec.online import similar as module
from tests.online.following import ITEMS


def test_one_item_is_what_the_model_says(model):
    snapshot, top = Snapshot(model), model.similar_items("i3", 6)
    told = find_similar(snapshot, ["i3"], 6)
    np.testing.assert_array_equal(told.codes, top.codes)
    np.testing.assert_array_equal(told.scores, top.scores)
    assert told.titles()[0, 0].startswith("Film")


@pytest.mark.parametrize("items", [["i3"], ["i3", "i9", "i14", "i9"]])
def test_hidden_or_filtered_items_are_left_out_and_others_move_up(model, monkeypatch, items):
    monkeypatch.setattr(module, "NEAREST", 3)
    gone = {"i3", *(f"i{n}" for n in range(4, 22))}
    snapshot = Snapshot(model).after([ItemUpdate(item, {}, True, seq=n) for n, item in enumerate(sorted(gone), 1)])
    within = np.arange(25) != 23
    told = find_similar(snapshot, items, 10, within).items[0].tolist()
    sums = np.zeros(25)
    for item in set(items):
        top = model.similar_items(item, 24)
        sums[top.codes[0]] += top.scores[0]
    left = set(range(25)) - {int(item[1:]) for item in gone} - {23} - {int(item[1:]) for item in items}
    assert told[: len(left)] == [ITEMS[code] for code in sorted(left, key=lambda code: -sums[code])]
    assert told[len(left) :] == [""] * (10 - len(left))


def test_of_several_each_ones_nearest_count():
    snapshot = Snapshot(Popularity().fit([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]]))
    one, two = (dict(zip(*(row.tolist() for row in (top.codes[0], top.scores[0])), strict=True)) for top in (
        snapshot.model.similar_items(code, 3) for code in (0, 3)))  # fmt: skip
    told = find_similar(snapshot, [0, 3], 2)
    assert told.codes[0].tolist() == [1, 2]
    np.testing.assert_allclose(told.scores[0], [one.get(code, 0) + two.get(code, 0) for code in (1, 2)], rtol=1e-6)


def test_unknown_items_are_named(model):
    with pytest.raises(ValueError, match="unknown id 'x'"):
        find_similar(Snapshot(model), ["i1", "x"], 3)
