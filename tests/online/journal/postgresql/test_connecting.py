"""Sessions of a database."""

import pytest

psycopg = pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

# ruff: noqa: E402
from fastrec.online import JournalDiskFullError, JournalError
from fastrec.online.journal.postgresql import connecting
from fastrec.online.journal.postgresql.connecting import Database


def test_work_whose_session_is_lost_is_done_again(logs, database):
    tries = []

    def work(session):
        tries.append(session.info.backend_pid)
        if len(tries) == 1:
            with psycopg.connect(logs.address(), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (tries[0],))
        return session.execute("SELECT 7").fetchone()[0]

    assert database.read(work) == 7
    assert len(set(tries)) == 2


def test_an_error_of_the_work_itself_is_told_at_once(database):
    tries = []

    def work(session):
        tries.append(1)
        session.execute("SELECT no_such_column")

    with pytest.raises(JournalError, match="no_such_column"):
        database.write(work)
    assert len(tries) == 1


def test_a_full_disk_is_told_as_such(database):
    assert isinstance(database.error_of(psycopg.errors.DiskFull("no room")), JournalDiskFullError)


def test_acknowledged_events_are_on_disk_whatever_the_servers_setting(logs, database):
    setting = lambda session: session.execute("SHOW synchronous_commit").fetchone()[0]
    assert database.read(setting) == "on"
    for given, taken in (("off", "on"), ("remote_apply", "remote_apply")):
        other = Database(f"{logs.address()}%20-csynchronous_commit%3D{given}", False)
        assert other.read(setting) == taken
        other.close()


def test_nothing_is_done_by_a_database_that_is_closed(database):
    database.close()
    with pytest.raises(JournalError, match="closed"):
        database.read(lambda session: None)


def test_an_address_that_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(connecting, "READ_SECONDS", 0.1)
    with pytest.raises(JournalError, match="not one of PostgreSQL"):
        Database("postgresql://host:many:colons/?what=1", False)
    database = Database("postgresql://127.0.0.1:1/nowhere", False)
    with pytest.raises(JournalError, match=r"postgresql://127\.0\.0\.1:1/nowhere"):
        database.read(lambda session: None)
