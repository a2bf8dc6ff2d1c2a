"""Fold-in for alternating least squares: each row's equations (`als`) are solved from zero, within stated bounds.

With A x = b for a row's equations, D the diagonal part of A and the rest sum_i w_i y_i y_iᵀ, w_i = c_i - 1:

- A is multiplied with the preconditioned residual z = D⁻¹ r, and the products with the directions follow from
  A p' = A z' + β A p (Chronopoulos and Gear 1989): all sums of a step are made at once, so a row waits only once.
- ‖A‖ is at least ‖A z‖ / ‖z‖ of every step. From the start it is at least bᵀAb / bᵀb, where by Cauchy and Schwarz
  sum_i w_i (y_iᵀb)² is at least ‖b‖⁴ / sum_i (c_i² / w_i).
"""

from typing import Any

import numpy as np
from numba.extending import overload

from fastrec.kernels._jit import FAST, constant, kernel
from fastrec.kernels.als import Equations, build_equations
from fastrec.kernels.als_entries import FOUR, History, add_products, keeps_rows
from fastrec.kernels.arrays import Floats
from fastrec.kernels.definite import factorize, substitute
from fastrec.kernels.lanes import LANES
from fastrec.kernels.row import add_scaled, add_squares, load_row, scale, store_row, zero_row
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
    widen,
    zeros,
)
from fastrec.kernels.sparse import Entries

float32 = np.float32

# The residual that is left relative to ‖A‖·‖x‖ (with the roundings of b and x it is below 1e-6), and the largest number
# of steps. Then how much longer than x the steps together may be (each adds its own roundings). Last, the number of
# entries that are summed in float32 before they are added in float64, for rows that are summed four at a time; half of
# it for others. (More entries of one vector would be rounded in one direction too often.)
ACCURACY = 7e-7
STEPS = 32
DETOUR = 4.0
SUMMED = 64
LEAST, MOST = 1e-30, 1e36  # range of the squares for which float32 is used
CANCELLED = 1.0  # multiple of the terms' sum of squares; for a smaller right side, float32's roundings count
AHEAD = 16  # entries between prefetching a row and reading it


def _add_right(history: Any, start: Any, stop: Any, width: Any, out: Any) -> float:  # type: ignore[empty-body]
    """Adds sum_i c_i y_i of some entries to `out`; returns sum_i c_i² ‖y_i‖²."""
    raise NotImplementedError  # compiled by `_choose_add_right`


@overload(_add_right, jit_options={"fastmath": set(FAST), "nogil": True}, inline="never")  # type: ignore[misc]
def _choose_add_right(history: Any, start: Any, stop: Any, width: Any, out: Any) -> Any:
    return _add_right_in_registers if keeps_rows(history, width) else _add_right_blocked


def _add_right_in_registers(history: Any, start: Any, stop: Any, width: Any, out: Any) -> Any:
    size, n = constant(width), 4 if constant(width) <= FOUR else 1
    result, squares = load_row(out, 0, width), zeros(16)
    # A few entries are summed in registers before they are added to the result.
    for first in range(start, stop, n):
        total = zero_row(width)
        for i in range(first, min(first + n, stop)):
            # Prefetches the vector of a later entry.
            if i + AHEAD < history.left:
                soon = np.int64(history.indices[i + AHEAD]) * size
                for f in range(0, size, LANES):
                    prefetch(history.vectors, soon + f)
            # The entry's c_i y_i.
            y = load_row(history.vectors, np.int64(history.indices[i]) * size, width)
            part = scale(float32(1) + history.alpha * history.values[i * history.step], y)
            total, squares = add_scaled(total, float32(1), part), add_squares(squares, part)
        result = add_scaled(result, float32(1), total)
    store_row(out, 0, result)
    return reduce_add(squares)


