"""Leader: of several workers, the one that makes new models, by a lock on a file that dies with its process."""

import os
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Leader:
    """A lock that one process at a time can have; it is free again when that process ends, however it does.

    Parameters
    ----------
    path
        The file to lock.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Whether this process has the lock now."""
        if self._file is not None:
            return True
        file = open(self.path, "ab")  # noqa: SIM115  (kept open as long as the lock is held)
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

    def release(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.close()
            self._file = None
