"""Explanation: why a model scores an item as it does for a user."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Explanation(NamedTuple):
    """The parts of one score that the items of a user's history account for; they sum up to it.

    Parameters
    ----------
    score
        The model's score of the item for the user.
    items
        The items of the history, the largest contribution first, of shape (n,): ids, or codes without a vocabulary.
    contributions
        What each adds to the score, float32, of shape (n,).
    """

    score: float
    items: NDArray[Any]
    contributions: NDArray[np.float32]
