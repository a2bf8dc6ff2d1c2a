"""Rows of features in the order of a vocabulary."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from fastrec.data import Vocabulary


def align_rows(features: Any, ids: Any, vocabulary: Vocabulary) -> csr_array | NDArray[np.float32]:
    """Returns the features with a row for each code of a vocabulary; an id without features has zeros.

    Parameters
    ----------
    features
        The features, sparse or dense, of shape (n, width).
    ids
        The id of each row, of shape (n,), of the vocabulary's kind. Ids outside the vocabulary are left out.
    vocabulary
        A vocabulary of m ids.

    Returns
    -------
    csr_array or ndarray of shape (m, width)
        float32.

    Raises
    ------
    ValueError
        If an id occurs twice, or there are more or fewer ids than rows.

    Examples
    --------
    >>> align_rows(np.array([[1.0, 2.0], [3.0, 4.0]]), ["b", "z"], Vocabulary(["a", "b"]))
    array([[0., 0.],
           [1., 2.]], dtype=float32)
    """
    codes = vocabulary.encode(ids, unknown="code")
    if len(codes) != features.shape[0]:
        raise ValueError(f"features have {features.shape[0]} rows, but there are {len(codes)} ids")
    rows = np.flatnonzero(codes >= 0)
    known = codes[rows]
    counts = np.bincount(known, minlength=len(vocabulary))
    if counts.max(initial=0) > 1:
        raise ValueError(f"features have several rows for the id {vocabulary.ids[int(counts.argmax())]!r}")
    sparse: bool = issparse(features)
    if not sparse:
        aligned = np.zeros((len(vocabulary), features.shape[1]), np.float32)
        aligned[known] = np.asarray(features)[rows]
        return aligned
    cells: Any = csr_array(features)[rows].tocoo()
    shape = (len(vocabulary), features.shape[1])
    return csr_array((cells.data.astype(np.float32), (known[cells.row], cells.col)), shape=shape)
