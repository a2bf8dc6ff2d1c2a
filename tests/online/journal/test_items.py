"""Updates of items, beside what the tests of every log say of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.online import ItemUpdate
from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.items import (
    check_updates,
    decode_update,
    encode_facts,
    latest_updates,
    number_updates,
)

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=20)
facts = st.none() | st.booleans() | numbers | texts | st.lists(texts, max_size=4)


@given(st.dictionaries(st.text(min_size=1, max_size=9), facts, max_size=6))
def test_facts_come_back_with_their_types(given_facts):
    (update,) = check_updates([ItemUpdate("x", given_facts)])
    again = decode_update("x", encode_facts(update), 0, 1).facts
    assert again == given_facts
    assert [*map(type, again.values())] == [*map(type, given_facts.values())]


def test_an_object_that_is_not_an_update_is_refused():
    with pytest.raises(TypeError, match=r"items\[0\] must be an ItemUpdate, got 'x'"):
        check_updates(["x"])
    with pytest.raises(TypeError, match=r"items\[0\].item"):
        check_updates([ItemUpdate(True, {})])


def test_updates_get_the_next_places_and_checksums():
    updates = [ItemUpdate(1, {"a": 1}, True), ItemUpdate("b", {"a": 2}, removed=True), ItemUpdate("c", hidden=False)]
    rows, last = number_updates(updates, [ItemUpdate("c", {"a": 3}, True, seq=5)], 6, seed=3)
    assert [row[:4] for row in rows] == [(7, 1, '{"a":1}', 1), (8, "b", None, 0), (9, "c", '{"a":3}', 0)]
    assert [row[4] for row in rows] == [sum_row(3, "items", *row[:4]) for row in rows]
    assert last == 9


def test_the_last_update_of_each_item_is_in_the_order_of_the_log():
    updates = [ItemUpdate(1, seq=1), ItemUpdate("1", seq=2), ItemUpdate(1, {}, seq=3)]
    assert latest_updates(updates) == [ItemUpdate("1", seq=2), ItemUpdate(1, {}, seq=3)]
