"""Pseudonyms: texts in place of ids in files, which cannot be reversed, or found by trying, without a key."""

from hashlib import blake2b

from fastrec.data.ids import as_ids, check_text

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
    ids = as_ids(users)
    is_text = ids.dtype == object
    if is_text:
        check_text(ids.tolist(), "ids")
    keyed = blake2b(digest_size=_BYTES, key=check_key(key), person=b"user/str" if is_text else b"user/int")
    pseudonyms = []
    for one in ids.tolist():
        hashed = keyed.copy()
        hashed.update(one.encode("utf-8", "surrogatepass") if is_text else b"%d" % one)
        pseudonyms.append(hashed.hexdigest())
    return pseudonyms


def check_key(key: bytes) -> bytes:
    """A key that is long enough to be secret."""
    if not isinstance(key, bytes):
        raise TypeError(f"key must be bytes, such as secrets.token_bytes(32), got a {type(key).__name__}")
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError(
            f"key must have {SHORTEST_KEY} to {LONGEST_KEY} bytes, got {len(key)}: a short key can be guessed"
        )
    return key
