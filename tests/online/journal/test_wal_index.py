"""The head of the index shows every commit, and reading it takes no locks away from SQLite."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.online import Journal
from fastrec.online.journal import wal_index

needs_head = pytest.mark.skipif(os.name == "nt", reason="the head is not read there")

# Offset of the lock that SQLite holds on the index as long as a connection is open.
LOCK_OF_THE_OPEN = 128


def ask_anew(path):
    """Returns the last place, as a connection of its own reads it."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT value FROM meta WHERE name = 'last'").fetchone()[0]


STEPS = ("append", "delete", "trim", "note", "checkpoint", "nothing")


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(1, 3)), max_size=12))
def test_the_last_place_is_that_of_a_query_whoever_writes(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("journal") / "events.db"
    with Journal(path) as one, Journal(path) as two:
        for step, who, n in steps:
            journal = (one, two)[who]
            if step == "append":
                journal.append([(user, 1) for user in range(n)])
            elif step == "delete":
                journal.delete_user(n)
            elif step == "trim":
                journal.trim(min(n, journal.last_seq()))
            elif step == "note":
                journal.record_published(n)
            elif step == "checkpoint":
                with contextlib.closing(sqlite3.connect(path)) as other:
                    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            assert one.last_seq() == two.last_seq() == one.last_seq() == ask_anew(path)


@needs_head
def test_nothing_is_asked_where_nobody_has_written(journal):
    journal.append([(1, 1)])
    head = journal._database.read_mark()
    assert head is not None
    assert journal.last_seq() == 1
    journal._last = head, 7
    assert journal.last_seq() == 7  # without a query
    code = "import sys; from fastrec.online import Journal; Journal(sys.argv[1]).append([(1, 2)])"
    subprocess.run([sys.executable, "-c", code, str(journal.path)], check=True)
    assert journal._database.read_mark() != head
    assert journal.last_seq() == 2


@needs_head
def test_a_lock_of_another_journal_on_the_same_file_outlives_the_end_of_one(journal):
    pytest.importorskip("fcntl")
    index = journal.path.with_name(f"{journal.path.name}-shm")
    Journal(journal.path).close()
    code = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'r+b')\n"
        f"try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, {LOCK_OF_THE_OPEN})\n"
        "except OSError: print('locked')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(index)], capture_output=True, text=True, check=True)
    assert ended.stdout == "locked\n"


@needs_head
def test_a_mapping_is_shared_and_closed_once_the_file_is_gone(tmp_path):
    path = tmp_path / "events.db"
    with Journal(path), Journal(path):
        mapping = find_mapping(path)
        with Journal(tmp_path / "another.db"):
            assert find_mapping(path) is mapping
    assert mapping.head.closed, "the file system can be unmounted"
    assert mapping not in wal_index._mapped.values()


def find_mapping(path):
    """Returns the one mapping of a journal's index."""
    there = os.stat(f"{path}-shm")
    (found,) = [one for one in wal_index._mapped.values() if os.path.samestat(os.fstat(one.descriptor), there)]
    return found


def test_without_the_head_each_question_is_a_query(tmp_path, monkeypatch):
    monkeypatch.setattr(wal_index, "_map", lambda path: None)
    with Journal(tmp_path / "events.db") as journal:
        assert journal._database.read_mark() is None
        journal.append([(1, 1)])
        journal._last = None, 7
        assert journal.last_seq() == 1


@needs_head
def test_an_entry_written_between_a_query_and_its_end_is_seen_by_the_next(journal, monkeypatch):
    path, ask = journal.path, journal._database.connection

    class Slow:
        """A connection during whose queries another journal writes."""

        def execute(self, query):
            found = ask().execute(query).fetchone()
            with Journal(path) as other:
                other.append([(1, 1)])
            return SimpleNamespace(fetchone=lambda: found)

    journal.append([(1, 1)])
    with monkeypatch.context() as patched:
        patched.setattr(journal._database, "connection", Slow)
        assert journal.last_seq() == 1
    assert journal.last_seq() == 2


@needs_head
def test_a_new_journal_is_read_though_its_index_has_the_number_of_a_removed_one(tmp_path, monkeypatch):
    monkeypatch.setattr(wal_index, "_number", lambda found: (0, 0))
    with Journal(tmp_path / "old.db") as old:
        old.append([(1, 1)])
        removed = find_mapping(tmp_path / "old.db")
        os.unlink(f"{tmp_path / 'old.db'}-shm")
        with Journal(tmp_path / "new.db") as new:
            for n in (1, 2):
                new.append([(1, n)])
                assert new.last_seq() == n
            assert removed.head.closed
