"""The best k of dense scores, for models that compute a whole row of scores at a time."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.kernels.topk import select_row, select_rows
from fastrec.matrix.arrays import readonly
from fastrec.retrieval.filters import NO_MASK, Mask, candidate_lists, read_filters
from fastrec.retrieval.topk import widen
from fastrec.validation import check_size


def select_topk(
    scores: ArrayLike, k: int, exclude: Any = None, allow: Any = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Selects the best k scores in each row, best first, ties by the lower code.

    Parameters
    ----------
    scores : array of shape (n_rows, n)
        The scores as float32, clipped to its range. NaN and -inf are never chosen.
    k : int
        The number of places, at least 1.
    exclude
        A sparse matrix of shape (n_rows, n) whose entries are left out of each row, or codes left out of all.
    allow
        A sparse matrix of the same shape with the codes that each row may choose; codes, or a bool mask, for all rows.

    Returns
    -------
    codes : int32 array of shape (n_rows, k)
        -1 if nothing is left.
    scores : float32 array of shape (n_rows, k)
        -inf if nothing is left.

    Raises
    ------
    ValueError, TypeError
        If k is below 1, a shape is wrong or a code is out of range.

    Examples
    --------
    >>> select_topk([[0.1, 0.7, 0.7, 0.2]], 2, exclude=[1])
    (array([[2, 3]], dtype=int32), array([[0.7, 0.2]], dtype=float32))
    """
    k = check_size("k", k)
    values = _read_scores(scores)
    n_rows, n = values.shape
    filters = read_filters(exclude, allow, n_rows, n)
    starts, counts, listed = candidate_lists(filters, slice(0, n_rows))
    places = (n_rows, min(k, max(1, n)))
    codes, best = np.empty(places, np.int32), np.empty(places, np.float32)
    select_rows(values, starts, counts, listed, filters.closed, codes, best)
    return widen(codes, best, k)


def select_one(
    scores: NDArray[np.float32], k: int, closed: NDArray[np.int32], allowed: Mask | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Runs `select_topk` for one row in as few steps as possible; returns codes and scores of shape (k,).

    Nothing is checked: `scores` are float32, of shape (n,), and `closed` are codes that are left out, ascending, int32
    and read-only.

    >>> select_one(np.array([0.1, 0.7, 0.7, 0.2], "f4"), 2, readonly(np.array([1], "i4")))
    (array([2, 3], dtype=int32), array([0.7, 0.2], dtype=float32))
    """
    codes, best = np.empty(k, np.int32), np.empty(k, np.float32)
    mask = NO_MASK if allowed is None else allowed.mask
    select_row(readonly(scores), mask, np.array([0, len(closed)]), closed, codes, best)
    return codes, best


def _read_scores(scores: ArrayLike) -> NDArray[np.float32]:
    given = np.asarray(scores)
    if given.ndim != 2:
        raise ValueError(f"scores must be of shape (n_rows, n), got {given.ndim} dimensions")
    if given.dtype.kind not in "fiub":
        raise TypeError(f"scores must be numbers, got an array of {given.dtype}")
    if given.dtype == np.float32:
        return readonly(given)
    largest = np.finfo(np.float32).max
    with np.errstate(over="ignore"):
        values = given.astype(np.float32)
    beyond = np.isinf(values) & np.isfinite(given)
    values[beyond] = np.where(given[beyond] > 0, largest, -largest)
    return readonly(values)
