"""Entries are read as they were written."""

import pytest

psycopg = pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

# ruff: noqa: E402
from fastrec.online import JournalDamagedError


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE fastrec_events SET value = 9 WHERE seq = 2", "seq 2"),
        ("UPDATE fastrec_events SET item = 's1' WHERE seq = 2", "seq 2"),
        ("DELETE FROM fastrec_events WHERE seq = 2", "seq 2"),
        ("UPDATE fastrec_meta SET value = 'i2' WHERE name = 'last'", "record of 'last'"),
        ("UPDATE fastrec_deletions SET mark = 'x'", "seq 4"),
        ("DELETE FROM fastrec_checkpoints", "of 1 checkpoints there are 0"),
    ],
)
def test_a_row_that_is_damaged_or_missing_is_named(logs, journal, statement, words):
    journal.append([("a", n) for n in range(3)])
    journal.delete_user("b")
    journal.record_checkpoint(2, "v1")
    with psycopg.connect(logs.address(), autocommit=True) as session:
        session.execute(statement)
    with pytest.raises(JournalDamagedError, match=words):
        _ = journal.read(0), journal.checkpoints()


def test_a_reader_that_skips_damage_reads_on(logs, journal):
    journal.append([("a", n) for n in range(3)])
    with psycopg.connect(logs.address(), autocommit=True) as session:
        session.execute("UPDATE fastrec_events SET value = 9 WHERE seq = 2")
    with logs.open(skip_damaged=True) as log:
        assert [event.item for event in log.read(0)] == [0, 2]


def test_long_logs_are_read_in_parts(journal):
    journal.append([("a", n) for n in range(50)])
    journal.delete_user("nobody")
    journal.append([("a", n) for n in range(50, 60)])
    entries, after = [], 0
    while some := journal.read(after, 7):
        entries += some
        after = some[-1].seq
    assert [entry.seq for entry in entries] == list(range(1, 62))
