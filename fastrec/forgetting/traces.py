"""Traces: files that contain the bytes of an id."""

import hashlib
import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path

from fastrec.online.journal import Id

# Shorter ids, and smaller numbers, occur in any file by chance.
FEWEST_BYTES, SMALLEST_NUMBER = 4, 2**32


def forms_of(user: Id) -> list[bytes]:
    r"""The forms of an id in bytes: UTF-8, UTF-16, int64; none if chance would produce it anywhere.

    >>> forms_of("anna")
    [b'anna', b'a\x00n\x00n\x00a\x00', b'\x00a\x00n\x00n\x00a']
    """
    text = str(user)
    forms = [text.encode(how, "surrogatepass") for how in ("utf-8", "utf-16-le", "utf-16-be")]
    forms = [form for form in forms if len(forms[0]) >= FEWEST_BYTES]
    if isinstance(user, int) and abs(user) >= SMALLEST_NUMBER:
        forms += [user.to_bytes(8, order, signed=True) for order in ("little", "big")]
    return forms


def find_traces(users: Sequence[Id], paths: Iterable[Path]) -> list[Path]:
    """Finds the files that contain a form of one of the ids."""
    forms = [form for user in users for form in forms_of(user)]
    return [path for path in paths if path.is_file() and path.stat().st_size and _holds(path, forms)]


def _holds(path: Path, forms: list[bytes]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(form) >= 0 for form in forms)


def checksum(path: Path) -> str:
    """The SHA-256 of a file's content; an empty text if there is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
