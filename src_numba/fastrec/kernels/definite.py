"""Systems of linear equations whose matrix is symmetric and positive definite, in float64.

Only the lower triangle of a matrix is written and read, and one number beside each pair of rows.
"""

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Doubles

LEAST_PIVOT = 1e-15  # share of the number on the diagonal: only rounding makes a pivot smaller


@kernel(fastmath=FAST, inline=True)
def add_outer_products(matrix: Doubles, rows: Doubles, weights: Doubles) -> None:
    """Adds Σ weights[k] · rows[k] rows[k]ᵀ of four rows; two rows of the matrix at a time share the numbers read."""
    n = matrix.shape[0]
    a, b, c, d = rows[0], rows[1], rows[2], rows[3]
    wa, wb, wc, wd = weights[0], weights[1], weights[2], weights[3]
    # Two rows of the matrix at a time, up to the diagonal and one number beside it.
    for f in range(0, n - 1, 2):
        upper, lower = matrix[f], matrix[f + 1]
        a0, b0, c0, d0 = wa * a[f], wb * b[f], wc * c[f], wd * d[f]
        a1, b1, c1, d1 = wa * a[f + 1], wb * b[f + 1], wc * c[f + 1], wd * d[f + 1]
        for g in range(f + 2):
            upper[g] += a0 * a[g] + b0 * b[g] + c0 * c[g] + d0 * d[g]
            lower[g] += a1 * a[g] + b1 * b[g] + c1 * c[g] + d1 * d[g]
    # The last row of an odd number.
    if n % 2:
        last = matrix[n - 1]
        a0, b0, c0, d0 = wa * a[n - 1], wb * b[n - 1], wc * c[n - 1], wd * d[n - 1]
        for g in range(n):
            last[g] += a0 * a[g] + b0 * b[g] + c0 * c[g] + d0 * d[g]


@kernel(fastmath=FAST, inline=True)
def factorize(matrix: Doubles) -> None:
    """Computes the lower Cholesky factor in place; a pivot that is too small is raised to the rounding error."""
    n = matrix.shape[0]
    for j in range(n):
        # The pivot.
        row = matrix[j]
        s = np.float64(0)
        for f in range(j):
            s += row[f] * row[f]
        pivot = np.sqrt(max(row[j] - s, LEAST_PIVOT * row[j], 1e-300))
        row[j] = pivot
        inverse = 1 / pivot
        # The rest of the pivot's column.
        for i in range(j + 1, n):
            other = matrix[i]
            s = np.float64(0)
            for f in range(j):
                s += other[f] * row[f]
            other[j] = (other[j] - s) * inverse


@kernel(fastmath=FAST, inline=True)
def substitute(factor: Doubles, x: Doubles) -> None:
    """Writes (L Lᵀ)⁻¹ x to x."""
    n = factor.shape[0]
    # Forward with L.
    for i in range(n):
        row = factor[i]
        s = np.float64(0)
        for f in range(i):
            s += row[f] * x[f]
        x[i] = (x[i] - s) / row[i]
    # Backward with Lᵀ.
    for i in range(n - 1, -1, -1):
        row = factor[i]
        x[i] /= row[i]
        value = x[i]
        for f in range(i):
            x[f] -= row[f] * value
