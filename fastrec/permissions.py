"""Permissions of the files that fastrec makes: what users did is nobody else's business, so they are their owner's."""

import os
import re
from pathlib import Path

# Read and write for the owner, and nothing for others.
PRIVATE = 0o600


def check_mode(mode: int) -> int:
    """A file's mode that the owner can read and write, and that makes nothing executable.

    >>> oct(check_mode(0o640))
    '0o640'
    """
    if isinstance(mode, bool) or not isinstance(mode, int) or mode & ~0o666 or mode & 0o600 != 0o600:
        shown = oct(mode) if isinstance(mode, int) else repr(mode)
        raise ValueError(f"mode must be of read and write bits, the owner's among them (0o600, 0o640 …), got {shown}")
    return mode


def parse_mode(text: str) -> int:
    """A mode as people write it, in octal digits.

    >>> parse_mode("640") == parse_mode("0o640") == 0o640
    True
    """
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text):
        raise ValueError(f"mode must be three octal digits, as 600 or 640, got {text!r}")
    return check_mode(int(text[-3:], 8))


def open_new(path: str | os.PathLike[str], mode: int = PRIVATE) -> int:
    """A descriptor of a new file, with these permissions from its first moment on; an error if there is one.

    The mode is the file's, whatever the process's umask: a group that is to share a journal must be able to write it.
    Windows knows no such modes; there the folder's own rights decide.
    """
    check_mode(mode)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE)
    if os.name != "nt":
        os.fchmod(descriptor, mode)
    return descriptor


def open_anew(path: str | os.PathLike[str], mode: int = PRIVATE) -> int:
    """As `open_new`; what a killed process has left there is removed first."""
    Path(path).unlink(missing_ok=True)
    return open_new(path, mode)


def make_folder(path: str | os.PathLike[str], mode: int = PRIVATE) -> None:
    """Makes a folder for files of that mode, and those above it, where they are not there; one that is stays as it is.

    Who may read the files may look into the folder: 0o640 makes it 0o750.
    """
    for folder in reversed([Path(path), *Path(path).parents]):
        try:
            folder.mkdir(0o700)
        except OSError:  # it is there, or above it is a root that cannot be written to
            if not folder.is_dir():
                raise
        else:
            if os.name != "nt":
                folder.chmod(_searchable(check_mode(mode)))


def _searchable(mode: int) -> int:
    """The mode of a folder for files of a mode: those who may read them may enter it."""
    return mode | (mode & 0o444) >> 2
