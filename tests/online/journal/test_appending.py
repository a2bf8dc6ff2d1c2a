"""Events become rows of the file."""

import sqlite3

import pytest

from fastrec.online import Journal, JournalError


def test_a_failed_commit_is_told_and_the_next_one_works(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([("a", 1)])
        full = sqlite3.connect(tmp_path / "events.db")
        full.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        with pytest.raises(JournalError, match="disk full"):
            journal.append([("a", 2)])
        full.execute("DROP TRIGGER no")
        full.close()
        assert journal.append([("a", 3)]) == 2
        assert [event.item for event in journal.read(0)] == [1, 3]
