"""Products of a vector with the part of a matrix of `als` that is made of a row's entries, sum_i w_i y_i y_iᵀ."""

from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from fastrec.kernels import target
from fastrec.kernels._jit import FAST, StaticType, constant, kernel
from fastrec.kernels.arrays import Codes, Floats, Halves
from fastrec.kernels.lanes import LANES
from fastrec.kernels.row import add_scaled, dot, dot_four, load_row, scale, store_row
from fastrec.kernels.simd import broadcast, load, load_floats, multiply_add, reduce_add, store, zeros

float32 = np.float32

FOUR = 64  # the widest row of which the registers of AVX-512 hold four beside the sum and the direction


def keeps_rows(history: Any, width: Any) -> bool:
    """Tells whether a row is kept whole, in the registers or spilled from them, by the types of its arguments.

    AVX-512's registers hold a row, a direction and a sum. Elsewhere rows of float32 are read twice instead, sixteen
    numbers at a time. Halves are kept everywhere, since reading them twice would convert them twice.
    """
    vectors = history.types[history.fields.index("vectors")]
    return isinstance(width, StaticType) and (target.has("wide_registers") or vectors.dtype == types.uint16)


class History(NamedTuple):
    """One row's entries, by pointers: a function counts the arrays that it is passed with atomic operations."""

    indices: Codes  # of the row's first entry on
    values: Floats  # one for each entry, or one for all
    step: int  # from one entry's value to the next one's: 1 or 0
    count: int
    left: int  # entries from the row's first to the last of all rows
    vectors: Floats | Halves  # flat
    alpha: np.float32


def add_products(history: Any, start: Any, stop: Any, width: Any, p: Any, out: Any) -> None:
    """Adds sum_i w_i (y_i·p) y_i of some entries to `out`."""
    raise NotImplementedError  # compiled by `_choose_add_products`


@overload(add_products, jit_options={"fastmath": set(FAST), "nogil": True}, inline="never")  # type: ignore[misc]
def _choose_add_products(history: Any, start: Any, stop: Any, width: Any, p: Any, out: Any) -> Any:
    if not keeps_rows(history, width):
        return _add_products_blocked
    return _add_products_by_four if width.value <= FOUR else _add_products_one_by_one


def _add_products_by_four(history: Any, start: Any, stop: Any, width: Any, p: Any, out: Any) -> None:
    size, step, alpha = constant(width), history.step, history.alpha
    indices, values, vectors = history.indices, history.values, history.vectors
    direction, result = load_row(p, 0, width), load_row(out, 0, width)
    fours = start + (stop - start) // 4 * 4
    # Four entries at a time: their products with the direction, then the weighted sum of the four.
    for i in range(start, fours, 4):
        y0 = load_row(vectors, np.int64(indices[i]) * size, width)
        y1 = load_row(vectors, np.int64(indices[i + 1]) * size, width)
        y2 = load_row(vectors, np.int64(indices[i + 2]) * size, width)
        y3 = load_row(vectors, np.int64(indices[i + 3]) * size, width)
        s0, s1, s2, s3 = dot_four(y0, y1, y2, y3, direction)
        part = scale(alpha * values[i * step] * s0, y0)
        part = add_scaled(part, alpha * values[(i + 1) * step] * s1, y1)
        part = add_scaled(part, alpha * values[(i + 2) * step] * s2, y2)
        part = add_scaled(part, alpha * values[(i + 3) * step] * s3, y3)
        result = add_scaled(result, float32(1), part)
    # The entries that are left, one by one.
    for i in range(fours, stop):
        y = load_row(vectors, np.int64(indices[i]) * size, width)
        result = add_scaled(result, alpha * values[i * step] * dot(y, direction), y)
    store_row(out, 0, result)


def _add_products_one_by_one(history: Any, start: Any, stop: Any, width: Any, p: Any, out: Any) -> None:
    size = constant(width)
    direction, result = load_row(p, 0, width), load_row(out, 0, width)
    for i in range(start, stop):
        y = load_row(history.vectors, np.int64(history.indices[i]) * size, width)
        weight = history.alpha * history.values[i * history.step]
        result = add_scaled(result, weight * dot(y, direction), y)
    store_row(out, 0, result)


