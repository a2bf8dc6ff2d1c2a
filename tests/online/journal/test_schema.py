"""Files of older versions."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from fastrec.online import (
    Event,
    ItemUpdate,
    Journal,
    JournalDamagedError,
    JournalError,
)
from tests.online.journal.files import everything, run_sql

OLD = Path(__file__).parents[2] / "fixtures" / "upgrades" / "journal.sqlite"


def old(folder):
    path = folder / "events.db"
    shutil.copyfile(OLD, path)
    return path


def test_an_old_journal_is_taken_on_with_its_rows_marked(tmp_path):
    path = old(tmp_path)
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT user, item, value, time, NULL, seq FROM events ORDER BY seq").fetchall()
    connection.close()
    before = [Event(*row) for row in rows]
    with Journal(path) as journal:
        last = journal.last_seq()
        assert journal.unchecked_seq() == last
        first = journal.trimmed_seq()
        assert [entry for entry in journal.read(first) if isinstance(entry, Event)] == before
        user = before[0].user
        journal.append([(user, before[0].item)] * 2)
    run_sql(path, f"UPDATE events SET value = 7 WHERE seq = {before[0].seq}")
    assert everything(path)[1][-1].seq == last + 2, "what has no checksum cannot be checked"
    run_sql(path, f"UPDATE events SET value = 7 WHERE seq = {last + 1}")
    with pytest.raises(JournalDamagedError, match=f"seq {last + 1}"):
        everything(path)


def test_a_journal_of_version_2_is_taken_on(tmp_path):
    path = tmp_path / "events.db"
    with Journal(path) as journal:
        journal.append([("ann", "Alien", 2.0, 7), ("bob", "Brazil")])
    statements = ["DROP TABLE items", "DELETE FROM meta WHERE name = 'kept_items'"]
    run_sql(path, *statements, "ALTER TABLE events DROP COLUMN recommendation", "PRAGMA user_version = 2")
    with Journal(path) as journal:
        assert [event.item for event in journal.read(0)] == ["Alien", "Brazil"]
        assert journal.append([Event("ann", "Brazil", recommendation="r")]) == 3
        assert journal.update_items([ItemUpdate("Alien", hidden=True)]) == 4
    with Journal(path) as journal:
        assert journal.history("ann")[1].recommendation == "r"
        assert len(journal.items()) == 1


def test_an_upgrade_that_is_interrupted_leaves_the_old_file(tmp_path, monkeypatch):
    path = old(tmp_path)
    monkeypatch.setattr("fastrec.online.journal.schema.FORMAT_VERSION", "no number")
    with pytest.raises(JournalError):
        Journal(path)
    monkeypatch.undo()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "crc" not in connection.execute("SELECT sql FROM sqlite_master WHERE name = 'events'").fetchone()[0]
    connection.close()
    assert everything(path)[1]
