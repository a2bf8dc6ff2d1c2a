"""Marks among ratings: -1 among values of at least 0, by which many data sets mean "had, not rated"."""

import numpy as np
from numpy.typing import NDArray

from fastrec.notices import warn_caller


class UnratedWarning(UserWarning):
    """A warning: some values are -1 and all others are at least 0, so -1 may mean "had, not rated"."""


def tell_unrated(values: NDArray[np.float32], name: str) -> None:
    """Warns that -1 may be no rating, if it is the only negative value and some values are above 1."""
    negative = values < 0
    n_negative = int(np.count_nonzero(negative))
    if n_negative == 0 or values.max() <= 1 or not (values[negative] == -1).all():
        return
    warn_caller(
        f"{n_negative / len(values):.1%} of {name} are -1, and all others are at least 0. Such a -1 often means that "
        "a user had the item and did not rate it, but it counts as a rating here. Leave those rows out by "
        "data.select(data.values >= 0), or say value=False to count every event alike",
        UnratedWarning,
    )