def _add_products_blocked(history: Any, start: Any, stop: Any, width: Any, p: Any, out: Any) -> None:
    # Four entries at a time, so that p and out are read and written once for four. After the last entry, the last one
    # is repeated with weight 0.
    size, step, alpha = constant(width), history.step, history.alpha
    indices, values, vectors = history.indices, history.values, history.vectors
    none = float32(0)
    for i in range(start, stop, 4):
        # The places of the four vectors.
        i1, i2, i3 = min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        y0, y1 = np.int64(indices[i]) * size, np.int64(indices[i1]) * size
        y2, y3 = np.int64(indices[i2]) * size, np.int64(indices[i3]) * size
        # The products y·p of the four.
        s0, s1, s2, s3 = zeros(16), zeros(16), zeros(16), zeros(16)
        for f in range(0, size, LANES):
            direction = load(p, f, 16)
            s0 = multiply_add(load_floats(vectors, y0 + f, 16), direction, s0)
            s1 = multiply_add(load_floats(vectors, y1 + f, 16), direction, s1)
            s2 = multiply_add(load_floats(vectors, y2 + f, 16), direction, s2)
            s3 = multiply_add(load_floats(vectors, y3 + f, 16), direction, s3)
        # The weights of the four; a repeated entry gets 0.
        w0, w1 = values[i * step], values[i1 * step] if i + 1 < stop else none
        w2, w3 = values[i2 * step] if i + 2 < stop else none, values[i3 * step] if i + 3 < stop else none
        t0, t1, t2, t3 = reduce_add(s0), reduce_add(s1), reduce_add(s2), reduce_add(s3)
        b0, b1 = broadcast(alpha * w0 * t0, 16), broadcast(alpha * w1 * t1, 16)
        b2, b3 = broadcast(alpha * w2 * t2, 16), broadcast(alpha * w3 * t3, 16)
        # Adds the four weighted vectors to the result.
        for f in range(0, size, LANES):
            result = load(out, f, 16)
            result = multiply_add(load_floats(vectors, y0 + f, 16), b0, result)
            result = multiply_add(load_floats(vectors, y1 + f, 16), b1, result)
            result = multiply_add(load_floats(vectors, y2 + f, 16), b2, result)
            result = multiply_add(load_floats(vectors, y3 + f, 16), b3, result)
            store(out, f, result)


@kernel(fastmath=FAST, inline=True)
def _square(weight: Any, product: Any) -> float:
    """Returns w s² in float64: in float32 the compiler takes alpha out of the sum, and alpha 6 of 1 is not 2 of 3."""
    return np.float64(weight) * np.float64(product) * np.float64(product)


def curvature(history: Any, width: Any, p: Any) -> float:  # type: ignore[empty-body]
    """Returns pᵀ(sum_i w_i y_i y_iᵀ)p."""
    raise NotImplementedError  # compiled by `_choose_curvature`


@overload(curvature, jit_options={"fastmath": set(FAST), "nogil": True}, inline="never")  # type: ignore[misc]
def _choose_curvature(history: Any, width: Any, p: Any) -> Any:
    return _curvature_in_registers if keeps_rows(history, width) else _curvature_blocked


def _curvature_in_registers(history: Any, width: Any, p: Any) -> Any:
    size, step, alpha = constant(width), history.step, history.alpha
    indices, values, vectors = history.indices, history.values, history.vectors
    direction, total = load_row(p, 0, width), np.float64(0)
    fours = history.count // 4 * 4
    # Four entries at a time; then those that are left, one by one.
    for i in range(0, fours, 4):
        y0 = load_row(vectors, np.int64(indices[i]) * size, width)
        y1 = load_row(vectors, np.int64(indices[i + 1]) * size, width)
        y2 = load_row(vectors, np.int64(indices[i + 2]) * size, width)
        y3 = load_row(vectors, np.int64(indices[i + 3]) * size, width)
        s0, s1, s2, s3 = dot_four(y0, y1, y2, y3, direction)
        total += _square(alpha * values[i * step], s0) + _square(alpha * values[(i + 1) * step], s1)
        total += _square(alpha * values[(i + 2) * step], s2) + _square(alpha * values[(i + 3) * step], s3)
    for i in range(fours, history.count):
        product = dot(load_row(vectors, np.int64(indices[i]) * size, width), direction)
        total += _square(alpha * values[i * step], product)
    return total


def _curvature_blocked(history: Any, width: Any, p: Any) -> Any:
    # Four entries at a time. After the last entry, the last one is repeated with weight 0.
    size, step, alpha = constant(width), history.step, history.alpha
    indices, values, vectors = history.indices, history.values, history.vectors
    stop, none, total = history.count, float32(0), np.float64(0)
    for i in range(0, stop, 4):
        i1, i2, i3 = min(i + 1, stop - 1), min(i + 2, stop - 1), min(i + 3, stop - 1)
        y0, y1 = np.int64(indices[i]) * size, np.int64(indices[i1]) * size
        y2, y3 = np.int64(indices[i2]) * size, np.int64(indices[i3]) * size
        s0, s1, s2, s3 = zeros(16), zeros(16), zeros(16), zeros(16)
        for f in range(0, size, LANES):
            direction = load(p, f, 16)
            s0 = multiply_add(load_floats(vectors, y0 + f, 16), direction, s0)
            s1 = multiply_add(load_floats(vectors, y1 + f, 16), direction, s1)
            s2 = multiply_add(load_floats(vectors, y2 + f, 16), direction, s2)
            s3 = multiply_add(load_floats(vectors, y3 + f, 16), direction, s3)
        t0, t1, t2, t3 = reduce_add(s0), reduce_add(s1), reduce_add(s2), reduce_add(s3)
        w0, w1 = alpha * values[i * step], alpha * values[i1 * step] if i + 1 < stop else none
        w2 = alpha * values[i2 * step] if i + 2 < stop else none
        w3 = alpha * values[i3 * step] if i + 3 < stop else none
        total += _square(w0, t0) + _square(w1, t1) + _square(w2, t2) + _square(w3, t3)
    return total
