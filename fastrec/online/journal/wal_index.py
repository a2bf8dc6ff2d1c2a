"""The head of SQLite's index of a write-ahead log: as long as it is the same, nobody has written.

Reading it takes one system call, where the least query takes several. SQLite itself compares it so, to know whether its
pages in memory still hold (https://www.sqlite.org/walformat.html, section 2.1).

A process that closes any descriptor of a file loses its locks on that file, those of SQLite among them. So a descriptor
is shared by all who read the same index, and closed only once SQLite has removed the file: then nobody uses it.
"""

import contextlib
import os
import sys
import threading
from pathlib import Path

# The head's size, the version of its format as it stands in it, and where it says that it is in use.
SIZE, VERSION, IN_USE = 48, (3007000).to_bytes(4, sys.byteorder), 12

_lock = threading.Lock()
_opened: dict[tuple[int, int], int] = {}  # descriptors, by device and number of the file


class WalIndex:
    """The index of one database.

    Parameters
    ----------
    database
        The database's file, which stays open by SQLite, in WAL mode, as long as this is used.
    """

    def __init__(self, database: Path) -> None:
        self._descriptor = _open(database.with_name(f"{database.name}-shm"))

    def read_head(self) -> bytes | None:
        """The head as it is now; None where it cannot be told, as on Windows."""
        if self._descriptor is None:
            return None
        try:
            head = os.pread(self._descriptor, SIZE, 0)
        except OSError:
            return None
        return head if head[:4] == VERSION and len(head) == SIZE and head[IN_USE] else None


def _open(path: Path) -> int | None:
    """A descriptor of the file, the same one for all; None where there is none to be had."""
    if not hasattr(os, "pread"):
        return None
    with _lock, contextlib.suppress(OSError):
        _close_removed()
        known = _opened.get(_number(os.stat(path)))
        if known is not None:
            return known
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return _opened.setdefault(_number(os.fstat(descriptor)), descriptor)
    return None


def _close_removed() -> None:
    """Close the descriptors of files that are gone."""
    for key, descriptor in list(_opened.items()):
        if not os.fstat(descriptor).st_nlink:
            os.close(_opened.pop(key))


def _number(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
