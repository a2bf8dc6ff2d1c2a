"""Several models at once: a hash of the user chooses the model that answers."""

import hashlib
import itertools
from collections.abc import Sequence


class Shares:
    """The part of all users that each model answers.

    A user's model follows from the key and the user alone: it is the same on every machine and after every start. A
    last model whose share grows keeps the users that it had.

    Parameters
    ----------
    shares
        The share of each model, with sum 1.
    key
        The key of the random choice of users.

    Raises
    ------
    ValueError
        If a share is below 0, or their sum is not 1.

    Examples
    --------
    >>> shares = Shares([0.9, 0.1])
    >>> [shares.find(user) for user in range(30)].count(1)
    3
    """

    def __init__(self, shares: Sequence[float], key: str = "") -> None:
        if not shares or min(shares) < 0 or not abs(sum(shares) - 1) < 1e-9:
            raise ValueError(f"shares must be at least 0 with sum 1, got {', '.join(map(str, shares))}")
        self._ends = list(itertools.accumulate(shares))[:-1]
        self._key = hashlib.sha256(key.encode()).digest()

    def find(self, user: int | str) -> int:
        """Returns the number of the model that answers a user."""
        digest = hashlib.blake2b(str(user).encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        place = int.from_bytes(digest, "big") / 2**64
        return sum(place >= end for end in self._ends)


def parse_shares(text: str) -> tuple[float, ...]:
    """Parses shares as people write them.

    >>> parse_shares("0.9,0.1")
    (0.9, 0.1)
    """
    shares = tuple(map(float, text.split(",")))
    Shares(shares)
    return shares
