"""FileLeader: elects the leader among processes of one machine, with a file lock that ends with the process."""

import contextlib
import os
import sys
from pathlib import Path
from typing import IO

from fastrec.permissions import PRIVATE, open_new

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLeader:
    """A lock that one process at a time can hold; it is free again when that process ends in any way.

    Parameters
    ----------
    path
        The file to lock.
    mode
        The permissions of a new file: a process that cannot open it cannot hold the lock either.
    """

    def __init__(self, path: str | os.PathLike[str], mode: int = PRIVATE) -> None:
        self.path = Path(path)
        self._mode = mode
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Tries to take the lock, and tells whether this process holds it now."""
        if self._file is not None:
            return True
        file = self._open()
        try:
            if sys.platform == "win32":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def _open(self) -> IO[bytes]:
        """Opens the file; a new one gets exactly the mode that was asked for, whatever the umask."""
        with contextlib.suppress(FileExistsError):
            return os.fdopen(open_new(self.path, self._mode), "ab")
        return open(self.path, "ab")

    def check(self) -> None:
        """Does nothing: nobody can take the lock from a living process."""

    def release(self) -> None:
        """Releases the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None
