"""Rows of sparse weights that are made dense on first use."""

import threading

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.neighbors import fill_dense_rows
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import Codes, Floats, readonly

# the initial number of rows with memory
FIRST = 64


class DenseRows:
    """Sparse weights, whose used rows are also kept dense; the others take no further memory.

    Existing dense rows never change: threads read them while others are made.

    Parameters
    ----------
    weights
        The sparse weights, of n rows.
    width
        The number of their columns.

    Examples
    --------
    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> from fastrec.solvers.neighbors import rows_of
    >>> dense = DenseRows(rows_of(check_matrix([[0, 5], [6, 7]])), 2)
    >>> rows, weights = dense.of(rows_of(check_matrix([[0, 1]])))
    >>> weights[rows.indices]
    array([[6., 7.]], dtype=float32)
    """

    def __init__(self, weights: Entries, width: int) -> None:
        n = len(weights.indptr) - 1
        self._weights, self._lock, self._used = weights, threading.Lock(), 0
        self._rows: NDArray[np.float32] = np.empty((min(n, FIRST), width), np.float32)
        self._places = np.full(n, -1)

    def of(self, histories: Entries) -> tuple[Entries, Floats]:
        """Histories with places among the dense rows in place of codes; and these rows, (m, width)."""
        found = np.empty(len(histories.indices), np.int32)
        with self._lock:
            used = self._fill(histories, found)
            if used < 0:
                self._used = len(self._rows)
                self._grow(-1 - used)
                used = self._fill(histories, found)
            self._used = used
            return histories._replace(indices=readonly(found)), readonly(self._rows)

    def _grow(self, least: int) -> None:
        """Allocates memory for so many rows; for all rows at once, unused pages would be touched, too."""
        more = np.empty((min(len(self._places), max(2 * len(self._rows), least)), self._rows.shape[1]), np.float32)
        more[: len(self._rows)] = self._rows
        self._rows = more

    def _fill(self, histories: Entries, found: Codes) -> int:
        return fill_dense_rows(histories, self._weights, self._rows, self._places, self._used, found)