def _add_right_blocked(history: Any, start: Any, stop: Any, width: Any, out: Any) -> Any:
    # Four entries at a time. After the last entry, the last one is repeated with weight 0.
    size, step, alpha = constant(width), history.step, history.alpha
    indices, values, vectors = history.indices, history.values, history.vectors
    one, none, squares = float32(1), float32(0), zeros(16)
    for i in range(start, stop, 4):
        # Prefetches the vectors of four later entries.
        for ahead in range(i + AHEAD, min(i + AHEAD + 4, history.left)):
            soon = np.int64(indices[ahead]) * size
            for f in range(0, size, LANES):
                prefetch(vectors, soon + f)
        # The places of the four vectors, and their weights; a repeated entry gets 0.
        i1, i2, i3 = min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        y0, y1 = np.int64(indices[i]) * size, np.int64(indices[i1]) * size
        y2, y3 = np.int64(indices[i2]) * size, np.int64(indices[i3]) * size
        c0, c1 = one + alpha * values[i * step], one + alpha * values[i1 * step] if i + 1 < stop else none
        c2 = one + alpha * values[i2 * step] if i + 2 < stop else none
        c3 = one + alpha * values[i3 * step] if i + 3 < stop else none
        b0, b1, b2, b3 = broadcast(c0, 16), broadcast(c1, 16), broadcast(c2, 16), broadcast(c3, 16)
        # Adds the sum of the four weighted vectors to the result, and their squares.
        for f in range(0, size, LANES):
            p0, p1 = multiply(load_floats(vectors, y0 + f, 16), b0), multiply(load_floats(vectors, y1 + f, 16), b1)
            p2, p3 = multiply(load_floats(vectors, y2 + f, 16), b2), multiply(load_floats(vectors, y3 + f, 16), b3)
            squares = multiply_add(p0, p0, multiply_add(p1, p1, squares))
            squares = multiply_add(p2, p2, multiply_add(p3, p3, squares))
            store(out, f, add(load(out, f, 16), add(add(p0, p1), add(p2, p3))))
    return reduce_add(squares)


def _count_summed(history: Any, width: Any) -> int:
    """Returns the number of entries that are summed in float32."""
    raise NotImplementedError  # compiled by `_choose_count`


@overload(_count_summed)  # type: ignore[misc]
def _choose_count(history: Any, width: Any) -> Any:
    count = SUMMED if keeps_rows(history, width) and width.value <= FOUR else SUMMED // 2

    def answer(history: Any, width: Any) -> int:
        return count

    return answer


@kernel(fastmath=FAST, inline=True)
def _add_entries(history: Any, width: Any, p: Any, out: Any, sums: Any, right: bool) -> float:
    """Adds the entries' part of the right side, or of the product with p, to `out`.

    A few entries at a time are summed in float32, and their sums in float64. Returns the sum of the right side's
    squares.
    """
    size, squares = constant(width), np.float64(0)
    summed = _count_summed(history, width)
    many = history.count > summed
    # The sum goes on in float64 if there are many entries.
    if many:
        for f in range(0, size, LANES):
            store(sums, f, widen(load(out, f, 16)))
            store(out, f, zeros(16))
    for start in range(0, history.count, summed):
        stop = min(start + summed, history.count)
        if right:
            squares += np.float64(_add_right(history, start, stop, width, out))
        else:
            add_products(history, start, stop, width, p, out)
        # The sums in float32 are added to those in float64.
        if many:
            for f in range(0, size, LANES):
                store(sums, f, add(load(sums, f, 16), widen(load(out, f, 16))))
                store(out, f, zeros(16))
    # The sum in float64 is rounded once.
    if many:
        for f in range(size):
            out[f] = float32(sums[f])
    return squares


@kernel(fastmath=FAST, inline=True)
def _bound_entries(history: Any) -> float:
    """Returns 1 / sum_i (c_i² / w_i); 0 if an entry has no weight."""
    total = np.float64(0)
    for i in range(history.count if history.step else 1):
        weight = np.float64(history.alpha) * np.float64(history.values[i])
        if not weight > 0:
            return 0.0
        total += weight + 2 + 1 / weight
    return 1 / (total if history.step else total * history.count)


