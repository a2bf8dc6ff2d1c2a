"""Half an epoch of alternating least squares: the normal equations of every row, by conjugate gradients or Cholesky.

For row u with entries i of value v_i and vectors y_i, with c_i = 1 + alpha·v_i and the vectors in the eigenbasis of
their Gramian YᵀY = diag(e), the equations are

    (diag(e + lambda_u) + sum_i (c_i - 1) y_i y_iᵀ) x = sum_i c_i y_i          (Hu, Koren, Volinsky 2008).

The Gramian's part is diagonal, so a product with the matrix costs only the row's own entries, and the diagonal is a
preconditioner that leaves two or three steps to do. `width` is a `Static` multiple of sixteen up to `REGISTERS`, where
a whole row fits the registers, or any other multiple of sixteen as a plain integer.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from fastrec.kernels._jit import FAST, StaticType, constant, kernel
from fastrec.kernels.vector import (
    LANES,
    add_scaled,
    broadcast,
    dot,
    load,
    load_row,
    multiply_add,
    prefetch,
    store,
    store_row,
    total,
    zeros,
)

REGISTERS = (
    128  # the widest row of which three fit the registers of AVX-512; above it `_add_products_blocked` is faster
)
AHEAD = 8  # entries between asking for a row and reading it

float32 = np.float32


class Entries(NamedTuple):
    """The rows of a sparse matrix; `values` has one value for each entry, or a single one for all."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]


class Equations(NamedTuple):
    """What one side's equations share: the vectors of the other side, and the weights."""

    vectors: NDArray[Any]  # flat (n · width), float32 or float16 as uint16 bits, scaled by 1 / scale
    eigenvalues: NDArray[np.float32]  # (width,) of the Gramian of the scaled vectors
    penalties: NDArray[np.float32]  # lambda_u, (rows,), in the scaling of the vectors
    alpha: np.float32
    scale: np.float32  # a power of two: a solution of the scaled equations is that many times the row


def _add_products(entries: Any, start: Any, stop: Any, equations: Any, width: Any, p: Any, out: Any, first: Any) -> Any:
    """Adds sum_i w_i y_i to `out`, with w_i = c_i - (c_i - 1)(y_i·p) in the first pass, else (c_i - 1)(y_i·p).

    The first pass returns sum_i c_i (1 - y_i·p), the others 0.
    """
    raise NotImplementedError  # compiled by `_choose_add_products`


@overload(_add_products, jit_options={"fastmath": set(FAST), "nogil": True}, inline="never")  # type: ignore[misc]
def _choose_add_products(
    entries: Any, start: Any, stop: Any, equations: Any, width: Any, p: Any, out: Any, first: Any
) -> Any:
    return _add_products_in_registers if isinstance(width, StaticType) else _add_products_blocked


