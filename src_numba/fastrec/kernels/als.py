"""Half an epoch of alternating least squares: the normal equations of every row, by conjugate gradients or Cholesky.

For row u with entries i of value v_i and vectors y_i, with c_i = 1 + alpha·v_i and the vectors in the eigenbasis of
their Gramian YᵀY = diag(e), the equations are

    (diag(e + lambda_u) + sum_i (c_i - 1) y_i y_iᵀ) x = sum_i c_i y_i          (Hu, Koren, Volinsky 2008).

The Gramian's part is diagonal, so a product with the matrix costs only the row's own entries. With the diagonal as the
preconditioner, two or three steps are enough. `width` is a `Static` multiple of sixteen up to `REGISTERS`, where a
whole row fits the registers, or any other multiple of sixteen as a plain integer.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from fastrec.kernels._jit import FAST, StaticType, constant, kernel
from fastrec.kernels.arrays import Floats, Halves
from fastrec.kernels.definite import add_outer_products, factorize, substitute
from fastrec.kernels.lanes import LANES
from fastrec.kernels.row import add_scaled, dot, load_row, store_row
from fastrec.kernels.simd import (
    broadcast,
    load,
    load_floats,
    multiply,
    multiply_add,
    prefetch,
    reduce_add,
    store,
    to_halves,
    zeros,
)
from fastrec.kernels.sparse import Entries

float32 = np.float32

REGISTERS = (
    128  # the widest row of which the registers of AVX-512 hold three; above it `_add_products_blocked` is faster
)
AHEAD = 8  # entries between prefetching a row and reading it


class Equations(NamedTuple):
    """The common part of one side's equations: the vectors of the other side, and the weights."""

    vectors: Floats | Halves  # flat (n · width), scaled by 1 / scale
    eigenvalues: NDArray[np.float32]  # (width,) of the Gramian of the scaled vectors
    penalties: NDArray[np.float32]  # lambda_u, (rows,), in the scaling of the vectors
    alpha: np.float32
    scale: np.float32  # a power of two: a solution of the scaled equations is the row times it


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
        # Prefetches the vector of a later entry.
        if first and i + AHEAD < end:
            soon = np.int64(indices[i + AHEAD]) * size
            for f in range(0, size, 64 // vectors.itemsize):
                prefetch(vectors, soon + f)
        y = load_row(vectors, np.int64(indices[i]) * size, width)
        # The product with the direction, and the entry's weight; the first pass also adds to the misfit.
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
    # Four entries at a time, so that p and out are read and written once for four. After the last entry, the last one
    # is repeated with weight 0.
    vectors, indices, values = equations.vectors, entries.indices, entries.values
    step, end = min(1, values.shape[0] - 1), indices.shape[0]
    one, none = float32(1), float32(0)
    misfit = np.float64(0)
    for i in range(start, stop, 4):
        # Prefetches the vectors of four later entries.
        if first:
            for ahead in range(i + AHEAD, min(i + AHEAD + 4, end)):
                soon = np.int64(indices[ahead]) * width
                for f in range(0, width, 64 // vectors.itemsize):
                    prefetch(vectors, soon + f)
        # The places of the four vectors; after the last entry it is repeated.
        i1, i2, i3 = min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        y0, y1 = np.int64(indices[i]) * width, np.int64(indices[i1]) * width
        y2, y3 = np.int64(indices[i2]) * width, np.int64(indices[i3]) * width
        # The products y·p of the four.
        s0, s1, s2, s3 = zeros(16), zeros(16), zeros(16), zeros(16)
        for f in range(0, width, LANES):
            direction = load(p, f, 16)
            s0 = multiply_add(load_floats(vectors, y0 + f, 16), direction, s0)
            s1 = multiply_add(load_floats(vectors, y1 + f, 16), direction, s1)
            s2 = multiply_add(load_floats(vectors, y2 + f, 16), direction, s2)
            s3 = multiply_add(load_floats(vectors, y3 + f, 16), direction, s3)
        # The weights of the four; a repeated entry gets 0.
        e0, e1 = equations.alpha * values[i * step], equations.alpha * values[i1 * step]
        e2, e3 = equations.alpha * values[i2 * step], equations.alpha * values[i3 * step]
        n1 = one if i + 1 < stop else none
        n2 = one if i + 2 < stop else none
        n3 = one if i + 3 < stop else none
        t0, t1, t2, t3 = reduce_add(s0), reduce_add(s1), reduce_add(s2), reduce_add(s3)
        w0, w1, w2, w3 = e0 * t0, n1 * e1 * t1, n2 * e2 * t2, n3 * e3 * t3
        if first:
            c0, c1, c2, c3 = one + e0, n1 * (one + e1), n2 * (one + e2), n3 * (one + e3)
            misfit += c0 - c0 * t0 + c1 - c1 * t1 + (c2 - c2 * t2) + (c3 - c3 * t3)
            w0, w1, w2, w3 = c0 - w0, c1 - w1, c2 - w2, c3 - w3
        # Adds the four weighted vectors to the result.
        b0, b1, b2, b3 = broadcast(w0, 16), broadcast(w1, 16), broadcast(w2, 16), broadcast(w3, 16)
        for f in range(0, width, LANES):
            result = load(out, f, 16)
            result = multiply_add(load_floats(vectors, y0 + f, 16), b0, result)
            result = multiply_add(load_floats(vectors, y1 + f, 16), b1, result)
            result = multiply_add(load_floats(vectors, y2 + f, 16), b2, result)
            result = multiply_add(load_floats(vectors, y3 + f, 16), b3, result)
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

    A row moves `relaxation` times as far as `steps` steps would take it (block over-relaxation; 1 is plain). It takes
    fewer steps if the preconditioned residual falls to `tolerance` of its first value. `losses[u]` receives the row's
    part of the objective, including its own penalty, and `norms[u]` lambda_u ‖x_u‖².

    The objective costs nothing. Before the step it is sum_i c_i - bᵀx - rᵀx, with r = b - Ax at hand and the rest
    summed in the first pass. The step lowers it by (2 w - w²) sum_k a_k (r_k·z_k), for relaxation w.
    """
    size = constant(width)
    x, r, p, q = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    z, diagonal, inverse = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    unscale = float32(1) / equations.scale
    for u in range(first, last):
        at = np.int64(u) * size
        start, stop = entries.indptr[u], entries.indptr[u + 1]
        # The diagonal of the equations, the preconditioner, and the row's part of the residual.
        for f in range(size):
            diagonal[f] = equations.eigenvalues[f] + equations.penalties[u]
            inverse[f] = float32(1) / diagonal[f]
            x[f] = solutions[at + f] * unscale
            r[f] = -diagonal[f] * x[f]
            z[f] = float32(0)
        # The residual at the row's present value, and the loss there.
        misfit = _add_products(entries, start, stop, equations, width, x, r, True)
        rz, rx = float32(0), float32(0)
        # The first direction, and the products that the loss and the stopping rule need.
        for f in range(size):
            p[f] = r[f] * inverse[f]
        # Loops that sum write nothing. If one wrote, LLVM would check the distance of the arrays at run time, and sum
        # in another order for neighbouring arrays.
        for f in range(size):
            rz += r[f] * p[f]
            rx += r[f] * x[f]
        enough = max(tolerance * rz, float32(1e-30))
        gain = np.float64(0)
        # Steps of preconditioned conjugate gradients, from 0 on: z is the row's move.
        for _ in range(steps):
            if not rz > enough:
                break
            # The product of the matrix with the direction.
            for f in range(size):
                q[f] = diagonal[f] * p[f]
            _add_products(entries, start, stop, equations, width, p, q, False)
            pq = float32(0)
            for f in range(size):
                pq += p[f] * q[f]
            # The step along the direction, and the residual after it.
            a = rz / pq
            gain += a * rz
            following = float32(0)
            for f in range(size):
                z[f] += a * p[f]
                r[f] -= a * q[f]
            for f in range(size):
                following += r[f] * r[f] * inverse[f]
            # The next direction is conjugate to the ones before.
            b = following / rz
            rz = following
            for f in range(size):
                p[f] = r[f] * inverse[f] + b * p[f]
        # The row moves, beyond its solution if it is over-relaxed.
        norm = float32(0)
        for f in range(size):
            x[f] += relaxation * z[f]
        for f in range(size):
            norm += x[f] * x[f]
        for f in range(size):
            solutions[at + f] = x[f] * equations.scale
        losses[u] = misfit - rx - relaxation * (2 - relaxation) * gain
        norms[u] = norm * equations.penalties[u]


@kernel(fastmath=FAST, inline=True)
def build_equations(
    entries: Entries, u: int, equations: Equations, width: int, matrix: Any, right: Any, rows: Any, weights: Any
) -> float:
    """Builds a row's matrix and right side in float64, four entries at a time; returns the sum of their weights c."""
    start, stop = entries.indptr[u], entries.indptr[u + 1]
    step = min(1, entries.values.shape[0] - 1)
    narrow_row = np.empty(width, float32)
    # The diagonal part: the Gramian's eigenvalues and the penalty. The right side begins with zeros.
    for f in range(width):
        right[f] = np.float64(0)
        for g in range(f):
            matrix[f, g] = np.float64(0)
        matrix[f, f] = np.float64(equations.eigenvalues[f]) + np.float64(equations.penalties[u])
    confidence = np.float64(0)
    # Four entries at a time; after the last one, rows of zeros with weight 0.
    for i in range(start, stop, 4):
        for k in range(4):
            row = rows[k]
            if i + k >= stop:
                weights[k] = np.float64(0)
                for f in range(width):
                    row[f] = np.float64(0)
                continue
            at = np.int64(entries.indices[i + k]) * width
            # The vector as float32, then as float64, with its part of the right side.
            for f in range(0, width, LANES):
                store(narrow_row, f, load_floats(equations.vectors, at + f, 16))
            extra = np.float64(equations.alpha) * np.float64(entries.values[(i + k) * step])
            weights[k] = extra
            confidence += 1 + extra
            for f in range(width):
                row[f] = np.float64(narrow_row[f])
                right[f] += (1 + extra) * row[f]
        add_outer_products(matrix, rows, weights)
    return confidence


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
    """Does as `solve_rows_cg`, but builds and factorizes each row's matrix in float64, at factors² for each entry."""
    matrix, rows, weights = np.empty((width, width)), np.empty((4, width)), np.empty(4)
    x, r, z = np.empty(width), np.empty(width), np.empty(width)
    unscale = np.float64(1) / equations.scale
    for u in range(first, last):
        at = np.int64(u) * width
        for f in range(width):
            x[f] = solutions[at + f] * unscale
        # The equations, and the residual at the row's present value: the lower triangle stands for both.
        misfit = build_equations(entries, u, equations, width, matrix, r, rows, weights)
        for f in range(width):
            misfit -= r[f] * x[f]
        for f in range(width):
            s = np.float64(0)
            for g in range(f + 1):
                s += matrix[f, g] * x[g]
            r[f] -= s
            for g in range(f):
                r[g] -= matrix[f, g] * x[f]
        rx = np.float64(0)
        for f in range(width):
            z[f] = r[f]
            rx += r[f] * x[f]
        # The row moves, beyond its solution if it is over-relaxed.
        factorize(matrix)
        substitute(matrix, z)
        gain, norm = np.float64(0), np.float64(0)
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
        store(out, f, to_halves(multiply(load(values, f, 16), broadcast(factor, 16))))
