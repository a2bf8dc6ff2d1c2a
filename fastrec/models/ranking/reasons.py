"""Reasons: the contribution of each feature of a pair to its ranking score."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data.frames import Backend, make_frame


class Reasons(NamedTuple):
    """The contributions of the features to one score; with `base` they add up to it.

    Parameters
    ----------
    score
        The score of the item for the user.
    base
        The part of the score that all pairs have.
    features
        The names of the features, the largest contribution first, of shape (n,).
    values
        The values of the features for this pair, float32, of shape (n,).
    contributions
        The contribution of each feature to the score, float32, of shape (n,).
    """

    score: float
    base: float
    features: NDArray[Any]
    values: NDArray[np.float32]
    contributions: NDArray[np.float32]

    def to_frame(self, backend: Backend | None = None) -> Any:
        """A table of the features, their values, and their contributions to the score.

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
