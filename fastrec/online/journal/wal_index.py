"""The head of SQLite's index of a write-ahead log: as long as it is the same, nobody has written.

Reading it takes no system call, where the least query takes several. SQLite itself compares it so, to know whether its
pages in memory still hold (https://www.sqlite.org/walformat.html, section 2.1).

A process that closes any descriptor of a file loses its locks on that file, those of SQLite among them. So one mapping
of an index serves all who read it, and is closed only once SQLite has removed the file: then nobody uses it.
"""

import contextlib
import ctypes
import mmap
import os
import sys
import threading
from pathlib import Path
from typing import NamedTuple

# The head's size, the version of its format as it stands in it, and where it says that it is in use.
SIZE, VERSION, IN_USE = 48, (3007000).to_bytes(4, sys.byteorder), 12

_lock = threading.Lock()
_mapped: dict[tuple[int, int], "Mapping"] = {}  # by device and number of the file


class Mapping(NamedTuple):
    """The head of an index, mapped, and the descriptor of its file."""

    descriptor: int
    head: mmap.mmap


class WalIndex:
    """The index of one database.

    Parameters
    ----------
    database
        The database's file, which stays open by SQLite, in WAL mode, as long as this is used.
    """

    def __init__(self, database: Path) -> None:
        self._mapping = _map(database.with_name(f"{database.name}-shm"))

    def read_head(self) -> bytes | None:
        """The head as it is now; None where it cannot be told, as on Windows."""
        if self._mapping is None:
            return None
        try:
            head = self._mapping.head[:SIZE]
        except ValueError:  # another thread has just closed it
            return None
        return head if head[:4] == VERSION and head[IN_USE] else None

    def close(self) -> None:
        """Closes the mapping if SQLite has removed the file, as it does after the last connection.

        A removed file that is mapped keeps its file system from being unmounted.
        """
        with _lock:
            _close_removed()


def _map(path: Path) -> Mapping | None:
    """Returns the mapping of an index, the same one for all callers; None if the index cannot be mapped."""
    if os.name == "nt":  # SQLite could not remove a file there that is mapped
        return None
    with _lock, contextlib.suppress(OSError, ValueError):
        _close_removed()
        known = _mapped.get(_number(os.stat(path)))
        if known is not None:
            return known
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        head = mmap.mmap(descriptor, SIZE, access=mmap.ACCESS_READ)
        # The interpreter would close it at its end, when a thread may still write, and lose the locks of that.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(head))
        return _mapped.setdefault(_number(os.fstat(descriptor)), Mapping(descriptor, head))
    return None


def _close_removed() -> None:
    """Close the mappings of files that are gone."""
    for key, mapping in list(_mapped.items()):
        if not os.fstat(mapping.descriptor).st_nlink:
            del _mapped[key]
            mapping.head.close()
            os.close(mapping.descriptor)


def _number(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
