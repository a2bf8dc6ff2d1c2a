"""What is dropped and remembered."""

import pytest

from fastrec.online import JournalTrimmedError


def test_trim_stops_at_what_a_published_model_has(journal):
    journal.append([("a", n) for n in range(10)])
    assert journal.trim(10) == 0
    assert len(journal) == 10
    journal.record_published(6)
    assert journal.trim(10) == 6
    assert [event.seq for event in journal.read(6)] == [7, 8, 9, 10]
    with pytest.raises(JournalTrimmedError, match="up to 6"):
        journal.read(5)
    journal.record_published(3)
    assert journal.published_seq() == 6
    assert journal.append([("a", 1)]) == 11


def test_checkpoints_are_remembered_in_order(journal):
    journal.record_checkpoint(5, "v1")
    journal.record_checkpoint(9, "v2")
    assert journal.checkpoints() == [(5, "v1", None), (9, "v2", None)]
    assert journal.checkpoints(5) == [(9, "v2", None)]
