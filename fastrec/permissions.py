"""Permissions of the files that fastrec writes: they hold what users did, so only the owner may read them by
default.
"""

import os
import re
from pathlib import Path

# read and write for the owner, nothing for others
PRIVATE = 0o600


def check_mode(mode: int) -> int:
    """Returns a file mode that lets the owner read and write, and makes nothing executable.

    >>> oct(check_mode(0o640))
    '0o640'
    """
    if isinstance(mode, bool) or not isinstance(mode, int) or mode & ~0o666 or mode & 0o600 != 0o600:
        shown = oct(mode) if isinstance(mode, int) else repr(mode)
        raise ValueError(f"mode must be of read and write bits, the owner's among them (0o600, 0o640 …), got {shown}")
    return mode


def parse_mode(text: str) -> int:
    """Parses a mode as people write it, in octal digits.

    >>> parse_mode("640") == parse_mode("0o640") == 0o640
    True
    """
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text):
        raise ValueError(f"mode must be three octal digits, as 600 or 640, got {text!r}")
    return check_mode(int(text[-3:], 8))


def open_new(path: str | os.PathLike[str], mode: int = PRIVATE) -> int:
    """Opens a new file, with these permissions from the start, and returns its descriptor; an existing file is an
    error.

    The file gets this mode whatever the process's umask, so that a group can share a journal. Windows has no such
    modes; there the folder's own rights decide.
    """
    check_mode(mode)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE)
    if os.name != "nt":
        os.fchmod(descriptor, mode)
    return descriptor


def open_anew(path: str | os.PathLike[str], mode: int = PRIVATE) -> int:
    """Opens a file as `open_new`; the remains of a killed process are removed first."""
    Path(path).unlink(missing_ok=True)
    return open_new(path, mode)


def make_folder(path: str | os.PathLike[str], mode: int = PRIVATE) -> None:
    """Makes a folder for files of that mode, and its parents, if they do not exist; an existing folder is not changed.

    Readers of the files may list the folder: 0o640 makes it 0o750.
    """
    for folder in reversed([Path(path), *Path(path).parents]):
        try:
            folder.mkdir(0o700)
        except OSError:  # it exists, or a root above it is read-only
            if not folder.is_dir():
                raise
        else:
            if os.name != "nt":
                folder.chmod(_searchable(check_mode(mode)))


def _searchable(mode: int) -> int:
    """Returns the mode of a folder for files of a mode: readers of the files may enter it."""
    return mode | (mode & 0o444) >> 2
