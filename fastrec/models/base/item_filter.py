"""The items that may be recommended to each user."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import Codes, readonly
from fastrec.matrix.code_matrix import CodeMatrix, keep_entries
from fastrec.matrix.rows import pick_rows
from fastrec.retrieval.filters import NO_CODES, ExcludedCodes, Mask, read_allowed

Excluded: TypeAlias = CodeMatrix | Codes | None
Allowed: TypeAlias = NDArray[np.bool_] | CodeMatrix | None


class ItemFilter(NamedTuple):
    """The items that may be recommended to n users.

    Parameters
    ----------
    exclude
        The items left out: a row for each user, codes for all of them, or None.
    allow
        The items allowed: a mask for all users, a row for each, or None for all items.
    """

    exclude: Excluded = None
    allow: Allowed = None

    def excluded_of(self, n: int) -> Any:
        """The part that is left out of the answers of `n` users, as searches take it.

        Codes of a single user are ascending, and no mask is made of them.
        """
        if n == 1 and isinstance(self.exclude, np.ndarray):
            return ExcludedCodes(np.array([0, len(self.exclude)]), readonly(self.exclude))
        return self.exclude

    def is_of_one(self) -> bool:
        """Tells whether the filter is a single user's, with plain codes and a mask: `closed_codes` and `open_mask`."""
        return isinstance(self.exclude, np.ndarray | None) and isinstance(self.allow, np.ndarray | None)

    def closed_codes(self) -> Codes:
        """The excluded codes of a single user, as searches of one query take them."""
        return readonly(self.exclude) if isinstance(self.exclude, np.ndarray) else NO_CODES

    def open_mask(self, n: int) -> Mask | None:
        """The allowed ones of n items, as searches of one query take them."""
        return None if self.allow is None else read_allowed(self.allow, n)

    def part(self, rows: NDArray[np.bool_] | slice) -> "ItemFilter":
        """The filter of some of the users."""
        return ItemFilter(_part(self.exclude, rows), _part(self.allow, rows))

    def within(self, allow: Allowed) -> "ItemFilter":
        """The filter that allows the items that both filters allow; at most one of them has rows."""
        return ItemFilter(self.exclude, _both(self.allow, allow))

    def lets_through(self, code: int) -> bool:
        """Tells whether the only user may be recommended an item."""
        if self.exclude is not None and code in (
            self.exclude if isinstance(self.exclude, np.ndarray) else self.exclude.indices
        ):
            return False
        if isinstance(self.allow, CodeMatrix):
            return code in self.allow.indices
        return self.allow is None or bool(self.allow[code])

    def is_same(self, other: "ItemFilter") -> bool:
        """Tells whether this one and another let the same through, as far as their arrays show it."""
        return _same(self.exclude, other.exclude) and _same(self.allow, other.allow)


def mask_of(codes: Codes, n: int) -> NDArray[np.bool_]:
    """The mask of the codes: True for each, of shape (n,)."""
    mask = np.zeros(n, bool)
    mask[codes] = True
    return mask


def _both(first: Allowed, second: Allowed) -> Allowed:
    if first is None or second is None:
        return second if first is None else first
    if isinstance(second, CodeMatrix):
        first, second = second, first
    if isinstance(second, CodeMatrix):
        raise TypeError("two filters cannot both have a row for each user")
    return keep_entries(first, second[first.indices]) if isinstance(first, CodeMatrix) else first & second


def _same(first: Any, second: Any) -> bool:
    """Compares the codes of a single user with a matrix of one row, too."""
    if first is None or second is None or first is second:
        return first is second
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, CodeMatrix) and isinstance(second, CodeMatrix):
        return np.array_equal(first.indptr, second.indptr) and np.array_equal(first.indices, second.indices)
    codes, matrix = (first, second) if isinstance(first, np.ndarray) else (second, first)
    return matrix.shape[0] == 1 and np.array_equal(codes, matrix.indices)


def _part(filtered: Any, rows: NDArray[np.bool_] | slice) -> Any:
    """The rows of some users; a filter for all users stays the same."""
    return pick_rows(filtered, rows) if isinstance(filtered, CodeMatrix) else filtered
