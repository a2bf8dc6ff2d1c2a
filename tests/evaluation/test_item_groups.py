"""Groups of items."""

import numpy as np
import pytest

from fastrec.evaluation.item_groups import group_by_popularity, group_items
from fastrec.matrix.code_matrix import check_matrix

TRAINED = check_matrix(np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0]], float))


def test_labels_are_taken_as_texts_and_new_items_are_a_group_of_their_own():
    groups = group_items([1, 2, 1], TRAINED, None, 4)
    assert groups.names == ["1", "2", "unknown to the model"]
    assert groups.of_item.tolist() == [0, 1, 0, 2]


def test_a_column_of_facts_is_named():
    assert group_items("genre", TRAINED, {"genre": ["a", "b", "a"]}, 3).of_item.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="there are 'genre'"):
        group_items("year", TRAINED, {"genre": ["a", "b", "a"]}, 3)


def test_there_is_a_label_for_each_item():
    with pytest.raises(ValueError, match="one label for each of 3 items"):
        group_items([1, 2], TRAINED, None, 3)


def test_items_by_popularity():
    groups = group_items("popularity", TRAINED, None, 3)
    assert groups.of_item[2] == groups.names.index("no training event (1 item)")


@pytest.mark.parametrize(
    ("counts", "groups"),
    [([5, 1, 1, 1, 1], [0, 1, 2, 2, 2]), ([1, 4, 4], [1, 0, 1]), ([2, 3, 4], [2, 1, 0]), ([7], [0]), ([9, 0], [0, 1])],
)
def test_an_item_belongs_where_the_middle_of_its_events_lies(counts, groups):
    assert group_by_popularity(np.array(counts)).of_item.tolist() == groups
