"""Draws that depend on the data alone: the same in every run and on every machine, in any order or selection of
rows.
"""

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix


def mix_bits(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scrambles each key by the finalizer of SplitMix64 (Steele, Lea, Flood 2014); equal keys give equal results.

    >>> mix_bits(np.array([0, 1], np.uint64))
    array([16294208416658607535, 10451216379200822465], dtype=uint64)
    """
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def hash_rows(matrix: CodeMatrix) -> NDArray[np.uint64]:
    """A key for each row, of shape (n,), that depends on the row's items alone, in any order."""
    return _sum_rows(matrix, mix_bits(matrix.indices.astype(np.uint64)))


def hash_rows_and_values(matrix: CodeMatrix) -> NDArray[np.uint64]:
    """A key for each row, of shape (n,), that depends on the row's items and their values alone.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> hashes = hash_rows_and_values(check_matrix([[1, 0], [0, 1], [1, 0]]))
    >>> bool(hashes[0] == hashes[2] != hashes[1])
    True
    """
    values = np.ascontiguousarray(matrix.data).view(np.uint32).astype(np.uint64)
    return mix_bits(_sum_rows(matrix, mix_bits(mix_bits(matrix.indices.astype(np.uint64)) ^ values)))


def _sum_rows(matrix: CodeMatrix, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sum of the keys of each row's entries, modulo 2⁶⁴."""
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(keys, dtype=np.uint64)])[matrix.indptr]
    return np.asarray(sums[1:] - sums[:-1])


def hash_cells(matrix: CodeMatrix, seed: int = 0) -> NDArray[np.uint64]:
    """A key for each entry, of shape (nnz,), that depends on its item, the items of its row and the seed."""
    rows = hash_rows(matrix) + np.uint64(seed)
    return mix_bits(mix_bits(matrix.indices.astype(np.uint64)) ^ repeat_by_row(matrix, rows))
