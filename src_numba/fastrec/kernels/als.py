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

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.als_entries import History, add_products, curvature, keeps_rows
from fastrec.kernels.arrays import Floats, Halves
from fastrec.kernels.definite import add_outer_products, factorize, substitute
from fastrec.kernels.lanes import LANES
from fastrec.kernels.row import add_scaled, dot, load_row, store_row
from fastrec.kernels.simd import (
    add,
    advance,
    broadcast,
    divide,
    load,
    load_floats,
    multiply,
    multiply_add,
    pointer,
    prefetch,
    reduce_add,
    store,
    subtract,
    to_halves,
    zeros,
)
from fastrec.kernels.sparse import Entries

float32 = np.float32

REGISTERS = (
    128  # the widest row of which the registers of AVX-512 hold three; above it `_add_products_blocked` is faster
)
AHEAD = 8  # entries between prefetching a row and reading it
LINE = 32  # the numbers in a cache line of 64 bytes, of float16


class Equations(NamedTuple):
    """The common part of one side's equations: the vectors of the other side, and the weights."""

    vectors: Floats | Halves  # flat (n · width), scaled by 1 / scale
    eigenvalues: NDArray[np.float32]  # (width,) of the Gramian of the scaled vectors
    penalties: NDArray[np.float32]  # lambda_u, (rows,), in the scaling of the vectors
    alpha: np.float32
    scale: np.float32  # a power of two: a solution of the scaled equations is the row times it


def _add_first(history: Any, width: Any, x: Any, out: Any) -> float:  # type: ignore[empty-body]
    """Adds sum_i (c_i - w_i y_i·x) y_i to `out`, w_i = c_i - 1; returns sum_i c_i (1 - y_i·x)."""
    raise NotImplementedError  # compiled by `_choose_add_first`


@overload(_add_first, jit_options={"fastmath": set(FAST), "nogil": True}, inline="never")  # type: ignore[misc]
def _choose_add_first(history: Any, width: Any, x: Any, out: Any) -> Any:
    return _add_first_in_registers if keeps_rows(history, width) else _add_first_blocked


def _add_first_in_registers(history: Any, width: Any, x: Any, out: Any) -> Any:
    size, step, vectors = constant(width), history.step, history.vectors
    start, result = load_row(x, 0, width), load_row(out, 0, width)
    misfit = np.float64(0)
    for i in range(history.count):
        # Prefetches the vector of a later entry.
        if i + AHEAD < history.left:
            soon = np.int64(history.indices[i + AHEAD]) * size
            for f in range(0, size, LINE):
                prefetch(vectors, soon + f)
        # The product with the row, the entry's weight, and its part of the misfit.
        y = load_row(vectors, np.int64(history.indices[i]) * size, width)
        product, extra = dot(y, start), history.alpha * history.values[i * step]
        confidence = float32(1) + extra
        misfit += confidence - confidence * product
        result = add_scaled(result, confidence - extra * product, y)
    store_row(out, 0, result)
    return misfit


