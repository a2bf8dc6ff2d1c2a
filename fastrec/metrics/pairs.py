"""Errors of predicted values."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from fastrec.metrics.inputs import Values


def rmse(values: ArrayLike, predictions: ArrayLike) -> float:
    r"""The root of the mean squared error of predicted values: :math:`\sqrt{\frac1n \sum (v - p)^2}`.

    Parameters
    ----------
    values, predictions
        Numbers of the same shape (n,).

    Raises
    ------
    ValueError
        If shapes differ, there are no pairs, or numbers are NaN or infinite (a missing prediction is not skipped).

    Examples
    --------
    >>> rmse([1, 2], [1, 4])
    1.4142135623730951
    """
    errors = _errors(values, predictions)
    return float(np.sqrt(np.mean(errors * errors)))


def mae(values: ArrayLike, predictions: ArrayLike) -> float:
    r"""The mean absolute error of predicted values: :math:`\frac1n \sum |v - p|`.

    Parameters and errors as in `rmse`.

    Examples
    --------
    >>> mae([1, 2], [1, 4])
    1.0
    """
    return float(np.mean(np.abs(_errors(values, predictions))))


def _errors(values: ArrayLike, predictions: ArrayLike) -> Values:
    v, p = np.asarray(values, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if v.ndim != 1 or v.shape != p.shape:
        raise ValueError(
            f"values and predictions must be one-dimensional and alike, got shapes {v.shape} and {p.shape}"
        )
    if len(v) == 0:
        raise ValueError("values and predictions are empty: there is no error to average")
    for name, array in (("values", v), ("predictions", p)):
        if not np.isfinite(array).all():
            at = int(np.flatnonzero(~np.isfinite(array))[0])
            raise ValueError(f"{name} has {array[at]} at position {at}")
    return v - p


PAIRS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {"rmse": rmse, "mae": mae}
