"""`DiskRoom`: keeps enough disk space for a deletion, even if everything else is refused."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from fastrec.online.journal.database import Database
from fastrec.online.journal.errors import JournalDiskFullError, is_full
from fastrec.online.journal.reserve import Reserve, largest_file

Result = TypeVar("Result")


class DiskRoom:
    """The disk space of a journal's file, present and future.

    Parameters
    ----------
    database
        The file.
    reserve
        The reserve for deletions.
    """

    def __init__(self, database: Database, reserve: Reserve) -> None:
        self._database, self._reserve = database, reserve

    def keep(self) -> None:
        """Ensures that a deletion finds room even if there is none for events.

        A deletion needs the reserve, and room for the file to grow by the content of the log.
        """
        self._database.check_file()
        reserved = self._reserve.size() or self._reserve.make()
        if not reserved:
            raise JournalDiskFullError(f"the journal {self._database.path}: the disk has no room for more events")
        size = self._database.count_bytes()
        if size + reserved // 4 > largest_file():
            raise JournalDiskFullError(f"the journal {self._database.path}: files of this process may not be larger")
        if size - os.stat(self._database.path).st_size > reserved // 4:
            self._database.connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def with_shorter_log(self, work: Callable[[], Result]) -> Result:
        """Runs work; on a disk without room for a longer log, the log is moved into the file first."""
        try:
            return work()
        except sqlite3.Error as error:
            if not is_full(error):
                raise
        with contextlib.suppress(sqlite3.Error):
            self._database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return work()

    def with_reserve(self, work: Callable[[], Result]) -> Result:
        """Runs work; if the disk has no other room, the reserve is given up for it."""
        try:
            return self.with_shorter_log(work)
        except sqlite3.Error as error:
            if not is_full(error):
                raise
        self._reserve.give_up()
        return self.with_shorter_log(work)

    def make_reserve(self) -> None:
        """Reserves again what was given up, once there is room for it."""
        self._reserve.make()
