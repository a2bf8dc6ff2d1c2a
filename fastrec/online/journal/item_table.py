"""ItemTable: the updates of items in a journal's file."""

import sqlite3

from fastrec.online.journal.appending import insert_rows
from fastrec.online.journal.checking import EntryChecks, ItemFields
from fastrec.online.journal.database import Database
from fastrec.online.journal.events import Id, ItemUpdate
from fastrec.online.journal.items import latest_updates, number_updates
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.room import DiskRoom


class ItemTable:
    """Writes updates of items, and reads the latest one of each item.

    Parameters
    ----------
    database
        The journal's file.
    room
        The check of disk space before each commit.
    keys
        The keys of the journal.
    checks
        The checks of its rows.
    """

    def __init__(self, database: Database, room: DiskRoom, keys: Keys, checks: EntryChecks) -> None:
        self._database, self._room, self._keys, self._checks = database, room, keys, checks

    def write(self, updates: list[ItemUpdate]) -> int:
        """Writes checked updates, all or none; returns the place of the last one."""
        with self._database.errors():
            self._room.keep()
            return self._room.with_shorter_log(lambda: self._insert(updates))

    def _insert(self, updates: list[ItemUpdate]) -> int:
        with self._database.transaction() as connection:
            last = int(self._database.record(connection, "last"))
            known = self._checks.items(_find_latest(connection, [update.item for update in updates]))
            rows, last = number_updates(updates, known, last, self._keys.seed)
            insert_rows(connection, "items", 5, rows)
            if rows:
                self._database.set_record(connection, "last", last)
        return last

    def latest(self, upto: int | None) -> list[ItemUpdate]:
        """Returns the last update of each item up to a place that is not trimmed."""
        with self._database.errors(), self._database.reading() as connection:
            trimmed, kept, last = (
                int(self._database.record(connection, name)) for name in ("trimmed", "kept_items", "last")
            )
            rows = select_items(connection, 0, last if upto is None else max(upto, trimmed))
        self._checks.check_kept(sum(row[-1] <= trimmed for row in rows), kept, trimmed)
        return latest_updates(self._checks.items(rows))


def _find_latest(connection: sqlite3.Connection, items: list[Id]) -> list[ItemFields]:
    """Returns the rows of the last updates of some items."""
    found: list[ItemFields] = []
    for item in items:
        query = "SELECT item, facts, hidden, crc, seq FROM items WHERE item = ? ORDER BY seq DESC LIMIT 1"
        found += connection.execute(query, (item,)).fetchall()
    return found


def select_items(connection: sqlite3.Connection, after: int, end: int) -> list[ItemFields]:
    """Returns the rows of updates after a place and up to another, in order."""
    query = "SELECT item, facts, hidden, crc, seq FROM items WHERE seq > ? AND seq <= ? ORDER BY seq"
    return connection.execute(query, (after, end)).fetchall()


def drop_superseded(connection: sqlite3.Connection, upto: int) -> int:
    """Drops the updates up to a place that later ones up to there have replaced; returns the number of those left."""
    connection.execute(
        "DELETE FROM items WHERE seq <= ? AND seq NOT IN (SELECT MAX(seq) FROM items WHERE seq <= ? GROUP BY item)",
        (upto, upto),
    )
    return int(connection.execute("SELECT COUNT(*) FROM items WHERE seq <= ?", (upto,)).fetchone()[0])
