"""Updates of items: writing them, and reading the latest of each item."""

from fastrec.online.journal.checking import EntryChecks
from fastrec.online.journal.events import ItemUpdate
from fastrec.online.journal.items import latest_updates, number_updates
from fastrec.online.journal.postgresql import statements
from fastrec.online.journal.postgresql.connecting import Database
from fastrec.online.journal.postgresql.statements import Session


def write_updates(database: Database, checks: EntryChecks, seed: int, channel: str, updates: list[ItemUpdate]) -> int:
    """Writes updates, all or none; returns the place of the last one.

    If a lost session may have done it, it is done again, and records the same twice.
    """

    def write(session: Session) -> int:
        statements.lock_tail(session)
        known = checks.items(statements.find_latest(session, [update.item for update in updates]))
        rows, last = number_updates(updates, known, database.number(session, "last"), seed)
        if rows:
            statements.insert_items(session, rows)
            statements.write_record(session, "last", last)
            statements.notify(session, channel, last)
        return last

    return database.write(write)


def read_latest(database: Database, checks: EntryChecks, upto: int | None) -> list[ItemUpdate]:
    """Returns the last update of each item up to a place that is not trimmed."""

    def read(session: Session) -> list[ItemUpdate]:
        trimmed, kept, last = (database.number(session, name) for name in ("trimmed", "kept_items", "last"))
        rows = statements.select_items(session, 1, last if upto is None else max(upto, trimmed))
        checks.check_kept(sum(row[-1] <= trimmed for row in rows), kept, trimmed)
        return latest_updates(checks.items(rows))

    return database.read(read)
