"""The trimming of a journal: it drops the events that a published model has taken in, and remembers their places."""

import sqlite3
from collections.abc import Sequence

from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.database import Database
from fastrec.online.journal.item_table import drop_superseded

# An event id counts as known while it is among so many last events; then its hash is dropped.
REMEMBERED_IDS = 10_000_000


def drop_events(database: Database, connection: sqlite3.Connection, upto: int, keep: Sequence[int]) -> int:
    """Drops the events up to a place, except those to keep, with all records about them; returns the place."""
    trimmed, published = (int(database.record(connection, name)) for name in ("trimmed", "published"))
    upto = min(upto, published)
    if upto <= trimmed:
        return trimmed
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (seq INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM temp.wanted")
    connection.executemany("INSERT OR IGNORE INTO temp.wanted VALUES (?)", [(int(seq),) for seq in keep])
    connection.execute("DELETE FROM events WHERE seq <= ? AND seq NOT IN (SELECT seq FROM temp.wanted)", (upto,))
    connection.execute("DELETE FROM deletions WHERE seq <= ?", (upto,))
    connection.execute("DELETE FROM checkpoints WHERE seq < ?", (upto,))
    _count_checkpoints(database, connection)
    kept = connection.execute("SELECT COUNT(*) FROM events WHERE seq <= ?", (upto,)).fetchone()[0]
    database.set_record(connection, "kept", kept)
    database.set_record(connection, "kept_items", drop_superseded(connection, upto))
    forgotten = min(upto, int(database.record(connection, "last")) - REMEMBERED_IDS)
    if forgotten > int(database.record(connection, "forgotten")) + REMEMBERED_IDS // 10:
        connection.execute("DELETE FROM ids WHERE seq <= ?", (forgotten,))
        database.set_record(connection, "forgotten", forgotten)
    database.set_record(connection, "trimmed", upto)
    return upto


def record_checkpoint(
    database: Database, connection: sqlite3.Connection, seed: int, seq: int, version: str, rule: str | None
) -> None:
    """Records a checkpoint."""
    crc = sum_row(seed, "checkpoints", seq, version, rule)
    connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)", (seq, version, rule, crc))
    _count_checkpoints(database, connection)


def _count_checkpoints(database: Database, connection: sqlite3.Connection) -> None:
    count = connection.execute("SELECT COUNT(*) FROM checkpoints").fetchone()[0]
    database.set_record(connection, "checkpoints", count)
