"""Errors of a journal."""

import errno
import sqlite3

# SQLite's errors for a disk without room; a limit on the size of files is among them.
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


class JournalError(RuntimeError):
    """An error of the journal: a full disk, a read-only folder, a file that is no journal."""


class JournalFullError(JournalError):
    """An error: too many events wait for a commit; try again a moment later."""


class JournalTrimmedError(JournalError):
    """An error: the wanted events were dropped, since a published model has them; load that model."""


class JournalDiskFullError(JournalError):
    """An error: the disk has no room. Events are refused; deletions and reading still work."""


class JournalDamagedError(JournalError):
    """An error: the file does not hold what was written to it; a row's checksum is wrong, or rows are missing."""


def is_full(error: Exception) -> bool:
    """Tells whether an error says that the disk has no room."""
    return getattr(error, "sqlite_errorcode", None) in _FULL or getattr(error, "errno", None) == errno.ENOSPC
