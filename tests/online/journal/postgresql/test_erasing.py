"""A deleted user's events are gone from the table's files."""

import pytest

psycopg = pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

# ruff: noqa: E402
from fastrec.online import JournalError
from fastrec.online.journal.postgresql import connecting


def flushed(server):
    """Returns the bytes of all tables once they are written."""
    with psycopg.connect(server.address(), autocommit=True) as session:
        session.execute("CHECKPOINT")
    return b"".join(path.read_bytes() for path in server.files())


def test_a_deleted_user_is_in_no_file_of_a_table(postgresql, journal):
    secret = "somebody-who-wants-to-be-forgotten"
    journal.append([(secret if n % 7 == 0 else f"user{n}", n, 1.0, None, f"{n}") for n in range(2000)])
    assert secret.encode() in flushed(postgresql)
    journal.delete_user(secret)
    assert secret.encode() not in flushed(postgresql)
    assert journal.history("user1") != []


def test_a_table_that_cannot_be_written_anew_is_by_the_next_trim(logs, monkeypatch):
    monkeypatch.setattr(connecting, "_SESSION", connecting._SESSION.replace("'10s'", "'300ms'"))
    with logs.open("held") as journal:
        journal.append([("a", 1), ("b", 1)])
        with psycopg.connect(logs.address("held")) as reader:
            reader.execute("SELECT * FROM fastrec_events")
            with pytest.raises(JournalError, match="the deletion is done, but a reader keeps"):
                journal.delete_user("a")
            assert [entry.seq for entry in journal.read(0)] == [2, 3]
        number = lambda: journal._database.read(lambda session: journal._database.number(session, "unscrubbed"))
        assert number() == 1
        journal.trim(0)
        assert number() == 0
