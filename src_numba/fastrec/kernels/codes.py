"""Vectors in few bytes: rows of bytes are read as numbers, and numbers are written into them.

A row is the record of one vector: its codes, then its own steps. Rows lie one after the other, `stride` bytes each, so
that they can be mapped from a file and read in place. Numbers within a row are little-endian and of any alignment.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Bytes, Floats
from fastrec.kernels.halves import to_floats
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

# The kinds of codes in a row.
HALVES, BYTES, SHIFTED_BYTES, NIBBLES, CENTROIDS, FEW_CENTROIDS, SIGNS = range(7)
NOTHING = -1

STEPS = 256  # steps that a byte may name; the first one is 0


class Layout(NamedTuple):
    """The layout of one level of a row."""

    kind: int  # one of the kinds above, or NOTHING
    start: int  # the place in a row where its bytes begin
    group: int  # numbers that share a step, or that a centroid takes
    unit: np.float32  # factor of float16 numbers, a power of two
    tables: Floats  # the 256 steps that a byte may name; after them the centroids, (parts, centroids, group)
    parts: int  # parts of a vector
    centroids: int  # centroids of a part


class Coded(NamedTuple):
    """Rows of bytes; each vector is the sum of its coarse and its fine level, and some exact numbers."""

    rows: Bytes  # (n, stride)
    dimensions: int
    exact: int  # number of the last dimensions that are float32 numbers
    exact_at: int  # the place in a row where their bytes begin
    coarse: Layout
    fine: Layout


def _number_at(half: bool, meaning: str) -> Any:
    def number_at(context: Any, place: Any, index: Any) -> Any:
        def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.IntType(16) if half else ir.FloatType()
            where = builder.bitcast(builder.gep(args[0], [args[1]]), kind.as_pointer())
            value = builder.load(where, align=1)
            return to_floats(builder, value) if half else value

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
    """Adds (byte - 128) · step, the float32 step lies after the bytes, which fill whole groups of four."""
    step = float_at(row, (d + 3) // 4 * 4)
    for j in range(d):
        out[j] += np.float32(np.int32(row[j]) - 128) * step


@kernel(inner=True)
def add_shifted_bytes(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds lowest + byte · step, both float32 lie after the bytes."""
    at = (d + 3) // 4 * 4
    step, lowest = float_at(row, at), float_at(row, at + 4)
    for j in range(d):
        out[j] += lowest + np.float32(row[j]) * step


