"""Ratings factorized by alternating least squares: the normal equations of each row, with its bias among the unknowns.

For a row with entries of value v_i, the other side's vectors y_i and biases b_i, the unknown x, whose last element is
the bias, solves

    (diag(penalty) + sum_i z_i z_iᵀ) x = sum_i z_i (v_i - mean - b_i),    z_i = (y_i, 1).
"""

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats
from fastrec.kernels.definite import add_outer_products, factorize, substitute

float32 = np.float32


@kernel(fastmath=FAST, inline=True)
def _misfit(
    indices: Codes,
    values: Floats,
    start: int,
    stop: int,
    mean: float,
    others: Floats,
    x: Floats,
) -> float:
    """Returns the sum of the squared errors of a row."""
    size = x.shape[0] - 1
    total = np.float64(0)
    for i in range(start, stop):
        y = others[indices[i]]
        s = float32(0)
        for f in range(size):
            s += y[f] * x[f]
        error = np.float64(values[i] - mean) - y[size] - x[size] - s
        total += error * error
    return total


@kernel(fastmath=FAST)
def solve_ratings_cholesky(
    indptr: Counts,
    indices: Codes,
    values: Floats,
    first: int,
    last: int,
    mean: float,
    others: Floats,
    penalties: Doubles,
    bias_penalties: Doubles,
    solutions: Floats,
    errors: Doubles,
) -> None:
    """Fills rows `first` to `last` of `solutions`, of shape (n, factors + 1), with their solutions in float64.

    `others` has the shape (m, factors + 1), biases last. `errors[u]` receives the row's sum of squared errors.
    """
    width = others.shape[1]
    size = width - 1
    matrix, rows, weights = np.empty((width, width)), np.empty((4, width)), np.empty(4)
    x, narrow = np.empty(width), np.empty(width, float32)
    for u in range(first, last):
        start, stop = indptr[u], indptr[u + 1]
        # The penalties, and a right side of zeros.
        for f in range(width):
            x[f] = np.float64(0)
            for g in range(f):
                matrix[f, g] = np.float64(0)
            matrix[f, f] = penalties[u]
        matrix[size, size] = bias_penalties[u]
        for i in range(start, stop, 4):
            for k in range(4):
                # After the last entry, the last one is repeated with weight 0.
                entry = min(i + k, stop - 1)
                weights[k] = np.float64(1) if i + k < stop else np.float64(0)
                y, z = others[indices[entry]], rows[k]
                target = weights[k] * (values[entry] - mean - y[size])
                for f in range(size):
                    z[f] = np.float64(y[f])
                z[size] = np.float64(1)
                for f in range(width):
                    x[f] += target * z[f]
            add_outer_products(matrix, rows, weights)
        # The solution by Cholesky; a row without entries stays at zero.
        if stop > start:
            factorize(matrix)
            substitute(matrix, x)
        for f in range(width):
            narrow[f] = x[f]
            solutions[u, f] = x[f]
        errors[u] = _misfit(indices, values, start, stop, mean, others, narrow)


@kernel(fastmath=FAST, inline=True)
def _begin_row(
    indices: Codes, values: Floats, start: int, stop: int, mean: float, others: Floats, x: Floats, r: Floats,
    inverse: Floats,
) -> None:  # fmt: skip
    """Adds the entries' part to the residual at x and to the diagonal of the equations; the last column is the bias."""
    size = x.shape[0] - 1
    for i in range(start, stop):
        y = others[indices[i]]
        s = x[size]
        for f in range(size):
            s += y[f] * x[f]
        error = float32(values[i] - mean - y[size] - s)
        for f in range(size):
            r[f] += error * y[f]
            inverse[f] += y[f] * y[f]
        r[size] += error
        inverse[size] += float32(1)


@kernel(fastmath=FAST, inline=True)
def _add_row_products(indices: Codes, start: int, stop: int, others: Floats, p: Floats, q: Floats) -> None:
    """Adds the entries' part of the product of the equations' matrix and p to q."""
    size = p.shape[0] - 1
    for i in range(start, stop):
        y = others[indices[i]]
        s = p[size]
        for f in range(size):
            s += y[f] * p[f]
        for f in range(size):
            q[f] += s * y[f]
        q[size] += s


@kernel(fastmath=FAST)
def solve_ratings_cg(
    indptr: Counts,
    indices: Codes,
    values: Floats,
    first: int,
    last: int,
    mean: float,
    others: Floats,
    penalties: Doubles,
    bias_penalties: Doubles,
    steps: int,
    solutions: Floats,
    errors: Doubles,
) -> None:
    """Does as `solve_ratings_cholesky`, but moves the rows towards their solutions by `steps` steps of conjugate
    gradients.

    The steps start from the rows' present values; the diagonal of the equations is the preconditioner.
    """
    width = others.shape[1]
    size = width - 1
    x, r, p, q = np.empty(width, float32), np.empty(width, float32), np.empty(width, float32), np.empty(width, float32)
    diagonal, inverse = np.empty(width, float32), np.empty(width, float32)
    for u in range(first, last):
        start, stop = indptr[u], indptr[u + 1]
        # The residual at the row's present value; a row without entries is zero.
        for f in range(width):
            diagonal[f] = penalties[u] if f < size else bias_penalties[u]
            x[f] = solutions[u, f] if stop > start else float32(0)
            r[f] = -diagonal[f] * x[f]
            inverse[f] = diagonal[f]
        _begin_row(indices, values, start, stop, mean, others, x, r, inverse)
        # The diagonal of the equations is the preconditioner.
        rz = float32(0)
        for f in range(width):
            inverse[f] = float32(1) / max(inverse[f], float32(1e-20))
            p[f] = r[f] * inverse[f]
            rz += r[f] * p[f]
        for _ in range(steps):
            if not rz > float32(1e-20):
                break
            # The matrix times the direction, and the step along it.
            for f in range(width):
                q[f] = diagonal[f] * p[f]
            _add_row_products(indices, start, stop, others, p, q)
            pq = float32(0)
            for f in range(width):
                pq += p[f] * q[f]
            a = rz / pq
            following = float32(0)
            for f in range(width):
                x[f] += a * p[f]
                r[f] -= a * q[f]
                following += r[f] * r[f] * inverse[f]
            # The next direction is conjugate.
            b = following / rz
            rz = following
            for f in range(width):
                p[f] = r[f] * inverse[f] + b * p[f]
        # The row's solution, and its squared errors.
        for f in range(width):
            solutions[u, f] = x[f]
        errors[u] = _misfit(indices, values, start, stop, mean, others, x)
