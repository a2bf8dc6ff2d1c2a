"""A reserve of disk space beside a journal: it is given up when the disk is full, so that a deletion can be written."""

import contextlib
import math
import os
import shutil
import sys
from pathlib import Path

from fastrec.permissions import open_new

if sys.platform != "win32":
    import resource

# The size of the reserve; with less room, an eighth of the free bytes, found by halving.
LARGEST, SMALLEST = 4 << 20, 64 << 10


class Reserve:
    """A file that only reserves disk space.

    Parameters
    ----------
    path
        The path of the file, on the disk of the journal.
    mode
        The permissions of the file.
    """

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self.mode = mode

    def size(self) -> int:
        """The number of reserved bytes; 0 if the reserve has been given up."""
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0

    def make(self) -> int:
        """Reserves bytes if there are none; returns the number of reserved bytes, 0 without room."""
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
        """Gives the reserve back to the disk."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def largest_file() -> float:
    """Returns the maximum size of a file of this process."""
    if sys.platform == "win32":
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _fill(descriptor: int, size: int) -> None:
    """Writes to every block of a file, since a merely extended file owns none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(1 << 16)
    for _ in range(size // len(block)):
        os.write(descriptor, block)
