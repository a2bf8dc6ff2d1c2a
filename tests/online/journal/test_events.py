"""Events that a journal takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.online import Journal

IDS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(IDS, IDS, st.floats(-3.4e38, 3.4e38)), max_size=8))
def test_ids_of_every_kind_survive_reopening(tmp_path_factory, triples):
    path = tmp_path_factory.mktemp("journal") / "events.db"
    with Journal(path) as journal:
        journal.append(triples)
    with Journal(path) as journal:
        back = [(event.user, event.item, event.value) for event in journal.read(0)]
        assert back == triples
        assert [type(part) for row in back for part in row] == [type(part) for row in triples for part in row]
        for user, _, _ in triples:
            assert [e.item for e in journal.history(user)] == [
                t[1] for t in triples if (t[0], type(t[0])) == (user, type(user))
            ]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (("a",), r"events\[1\] must be an Event"),
        (("a", None), r"events\[1\].item must be a 64-bit integer or a string"),
        ((True, 1), r"events\[1\].user"),
        ((1.0, 1), r"events\[1\].user"),
        ((2**63, 1), r"events\[1\].user"),
        (("x" * 1025, 1), r"events\[1\].user"),
        (("\ud800", 1), r"events\[1\].user"),
        (("a", 1, float("nan")), r"events\[1\].value must be a finite number"),
        (("a", 1, "much"), r"events\[1\].value"),
        (("a", 1, 1.0, 2**63), r"events\[1\].time"),
        (("a", 1, 1.0, 1, 5), r"events\[1\].id must be a string"),
    ],
)
def test_a_bad_event_is_named_and_nothing_is_kept(journal, event, words):
    with pytest.raises((TypeError, ValueError), match=words):
        journal.append([("good", 1), event])
    assert journal.last_seq() == 0
