"""Values as bytes with their types: PostgreSQL's text takes no NUL, and a column has one type."""

from typing import TypeAlias

Value: TypeAlias = int | str | bytes | None


def encode(value: Value) -> bytes | None:
    """Encodes a value with a letter for its type before it.

    >>> encode(42), encode("42"), encode(b"42"), encode(None)
    (b'i42', b's42', b'b42', None)
    """
    if value is None:
        return None
    if isinstance(value, bytes):
        return b"b" + value
    return b"s" + value.encode() if isinstance(value, str) else b"i%d" % value


def decode(stored: bytes | None) -> Value:
    """Decodes a value.

    >>> decode(b"i42"), decode(b"s42"), decode(None)
    (42, '42', None)
    """
    if stored is None:
        return None
    kind, rest = stored[:1], stored[1:]
    if kind == b"b":
        return rest
    return rest.decode() if kind == b"s" else int(rest)
