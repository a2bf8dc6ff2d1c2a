"""Users known by their histories: the row of the training data that equals a given row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.hashing import hash_rows_and_values


class KnownRows:
    """The rows of a matrix, found again by their content.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> known = KnownRows(check_matrix([[1, 0, 2], [0, 1, 0], [0, 1, 0]]))
    >>> known.find(check_matrix([[0, 1, 0], [1, 0, 1]]))
    array([ 1, -1])
    >>> known.groups()
    array([0, 1, 1])
    """

    def __init__(self, matrix: CodeMatrix) -> None:
        self.matrix = matrix
        self.hashes = hash_rows_and_values(matrix)
        self.order = np.argsort(self.hashes, kind="stable")
        self.sorted = self.hashes[self.order]

    def find(self, matrix: CodeMatrix) -> NDArray[np.int64]:
        """Returns for each row of another matrix the first equal row, of shape (n,); -1 if there is none."""
        hashes = hash_rows_and_values(matrix)
        places = np.searchsorted(self.sorted, hashes)
        found = np.full(len(hashes), -1, np.int64)
        likely = places < len(self.sorted)
        likely[likely] = self.sorted[places[likely]] == hashes[likely]
        found[likely] = self.order[places[likely]]
        for row in np.flatnonzero(likely):  # hashes may collide
            if not _equal(matrix, row, self.matrix, found[row]):
                found[row] = -1
        return found

    def groups(self) -> NDArray[np.int64]:
        """Returns for each row the first row with the same hash, of shape (n,)."""
        return self.order[np.searchsorted(self.sorted, self.hashes)]


def _equal(first: CodeMatrix, i: Any, second: CodeMatrix, j: Any) -> bool:
    here = slice(first.indptr[i], first.indptr[i + 1])
    there = slice(second.indptr[j], second.indptr[j + 1])
    same = np.array_equal(first.indices[here], second.indices[there])
    return same and np.array_equal(first.data[here], second.data[there])
