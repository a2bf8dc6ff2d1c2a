"""The file of a journal."""

import os
import sqlite3

import pytest

from fastrec.online import Journal, JournalError


def test_a_file_that_is_not_a_journal_is_refused(tmp_path, monkeypatch):
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    with pytest.raises(JournalError, match="not a database"):
        Journal(tmp_path / "text.db")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE films (title)")
    other.close()
    with pytest.raises(JournalError, match="no journal of fastrec"):
        Journal(tmp_path / "other.db")
    with Journal(tmp_path / "events.db"):
        pass
    newer = sqlite3.connect(tmp_path / "events.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(JournalError, match="version 99"):
        Journal(tmp_path / "events.db")
    with pytest.raises(JournalError, match="there is no folder"):
        Journal(tmp_path / "missing" / "events.db")
    with pytest.raises(JournalError, match="is a folder: give a file in it"):
        Journal(tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(JournalError, match="its folder cannot be written to"):
        Journal(tmp_path / "another.db")


def test_a_foreign_database_is_left_as_it_was(tmp_path):
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE films (title)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(JournalError, match="give another file"):
        Journal(tmp_path / "other.db")
    assert (tmp_path / "other.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]
    with pytest.raises(JournalError, match="the path of a journal must be"):
        Journal(":memory:")


@pytest.mark.skipif(os.name == "nt", reason="a file that is open cannot be removed there")
@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_written_into_a_file_that_was_removed(tmp_path, replaced):
    with Journal(tmp_path / "events.db") as journal:
        journal.append([("a", 1)])
        (tmp_path / "events.db").unlink()
        if replaced:
            (tmp_path / "events.db").write_bytes(b"")
        for write in (lambda: journal.append([("a", 2)]), lambda: journal.delete_user("a")):
            with pytest.raises(JournalError, match="removed or replaced while it was open"):
                write()
