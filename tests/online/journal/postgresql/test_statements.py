"""The SQL, beside the tests of the log."""

import pytest

pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

from fastrec.online.journal.postgresql import statements


def test_a_writer_that_has_not_written_for_long_is_forgotten(database):
    name = b"somebody"
    database.write(lambda session: statements.count_commit(session, name, 3))
    assert database.read(lambda session: statements.read_commits(session, name)) == 3
    database.write(statements.drop_writers)
    assert database.read(lambda session: statements.read_commits(session, name)) == 3
    database.write(lambda session: session.execute("UPDATE fastrec_writers SET at = at - interval '8 days'"))
    database.write(statements.drop_writers)
    assert database.read(lambda session: statements.read_commits(session, name)) == 0


def test_a_lock_is_one_sessions(database):
    first, second = database.connect(), database.connect()
    assert statements.try_lock(first, 5)
    assert not statements.try_lock(second, 5)
    first.close()
    while not statements.try_lock(second, 5):
        pass
    second.close()
