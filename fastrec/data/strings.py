"""Strings as one block of UTF-8 bytes with offsets: how ids and titles lie in files, no Python object for each."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Lone surrogates are legal in a Python str and occur in file names and scraped ids; UTF-8 proper refuses them.
ERRORS = "surrogatepass"


def pack_strings(strings: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    r"""All strings as one block of UTF-8 bytes, and where each begins and ends in it.

    Parameters
    ----------
    strings
        Any n strings; empty ones, NULs and lone surrogates come back from `unpack_strings` as they were.

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
    """The strings of a block made by `pack_strings`, as an object array of shape (n,).

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
    """Raise a ValueError unless bytes and offsets have the types and ends of a block; looks at no string."""
    if utf8.dtype != np.uint8 or utf8.ndim != 1 or offsets.ndim != 1 or offsets.dtype != np.int64 or not len(offsets):
        raise ValueError(
            "a block of strings is 1-D uint8 bytes with 1-D int64 offsets, one more than there are strings"
        )
    if offsets[0] != 0 or offsets[-1] != len(utf8):
        raise ValueError(f"the offsets of a block of strings must run from 0 to its {len(utf8)} bytes")
