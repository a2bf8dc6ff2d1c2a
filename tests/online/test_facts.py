"""Facts of items, as columns."""

import numpy as np

from fastrec.online.facts import FactError, labels_of, plain_fact, read_column


def values_of(column):
    return [column.values[place] for place in column.places]


def test_a_column_is_its_distinct_values():
    given = np.array(["red", "", 1, True, 1.0, None, ["a", "b"], float("nan"), "red"], object)
    column = read_column(given)
    assert values_of(column) == ["red", None, 1, True, 1, None, ("a", "b"), None, "red"]
    assert [type(value) for value in values_of(column)][2:4] == [int, bool]
    assert len(column.values) == 5
    assert values_of(read_column(np.array([1.5, np.nan, 2], np.float32))) == [1.5, None, 2.0]


def test_changes_leave_the_column_as_it_was():
    column = read_column(["red", "blue", ""])
    changed = column.changed({2: "blue", 0: ["x"], 1: ""})
    assert values_of(changed) == [("x",), None, "blue"]
    assert values_of(column) == ["red", "blue", None]


def test_labels_are_tags_parts_and_values():
    column = read_column(["Drama|War", "War", "", 7]).changed({2: ["Drama", "Drama"]})
    rows = column.labels().toarray()
    assert rows.shape == (4, 3)
    assert rows.sum(axis=1).tolist() == [2, 1, 1, 1]
    assert (rows[0] * rows[1]).sum() == (rows[0] * rows[2]).sum() == 1
    assert labels_of(plain_fact("|a||b")) == ("a", "b")


def test_an_error_tells_its_place():
    error = FactError("price", "is unknown").of("where").of("boosts[0]")
    assert (error.field, str(error)) == ("boosts[0].where.price", "boosts[0].where.price is unknown")
