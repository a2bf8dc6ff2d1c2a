"""A row's checksum tells different rows apart."""

from hypothesis import given
from hypothesis import strategies as st

from fastrec.online.journal.checksums import sum_erased, sum_event, sum_row

ids = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=8))


@given(ids, ids)
def test_ids_keep_their_places_and_types(user, item):
    if type(user) is not type(item) or user != item:
        assert sum_event(1, 7, user, item, 1.0, None) != sum_event(1, 7, item, user, 1.0, None)
    assert sum_event(1, 7, user, item, 1.0, None) != sum_event(2, 7, user, item, 1.0, None)
    assert sum_event(1, 7, user, item, 1.0, None) != sum_event(1, 8, user, item, 1.0, None)


def test_fields_do_not_run_into_each_other():
    assert sum_row(0, "meta", "ab", "c") != sum_row(0, "meta", "a", "bc")
    assert sum_row(0, "meta", b"a") != sum_row(0, "meta", "a")
    assert sum_row(0, "meta", 5) != sum_row(0, "checkpoints", 5)


def test_an_erased_event_is_its_place_alone():
    assert sum_erased(3, 9) == sum_event(3, 9, None, None, 0.0, None)
    assert sum_erased(3, 9) != sum_erased(3, 10)


def test_each_field_of_an_event_counts():
    own = {"seed": 7, "seq": 1, "user": "a", "item": "b", "value": 1.0, "time": 5}
    others = [("seed", 8), ("seq", 2), ("user", "c"), ("item", "c"), ("value", 2.0), ("time", 6), ("time", None)]
    sums = [sum_event(**own)] + [sum_event(**own | {name: value}) for name, value in others]
    assert len(set(sums)) == len(sums)
    for one, other in ((("ab", "c"), ("a", "bc")), ((42, "a"), ("42", "a")), (("a", 42), ("a", "42"))):
        assert sum_event(7, 1, *one, 1.0, 5) != sum_event(7, 1, *other, 1.0, 5)
