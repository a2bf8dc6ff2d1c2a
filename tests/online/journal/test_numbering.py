"""New events get places."""

from fastrec.online import Event
from fastrec.online.journal.checksums import sum_event
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.numbering import hash_ids, number_events


def test_new_events_get_the_next_places_and_known_ids_none():
    keys = Keys(b"secret")
    batches = [[Event("a", 1, 2.0, 3, "x"), Event("a", 2)], [Event("b", 1, id="x"), Event("b", 2, id="y")], []]
    hashes = hash_ids(batches, keys)
    old, new = keys.hash_event("y"), keys.hash_event("x")
    assert hashes == [[new, None], [new, old], []]
    numbered = number_events(batches, hashes, {old: 4}, 10, keys.seed)
    assert [row[:5] for row in numbered.rows] == [(11, "a", 1, 2.0, 3), (12, "a", 2, 1.0, None)]
    assert [row[5] for row in numbered.rows] == [sum_event(keys.seed, *row[:5]) for row in numbered.rows]
    assert numbered.ids == [(new, 11)]
    assert numbered.receipts == [(12, 2, 0), (11, 0, 2), (12, 0, 0)]
    assert numbered.last == 12


def test_a_negative_nothing_is_nothing():
    keys = Keys(b"secret")
    batches = [[Event("a", 1, -0.0)]]
    (row,) = number_events(batches, hash_ids(batches, keys), {}, 0, keys.seed).rows
    assert str(row[3]) == "0.0"
