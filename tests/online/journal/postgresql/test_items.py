"""Updates of items in PostgreSQL, beside what the tests of every log say of them."""

import contextlib

import pytest

psycopg = pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

# ruff: noqa: E402
from fastrec.online import Event, ItemUpdate
from tests.online.journal.logs import ServerLogs

_BACK = (
    "DROP TABLE fastrec_items; ALTER TABLE fastrec_events DROP COLUMN recommendation; "
    "DELETE FROM fastrec_meta WHERE name = 'kept_items'"
)


def test_tables_of_format_1_are_taken_on(postgresql):
    from fastrec.online.journal.postgresql import statements

    logs = ServerLogs(postgresql)
    with contextlib.closing(logs.open()) as log:
        log.submit([("ann", "Alien")]).result(30)
    with psycopg.connect(logs.address()) as session:
        session.execute(_BACK)
        statements.write_record(session, "format", 1)
    with contextlib.closing(logs.open()) as log, contextlib.closing(logs.open()) as other:
        assert log.submit([Event("ann", "Brazil", recommendation="r")]).result(30).seq == 2
        assert other.update_items([ItemUpdate("Alien", {})]) == 3
        assert [event.recommendation for event in log.history("ann")] == [None, "r"]
        assert len(log.items()) == 1
