"""Reasons: what each feature of a pair adds to the score by which it is ranked."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data.frames import Backend, make_frame


class Reasons(NamedTuple):
    """The parts of one score that the features account for; with `base` they sum up to it.

    Parameters
    ----------
    score
        The score of the item for the user.
    base
        What all pairs have.
    features
        The names of the features, the largest contribution first, of shape (n,).
    values
        What they are for this pair, float32, of shape (n,).
    contributions
        What each adds to the score, float32, of shape (n,).
    """

    score: float
    base: float
    features: NDArray[Any]
    values: NDArray[np.float32]
    contributions: NDArray[np.float32]

    def to_frame(self, backend: Backend | None = None) -> Any:
        """A table of the features, what they are and what each adds to the score.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            None: the first one that is installed.

        Returns
        -------
        DataFrame or Table
            The columns feature, value and contribution.

        Examples
        --------
        >>> one = np.array([0.5], np.float32)
        >>> Reasons(0.75, 0.25, np.array(["year"], object), np.array([1995], np.float32), one).to_frame()
          feature   value  contribution
        0    year  1995.0           0.5
        """
        columns = {"feature": self.features, "value": self.values, "contribution": self.contributions}
        return make_frame(columns, backend)
