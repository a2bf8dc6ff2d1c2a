"""The SQLite file of a journal: connections, transactions, and records by name."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.damage import Damage
from fastrec.online.journal.errors import JournalDamagedError, JournalDiskFullError, JournalError, is_full
from fastrec.online.journal.schema import check_kind, make_current, record_row
from fastrec.online.journal.wal_index import WalIndex
from fastrec.permissions import open_new

# the time that a commit waits for other processes that write
BUSY_SECONDS = 10.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)  # errors about the file as a whole, before any row is read


class Database:
    """A file in WAL mode with synchronous=FULL, and a connection to it for each thread.

    Parameters
    ----------
    path
        The file.
    damage
        The treatment of altered records.
    """

    def __init__(self, path: Path, damage: Damage) -> None:
        self.path, self.damage = path, damage
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._ended = False
        self._inode: int | None = None  # of the open file
        self._index: WalIndex | None = None

    # -- opening and closing

    def open(self, mode: int, time_unit: str | None) -> None:
        """Creates the file if there is none, with that mode; refuses a file that is no journal."""
        self._check_place()
        with contextlib.suppress(FileExistsError):
            os.close(open_new(self.path, mode))  # SQLite gives its log the same permissions
        connection = self.connection()
        check_kind(connection, self.path)  # before anything in a foreign file is changed
        connection.execute("PRAGMA journal_mode = WAL")
        with self.transaction() as connection:
            make_current(connection, time_unit or "ms")
        check_kind(connection, self.path)
        self._inode = os.stat(self.path).st_ino
        self._index = WalIndex(self.path)
        self.page_size = int(connection.execute("PRAGMA page_size").fetchone()[0])

    def _check_place(self) -> None:
        if not self.path.parent.is_dir():
            raise JournalError(f"the journal {self.path}: there is no folder {self.path.parent}")
        if self.path.is_dir():
            raise JournalError(f"the journal {self.path} is a folder: give a file in it")
        if not os.access(self.path.parent, os.W_OK):  # SQLite creates files beside it
            raise JournalError(f"the journal {self.path}: its folder cannot be written to")

    def close(self) -> None:
        """Closes all connections."""
        with self._lock:
            connections, self._connections = self._connections, []
            index, self._index = self._index, None
            self._ended = True
        for connection in connections:
            connection.close()
        if index is not None:
            index.close()

    def connection(self) -> sqlite3.Connection:
        """The thread's own connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            if self._ended:
                raise JournalError(f"{self.path} is closed")
            connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
            )
            with self._lock:
                self._connections.append(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            self._local.connection = connection
        return connection

    def read_mark(self) -> bytes | None:
        """Returns a value that changes with each commit of any process; None if only a query can tell."""
        return None if self._index is None else self._index.read_head()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Opens a read transaction: all reads within it see the same state."""
        connection = self.connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Opens a write transaction: all writes within it are kept, or none."""
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            self.check_file()
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def check_file(self) -> None:
        """Refuses to write to a file that was removed: its data would be lost at closing."""
        if self._inode is None:
            return
        try:
            inode = os.stat(self.path).st_ino
        except FileNotFoundError:
            inode = -1
        if inode != self._inode:
            raise JournalError(f"{self.path} was removed or replaced while it was open: open it again")

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Converts errors of SQLite and of the system to the journal's own."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self.error_of(error) from error

    def error_of(self, error: Exception) -> JournalError:
        """The journal's own error for one of SQLite or of the system."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return JournalDamagedError(
                f"the journal {self.path}: {error}. Replace the journal by a sound copy, or begin a "
                "new one from the published model"
            )
        kind = JournalDiskFullError if is_full(error) else JournalError
        return kind(f"the journal {self.path}: {error}")

    def truncate_log(self) -> None:
        """Moves the write-ahead log into the file and empties it, so that no old page is left."""
        connection, end = self.connection(), time.monotonic() + BUSY_SECONDS
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > end:
                raise JournalError(
                    f"{self.path}: the deletion is done, but a reader keeps the old log from being emptied"
                )
            time.sleep(0.005)

    def count_bytes(self) -> int:
        """Returns the size of the file in bytes, with the part that is still in the log."""
        return int(self.connection().execute("PRAGMA page_count").fetchone()[0]) * self.page_size

    # -- records

    def record(self, connection: sqlite3.Connection, name: str) -> Any:
        """Returns the record of that name."""
        row = connection.execute("SELECT value, crc FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None or row[1] != sum_row(0, "meta", name, row[0]):
            raise self.damage.error(f"its record of {name!r}")
        return row[0]

    def read_record(self, name: str) -> Any:
        """Returns the record of that name, in a transaction of its own."""
        with self.errors():
            return self.record(self.connection(), name)

    @staticmethod
    def set_record(connection: sqlite3.Connection, name: str, value: Any) -> None:
        """Replaces the record of that name."""
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", record_row(name, value))