def _add_first_blocked(history: Any, width: Any, x: Any, out: Any) -> Any:
    # Four entries at a time, so that x and out are read and written once for four. After the last entry, the last one
    # is repeated with weight 0.
    size, step, alpha = constant(width), history.step, history.alpha
    indices, values, vectors, stop = history.indices, history.values, history.vectors, history.count
    one, none = float32(1), float32(0)
    misfit = np.float64(0)
    for i in range(0, stop, 4):
        # Prefetches the vectors of four later entries.
        for ahead in range(i + AHEAD, min(i + AHEAD + 4, history.left)):
            soon = np.int64(indices[ahead]) * size
            for f in range(0, size, LINE):
                prefetch(vectors, soon + f)
        # The places of the four vectors.
        i1, i2, i3 = min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        y0, y1 = np.int64(indices[i]) * size, np.int64(indices[i1]) * size
        y2, y3 = np.int64(indices[i2]) * size, np.int64(indices[i3]) * size
        # The products y·x of the four.
        s0, s1, s2, s3 = zeros(16), zeros(16), zeros(16), zeros(16)
        for f in range(0, size, LANES):
            start = load(x, f, 16)
            s0 = multiply_add(load_floats(vectors, y0 + f, 16), start, s0)
            s1 = multiply_add(load_floats(vectors, y1 + f, 16), start, s1)
            s2 = multiply_add(load_floats(vectors, y2 + f, 16), start, s2)
            s3 = multiply_add(load_floats(vectors, y3 + f, 16), start, s3)
        # The weights of the four; a repeated entry gets 0.
        n1, n2, n3 = one if i + 1 < stop else none, one if i + 2 < stop else none, one if i + 3 < stop else none
        e0, e1 = alpha * values[i * step], alpha * values[i1 * step]
        e2, e3 = alpha * values[i2 * step], alpha * values[i3 * step]
        t0, t1, t2, t3 = reduce_add(s0), reduce_add(s1), reduce_add(s2), reduce_add(s3)
        c0, c1, c2, c3 = one + e0, n1 * (one + e1), n2 * (one + e2), n3 * (one + e3)
        misfit += c0 - c0 * t0 + c1 - c1 * t1 + (c2 - c2 * t2) + (c3 - c3 * t3)
        # Adds the four weighted vectors to the result.
        b0, b1 = broadcast(c0 - e0 * t0, 16), broadcast(c1 - n1 * e1 * t1, 16)
        b2, b3 = broadcast(c2 - n2 * e2 * t2, 16), broadcast(c3 - n3 * e3 * t3, 16)
        for f in range(0, size, LANES):
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
    size, step, end = constant(width), min(1, entries.values.shape[0] - 1), entries.indices.shape[0]
    x, r, p, q = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    z, diagonal, inverse = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    scale, unscale = broadcast(equations.scale, 16), broadcast(float32(1) / equations.scale, 16)
    one, beyond = broadcast(float32(1), 16), broadcast(relaxation, 16)
    for u in range(first, last):
        at, start = np.int64(u) * size, entries.indptr[u]
        history = History(
            advance(pointer(entries.indices), start),
            advance(pointer(entries.values), start * step),
            step,
            entries.indptr[u + 1] - start,
            end - start,
            pointer(equations.vectors),
            equations.alpha,
        )
        # The diagonal of the equations, the preconditioner, and the row's part of the residual.
        penalty = broadcast(equations.penalties[u], 16)
        for f in range(0, size, LANES):
            part = add(load(equations.eigenvalues, f, 16), penalty)
            value = multiply(load(solutions, at + f, 16), unscale)
            store(diagonal, f, part)
            store(inverse, f, divide(one, part))
            store(x, f, value)
            store(r, f, subtract(zeros(16), multiply(part, value)))
            store(z, f, zeros(16))
        # The residual at the row's present value, and the loss there.
        misfit = _add_first(history, width, pointer(x), pointer(r))
        # The first direction, and the products that the loss and the stopping rule need.
        s0, s1 = zeros(16), zeros(16)
        for f in range(0, size, LANES):
            residual = load(r, f, 16)
            direction = multiply(residual, load(inverse, f, 16))
            store(p, f, direction)
            s0, s1 = multiply_add(residual, direction, s0), multiply_add(residual, load(x, f, 16), s1)
        rz, rx = reduce_add(s0), reduce_add(s1)
        enough = max(tolerance * rz, float32(1e-30))
        gain = np.float64(0)
        # Steps of preconditioned conjugate gradients, from 0 on: z is the row's move.
        for left in range(steps, 0, -1):
            if not rz > enough:
                break
            # The last step needs its length alone, and so no product of the matrix.
            if left == 1:
                s0 = zeros(16)
                for f in range(0, size, LANES):
                    direction = load(p, f, 16)
                    s0 = multiply_add(multiply(direction, load(diagonal, f, 16)), direction, s0)
                a = float32(np.float64(rz) / (np.float64(reduce_add(s0)) + curvature(history, width, pointer(p))))
                gain += a * rz
                forward = broadcast(a, 16)
                for f in range(0, size, LANES):
                    store(z, f, multiply_add(load(p, f, 16), forward, load(z, f, 16)))
                break
            # The product of the matrix with the direction.
            for f in range(0, size, LANES):
                store(q, f, multiply(load(diagonal, f, 16), load(p, f, 16)))
            add_products(history, 0, history.count, width, pointer(p), pointer(q))
            s0 = zeros(16)
            for f in range(0, size, LANES):
                s0 = multiply_add(load(p, f, 16), load(q, f, 16), s0)
            # The step along the direction, and the residual after it.
            a = rz / reduce_add(s0)
            gain += a * rz
            forward, back, s0 = broadcast(a, 16), broadcast(-a, 16), zeros(16)
            for f in range(0, size, LANES):
                residual = multiply_add(load(q, f, 16), back, load(r, f, 16))
                store(r, f, residual)
                store(z, f, multiply_add(load(p, f, 16), forward, load(z, f, 16)))
                s0 = multiply_add(multiply(residual, residual), load(inverse, f, 16), s0)
            following = reduce_add(s0)
            # The next direction is conjugate to the ones before.
            turn = broadcast(following / rz, 16)
            rz = following
            for f in range(0, size, LANES):
                store(p, f, multiply_add(load(p, f, 16), turn, multiply(load(r, f, 16), load(inverse, f, 16))))
        # The row moves, beyond its solution if it is over-relaxed.
        s0 = zeros(16)
        for f in range(0, size, LANES):
            value = multiply_add(load(z, f, 16), beyond, load(x, f, 16))
            s0 = multiply_add(value, value, s0)
            store(solutions, at + f, multiply(value, scale))
        losses[u] = misfit - rx - relaxation * (2 - relaxation) * gain
        norms[u] = reduce_add(s0) * equations.penalties[u]


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
