"""Errors of a journal."""

import errno
import sqlite3

# Errors of SQLite that a disk without room ends in; a limit on the size of files is one to it, too.
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


class JournalError(RuntimeError):
    """The journal cannot do what was asked now: a full disk, a read-only folder, a file that is no journal."""


class JournalFullError(JournalError):
    """More events wait to be committed than may: try again a moment later."""


class JournalTrimmedError(JournalError):
    """The events asked for are gone, since a published model has them: load that model."""


class JournalDiskFullError(JournalError):
    """The disk has no room: events are refused, deletions are not, and what is there can be read."""


class JournalDamagedError(JournalError):
    """The file does not hold what was written to it: a row's checksum is wrong, or rows are missing."""


def is_full(error: Exception) -> bool:
    """Tells whether an error says that the disk has no room."""
    return getattr(error, "sqlite_errorcode", None) in _FULL or getattr(error, "errno", None) == errno.ENOSPC
