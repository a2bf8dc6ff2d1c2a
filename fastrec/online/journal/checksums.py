"""Checksums of a journal's rows, which reveal when the disk returns other data than were written.

Each is a CRC-32 of all fields with their types, of the row's table, and of the journal itself. So a row in another
row's place, or from another journal, is detected like a changed bit.
"""

from typing import TypeAlias
from zlib import crc32

Given: TypeAlias = int | str | None


def sum_event(
    seed: int, seq: int, user: Given, item: Given, value: float, time: int | None, recommendation: str | None = None
) -> int:
    """The checksum of an event; an erased one has neither user nor item.

    >>> sum_event(0, 1, 42, "a", 1.0, None) == sum_event(0, 1, "42", "a", 1.0, None)
    False
    """
    who = f"{len(user)}:{user}" if type(user) is str else user
    what = f"{len(item)}:{item}" if type(item) is str else item
    why = "" if recommendation is None else f" {recommendation}"
    return crc32(f"event {seq} {who} {what} {value!r} {time}{why}".encode("utf-8", "surrogatepass"), seed)


def sum_erased(seed: int, seq: int) -> int:
    """The checksum of an event whose user was deleted: only its place is left."""
    return sum_event(seed, seq, None, None, 0.0, None)


def sum_row(seed: int, table: str, *fields: object) -> int:
    """The checksum of a row of another table.

    >>> sum_row(0, "meta", "last", 5) == sum_row(0, "meta", "last", "5")
    False
    """
    told = (f"{type(field).__name__} {len(text := _text(field))} {text}" for field in fields)
    return crc32(f"{table} {' '.join(told)}".encode("utf-8", "surrogatepass"), seed)


def _text(field: object) -> str:
    return field.hex() if isinstance(field, bytes) else str(field)
