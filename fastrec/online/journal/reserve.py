"""A reserve of disk space beside a journal: given up when the disk is full, so that a deletion can still be written."""

import contextlib
import math
import os
import shutil
import sys
from pathlib import Path

from fastrec.permissions import open_new

if sys.platform != "win32":
    import resource

# So large where there is room; else an eighth of what is free, by halves.
LARGEST, SMALLEST = 4 << 20, 64 << 10


class Reserve:
    """A file that holds nothing but room.

    Parameters
    ----------
    path
        Where it lies: on the disk of what it is for.
    mode
        Its permissions.
    """

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self.mode = mode

    def size(self) -> int:
        """The number of bytes set aside; 0 where the reserve has been given up."""
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0

    def make(self) -> int:
        """Sets bytes aside, where none are; returns how many are then. 0: there is no room for any."""
        size = LARGEST
        while size >= SMALLEST and not self.size():
            if size <= shutil.disk_usage(self.path.parent).free // 8:
                self._make(size)
            size //= 2
        return self.size()

    def _make(self, size: int) -> None:
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
            descriptor = open_new(aside, self.mode)
            try:
                _fill(descriptor, size)
            finally:
                os.close(descriptor)
            os.replace(aside, self.path)
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Lets the disk have the room."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def largest_file() -> float:
    """The number of bytes that a file of this process may have."""
    if sys.platform == "win32":
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _fill(descriptor: int, size: int) -> None:
    """Gives a file blocks of its own: one that is only long has none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(1 << 16)
    for _ in range(size // len(block)):
        os.write(descriptor, block)
