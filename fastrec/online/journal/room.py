"""`DiskRoom`: a journal keeps as much of the disk as a deletion needs, whatever else is refused."""

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
    """The room that a journal's file has, and may have yet.

    Parameters
    ----------
    database
        The file.
    reserve
        What is set aside for deletions.
    """

    def __init__(self, database: Database, reserve: Reserve) -> None:
        self._database, self._reserve = database, reserve

    def keep(self) -> None:
        """See to it that a deletion finds room, should there be none left for events.

        It needs the reserve, and that the file can take what is in the log: so much may it have yet to grow.
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
        """The result of work for which the log is moved into the file, where the disk has no room for a longer one."""
        try:
            return work()
        except sqlite3.Error as error:
            if not is_full(error):
                raise
        with contextlib.suppress(sqlite3.Error):
            self._database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return work()

    def with_reserve(self, work: Callable[[], Result]) -> Result:
        """The result of work that may have what was kept in reserve, where the disk has nothing else."""
        try:
            return self.with_shorter_log(work)
        except sqlite3.Error as error:
            if not is_full(error):
                raise
        self._reserve.give_up()
        return self.with_shorter_log(work)

    def make_reserve(self) -> None:
        """Sets aside again what was given up, once there is room for it."""
        self._reserve.make()
