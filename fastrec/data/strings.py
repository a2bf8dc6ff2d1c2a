"""Strings as one block of UTF-8 bytes with offsets: the form of ids and titles in files, without Python objects."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.fields import Array

# Lone surrogates are legal in a Python str, and occur in file names and scraped ids; strict UTF-8 refuses them.
ERRORS = "surrogatepass"
STRINGS_AT_ONCE = 1 << 14
OFFSETS = Array(("n + 1",), "int64", below="bytes", order="ends")


def pack_strings(strings: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    r"""Packs strings into one block of UTF-8 bytes, with the place where each begins and ends.

    Parameters
    ----------
    strings
        Any n strings; empty ones, NULs and lone surrogates come back unchanged from `unpack_strings`.

    Returns
    -------
    utf8 : ndarray of uint8
        The bytes of all strings, one after the other.
    offsets : ndarray of int64, shape (n + 1,)
        String i is ``utf8[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> utf8, offsets = pack_strings(["ab", "", "é"])
    >>> offsets
    array([0, 2, 2, 4])
    >>> unpack_strings(utf8, offsets)
    array(['ab', '', 'é'], dtype=object)
    """
    pieces = [string.encode("utf-8", ERRORS) for string in strings]
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)), out=offsets[1:])
    return np.frombuffer(b"".join(pieces), np.uint8), offsets


def unpack_strings(utf8: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.object_]:
    """Unpacks the strings of a block made by `pack_strings`, as an object array of shape (n,).

    Raises
    ------
    ValueError
        If the offsets do not fit the block, or the bytes are not UTF-8.
    """
    check_block(utf8, offsets)
    if np.any(offsets[1:] < offsets[:-1]):
        raise ValueError("the offsets of a block of strings must never fall")
    strings = np.empty(len(offsets) - 1, object)
    block, bounds = utf8.tobytes(), offsets.tolist()
    strings[:] = [str(block[a:b], "utf-8", ERRORS) for a, b in pairwise(bounds)]
    return strings


def check_block(utf8: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    """Raises a ValueError unless bytes and offsets have the types and ends of a block; reads no string."""
    if utf8.dtype != np.uint8 or utf8.ndim != 1 or offsets.ndim != 1 or offsets.dtype != np.int64 or not len(offsets):
        raise ValueError(
            "a block of strings is 1-D uint8 bytes with 1-D int64 offsets, one more than there are strings"
        )
    if offsets[0] != 0 or offsets[-1] != len(utf8):
        raise ValueError(f"the offsets of a block of strings must run from 0 to its {len(utf8)} bytes")


def is_rising(utf8: NDArray[np.uint8], offsets: NDArray[np.int64], order: NDArray[np.int32]) -> bool:
    """Tells whether each string of a block is above the one before, byte by byte, which is the order of code points.

    >>> utf8, offsets = pack_strings(["b", "a", "ab"])
    >>> is_rising(utf8, offsets, np.array([1, 2, 0])), is_rising(utf8, offsets, np.array([2, 1, 0]))
    (True, False)
    """
    words = np.ndarray((len(utf8) + 1,), ">u8", np.concatenate([utf8, np.zeros(8, np.uint8)]), strides=(1,))
    for first in range(0, len(order), STRINGS_AT_ONCE):
        codes = order[max(0, first - 1) : first + STRINGS_AT_ONCE]
        starts, ends = offsets[codes], offsets[codes + 1]
        these = _words(words, starts, ends)
        if (these[1:] < these[:-1]).any():
            return False
        ties = np.flatnonzero(these[1:] == these[:-1])
        if not _ties_rise(words, starts, ends, ties):
            return False
    return True


def _ties_rise(words: NDArray[Any], starts: NDArray[Any], ends: NDArray[Any], ties: NDArray[np.intp]) -> bool:
    """Tells whether, for strings with equal first eight bytes, the one after each of `ties` is above it."""
    lengths, depth = ends - starts, 8
    while len(ties):
        spent = (lengths[ties] <= depth) & (lengths[ties + 1] <= depth)
        if (lengths[ties[spent]] >= lengths[ties[spent] + 1]).any():
            return False
        ties = ties[~spent]
        left, right = (_words(words, starts[some] + depth, ends[some]) for some in (ties, ties + 1))
        if (right < left).any():
            return False
        ties, depth = ties[right == left], depth + 8
    return True


def _words(words: NDArray[Any], starts: NDArray[Any], ends: NDArray[Any]) -> NDArray[np.uint64]:
    """Returns the first eight bytes of each string as one number in the same order; zeros follow shorter strings."""
    sizes = np.clip(ends - starts, 0, 8)
    shifts = np.minimum(64 - 8 * sizes, 63).astype(np.uint64)
    taken = words[np.minimum(starts, len(words) - 1)].astype(np.uint64)
    return np.where(sizes > 0, taken >> shifts << shifts, np.uint64(0))


def check_strings(utf8: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    """Raises a ValueError unless every string of a block can be read: offsets never fall, and all is UTF-8.

    Bytes that are UTF-8 as a whole are UTF-8 between any two starts of characters, so no string is made.
    """
    check_block(utf8, offsets)
    OFFSETS.check("the offsets of a block of strings", offsets, {"bytes": len(utf8)}, ranges=True)
    starts = offsets[:-1][offsets[:-1] < offsets[1:]]
    if (utf8[starts] & 0xC0 == 0x80).any():
        raise ValueError("a string of a block starts within a character")
    for first in range(0, len(starts), STRINGS_AT_ONCE):
        last = first + STRINGS_AT_ONCE
        end = starts[last] if last < len(starts) else len(utf8)
        str(utf8[starts[first] : end].data, "utf-8", ERRORS)
