"""Vectors in few bytes: how rows of bytes are read as numbers, and how numbers are put into them.

A row is the record of one vector: its codes, then its own steps. Rows lie one after the other, `stride` bytes each, so
that they can be mapped from a file and read where they lie. Numbers within a row are little-endian and of any
alignment.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import (
    above,
    advance,
    broadcast,
    broadcast_load,
    load,
    multiply_add,
    pointer,
    store,
    subtract,
    trailing_zeros,
)
from fastrec.kernels.topk import LARGEST, sum_products

# How the codes of a row are to be read.
HALVES, BYTES, SHIFTED_BYTES, NIBBLES, CENTROIDS, FEW_CENTROIDS, SIGNS = range(7)
NOTHING = -1


class Layout(NamedTuple):
    """How one level of a row is read."""

    kind: Any  # one of the kinds above, or NOTHING
    start: Any  # where its bytes begin in a row
    group: Any  # numbers that share a step; or the dimensions of a centroid
    unit: Any  # float32: what steps (or float16 numbers) are multiplied by, a power of two
    tables: Any  # float32 centroids, (parts, centroids, group) in one line; or one number
    centroids: Any  # how many of them a part has


class Coded(NamedTuple):
    """Rows of bytes; each vector is what its coarse codes say plus what its fine ones do, and some exact numbers."""

    rows: Any  # (n, stride) uint8
    dimensions: Any
    exact: Any  # how many of the last dimensions are float32 numbers
    exact_at: Any  # where their bytes begin in a row
    coarse: Any  # Layout
    fine: Any  # Layout


def _number_at(half: bool, meaning: str) -> Any:
    def number_at(context: Any, place: Any, index: Any) -> Any:
        def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.HalfType() if half else ir.FloatType()
            where = builder.bitcast(builder.gep(args[0], [args[1]]), kind.as_pointer())
            value = builder.load(where, align=1)
            return builder.fpext(value, ir.FloatType()) if half else value

        return types.float32(place, types.intp), build

    number_at.__doc__ = meaning
    return intrinsic(number_at)


half_at = _number_at(True, "The float16 whose two bytes begin at `index`, as float32.")
float_at = _number_at(False, "The float32 whose four bytes begin at `index`.")


@kernel(inner=True)
def add_halves(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds float16 numbers."""
    for j in range(d):
        out[j] += half_at(row, 2 * j) * layout.unit


