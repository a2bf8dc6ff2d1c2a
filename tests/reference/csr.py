"""Checks a matrix of codes, however it was made."""

import numpy as np


def check_canonical(matrix):
    """Raises a ValueError unless the rows are in order, and the codes in them sorted, unique and in range."""
    indptr, indices = matrix.indptr, matrix.indices
    if indptr[0] != 0 or indptr[-1] != len(indices) or np.any(indptr[1:] < indptr[:-1]):
        raise ValueError("the rows of a matrix do not follow each other")
    if len(indices) and (indices.min() < 0 or indices.max() >= matrix.shape[1]):
        raise ValueError("a code in a matrix is out of range")
    rising = np.ones(len(indices), bool)
    np.greater(indices[1:], indices[:-1], out=rising[1:])
    rising[indptr[:-1][indptr[:-1] < len(indices)]] = True
    if not rising.all():
        raise ValueError("the codes in a row of a matrix are not sorted")
