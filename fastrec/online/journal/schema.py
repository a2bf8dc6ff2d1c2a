"""The tables of a journal's file, and the upgrade of older files."""

import secrets
import sqlite3
from pathlib import Path
from typing import Any

from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.errors import JournalError

FORMAT_VERSION = 3  # version 1 had no checksums, 2 no items: such files are upgraded
APPLICATION_ID = 0x66726563  # "frec", by which the `file` command and fastrec recognise a journal

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value, crc INTEGER) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, user, item, value REAL NOT NULL, time INTEGER, crc INTEGER, recommendation TEXT
);
CREATE TABLE ids (hash BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE deletions (seq INTEGER PRIMARY KEY, mark BLOB NOT NULL, crc INTEGER);
CREATE TABLE items (seq INTEGER PRIMARY KEY, item, facts TEXT, hidden INTEGER NOT NULL, crc INTEGER);
CREATE INDEX items_by_item ON items (item, seq);
CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, version TEXT NOT NULL, rule TEXT, crc INTEGER)
"""
# The upgrade from version 1 to 2. The dropped index found a user's events, which is rarely needed.
_CHECKSUMS = """
DROP INDEX events_by_user;
ALTER TABLE meta ADD COLUMN crc INTEGER;
ALTER TABLE events ADD COLUMN crc INTEGER;
ALTER TABLE deletions ADD COLUMN crc INTEGER;
ALTER TABLE checkpoints ADD COLUMN rule TEXT;
ALTER TABLE checkpoints ADD COLUMN crc INTEGER
"""
# The upgrade from version 2 to 3.
_ITEMS = """
ALTER TABLE events ADD COLUMN recommendation TEXT;
CREATE TABLE items (seq INTEGER PRIMARY KEY, item, facts TEXT, hidden INTEGER NOT NULL, crc INTEGER);
CREATE INDEX items_by_item ON items (item, seq)
"""
# Records that version 1 lacked: the last row without a checksum, the number of events that `trim` has kept, the number
# of checkpoints, whether the file is due for a rewrite, and the lineage of its models.
_NEWER = {"unchecked": 0, "kept": 0, "checkpoints": 0, "unscrubbed": 0, "lineage": None}


def is_empty(connection: sqlite3.Connection) -> bool:
    """Tells whether a file has no tables yet."""
    return not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]


def check_kind(connection: sqlite3.Connection, path: Path) -> None:
    """Refuses a file that is no journal, or has another version; an empty file may become a journal."""
    if is_empty(connection):
        return
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise JournalError(f"{path} is a database, but no journal of fastrec: give another file")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (1, 2, FORMAT_VERSION):
        raise JournalError(
            f"{path} is a journal of version {version}, this fastrec reads up to {FORMAT_VERSION}: use the "
            "fastrec that made it"
        )


def make_current(connection: sqlite3.Connection, time_unit: str) -> None:
    """Makes an empty file a journal, and upgrades an older one."""
    if is_empty(connection):
        _make(connection, time_unit)
        return
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 1:
        _add_checksums(connection)
    if version < 3:
        _run(connection, _ITEMS)
        _record(connection, {"kept_items": 0})
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def _make(connection: sqlite3.Connection, time_unit: str) -> None:
    _run(connection, _SCHEMA)
    start = {"last": 0, "trimmed": 0, "published": 0, "forgotten": 0, "kept_items": 0}
    _record(connection, {**start, **_NEWER, "time_unit": time_unit, "key": secrets.token_bytes(32)})
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Upgrades a file from version 1 to 2; its rows stay without checksums, and are known by their places."""
    _run(connection, _CHECKSUMS)
    values = dict(connection.execute("SELECT name, value FROM meta"))
    checkpoints = connection.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0]
    _record(connection, {**values, **_NEWER, "unchecked": values["last"], "checkpoints": checkpoints})


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)


def _record(connection: sqlite3.Connection, values: dict[str, Any]) -> None:
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", map(record_row, values, values.values()))


def record_row(name: str, value: Any) -> tuple[str, Any, int]:
    """Returns a row of the table of records."""
    return name, value, sum_row(0, "meta", name, value)
