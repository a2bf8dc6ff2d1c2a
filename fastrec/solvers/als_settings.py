"""The values of iALS's "auto" options: numbers that follow from the size of the data alone."""

import math
from typing import Any, NamedTuple

import numpy as np

from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix

# The weight of all feedback relative to that of all cells. It works for densities of 0.04 to 6 per cent, for which no
# fixed alpha does (docs/explanation/ials.md).
WEIGHT = 0.1
# The penalty at that weight, in units of the one that learns nothing from pure noise; and its decrease with more
# weight.
NOISE, FALL = 0.55, 0.4
# The share of NOISE that is added where users have few entries in the mean, and the number from which nothing is added.
SHORT, FEW, ENOUGH = 0.25, 5.0, 8.0
# The factors per square root of the smaller side; a multiple of the kernels' vectors.
BREADTH, STEP, MOST = 5.0, 16, 128


class DataSize(NamedTuple):
    """The numbers of a matrix that determine settings.

    Parameters
    ----------
    shape
        Users and items.
    met
        The numbers of users and items with events.
    entries, total
        The number of cells with feedback, and the sum of their values.
    """

    shape: tuple[int, int]
    met: tuple[int, int]
    entries: int
    total: float

    @classmethod
    def of(cls, matrix: CodeMatrix) -> "DataSize":
        """Returns the numbers of a matrix."""
        users = int(np.count_nonzero(np.diff(matrix.indptr)))
        items = int(np.count_nonzero(count_codes(matrix.indices, matrix.shape[1])))
        return cls(matrix.shape, (users, items), matrix.nnz, float(matrix.data.sum(dtype=np.float64)))


def choose_factors(size: DataSize) -> int:
    """Chooses as many factors as data of such a size support; too many do little harm if the penalty suits the noise.

    >>> [choose_factors(DataSize(shape, shape, 1, 1)) for shape in ((900, 20), (40_000, 300), (5000, 9000))]
    [16, 80, 128]
    """
    return min(MOST, max(STEP, STEP * round(BREADTH * math.sqrt(min(size.met)) / STEP)))


def choose_alpha(size: DataSize) -> float:
    """Chooses the alpha with which all feedback together weighs `WEIGHT` of all cells."""
    return WEIGHT * size.shape[0] * size.shape[1] / size.total if size.total > 0 else 1.0


def choose_regularization(size: DataSize, alpha: float, exponent: float) -> float:
    """Chooses the penalty that suppresses noise and keeps what users have in common.

    At the first step, factors of zero, the loss pulls along the singular vectors of (1 + alpha) R, and the penalty
    holds back those whose singular value is below it, times √(weights of a row · weights of a column). The largest
    singular value of noise, as many entries at random places, is about √(entries of a row) + √(entries of a column).
    So the penalty is a share of the one that balances the two. With alpha="auto" and n the mean number of entries it is

        NOISE · (density + WEIGHT) / (1 + WEIGHT) · (n_users^(-1/2) + n_items^(-1/2)):

    short histories need a stronger penalty. Very short ones mostly need more than the noise says: the share grows where
    users have fewer than 8 entries in the mean, and it is a fourth larger at 5.
    """
    if not size.entries:
        return 0.01
    users, items = size.met
    weights = (size.shape[1] + alpha * size.total / users) * (size.shape[0] + alpha * size.total / items)
    noise = (1 + alpha * size.total / size.entries) * (
        math.sqrt(size.entries / users) + math.sqrt(size.entries / items)
    )
    weight = alpha * size.total / (users * items)
    share = NOISE * (1 + SHORT * float(np.clip((ENOUGH - size.entries / users) / (ENOUGH - FEW), 0, 1)))
    return float(share * (weight / WEIGHT) ** -FALL * noise / math.sqrt(weights) ** exponent)


class Settings(NamedTuple):
    """The numbers that a model learns with."""

    factors: int
    alpha: float
    regularization: float

    @classmethod
    def of(cls, model: Any, size: DataSize) -> "Settings":
        """Returns the options of a model, with "auto" chosen by the size of its data."""
        factors = choose_factors(size) if model.factors == "auto" else int(model.factors)
        alpha = choose_alpha(size) if model.alpha == "auto" else float(model.alpha)
        if model.regularization == "auto":
            return cls(factors, alpha, choose_regularization(size, alpha, model.regularization_exponent))
        return cls(factors, alpha, float(model.regularization))
