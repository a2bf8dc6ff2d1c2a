"""The inputs of metrics: rankings, truths and counts, checked."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, keep_entries

Values = NDArray[np.float64]


def check_ranking(ranking: Any) -> NDArray[np.int32]:
    """Returns the codes of a `TopK` or an integer array (n, width) as int32; raises a TypeError or ValueError
    otherwise.
    """
    try:
        codes = np.asarray(getattr(ranking, "codes", ranking))
    except ValueError:
        raise ValueError("ranking must have the same number of places in each row: fill short lists with -1") from None
    if codes.ndim != 2:
        raise ValueError(f"ranking must be two-dimensional (users × places), got {codes.ndim} dimensions")
    if codes.dtype.kind not in "iu":
        raise TypeError(f"ranking must hold integer item codes, got {codes.dtype}")
    if codes.size and (codes.min() < -1 or codes.max() > np.iinfo(np.int32).max):
        row, column = np.argwhere((codes < -1) | (codes > np.iinfo(np.int32).max))[0]
        raise ValueError(f"ranking has the code {codes[row, column]} at row {row}, column {column}")
    return np.ascontiguousarray(codes, dtype=np.int32)


def check_truth(truth: Any, duplicates: Literal["sum", "last"] = "sum") -> CodeMatrix:
    """Returns the relevant items, those with a value above zero, as a csr_array (float32, int32 indices, int64
    indptr).
    """
    matrix = check_matrix(truth, name="truth", negative="accept", duplicates=duplicates)
    relevant = matrix.data > 0
    return matrix if relevant.all() else keep_entries(matrix, relevant)


def check_codes(codes: NDArray[np.int32], n_items: int) -> None:
    """Refuses a code beyond the catalogue; the error names its place."""
    if codes.size and codes.max() >= n_items:
        row, column = np.argwhere(codes >= n_items)[0]
        raise ValueError(
            f"ranking has the code {codes[row, column]} at row {row}, column {column}, beyond the {n_items} items"
        )


def divide_where(above: NDArray[Any], below: NDArray[Any], valid: NDArray[np.bool_]) -> Values:
    """Divides, with NaN where a quotient is not valid."""
    result: Values = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=result, where=valid)
    return result


def check_counts(item_counts: ArrayLike) -> Values:
    """Returns counts of items as float64; refuses infinite and negative ones."""
    counts = np.asarray(item_counts, dtype=np.float64)
    if counts.ndim != 1:
        raise ValueError(f"item_counts must be one-dimensional, got {counts.ndim} dimensions")
    if not np.isfinite(counts).all() or (counts.size and counts.min() < 0):
        raise ValueError("item_counts must be finite and not negative")
    return counts