def _add_products_in_registers(
    entries: Any, start: Any, stop: Any, equations: Any, width: Any, p: Any, out: Any, first: Any
) -> Any:
    vectors, indices, values = equations.vectors, entries.indices, entries.values
    size, step, end = constant(width), min(1, values.shape[0] - 1), indices.shape[0]
    direction, result = load_row(p, 0, width), load_row(out, 0, width)
    misfit = np.float64(0)
    for i in range(start, stop):
        if first and i + AHEAD < end:
            soon = np.int64(indices[i + AHEAD]) * size
            for f in range(0, size, 64 // vectors.itemsize):
                prefetch(vectors, soon + f)
        y = load_row(vectors, np.int64(indices[i]) * size, width)
        product = dot(y, direction)
        extra = equations.alpha * values[i * step]
        weight = extra * product
        if first:
            confidence = float32(1) + extra
            misfit += confidence - confidence * product
            weight = confidence - weight
        result = add_scaled(result, weight, y)
    store_row(out, 0, result)
    return misfit


def _add_products_blocked(
    entries: Any, start: Any, stop: Any, equations: Any, width: Any, p: Any, out: Any, first: Any
) -> Any:
    # Four entries at a time, so that p and out are read and written once for four. Beyond the last entry the last one
    # is repeated with weight 0.
    vectors, indices, values = equations.vectors, entries.indices, entries.values
    step, end = min(1, values.shape[0] - 1), indices.shape[0]
    one, none = float32(1), float32(0)
    misfit = np.float64(0)
    for i in range(start, stop, 4):
        if first:
            for ahead in range(i + AHEAD, min(i + AHEAD + 4, end)):
                soon = np.int64(indices[ahead]) * width
                for f in range(0, width, 64 // vectors.itemsize):
                    prefetch(vectors, soon + f)
        i1, i2, i3 = min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        y0, y1 = np.int64(indices[i]) * width, np.int64(indices[i1]) * width
        y2, y3 = np.int64(indices[i2]) * width, np.int64(indices[i3]) * width
        s0, s1, s2, s3 = zeros(), zeros(), zeros(), zeros()
        for f in range(0, width, LANES):
            direction = load(p, f)
            s0 = multiply_add(load(vectors, y0 + f), direction, s0)
            s1 = multiply_add(load(vectors, y1 + f), direction, s1)
            s2 = multiply_add(load(vectors, y2 + f), direction, s2)
            s3 = multiply_add(load(vectors, y3 + f), direction, s3)
        e0, e1 = equations.alpha * values[i * step], equations.alpha * values[i1 * step]
        e2, e3 = equations.alpha * values[i2 * step], equations.alpha * values[i3 * step]
        n1 = one if i + 1 < stop else none
        n2 = one if i + 2 < stop else none
        n3 = one if i + 3 < stop else none
        t0, t1, t2, t3 = total(s0), total(s1), total(s2), total(s3)
        w0, w1, w2, w3 = e0 * t0, n1 * e1 * t1, n2 * e2 * t2, n3 * e3 * t3
        if first:
            c0, c1, c2, c3 = one + e0, n1 * (one + e1), n2 * (one + e2), n3 * (one + e3)
            misfit += c0 - c0 * t0 + c1 - c1 * t1 + (c2 - c2 * t2) + (c3 - c3 * t3)
            w0, w1, w2, w3 = c0 - w0, c1 - w1, c2 - w2, c3 - w3
        b0, b1, b2, b3 = broadcast(w0), broadcast(w1), broadcast(w2), broadcast(w3)
        for f in range(0, width, LANES):
            result = load(out, f)
            result = multiply_add(load(vectors, y0 + f), b0, result)
            result = multiply_add(load(vectors, y1 + f), b1, result)
            result = multiply_add(load(vectors, y2 + f), b2, result)
            result = multiply_add(load(vectors, y3 + f), b3, result)
            store(out, f, result)
    return misfit


@kernel(fastmath=FAST)
def solve_rows_cg(
    entries: Entries,
    first: int,
    last: int,
    equations: Equations,
    width: Any,
    steps: int,
    tolerance: np.float32,
    relaxation: np.float32,
    solutions: NDArray[np.float32],
    losses: NDArray[np.float64],
    norms: NDArray[np.float64],
) -> None:
    """Moves rows `first` to `last` of `solutions` (flat) towards their solutions by preconditioned conjugate gradients.

    A row goes `relaxation` times as far as `steps` steps from where it was would take it (block over-relaxation; 1 is
    plain), fewer steps where the preconditioned residual has fallen to `tolerance` of what it was. `losses[u]` receives
    the row's part of the objective, its own penalty included, and `norms[u]` lambda_u ‖x_u‖².

    The objective costs nothing: before the step it is sum_i c_i - bᵀx - rᵀx, with r = b - Ax at hand and the rest
    summed in the first pass; the step takes from it (2 w - w²) sum_k a_k (r_k·z_k), for relaxation w.
    """
    size = constant(width)
    x, r, p, q = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    z, diagonal, inverse = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    unscale = float32(1) / equations.scale
    for u in range(first, last):
        at = np.int64(u) * size
        start, stop = entries.indptr[u], entries.indptr[u + 1]
        for f in range(size):
            diagonal[f] = equations.eigenvalues[f] + equations.penalties[u]
            inverse[f] = float32(1) / diagonal[f]
            x[f] = solutions[at + f] * unscale
            r[f] = -diagonal[f] * x[f]
            z[f] = float32(0)
        misfit = _add_products(entries, start, stop, equations, width, x, r, True)
        rz, rx = float32(0), float32(0)
        for f in range(size):
            p[f] = r[f] * inverse[f]
            rz += r[f] * p[f]
            rx += r[f] * x[f]
        enough = max(tolerance * rz, float32(1e-30))
        gain = np.float64(0)
        for _ in range(steps):
            if not rz > enough:
                break
            for f in range(size):
                q[f] = diagonal[f] * p[f]
            _add_products(entries, start, stop, equations, width, p, q, False)
            pq = float32(0)
            for f in range(size):
                pq += p[f] * q[f]
            a = rz / pq
            gain += a * rz
            following = float32(0)
            for f in range(size):
                z[f] += a * p[f]
                r[f] -= a * q[f]
                following += r[f] * r[f] * inverse[f]
            b = following / rz
            rz = following
            for f in range(size):
                p[f] = r[f] * inverse[f] + b * p[f]
        norm = float32(0)
        for f in range(size):
            x[f] += relaxation * z[f]
            norm += x[f] * x[f]
            solutions[at + f] = x[f] * equations.scale
        losses[u] = misfit - rx - relaxation * (2 - relaxation) * gain
        norms[u] = norm * equations.penalties[u]


@kernel(fastmath=FAST, inline=True)
def _factorize(matrix: NDArray[np.float32]) -> None:
    # The lower Cholesky factor of a symmetric matrix, in its lower triangle.
    n = matrix.shape[0]
    for j in range(n):
        s = matrix[j, j]
        for f in range(j):
            s -= matrix[j, f] * matrix[j, f]
        pivot = np.sqrt(s)
        matrix[j, j] = pivot
        for i in range(j + 1, n):
            s = matrix[i, j]
            for f in range(j):
                s -= matrix[i, f] * matrix[j, f]
            matrix[i, j] = s / pivot


@kernel(fastmath=FAST, inline=True)
def _substitute(factor: NDArray[np.float32], x: NDArray[np.float32]) -> None:
    # x := (L Lᵀ)⁻¹ x
    n = factor.shape[0]
    for i in range(n):
        s = x[i]
        for f in range(i):
            s -= factor[i, f] * x[f]
        x[i] = s / factor[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= factor[i, i]
        for f in range(i):
            x[f] -= factor[i, f] * x[i]


@kernel(fastmath=FAST)
def solve_rows_cholesky(
    entries: Entries,
    first: int,
    last: int,
    equations: Equations,
    width: int,
    relaxation: np.float32,
    solutions: NDArray[np.float32],
    losses: NDArray[np.float64],
    norms: NDArray[np.float64],
) -> None:
    """As `solve_rows_cg`, but with each row's matrix built and factorized: exact, at factors² for each entry."""
    matrix = np.empty((width, width), float32)
    x, r, z, y = np.empty(width, float32), np.empty(width, float32), np.empty(width, float32), np.empty(width, float32)
    step = min(1, entries.values.shape[0] - 1)
    unscale = float32(1) / equations.scale
    for u in range(first, last):
        at = np.int64(u) * width
        start, stop = entries.indptr[u], entries.indptr[u + 1]
        misfit = np.float64(0)
        for f in range(width):
            x[f] = solutions[at + f] * unscale
            r[f] = float32(0)
            for g in range(width):
                matrix[f, g] = float32(0)
            matrix[f, f] = equations.eigenvalues[f] + equations.penalties[u]
        for i in range(start, stop):
            j = np.int64(entries.indices[i]) * width
            extra = equations.alpha * entries.values[i * step]
            misfit += float32(1) + extra
            for f in range(0, width, LANES):
                store(y, f, load(equations.vectors, j + f))
            for f in range(width):
                r[f] += (float32(1) + extra) * y[f]
                weight = extra * y[f]
                for g in range(f + 1):
                    matrix[f, g] += weight * y[g]
        for f in range(width):
            misfit -= r[f] * x[f]
        for f in range(width):
            s = float32(0)
            for g in range(f + 1):
                s += matrix[f, g] * x[g]
            r[f] -= s
            for g in range(f):
                r[g] -= matrix[f, g] * x[f]
        rx = float32(0)
        for f in range(width):
            z[f] = r[f]
            rx += r[f] * x[f]
        _factorize(matrix)
        _substitute(matrix, z)
        gain, norm = np.float64(0), float32(0)
        for f in range(width):
            gain += r[f] * z[f]
            x[f] += relaxation * z[f]
            norm += x[f] * x[f]
            solutions[at + f] = x[f] * equations.scale
        losses[u] = misfit - rx - relaxation * (2 - relaxation) * gain
        norms[u] = norm * equations.penalties[u]


@kernel()
def narrow(values: NDArray[np.float32], factor: np.float32, out: NDArray[np.uint16]) -> None:
    """Writes `values` (flat, a multiple of sixteen) times `factor` as the bits of float16."""
    for f in range(0, values.shape[0], LANES):
        store(out, f, multiply_add(load(values, f), broadcast(factor), zeros()))
