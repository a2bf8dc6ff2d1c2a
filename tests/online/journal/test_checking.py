"""Rows as they were written, and none missing."""

import pytest

from fastrec.online import Deletion, Event, ItemUpdate, JournalDamagedError
from fastrec.online.journal.checking import EntryChecks
from fastrec.online.journal.checksums import sum_erased, sum_event, sum_row
from fastrec.online.journal.damage import Damage

SEED = 7


def row(seq, user="a", item=1):
    return user, item, 1.0, None, None, sum_event(SEED, seq, user, item, 1.0, None), seq


def checks(skip=False, unchecked=0):
    return EntryChecks(Damage("the log", skip), SEED, unchecked)


def test_entries_come_in_order_without_those_erased():
    erased = (None, None, 0.0, None, None, sum_erased(SEED, 2), 2)
    mark = (b"gone", sum_row(SEED, "deletions", 3, b"gone"), 3)
    item = (7, '{"price":2}', 1, sum_row(SEED, "items", 5, 7, '{"price":2}', 1), 5)
    entries = checks().entries([row(1), erased, row(4)], [mark], [item], 0, 5)
    assert entries == [
        Event("a", 1, seq=1),
        Deletion(b"gone", 3),
        Event("a", 1, seq=4),
        ItemUpdate(7, {"price": 2}, True, seq=5),
    ]


def test_a_row_that_is_changed_missing_or_doubled_is_named():
    changed = (*row(2)[:2], 9.0, *row(2)[3:])
    with pytest.raises(JournalDamagedError, match="seq 2"):
        checks().entries([row(1), changed], [], [], 0, 2)
    with pytest.raises(JournalDamagedError, match="seq 2 \\(1 are missing\\)"):
        checks().entries([row(1), row(3)], [], [], 0, 3)
    with pytest.raises(JournalDamagedError, match="order"):
        checks().entries([row(1), row(1), row(2)], [], [], 0, 2)
    assert checks(skip=True).entries([row(1), changed], [], [], 0, 2) == [Event("a", 1, seq=1)]


def test_only_rows_of_an_older_time_may_be_without_checksums():
    old = (*row(1)[:5], None, 1)
    assert checks(unchecked=2).entries([old, row(3)], [], [], 0, 3) == [Event("a", 1, seq=1), Event("a", 1, seq=3)]
    with pytest.raises(JournalDamagedError, match="seq 1"):
        checks().entries([old], [], [], 0, 1)


def test_all_checkpoints_and_all_that_was_kept_are_there():
    point = (5, "v1", None, sum_row(SEED, "checkpoints", 5, "v1", None))
    assert checks().checkpoints([point], 1, 0) == [(5, "v1", None)]
    assert checks().checkpoints([point], 1, 5) == []
    with pytest.raises(JournalDamagedError, match="of 2 checkpoints there are 1"):
        checks().checkpoints([point], 2, 0)
    checks().check_kept(3, 3, 9)
    with pytest.raises(JournalDamagedError, match="of 3 entries kept up to seq 9 there are 2"):
        checks().check_kept(2, 3, 9)