@kernel(fastmath=FAST)
def fold_rows(
    entries: Entries,
    first: int,
    last: int,
    equations: Equations,
    width: Any,
    solutions: Floats,
) -> None:
    """Writes the solutions of rows `first` to `last` to `solutions` (flat), as docs/explanation/ials.md bounds them.

    Conjugate gradients run from 0 in float32 until the residual is `ACCURACY` of ‖A‖·‖x‖. A row is solved by Cholesky
    in float64 if it does not get there in `STEPS`, if its steps are so long that their roundings would count, or if
    float32 does not hold its squares.
    """
    size, step, end = constant(width), min(1, entries.values.shape[0] - 1), entries.indices.shape[0]
    x, r, z, az = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    p, ap, diagonal = np.empty(size, float32), np.empty(size, float32), np.empty(size, float32)
    inverse, sums, matrix = np.empty(size, float32), np.empty(size), np.empty((0, 0))
    rows, weights = np.empty((4, size)), np.empty(4)
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
        # The right side, and the first residual.
        for f in range(0, size, LANES):
            store(r, f, zeros(16))
        squares = _add_entries(history, width, pointer(z), pointer(r), pointer(sums), True)
        # The diagonal D and its inverse, the first preconditioned residual, and the sums for the bounds.
        s0, s1, s2 = zeros(16), zeros(16), zeros(16)
        for f in range(0, size, LANES):
            residual, part = (
                load(r, f, 16),
                add(load(equations.eigenvalues, f, 16), broadcast(equations.penalties[u], 16)),
            )
            scaled = divide(broadcast(float32(1), 16), part)
            correction, square = multiply(residual, scaled), multiply(residual, residual)
            store(diagonal, f, part)
            store(inverse, f, scaled)
            store(z, f, correction)
            store(az, f, residual)
            store(x, f, zeros(16))
            store(p, f, zeros(16))
            store(ap, f, zeros(16))
            s0, s1, s2 = add(square, s0), multiply_add(residual, correction, s1), multiply_add(square, part, s2)
        right, rz = np.float64(reduce_add(s0)), reduce_add(s1)
        largest, way, held, solved = np.float64(0), np.float64(0), False, right == 0 and squares == 0
        # A lower bound of ‖A‖² from the right side alone, if float32 holds the squares.
        if LEAST < right < MOST and right > CANCELLED * squares:
            bound = np.float64(reduce_add(s2)) / right + right * _bound_entries(history)
            largest, held = bound * bound, True
        bend, lag = float32(0), float32(0)
        for _ in range(STEPS if held else 0):
            # az is D z here, and becomes A z with the entries' part.
            _add_entries(history, width, pointer(z), pointer(az), pointer(sums), False)
            s0, s1, s2 = zeros(16), zeros(16), zeros(16)
            for f in range(0, size, LANES):
                correction, product = load(z, f, 16), load(az, f, 16)
                s0, s1 = multiply_add(correction, product, s0), multiply_add(correction, correction, s1)
                s2 = multiply_add(product, product, s2)
            curvature, zz, zaaz = reduce_add(s0) - lag, np.float64(reduce_add(s1)), np.float64(reduce_add(s2))
            if not (rz > LEAST and curvature > LEAST and zz > LEAST):
                break  # float32 does not hold it
            a = rz / curvature
            largest = max(largest, zaaz / zz)
            # The direction, the step along it, and the residual after it.
            turn, forward, back = broadcast(bend, 16), broadcast(a, 16), broadcast(-a, 16)
            s0, s1, s2, s3 = zeros(16), zeros(16), zeros(16), zeros(16)
            for f in range(0, size, LANES):
                direction = multiply_add(load(p, f, 16), turn, load(z, f, 16))
                product = multiply_add(load(ap, f, 16), turn, load(az, f, 16))
                solution = multiply_add(direction, forward, load(x, f, 16))
                residual = multiply_add(product, back, load(r, f, 16))
                correction = multiply(residual, load(inverse, f, 16))
                store(p, f, direction)
                store(ap, f, product)
                store(x, f, solution)
                store(r, f, residual)
                store(z, f, correction)
                store(az, f, residual)
                s0, s1 = multiply_add(residual, correction, s0), multiply_add(residual, residual, s1)
                s2, s3 = multiply_add(solution, solution, s2), multiply_add(direction, direction, s3)
            following, rr, xx = reduce_add(s0), np.float64(reduce_add(s1)), np.float64(reduce_add(s2))
            way += np.float64(a) * np.sqrt(np.float64(reduce_add(s3)))
            if rr <= ACCURACY * ACCURACY * largest * xx:
                solved = way <= DETOUR * np.sqrt(xx) and largest < MOST and xx < MOST
                break
            bend = following / rz
            lag = bend * following / a
            rz = following
        # Conjugate gradients have converged: their solution is the row's.
        if solved:
            for f in range(0, size, LANES):
                store(solutions, at + f, load(x, f, 16))
            continue
        # They have not: Cholesky in float64.
        if matrix.shape[0] == 0:
            matrix = np.empty((size, size))
        build_equations(entries, u, equations, size, matrix, sums, rows, weights)
        factorize(matrix)
        substitute(matrix, sums)
        for f in range(size):
            solutions[at + f] = sums[f]
