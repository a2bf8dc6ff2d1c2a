"""Exploration: the last places of some lists are filled at random, so that users see other items than the best, too."""

import random
from typing import NamedTuple
from zlib import crc32

import numpy as np

from fastrec.matrix.arrays import Codes, Floats
from fastrec.online.journal import Id

# One place of so many is filled at random, at least one and at most `MOST_PLACES`, from the best so many items that
# are left beside the other places.
PLACES, MOST_PLACES, CANDIDATES = 5, 20, 100


class Exploration(NamedTuple):
    """The items of a list that were drawn at random.

    Parameters
    ----------
    places
        How many places.
    candidates
        How many items they were drawn from, each as likely as any other.
    marks
        Of the items that were drawn, as `mark_item` makes them.

    Examples
    --------
    >>> drawn = Exploration(2, 100, (mark_item("Alien"), mark_item("Brazil")))
    >>> drawn.find_propensity("Brazil"), drawn.find_propensity("Clue")
    (0.02, None)
    """

    places: int
    candidates: int
    marks: tuple[str, ...] = ()

    @property
    def propensity(self) -> float:
        """The probability with which each candidate is in the list."""
        return self.places / self.candidates

    def find_propensity(self, item: Id) -> float | None:
        """The probability with which an item was drawn; None if it was not."""
        return self.propensity if mark_item(item) in self.marks else None


def mark_item(item: Id) -> str:
    """Four hexadecimal digits that tell an item from others; of 65 536 others one has the same.

    >>> mark_item(42) == mark_item("42")
    False
    """
    return f"{crc32(repr(item).encode('utf-8', 'surrogatepass')) & 0xFFFF:04x}"


def count_places(k: int) -> int:
    """The number of places of a list of k that are filled at random.

    >>> [count_places(k) for k in (1, 10, 1000)]
    [1, 2, 20]
    """
    return min(MOST_PLACES, max(1, k // PLACES))


def draw_places(
    codes: Codes, scores: Floats, k: int, chance: random.Random
) -> tuple[Codes, Floats, Exploration | None]:
    """A list of k items whose last places are drawn from the best items that are left, in the order of their scores.

    Parameters
    ----------
    codes, scores
        The best items, more than k, the best first; -1 for empty places.
    k
        The length of the list; 0 gives an empty one.
    chance
        The generator that draws.

    Returns
    -------
    codes, scores
        Of shape (k,).
    Exploration or None
        None if there is nothing to draw from: then these are the best.
    """
    places, found = count_places(k), int(np.count_nonzero(codes >= 0))
    kept = k - places
    candidates = min(found - kept, CANDIDATES)
    if k < 1 or candidates <= places:
        return codes[:k], scores[:k], None
    order = [*range(kept), *sorted(chance.sample(range(kept, kept + candidates), places))]
    return codes[order], scores[order], Exploration(places, candidates)
