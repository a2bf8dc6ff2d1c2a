"""Updates of items in a file, beside what the tests of every log say of them."""

import pytest

from fastrec.online import ItemUpdate, Journal, JournalDamagedError, JournalDiskFullError
from fastrec.online.journal import room
from tests.online.journal.files import run_sql


def test_an_update_that_is_changed_or_missing_is_noticed(tmp_path):
    path = tmp_path / "events.db"
    with Journal(path) as journal:
        journal.update_items([ItemUpdate(n, {"n": n}) for n in range(3)])
        journal.record_published(3)
        journal.trim(3)
    run_sql(path, "DELETE FROM items WHERE seq = 2")
    with Journal(path) as journal, pytest.raises(JournalDamagedError, match="of 3 entries kept"):
        journal.items()
    with Journal(path, skip_damaged=True) as journal:
        assert [update.item for update in journal.items()] == [0, 2]
    run_sql(path, "UPDATE items SET hidden = 1 WHERE seq = 3")
    with Journal(path, skip_damaged=True) as journal:
        assert [update.item for update in journal.items()] == [0]


def test_on_a_full_disk_nothing_is_written(journal, monkeypatch):
    monkeypatch.setattr(room.Reserve, "size", lambda self: 0)
    monkeypatch.setattr(room.Reserve, "make", lambda self: 0)
    with pytest.raises(JournalDiskFullError):
        journal.update_items([ItemUpdate(1, {})])
    assert journal.items() == []