@kernel(inner=True)
def add_nibbles(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds (level - 7.5) · step of each group; the bytes that name the steps lie after all levels.

    The first half of a group lies in the lower four bits of its bytes, the second one in the upper.
    """
    group, tables = layout.group, pointer(layout.tables)
    half, n_groups = group // 2, (d + group - 1) // group
    # Group by group: its step, then its lower and its upper half.
    for g in range(n_groups):
        step = tables[np.int64(row[n_groups * half + g])]
        codes, target = advance(row, g * half), advance(out, g * group)
        low, high = min(half, d - g * group), min(half, d - g * group - half)
        for j in range(low):
            target[j] += (np.float32(codes[j] & 15) - np.float32(7.5)) * step
        for j in range(high):
            target[half + j] += (np.float32(codes[j] >> 4) - np.float32(7.5)) * step


@kernel(inner=True)
def code_at(row: Any, part: int, few: bool) -> int:
    """Returns the centroid that a part of a vector has."""
    return np.int64((row[part >> 1] >> (4 * (part & 1))) & 15) if few else np.int64(row[part])


@kernel(inner=True)
def scale_of(row: Any, layout: Any) -> float:
    """Returns the factor of the centroids of a row; the byte that names it lies after their codes."""
    parts = layout.parts
    return pointer(layout.tables)[np.int64(row[(parts + 1) // 2 if layout.kind == FEW_CENTROIDS else parts])]


@kernel(inner=True)
def add_centroids(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds a row's scale times the centroids that the codes name; part p ends before dimension (p + 1) · d / parts."""
    group, parts, few = layout.group, layout.parts, layout.kind == FEW_CENTROIDS
    scale, tables, start = scale_of(row, layout), advance(pointer(layout.tables), STEPS), 0
    # Part by part: the centroid that the code names, times the row's scale.
    for part in range(parts):
        stop = (part + 1) * d // parts
        centroid = advance(tables, (part * layout.centroids + code_at(row, part, few)) * group)
        target = advance(out, start)
        for j in range(stop - start):
            target[j] += centroid[j] * scale
        start = stop


@kernel(inner=True)
def add_signs(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds the row's step, named by the byte after the bits, with the sign of each bit."""
    step = pointer(layout.tables)[np.int64(row[(d + 7) // 8])]
    # Whole bytes, eight numbers each.
    for at in range(d // 8):
        byte, target = np.int32(row[at]), advance(out, 8 * at)
        for j in range(8):
            target[j] += step * np.float32(2 * ((byte >> np.int32(j)) & 1) - 1)
    # The bits of the last byte, if it is not full.
    for j in range(d - d % 8, d):
        out[j] += step * np.float32(2 * ((np.int32(row[j >> 3]) >> (j & 7)) & 1) - 1)


@kernel(inner=True)
def add_level(row: Any, layout: Any, d: int, out: Any) -> None:
    """Adds the numbers of one level of a row."""
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
    """Writes the numbers of one row; without `whole` only those of its coarse codes."""
    d = coded.dimensions - coded.exact
    # The coarse level, then the fine one.
    for j in range(d):
        out[j] = np.float32(0)
    add_level(row, coded.coarse, d, out)
    if whole and coded.fine.kind != NOTHING:
        add_level(row, coded.fine, d, out)
    # The exact numbers come last.
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

    `buffer` is space for a vector.
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

    `buffer` is space for a vector.
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
    """Fills `out` with vectors · rotation, each row is summed in one order; widths are multiples of 16."""
    inner, width = rotation.shape
    source, matrix, target = pointer(vectors), pointer(rotation), pointer(out)
    # Sixteen columns at a time, summed in the order of the inner width.
    for i in range(len(vectors)):
        row, place = advance(source, i * vectors.shape[1]), advance(target, i * width)
        for j in range(0, width, 16):
            total = broadcast(np.float32(0), 16)
            for c in range(inner):
                total = multiply_add(broadcast_load(row, c, 16), load(matrix, c * width + j, 16), total)
            store(place, j, total)


NARROWEST = 0.4  # share of the range of a group's numbers: smaller ranges are not tried


@kernel()
def encode_nibbles(vectors: Any, group: int, steps: Any, levels: Any, rows: Any) -> None:
    """Fills rows with levels of four bits, and with the bytes that name the steps of their groups.

    A group gets the step with the least squared error, from the step that reaches all its numbers downwards. The first
    step, which is 0, makes all numbers 0. `levels` is uint8 space for the levels of a group.
    """
    n, d = vectors.shape
    half, n_groups = group // 2, (d + group - 1) // group
    for i in range(n):
        # Group by group: the best step, and the levels by it.
        for g in range(n_groups):
            first, last = g * group, min(d, (g + 1) * group)
            name = find_step(vectors[i, first:last], steps, levels)
            set_levels(vectors[i, first:last], steps[name], levels)
            # Two levels in a byte; places after the last number get the middle.
            for j in range(half):
                low = levels[j] if j < last - first else np.uint8(8)
                high = levels[half + j] if half + j < last - first else np.uint8(8)
                rows[i, g * half + j] = low | (high << 4)
            rows[i, n_groups * half + g] = name


@kernel(inner=True)
def find_step(values: Any, steps: Any, levels: Any) -> int:
    """Returns the step with the least squared error for some values, by its name."""
    # With the first step all numbers become 0: its error is the sum of squares.
    most, best_error, best = 0.0, 0.0, 0
    for value in values:
        most = max(most, abs(np.float64(value)))
        best_error += np.float64(value) * value
    # From the step that reaches the largest number downwards, until the range is too narrow.
    name = min(np.searchsorted(steps, np.float32(most / 7.5)), len(steps) - 1)
    while name > 0:
        error = set_levels(values, steps[name], levels)
        if error < best_error:
            best_error, best = error, name
        name -= 1
        if 7.5 * steps[name] < NARROWEST * most:
            break
    return best


@kernel(inner=True)
def set_levels(values: Any, step: float, levels: Any) -> float:
    """Fills the nearest levels of some values; returns the sum of squared errors."""
    total, inverse = 0.0, 1.0 / step if step > 0 else 0.0
    for j in range(len(values)):
        level = min(max(np.floor(values[j] * inverse) + 8.0, 0.0), 15.0)
        levels[j] = np.uint8(level)
        off = values[j] - (level - 7.5) * step
        total += off * off
    return total


@kernel()
def assign_centroids(vectors: Any, centroids: Any, halves: Any, lanes: Any, codes: Any) -> None:
    """Fills the code of the nearest centroid for each part of each vector.

    Parameters
    ----------
    vectors
        float32, (n, parts · group).
    centroids
        float32, (parts, group, a multiple of 16): side by side, zeros after the last one.
    halves
        float32, (parts, a multiple of 16): half the squared norm of each; infinite after the last one.
    lanes
        float32, (16,): work space.
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
            # Sixteen centroids at a time: the product minus half the squared norm is largest for the nearest one.
            for c in range(0, width, 16):
                total = broadcast(np.float32(0), 16)
                for j in range(group):
                    total = multiply_add(broadcast_load(row, j, 16), load(table, j * width + c, 16), total)
                total = subtract(total, load(own, c, 16))
                bits = above(total, broadcast(best, 16))
                # Lanes that are better than the best so far; among equal ones the first stays.
                if bits:
                    store(scores, 0, total)
                    while bits:
                        lane = trailing_zeros(bits)
                        bits &= bits - 1
                        if scores[lane] > best:
                            best, code = scores[lane], c + lane
            codes[i, part] = code


@kernel()
def align_centroids(vectors: Any, centroids: Any, squares: Any, room: Any, codes: Any) -> None:
    """Moves codes, a part at a time, to the centroids whose sum has the largest cosine with its vector.

    Parameters
    ----------
    vectors, centroids
        As in `assign_centroids`.
    squares
        float32, (parts, a multiple of 16): the squared norms of centroids; infinite after the last one.
    room
        float32, (a multiple of 16,): for the products of a part with its centroids.
    codes
        uint8, (n, parts): the codes to begin with, replaced by those found.
    """
    parts, group, width = centroids.shape
    source, tables, lengths = pointer(vectors), pointer(centroids), pointer(squares)
    products = pointer(room)
    for i in range(len(vectors)):
        along, square = np.float32(0), np.float32(0)  # ⟨x, c⟩ and ‖c‖² of the whole
        for part in range(parts):
            row, table = advance(source, (i * parts + part) * group), advance(tables, part * group * width)
            for j in range(group):
                along += row[j] * table[j * width + np.int64(codes[i, part])]
            square += lengths[part * width + np.int64(codes[i, part])]
        for part in range(parts):
            row, table = advance(source, (i * parts + part) * group), advance(tables, part * group * width)
            own, code = advance(lengths, part * width), np.int64(codes[i, part])
            for c in range(width):
                products[c] = np.float32(0)
            for j in range(group):
                for c in range(width):
                    products[c] += row[j] * table[j * width + c]
            rest, others = along - products[code], max(square - own[code], np.float32(0))
            best, below = np.float32(0), np.float32(1)  # the squared cosine with its sign, as a fraction
            for c in range(width):
                total = rest + products[c]
                if total * abs(total) * below > best * (others + own[c]):
                    best, below, code = total * abs(total), others + own[c], c
            along, square = rest + products[code], others + own[code]
            codes[i, part] = code
