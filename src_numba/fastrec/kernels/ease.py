"""A linear autoencoder's Gramian, dense and sparse, and the weights that follow from it."""

from typing import Any

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.sparse import Entries
from fastrec.kernels.supports import Gramian, count_chosen, gather_system, solve_system

TILE = 64  # rows and columns mirrored at a time, so that both of a pair of tiles stay in the cache


@kernel(fastmath=FAST)
def fill_gramian(rows: Entries, features: Entries, diagonal: Any, first: int, last: int, gramian: Any) -> None:
    """Fills the lower triangle of rows from `first` to `last` of XᵀX + diag(diagonal).

    `rows` are the columns of X, `features` its rows with sorted codes. The rest of each row is set to zero.
    """
    row_step, step = min(1, len(rows.values) - 1), min(1, len(features.values) - 1)
    for row in range(first, last):
        # The row begins with zeros.
        line = gramian[row]
        line[:] = 0
        # Adds the products with the columns up to the row's own.
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            feature, value = rows.indices[p], rows.values[p * row_step]
            for q in range(features.indptr[feature], features.indptr[feature + 1]):
                column = features.indices[q]
                if column > row:
                    break
                line[column] += value * features.values[q * step]
        line[row] += diagonal[row]


@kernel()
def fill_weights(inverse: Any, multipliers: Any, first: int, last: int) -> None:
    """Turns tiles of the lower triangle of P, in place, into weights I - P · diag(multipliers), both triangles.

    `first` and `last` count rows of tiles; the diagonal is left unchanged, since other tasks read it.
    """
    n = len(inverse)
    for block in range(first, last):
        top, bottom = block * TILE, min(n, (block + 1) * TILE)
        for left in range(0, bottom, TILE):
            for i in range(top, bottom):
                for j in range(left, min(left + TILE, i)):
                    value = inverse[i, j]
                    inverse[i, j] = -value * multipliers[j]
                    inverse[j, i] = -value * multipliers[i]


@kernel(fastmath=FAST)
def gather_lower(
    rows: Entries, features: Entries, scales: Any, threshold: Any, starts: Any, first: int, last: int, counts: Any,
    codes: Any, values: Any,
) -> None:  # fmt: skip
    """Writes the Gramian's entries below its diagonal, row by row from `starts` on, in any order within a row.

    Entries g_ij with |g_ij| · scales[i] · scales[j] below `threshold` are left out. `counts[i]` gets the number of
    entries. With empty `codes` nothing else is written.
    """
    n = len(scales)
    sums, touched, met = np.zeros(n, np.float32), np.empty(n, np.int32), np.full(n, -1, np.int32)
    row_step, step = min(1, len(rows.values) - 1), min(1, len(features.values) - 1)
    for row in range(first, last):
        count = 0
        # Adds the products with the columns before the row's own, and lists the columns.
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            feature, value = rows.indices[p], rows.values[p * row_step]
            for q in range(features.indptr[feature], features.indptr[feature + 1]):
                column = features.indices[q]
                if column >= row:
                    break
                if met[column] != row:
                    met[column] = row
                    touched[count] = column
                    count += 1
                sums[column] += value * features.values[q * step]
        # Keeps the entries that reach the threshold, and clears the sums.
        kept = 0
        for c in range(count):
            column = touched[c]
            entry = sums[column]
            sums[column] = 0
            if entry != 0 and abs(entry) * scales[row] * scales[column] >= threshold:
                if len(codes):
                    codes[starts[row] + kept] = column
                    values[starts[row] + kept] = entry
                kept += 1
        counts[row] = kept


@kernel()
def solve_columns(
    gramian: Gramian, supports: Any, relaxation: float, tolerance: float, steps: int, first: int, last: int,
    weights: Any, own: Any,
) -> None:  # fmt: skip
    """Fills the weights from each item's support to the item, for items from `first` to `last`.

    `supports` has a row of codes for each item, and -1 after them. `weights[j]` gets the weights of these codes, and
    `own[j]` the item's weight to itself.
    """
    k = supports.shape[1]
    # The item itself comes after its support, so that the last row of the system is the right side.
    system, scratch = np.empty((k + 1, k + 1), np.float32), np.empty((3, k), np.float32)
    places, members = np.full(len(gramian.diagonal), -1, np.int32), np.empty(k + 1, np.int32)
    for item in range(first, last):
        # The system of the support and the item, and the regression of the item on its support.
        size = count_chosen(supports[item])
        for place in range(size):
            members[place] = supports[item, place]
        members[size] = item
        gather_system(gramian, members, size + 1, places, system)
        right = system[size]
        solve_system(system, size, right, tolerance, steps, weights[item], scratch)
        # The Schur complement: 1 / P_jj, for the inverse P of the system with the item in it.
        remainder = np.float64(gramian.diagonal[item])
        for a in range(size):
            remainder -= np.float64(right[a]) * np.float64(weights[item, a])
        # B_ij = -P_ij m_j, and the item's own weight is 1 - P_jj m_j with m_j = max(Λ_j, (1 - ξ) / P_jj).
        share = 1.0
        if remainder > 0:
            share = min(1.0, max(gramian.penalties[item] / remainder, 1.0 - relaxation))
        for a in range(size):
            weights[item, a] *= np.float32(share)
        own[item] = np.float32(1.0 - share)
