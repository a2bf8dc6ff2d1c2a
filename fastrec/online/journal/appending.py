"""EventWriter: batches of events become rows of the file."""

import contextlib
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from fastrec.online.journal.database import Database
from fastrec.online.journal.errors import JournalError
from fastrec.online.journal.events import Event, Receipt
from fastrec.online.journal.keys import Keys
from fastrec.online.journal.numbering import EventRow, hash_ids, number_events
from fastrec.online.journal.room import DiskRoom

# SQLite takes at least 999 parameters in one statement, whatever the build.
_PARAMETERS = 500
# The cache of the writer. Ids and users come in no order, so a batch touches pages all over the file. With SQLite's own
# 2 MB, and its log moved into the file at every 1000 pages, a batch costs the kernel four times as much in a journal of
# 300 000 events.
_CACHE_KIB = 32_000
_LOG_PAGES = 8_000


class EventWriter:
    """Writes batches over the connection of one thread.

    Parameters
    ----------
    database
        The database to write to.
    room
        The check of disk space before each commit.
    keys
        The keys of the journal.
    """

    def __init__(self, database: Database, room: DiskRoom, keys: Keys) -> None:
        self._database, self._room, self._keys = database, room, keys
        self._is_prepared = False

    def write(self, batches: list[list[Event]]) -> list[Receipt]:
        """Writes batches as a whole; returns a receipt for each."""
        if not self._is_prepared:
            self._prepare()
        with self._database.errors():
            self._room.keep()
            return self._room.with_shorter_log(lambda: self._commit(batches))

    def _prepare(self) -> None:
        with contextlib.suppress(sqlite3.Error, JournalError):  # the first commit reports what is wrong
            self._database.connection().execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._database.connection().execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        self._is_prepared = True

    def _commit(self, batches: list[list[Event]]) -> list[Receipt]:
        with self._database.transaction() as connection:
            return self._insert(connection, batches)

    def _insert(self, connection: sqlite3.Connection, batches: list[list[Event]]) -> list[Receipt]:
        last = int(self._database.record(connection, "last"))
        hashes = hash_ids(batches, self._keys)
        known = _find_known(connection, [given for some in hashes for given in some if given is not None])
        rows, ids, receipts, last = number_events(batches, hashes, known, last, self._keys.seed)
        _insert_events(connection, rows)
        insert_rows(connection, "ids", 2, ids)
        if rows:
            self._database.set_record(connection, "last", last)
        return receipts


def _find_known(connection: sqlite3.Connection, hashes: list[bytes]) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for start in range(0, len(hashes), _PARAMETERS):
        part = hashes[start : start + _PARAMETERS]
        places = ",".join("?" * len(part))
        known.update(connection.execute(f"SELECT hash, seq FROM ids WHERE hash IN ({places})", part))
    return known


def _insert_events(connection: sqlite3.Connection, rows: list[EventRow]) -> None:
    """Inserts events; most of them name no recommendation, which then costs nothing."""
    if any(row[-1] is not None for row in rows):
        insert_rows(connection, "events", 7, rows)
    else:
        insert_rows(connection, "events (seq, user, item, value, time, crc)", 6, [row[:-1] for row in rows])


def insert_rows(connection: sqlite3.Connection, table: str, columns: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Inserts rows, a hundred in one statement, during which other threads can run."""
    row = "(" + ",".join("?" * columns) + ")"
    step = _PARAMETERS // columns
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        values = ",".join([row] * len(part))
        connection.execute(f"INSERT INTO {table} VALUES {values}", list(chain.from_iterable(part)))
