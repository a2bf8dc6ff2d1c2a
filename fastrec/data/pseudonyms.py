"""Pseudonyms: texts in place of ids in files, which cannot be reversed, or found by trying, without a key."""

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from fastrec.data.ids import Id, as_ids, check_text, parse_integer

SHORTEST_KEY, LONGEST_KEY = 16, blake2b.MAX_KEY_SIZE
_BYTES = 16  # among a thousand million ids, two share a pseudonym with a chance of 1e-21


def pseudonym(user: int | str, key: bytes) -> str:
    """The pseudonym of an id: its BLAKE2b hash with a key, as 32 hexadecimal digits.

    The holder of the key can compute an id's pseudonym at any time. Nobody else can reverse a pseudonym, or try ids
    until one fits. Keep the key apart from models and journals, and make it with `secrets.token_bytes(32)`.

    Parameters
    ----------
    user
        An id. Types differ: 42 and "42" have two pseudonyms.
    key
        16 to 64 bytes.

    Raises
    ------
    ValueError
        If the key is too short or too long, or an id is missing.
    TypeError
        If the key is not bytes, or the id is neither an integer nor a string.

    Examples
    --------
    >>> pseudonym("anna", b"sixteen or more!")
    '4f6b140b12fc943ee85a7a3401631e53'
    """
    return make_pseudonyms([user], key)[0]


def make_pseudonyms(users: object, key: bytes) -> list[str]:
    """The pseudonyms of several ids, all of one type."""
    pseudonyms = Pseudonyms(key)
    ids = as_ids(users)
    if ids.dtype == object:
        check_text(ids.tolist(), "ids")
    return list(map(pseudonyms.of, ids.tolist()))


class Pseudonyms:
    """The pseudonyms of one key, by which models and journals know users.

    Parameters
    ----------
    key
        16 to 64 bytes.

    Examples
    --------
    >>> pseudonyms = Pseudonyms(b"sixteen or more!")
    >>> known = {pseudonyms.of(42)}
    >>> pseudonyms.find("42", known.__contains__) in known  # of a URL, where all is text
    True
    """

    def __init__(self, key: bytes) -> None:
        key = check_key(key)
        self._text = blake2b(digest_size=_BYTES, key=key, person=b"user/str")
        self._number = blake2b(digest_size=_BYTES, key=key, person=b"user/int")

    def of(self, user: Id) -> str:
        """The pseudonym of an id, which is an integer or a string."""
        if isinstance(user, str):
            hashed, content = self._text.copy(), user.encode("utf-8", "surrogatepass")
        else:
            hashed, content = self._number.copy(), b"%d" % user
        hashed.update(content)
        return hashed.hexdigest()

    def find(self, user: Id, knows: Callable[[str], bool]) -> str:
        """The pseudonym that is meant by an id, which may be an integer written as text.

        A text stands for the integer that it is written as where only that is known.
        """
        meant = self.of(user)
        number = parse_integer(user) if isinstance(user, str) else None
        if number is None or knows(meant):
            return meant
        other = self.of(number)
        return other if knows(other) else meant


def is_pseudonym(user: Id) -> bool:
    """Tells whether an id may be a pseudonym.

    >>> is_pseudonym(pseudonym("anna", b"sixteen or more!")), is_pseudonym("anna"), is_pseudonym(42)
    (True, False, False)
    """
    return isinstance(user, str) and len(user) == 2 * _BYTES and set(user) <= set("0123456789abcdef")


def read_key(path: str | os.PathLike[str]) -> bytes:
    """The key in a file, which has it as hexadecimal digits on one line.

    Raises
    ------
    ValueError
        Where the file holds something else, or the key is too short or too long.
    """
    try:
        return check_key(bytes.fromhex(Path(path).read_text(encoding="ascii")))
    except ValueError as error:
        said = str(error) if str(error).startswith("key must") else "it has something else"
        raise ValueError(
            f"{path} must hold the key of pseudonyms as {2 * SHORTEST_KEY} to {2 * LONGEST_KEY} hexadecimal digits, as "
            f"openssl rand -hex 32 makes them: {said}"
        ) from None


def check_key(key: bytes) -> bytes:
    """A key that is long enough to be secret."""
    if not isinstance(key, bytes):
        raise TypeError(f"key must be bytes, such as secrets.token_bytes(32), got a {type(key).__name__}")
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(
            f"key must have {SHORTEST_KEY} to {LONGEST_KEY} bytes, got {len(key)}: a short key can be guessed"
        )
    return key