@kernel(inner=True)
def add_bytes(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds (byte - 128) · step, where the float32 step lies behind the bytes, which fill whole fours."""
    step = float_at(row, (d + 3) // 4 * 4)
    for j in range(d):
        out[j] += np.float32(np.int32(row[j]) - 128) * step


@kernel(inner=True)
def add_shifted_bytes(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds lowest + byte · step, where both float32 lie behind the bytes."""
    at = (d + 3) // 4 * 4
    step, lowest = float_at(row, at), float_at(row, at + 4)
    for j in range(d):
        out[j] += lowest + np.float32(row[j]) * step


@kernel(inner=True)
def add_nibbles(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds lowest + level · step of each group, whose float16 step and lowest lie behind all levels.

    The first half of a group lies in the lower four bits of its bytes, the second one in the upper.
    """
    group = layout.group
    half, n_groups = group // 2, (d + group - 1) // group
    for g in range(n_groups):
        at = n_groups * half + 4 * g
        step, lowest = half_at(row, at) * layout.unit, half_at(row, at + 2) * layout.unit
        codes, target = advance(row, g * half), advance(out, g * group)
        low, high = min(half, d - g * group), min(half, d - g * group - half)
        for j in range(low):
            target[j] += lowest + np.float32(codes[j] & 15) * step
        for j in range(high):
            target[half + j] += lowest + np.float32(codes[j] >> 4) * step


@kernel(inner=True)
def add_centroids(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds the centroids that the codes name, times the row's float16 scale behind them."""
    group, few = layout.group, layout.kind == FEW_CENTROIDS
    parts = (d + group - 1) // group
    scale = half_at(row, (parts + 1) // 2 if few else parts) * layout.unit
    tables = pointer(layout.tables)
    for part in range(parts):
        code = (row[part >> 1] >> (4 * (part & 1))) & 15 if few else row[part]
        centroid = advance(tables, (part * layout.centroids + np.int64(code)) * group)
        target = advance(out, part * group)
        for j in range(min(group, d - part * group)):
            target[j] += centroid[j] * scale


@kernel(inner=True)
def add_signs(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds the row's float16 step, behind the bits, with the sign of each bit."""
    step = half_at(row, (d + 7) // 8) * layout.unit
    for at in range(d // 8):
        byte, target = np.int32(row[at]), advance(out, 8 * at)
        for j in range(8):
            target[j] += step * np.float32(2 * ((byte >> np.int32(j)) & 1) - 1)
    for j in range(d - d % 8, d):
        out[j] += step * np.float32(2 * ((np.int32(row[j >> 3]) >> (j & 7)) & 1) - 1)


@kernel(inner=True)
def add_level(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds what one level of a row says."""
    kind, own = layout.kind, advance(row, layout.start)
    if kind == HALVES:
        add_halves(own, layout, d, out)
    elif kind == BYTES:
        add_bytes(own, layout, d, out)
    elif kind == SHIFTED_BYTES:
        add_shifted_bytes(own, layout, d, out)
    elif kind == NIBBLES:
        add_nibbles(own, layout, d, out)
    elif kind == CENTROIDS or kind == FEW_CENTROIDS:
        add_centroids(own, layout, d, out)
    elif kind == SIGNS:
        add_signs(own, layout, d, out)


@kernel(inner=True)
def decode_row(row: Any, coded: Any, whole: bool, out: Any) -> None:
    """Writes the numbers of one row; without `whole` those of its coarse codes alone."""
    d = coded.dimensions - coded.exact
    for j in range(d):
        out[j] = np.float32(0)
    add_level(row, coded.coarse, d, out)
    if whole and coded.fine.kind != NOTHING:
        add_level(row, coded.fine, d, out)
    for j in range(coded.exact):
        out[d + j] = float_at(row, coded.exact_at + 4 * j)


@kernel()
def decode_rows(coded: Any, codes: Any, vectors: Any) -> None:
    """Fills `vectors` with the numbers of the rows `codes`."""
    rows, stride = pointer(coded.rows), coded.rows.shape[1]
    out, width = pointer(vectors), vectors.shape[1]
    for i in range(len(codes)):
        decode_row(advance(rows, codes[i] * stride), coded, True, advance(out, i * width))


@kernel()
def measure_codes(coded: Any, buffer: Any, norms: Any) -> None:
    """Fills the float64 norms of the vectors of all rows; one at a time is decoded, into `buffer`."""
    rows, stride, d = pointer(coded.rows), coded.rows.shape[1], coded.dimensions
    vector = pointer(buffer)
    for i in range(len(norms)):
        decode_row(advance(rows, i * stride), coded, True, vector)
        norms[i] = np.sqrt(sum_products(vector, vector, d))


@kernel()
def score_pairs_of_codes(coded: Any, codes: Any, queries: Any, buffer: Any, scores: Any) -> None:
    """Fills the inner product of the vector of each code with the same row of `queries`, as rankings score it.

    `buffer` is room for a vector.
    """
    rows, stride, d = pointer(coded.rows), coded.rows.shape[1], coded.dimensions
    vector, query = pointer(buffer), pointer(queries)
    for i in range(len(codes)):
        decode_row(advance(rows, codes[i] * stride), coded, True, vector)
        product = sum_products(vector, advance(query, i * d), d)
        scores[i] = np.float32(min(max(product, -LARGEST), LARGEST))


@kernel()
def add_coded_rows(histories: Any, first: int, last: int, coded: Any, buffer: Any, scores: Any) -> None:
    """Adds Σ_i histories[u, i] · the vector of row i to `scores[u - first]` for u from `first` to `last`, in order.

    `buffer` is room for a vector.
    """
    rows, stride, d = pointer(coded.rows), coded.rows.shape[1], coded.dimensions
    vector, target = pointer(buffer), pointer(scores)
    step = min(1, len(histories.values) - 1)
    for u in range(first, last):
        line = advance(target, (u - first) * d)
        for p in range(histories.indptr[u], histories.indptr[u + 1]):
            decode_row(advance(rows, histories.indices[p] * stride), coded, True, vector)
            value = histories.values[p * step]
            for j in range(d):
                line[j] += value * vector[j]


@kernel()
def rotate_rows(vectors: Any, rotation: Any, out: Any) -> None:
    """Fills `out` with vectors · rotation, each row summed in one order; widths are multiples of 16."""
    inner, width = rotation.shape
    source, matrix, target = pointer(vectors), pointer(rotation), pointer(out)
    for i in range(len(vectors)):
        row, place = advance(source, i * vectors.shape[1]), advance(target, i * width)
        for j in range(0, width, 16):
            total = broadcast(np.float32(0), 16)
            for c in range(inner):
                total = multiply_add(broadcast_load(row, c, 16), load(matrix, c * width + j, 16), total)
            store(place, j, total)


SHRINKS = 24  # ranges that are tried for a group: from all of it down to four tenths
REFITS = 2  # times that step and lowest are fitted to the levels by least squares


@kernel()
def encode_nibbles(vectors: Any, group: int, unit: float, levels: Any, rows: Any) -> None:
    """Fills rows with levels of four bits, and the float16 bits of the step and the lowest number of each group.

    The range is the one with the least squared error of some within the group's own, then fitted by least squares.
    `levels` is room for the float64 levels of a group.
    """
    n, d = vectors.shape
    half, n_groups = group // 2, (d + group - 1) // group
    for i in range(n):
        for g in range(n_groups):
            first, last = g * group, min(d, (g + 1) * group)
            step, lowest = search_range(vectors[i, first:last], levels)
            # What float16 makes of them is what levels are chosen for.
            step = np.float64(to_half(np.float32(step / unit))) * unit
            lowest = np.float64(to_half(np.float32(lowest / unit))) * unit
            set_levels(vectors[i, first:last], step, lowest, levels)
            for j in range(half):
                low = int(levels[j]) if j < last - first else 0
                high = int(levels[half + j]) if half + j < last - first else 0
                rows[i, g * half + j] = low | (high << 4)
            put_half(rows[i], n_groups * half + 4 * g, np.float32(step / unit))
            put_half(rows[i], n_groups * half + 4 * g + 2, np.float32(lowest / unit))


@kernel(inner=True)
def search_range(values: Any, levels: Any) -> Any:
    """The (step, lowest) of 16 equal levels with about the least squared error for some values."""
    low, high = np.float64(values[0]), np.float64(values[0])
    for value in values:
        low, high = min(low, np.float64(value)), max(high, np.float64(value))
    middle, reach = 0.5 * (low + high), 0.5 * (high - low)
    best, best_step, best_lowest = np.inf, 0.0, middle
    if reach == 0:
        return best_step, best_lowest
    for shrink in range(SHRINKS):
        own = reach * (1.0 - 0.6 * shrink / (SHRINKS - 1))
        step, lowest = 2.0 * own / 15.0, middle - own
        error = set_levels(values, step, lowest, levels)
        if error < best:
            best, best_step, best_lowest = error, step, lowest
    for _ in range(REFITS):
        set_levels(values, best_step, best_lowest, levels)
        step, lowest = fit_line(values, levels)
        error = set_levels(values, step, lowest, levels)
        if not (step > 0 and error < best):
            break
        best, best_step, best_lowest = error, step, lowest
    return best_step, best_lowest


@kernel(inner=True)
def set_levels(values: Any, step: float, lowest: float, levels: Any) -> float:
    """Fills the nearest levels of some values; returns the sum of squared errors."""
    total, inverse = 0.0, 1.0 / step if step > 0 else 0.0
    for j in range(len(values)):
        level = min(max(np.rint((values[j] - lowest) * inverse), 0.0), 15.0)
        levels[j] = level
        off = values[j] - (lowest + level * step)
        total += off * off
    return total


@kernel(inner=True)
def fit_line(values: Any, levels: Any) -> Any:
    """The (step, lowest) with the least squared error for given levels."""
    n, sum_l, sum_v, sum_ll, sum_lv = len(values), 0.0, 0.0, 0.0, 0.0
    for j in range(n):
        level, value = levels[j], np.float64(values[j])
        sum_l += level
        sum_v += value
        sum_ll += level * level
        sum_lv += level * value
    below = n * sum_ll - sum_l * sum_l
    if below <= 0:
        return 0.0, sum_v / n
    step = (n * sum_lv - sum_l * sum_v) / below
    return step, (sum_v - step * sum_l) / n


@intrinsic  # type: ignore[misc]
def to_half(context: Any, value: Any) -> Any:
    """A float32 rounded to float16."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fpext(builder.fptrunc(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.float32), build


@intrinsic  # type: ignore[misc]
def half_bits(context: Any, value: Any) -> Any:
    """The bits of a float32 rounded to float16, as uint16."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), build


@kernel(inner=True)
def put_half(row: Any, at: int, value: float) -> None:
    """Writes a float32, rounded to float16, into two bytes of a row."""
    bits = half_bits(value)
    row[at] = np.uint8(bits & 255)
    row[at + 1] = np.uint8(bits >> 8)


@kernel()
def assign_centroids(vectors: Any, centroids: Any, halves: Any, lanes: Any, codes: Any) -> None:
    """Fills the code of the nearest centroid for each part of each vector.

    Parameters
    ----------
    vectors
        float32, (n, parts · group).
    centroids
        float32, (parts, group, a multiple of 16): side by side, those behind the last one zeros.
    halves
        float32, (parts, a multiple of 16): half the squared norm of each; infinite behind the last one.
    lanes
        float32, (16,): room.
    codes
        uint8, (n, parts).
    """
    parts, group, width = centroids.shape
    source, tables, offsets = pointer(vectors), pointer(centroids), pointer(halves)
    scores = pointer(lanes)
    for i in range(len(vectors)):
        for part in range(parts):
            row, table = advance(source, (i * parts + part) * group), advance(tables, part * group * width)
            best, code, own = np.float32(-np.inf), 0, advance(offsets, part * width)
            for c in range(0, width, 16):
                total = broadcast(np.float32(0), 16)
                for j in range(group):
                    total = multiply_add(broadcast_load(row, j, 16), load(table, j * width + c, 16), total)
                total = subtract(total, load(own, c, 16))
                bits = above(total, broadcast(best, 16))
                if bits:
                    store(scores, 0, total)
                    while bits:
                        lane = trailing_zeros(bits)
                        bits &= bits - 1
                        if scores[lane] > best:
                            best, code = scores[lane], c + lane
            codes[i, part] = code
