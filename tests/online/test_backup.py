"""Backups that are made while events arrive, and the data of a server that starts from one."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest

from fastrec.online import Journal, Updater, Versions, open_log


class Writer:
    """A thread that appends events, and keeps those that were acknowledged."""

    def __init__(self, journal):
        self._journal, self._ends = journal, threading.Event()
        self.acknowledged = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._ends.is_set():
            number = self.acknowledged + 1
            self._journal.submit([(f"u{number % 9}", f"i{number % 7}", 1.0, number, f"e{number}")]).result()
            self.acknowledged = number

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()


def copy_file(source, target):
    """Copies a file as docs/how-to/operate.md says: by SQLite's own backup, never by a copy of a file in use."""
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)
    os.chmod(target, 0o600)


def back_up_versions(versions, target):
    """Copies CURRENT first and then the version that it names, which is whole, whatever is published meanwhile."""
    target.mkdir()
    name = versions.current()
    shutil.copy(versions.path(name), target)
    (target / "CURRENT").write_text(name + "\n")


def check_backup(backup, before, after):
    """Checks that a backup has each event acknowledged before it once, and none that was not sent."""
    entries = backup.read(0, 100_000)
    assert [event.time for event in entries] == list(range(1, len(entries) + 1))
    assert before <= len(entries) <= after + 1
    known = backup.submit([("u1", "i1", 1.0, 1, "e1")]).result().known
    assert known == 1  # an event that is sent again is known


def test_a_backup_of_a_file_has_all_that_was_acknowledged_before_it(tmp_path, model):
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    with contextlib.closing(Journal(tmp_path / "events.db")) as journal:
        updater = Updater(versions, journal)
        with Writer(journal) as writer:
            while writer.acknowledged < 50:
                updater.checkpoint()
            before = writer.acknowledged
            back_up_versions(versions, tmp_path / "backup")
            copy_file(tmp_path / "events.db", tmp_path / "backup" / "events.db")
            after = writer.acknowledged
    with contextlib.closing(Journal(tmp_path / "backup" / "events.db")) as restored:
        check_backup(restored, before, after)
        begun = Updater(Versions(tmp_path / "backup"), restored)
        assert begun.snapshot.seq == restored.last_seq()
        assert begun.problem is None


def test_versions_that_are_ahead_of_the_journal_are_refused(tmp_path, model):
    """So the order matters: first the versions, then the journal."""
    versions = Versions(tmp_path / "models")
    versions.publish(model)
    with contextlib.closing(Journal(tmp_path / "events.db")) as journal:
        copy_file(tmp_path / "events.db", tmp_path / "early.db")
        journal.append([("u1", "i1")])
        Updater(versions, journal).checkpoint()
    with (
        contextlib.closing(Journal(tmp_path / "early.db")) as early,
        pytest.raises(ValueError, match="the journal ends at 0"),
    ):
        Updater(versions, early)


def test_a_dump_of_postgresql_has_all_that_was_acknowledged_before_it(postgresql, tmp_path):
    import psycopg

    programs = postgresql._programs
    if not (programs / "pg_dump").exists():
        pytest.skip("there is no pg_dump on this machine")
    with psycopg.connect(postgresql.address(), autocommit=True) as session:
        session.execute("CREATE DATABASE shop")
        session.execute("CREATE DATABASE restored")
    address = f"postgresql://postgres@{postgresql.host}:{postgresql.port}/"
    with contextlib.closing(open_log(address + "shop")) as journal, Writer(journal) as writer:
        while writer.acknowledged < 50:
            time.sleep(0.01)
        before = writer.acknowledged
        dump = [programs / "pg_dump", "-Fc", "-f", tmp_path / "shop.dump", address + "shop"]
        subprocess.run(dump, check=True, timeout=60)
        after = writer.acknowledged
    subprocess.run(
        [programs / "pg_restore", "-d", address + "restored", tmp_path / "shop.dump"], check=True, timeout=60
    )
    with contextlib.closing(open_log(address + "restored")) as restored:
        check_backup(restored, before, after)
