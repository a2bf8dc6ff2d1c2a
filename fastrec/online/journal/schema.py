"""The tables of a journal's file, and what makes a file of an older version one of today's."""

import secrets
import sqlite3
from pathlib import Path
from typing import Any

from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.errors import JournalError

FORMAT_VERSION = 2  # 1 had no checksums: such a file is taken on
APPLICATION_ID = 0x66726563  # "frec", by which the `file` command and we ourselves know a journal

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value, crc INTEGER) WITHOUT ROWID;
CREATE TABLE events (seq INTEGER PRIMARY KEY, user, item, value REAL NOT NULL, time INTEGER, crc INTEGER);
CREATE TABLE ids (hash BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE deletions (seq INTEGER PRIMARY KEY, mark BLOB NOT NULL, crc INTEGER);
CREATE TABLE checkpoints (seq INTEGER PRIMARY KEY, version TEXT NOT NULL, rule TEXT, crc INTEGER)
"""
# What makes a file of version 1 one of today's. The index found a user's events, for which nobody asks often.
_UPGRADE = """
DROP INDEX events_by_user;
ALTER TABLE meta ADD COLUMN crc INTEGER;
ALTER TABLE events ADD COLUMN crc INTEGER;
ALTER TABLE deletions ADD COLUMN crc INTEGER;
ALTER TABLE checkpoints ADD COLUMN rule TEXT;
ALTER TABLE checkpoints ADD COLUMN crc INTEGER
"""
# What version 1 had no record of: up to where rows have no checksum, how many events `trim` has kept, how many
# checkpoints there are, whether the file is to be written anew, and whose models follow it.
_NEWER = {"unchecked": 0, "kept": 0, "checkpoints": 0, "unscrubbed": 0, "lineage": None}


def is_empty(connection: sqlite3.Connection) -> bool:
    """Tells whether a file has no tables yet."""
    return not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]


def check_kind(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is no journal, or one of another version; an empty one may become a journal."""
    if is_empty(connection):
        return
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise JournalError(f"{path} is a database, but no journal of fastrec: give another file")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (1, FORMAT_VERSION):
        raise JournalError(
            f"{path} is a journal of version {version}, this fastrec reads up to {FORMAT_VERSION}: use the "
            "fastrec that made it"
        )


def make_current(connection: sqlite3.Connection, time_unit: str) -> None:
    """Make an empty file a journal, and one of version 1 one of today's."""
    if is_empty(connection):
        _make(connection, time_unit)
    elif connection.execute("PRAGMA user_version").fetchone()[0] == 1:
        _upgrade(connection)


def _make(connection: sqlite3.Connection, time_unit: str) -> None:
    for statement in _SCHEMA.split(";"):
        connection.execute(statement)
    start = {"last": 0, "trimmed": 0, "published": 0, "forgotten": 0}
    values = {**start, **_NEWER, "time_unit": time_unit, "key": secrets.token_bytes(32)}
    connection.executemany("INSERT INTO meta VALUES (?, ?, ?)", map(record_row, values, values.values()))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def _upgrade(connection: sqlite3.Connection) -> None:
    """Make a file of version 1 one of today's; its rows stay without checksums, and are known by their places."""
    for statement in _UPGRADE.split(";"):
        connection.execute(statement)
    values = dict(connection.execute("SELECT name, value FROM meta"))
    checkpoints = connection.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0]
    values |= {**_NEWER, "unchecked": values["last"], "checkpoints": checkpoints}
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", map(record_row, values, values.values()))
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")


def record_row(name: str, value: Any) -> tuple[str, Any, int]:
    """A row of the table of records."""
    return name, value, sum_row(0, "meta", name, value)
