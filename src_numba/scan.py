"""Scans of all vectors that keep, for each query, every one that may be among its best k.

Vectors lie in panels of 16, in order of falling norm: a panel holds the first step of its 16 vectors, then the second,
and so on, where a step is one float32 or four bytes. One register then works for 16 vectors, no sum runs across lanes,
and scores are compared where they are made.

A scan computes an approximate score s of a vector x with |s - t| ≤ E(x) of the true t, and offers the upper bound
u = s + E. The k best lower bounds s - E so far give a query's limit: at least k vectors score above it, so one whose u
is below cannot be among the best k. What is not below is kept, and ranked exactly afterwards.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import (
    accumulate,
    add,
    at_least,
    broadcast,
    broadcast_load,
    load,
    multiply,
    multiply_add,
    pointer,
    store,
    to_float,
    trailing_zeros,
)
from fastrec.kernels.topk import COSINE, SQUARED_DISTANCE, is_open

GROUP = 6  # queries in registers: with 16 lanes they fill AVX2's sixteen registers, NEON's 32, and feed AVX-512
CHUNK_BYTES = 2**18  # panels that stay in the second-level cache while all groups of queries pass over them
TINY = 2.0**-147  # above the step between float32 numbers near 0
# Of a limit's own size: more than the rounding of a score to float32 and of the limit itself can change.
CARE = 2.0**-20


class Panels(NamedTuple):
    """Vectors in order of falling norm; each array but the first has 16 · n_panels entries."""

    panels: Any  # (n_panels, width, 16): float32, or int32 that hold four bytes
    steps: Any  # float32: what sums are multiplied by
    errors: Any  # float32: norm of what rounding took from a vector, rounded up
    lengths: Any  # float32: norm of what it left, rounded up
    norms: Any  # float32: the vector's own norm, rounded up; 0 behind the last
    order: Any  # int32: codes; -1 behind the last


class Queries(NamedTuple):
    """Queries to a scan, n of them, and what is known of each in the unit of its own sums."""

    queries: Any  # (n + 1, width): float32, or int32 that hold four int8; the last row is zero
    starts: Any  # (n + 1,): what sums begin with
    reaches: Any  # (n,) float32: norms, rounded up
    margins: Any  # (n,) float64: what a limit is lowered by, beyond CARE
    limits: Any  # (n + 1,) float32: -inf at first; inf where given up, as the last is


class Candidates(NamedTuple):
    """What a scan fills, for n queries."""

    best: Any  # (n, k) float32: heaps of the best lower bounds, the worst at the root; -inf at first
    codes: Any  # (n, room) int32
    bounds: Any  # (n, room) float32: upper bounds
    counts: Any  # (n,) int64: how many; -1 where they were too many, or given up


@kernel()
def scale_queries(
    queries: Any, norms: Any, metric: int, scale: float, longest: float, scaled: Any, asked: Any, counts: Any
) -> None:
    """Scales queries by powers of two to a length of at most 1, so that nothing overflows, and sets out their limits.

    `scale` is what the packed vectors were multiplied by (ip, l2), `longest` the largest norm before that. A query gets
    the margin that the rounding of its scores to float32 asks for; one whose scores may leave float32's range, at
    either end, is given up at once.
    """
    n, d = queries.shape
    asked.limits[n] = np.inf
    for i in range(n):
        stretch = scale if metric == SQUARED_DISTANCE else 1.0
        whole = norms[i] * stretch
        if metric == SQUARED_DISTANCE:
            whole = np.sqrt(whole * whole + 1.0)
        power = 2.0 ** -math.frexp(whole)[1]
        for j in range(d):
            scaled[i, j] = np.float32(queries[i, j] * (power * stretch))
        largest, unit = norms[i] * longest, power * scale
        if metric == COSINE:
            largest, unit = 1.0, norms[i] * power
        margin = TINY * unit + 2.0**-100
        if metric == SQUARED_DISTANCE:
            scaled[i, d] = np.float32(power)
            largest, unit = (norms[i] + longest) ** 2, 0.5 * power * scale * scale
            margin = TINY * unit + 2.0**-100 + CARE * largest * unit
        given_up = whole == 0 or not largest < 1e38 or not margin < 0.25
        asked.margins[i] = margin
        asked.reaches[i] = np.float32(whole * power * (1 + 2.0**-22))
        asked.limits[i] = np.inf if given_up else -np.inf
        counts[i] = -1 if given_up else 0


@kernel()
def rotate_rows(rows: Any, rotation: Any, block: int, rotated: Any) -> None:
    """Fills rows · R in float32, where R has square blocks on its diagonal.

    `rotation` holds them beneath each other, each row padded with zeros to a multiple of 16; rows of `rotated` have room
    for as much.
    """
    (n, d), width, stride = rows.shape, rotation.shape[1], rotated.shape[1]
    source, matrix, target = pointer(rows), pointer(rotation), pointer(rotated)
    for i in range(n):
        for start in range(0, d, block):
            size = min(block, d - start)
            for j in range(0, size, 16):
                even, odd = broadcast(np.float32(0), 16), broadcast(np.float32(0), 16)
                for c in range(start, start + size - 1, 2):
                    even = multiply_add(broadcast_load(source, i * d + c, 16), load(matrix, c * width + j, 16), even)
                    odd = multiply_add(
                        broadcast_load(source, i * d + c + 1, 16), load(matrix, (c + 1) * width + j, 16), odd
                    )
                if size % 2:
                    c = start + size - 1
                    even = multiply_add(broadcast_load(source, i * d + c, 16), load(matrix, c * width + j, 16), even)
                store(target, i * stride + start + j, add(even, odd))


@kernel()
def quantize_queries(
    rotated: Any, d: int, levels: int, shift: int, blur: float, quads: Any, asked: Any, shares: Any
) -> None:
    """Rounds rotated queries to integers within ±levels, and expresses all else in units of each query's step.

    `quads` is filled with int8, and with it the starts, which undo the `shift` of the vectors' bytes; `blur` is the
    error of the rotation, for a query of length 1; `shares` gets the largest norm and the largest error of any query,
    in its unit.
    """
    shares[:] = 0
    for i in range(len(asked.margins)):
        largest = np.float32(0)
        for j in range(d):
            largest = max(largest, abs(rotated[i, j]))
        if largest == 0:
            continue
        step, total, error = np.float32(largest / levels), 0, 0.0
        for j in range(d):
            level = np.int64(np.rint(rotated[i, j] / step))
            quads[i, j] = np.int8(level)
            total += level
            off = np.float64(rotated[i, j]) - np.float64(step) * level
            error += off * off
        asked.starts[i] = -shift * total
        asked.reaches[i] = np.float32(asked.reaches[i] / step * (1 + 2.0**-21))
        asked.margins[i] /= step
        shares[0] = max(shares[0], asked.reaches[i])
        shares[1] = max(shares[1], (np.sqrt(error) + blur) / step * (1 + 2.0**-21))


@kernel()
def scan_panels(
    way: Any, items: Any, asked: Any, error_share: float, length_share: float, first: int, filters: Any,
    candidates: Any, alive: Any, scratch: Any, work: Any,
) -> None:  # fmt: skip
    """Fills the candidates of each query.

    Parameters are `way`, a `Static` of `simd.accumulate`; `items`, the Panels; `asked`, the Queries, for all of which
    E = error_share · error + length_share · length; `first`, the place of the first of them in the `filters`; the
    Candidates; and scratch: `alive` with room for GROUP more than there are queries, `scratch` for GROUP + 1 times 16
    numbers. `work[0]` grows by the (query, panel) pairs that were looked at.
    """
    width, n_queries = asked.queries.shape[1], len(asked.reaches)
    n_panels = len(items.order) // 16
    panels, steps, errors, lengths = (
        pointer(items.panels),
        pointer(items.steps),
        pointer(items.errors),
        pointer(items.lengths),
    )
    queries, starts, limits = pointer(asked.queries), pointer(asked.starts), pointer(asked.limits)
    rows, uppers = pointer(alive), pointer(scratch)
    error_factor, length_factor = broadcast(np.float32(error_share), 16), broadcast(np.float32(length_share), 16)
    chunk = max(1, CHUNK_BYTES // (64 * width))
    for start in range(0, n_panels, chunk):
        stop = min(start + chunk, n_panels)
        n_alive = list_alive(items.norms[16 * start], asked, alive)
        if n_alive == 0:
            break
        work[0] += n_alive * (stop - start)
        for at in range(0, n_alive, GROUP):
            size = min(GROUP, n_alive - at)
            # One or two queries are as fast one after the other; the panels are in the cache.
            for begin in range(at, at + size, size if size > 2 else 1):
                for panel in range(start, stop):
                    vectors = 16 * width * panel
                    step = load(steps, 16 * panel, 16)
                    error = multiply(error_factor, load(errors, 16 * panel, 16))
                    error = multiply_add(length_factor, load(lengths, 16 * panel, 16), error)
                    if size > 2:
                        passing = score_group(
                            way, panels, vectors, width, queries, starts, rows, begin, step, error, limits, uppers
                        )
                    else:
                        passing = score_one(
                            way, panels, vectors, width, queries, starts, rows[begin], n_queries, step, error, limits,
                            uppers,
                        )  # fmt: skip
                    if passing:
                        store(uppers, 16 * GROUP, error)
                        keep_passing(
                            size if size > 2 else 1, alive, begin, panel, scratch, items.order, first, filters, asked,
                            candidates,
                        )  # fmt: skip
    for row in range(n_queries):
        drop_failing(candidates, row, asked.limits[row])


@kernel()
def list_alive(norm: float, asked: Any, alive: Any) -> int:
    """Lists the queries that a vector no longer than `norm` may still belong to (Cauchy-Schwarz); returns how many.

    Behind them the row of zeros, which has no limit to reach, fills the last group.
    """
    count = 0
    for row in range(len(asked.reaches)):
        if asked.reaches[row] * norm >= asked.limits[row]:
            alive[count] = row
            count += 1
    alive[count : count + GROUP] = len(asked.reaches)
    return count


@kernel(inline=True)
def score_one(
    way: Any, panels: Any, vectors: int, width: int, queries: Any, starts: Any, row: int, zero_row: int, step: Any,
    error: Any, limits: Any, uppers: Any,
) -> int:  # fmt: skip
    """Upper bounds of the 16 vectors of a panel for one query, stored where one passes; nonzero if so."""
    query = row * width
    sum0, sum1 = broadcast_load(starts, row, 16), broadcast_load(starts, zero_row, 16)
    sum2, sum3 = sum1, sum1
    for j in range(0, width - 3, 4):
        at = vectors + 16 * j
        sum0 = accumulate(way, load(panels, at, 16), broadcast_load(queries, query + j, 16), sum0)
        sum1 = accumulate(way, load(panels, at + 16, 16), broadcast_load(queries, query + j + 1, 16), sum1)
        sum2 = accumulate(way, load(panels, at + 32, 16), broadcast_load(queries, query + j + 2, 16), sum2)
        sum3 = accumulate(way, load(panels, at + 48, 16), broadcast_load(queries, query + j + 3, 16), sum3)
    for j in range(width - width % 4, width):
        sum0 = accumulate(way, load(panels, vectors + 16 * j, 16), broadcast_load(queries, query + j, 16), sum0)
    upper = multiply_add(to_float(add(add(sum0, sum1), add(sum2, sum3))), step, error)
    passing = at_least(upper, broadcast(limits[row], 16))
    if passing:
        store(uppers, 0, upper)
    return passing


@kernel(inline=True)
def score_group(
    way: Any, panels: Any, vectors: int, width: int, queries: Any, starts: Any, rows: Any, at: int, step: Any,
    error: Any, limits: Any, uppers: Any,
) -> int:  # fmt: skip
    """Upper bounds of the 16 vectors of a panel for six queries, stored where one passes; nonzero if so."""
    row0, row1, row2, row3, row4, row5 = rows[at], rows[at + 1], rows[at + 2], rows[at + 3], rows[at + 4], rows[at + 5]
    query0, query1, query2 = row0 * width, row1 * width, row2 * width
    query3, query4, query5 = row3 * width, row4 * width, row5 * width
    sum0, sum1 = broadcast_load(starts, row0, 16), broadcast_load(starts, row1, 16)
    sum2, sum3 = broadcast_load(starts, row2, 16), broadcast_load(starts, row3, 16)
    sum4, sum5 = broadcast_load(starts, row4, 16), broadcast_load(starts, row5, 16)
    for j in range(width):
        x = load(panels, vectors + 16 * j, 16)
        sum0 = accumulate(way, x, broadcast_load(queries, query0 + j, 16), sum0)
        sum1 = accumulate(way, x, broadcast_load(queries, query1 + j, 16), sum1)
        sum2 = accumulate(way, x, broadcast_load(queries, query2 + j, 16), sum2)
        sum3 = accumulate(way, x, broadcast_load(queries, query3 + j, 16), sum3)
        sum4 = accumulate(way, x, broadcast_load(queries, query4 + j, 16), sum4)
        sum5 = accumulate(way, x, broadcast_load(queries, query5 + j, 16), sum5)
    upper0, upper1 = multiply_add(to_float(sum0), step, error), multiply_add(to_float(sum1), step, error)
    upper2, upper3 = multiply_add(to_float(sum2), step, error), multiply_add(to_float(sum3), step, error)
    upper4, upper5 = multiply_add(to_float(sum4), step, error), multiply_add(to_float(sum5), step, error)
    passing = at_least(upper0, broadcast_load(limits, row0, 16)) | at_least(upper1, broadcast_load(limits, row1, 16))
    passing |= at_least(upper2, broadcast_load(limits, row2, 16)) | at_least(upper3, broadcast_load(limits, row3, 16))
    passing |= at_least(upper4, broadcast_load(limits, row4, 16)) | at_least(upper5, broadcast_load(limits, row5, 16))
    if passing:
        store(uppers, 0, upper0)
        store(uppers, 16, upper1)
        store(uppers, 32, upper2)
        store(uppers, 48, upper3)
        store(uppers, 64, upper4)
        store(uppers, 80, upper5)
    return passing


@kernel()
def keep_passing(
    size: int, alive: Any, at: int, panel: int, scratch: Any, order: Any, first: int, filters: Any, asked: Any,
    candidates: Any,
) -> None:  # fmt: skip
    """Adds the vectors of a panel that reach a query's limit to its candidates, and raises its limit.

    scratch holds the upper bounds for `size` queries, 16 each, and at 16 · GROUP the errors E. A query with more
    candidates than there is room for is given up: its count becomes -1, and no vector reaches its limit any more.
    """
    room = candidates.codes.shape[1]
    mask, excluded_from, excluded = pointer(filters.mask), pointer(filters.starts), pointer(filters.codes)
    has_mask, has_starts = len(filters.mask) > 0, len(filters.starts) > 0
    bounds, limits, counts = pointer(scratch), pointer(asked.limits), pointer(candidates.counts)
    for q in range(size):
        row = alive[at + q]
        bits = at_least(load(bounds, 16 * q, 16), broadcast_load(limits, row, 16))
        while bits:
            lane = trailing_zeros(bits)
            bits &= bits - 1
            upper, code = bounds[16 * q + lane], order[16 * panel + lane]
            if upper < limits[row] or code < 0:
                continue
            if not is_open(code, first + row, mask, excluded_from, excluded, has_mask, has_starts):
                continue
            lower = upper - np.float32(2) * bounds[16 * GROUP + lane]
            if lower > candidates.best[row, 0]:
                limits[row] = raise_limit(candidates.best, row, lower, asked.margins[row])
            if counts[row] == room:
                drop_failing(candidates, row, limits[row])
                if 4 * counts[row] > 3 * room:
                    counts[row], limits[row] = -1, np.inf
                    break
            candidates.codes[row, counts[row]] = code
            candidates.bounds[row, counts[row]] = upper
            counts[row] += 1


@kernel(inline=True)
def raise_limit(best: Any, row: int, lower: float, margin: float) -> float:
    """Replaces the worst of the best lower bounds of a query; returns its new limit."""
    k, at = best.shape[1], 0
    while True:
        child = 2 * at + 1
        if child >= k:
            break
        if child + 1 < k and best[row, child + 1] < best[row, child]:
            child += 1
        if lower <= best[row, child]:
            break
        best[row, at] = best[row, child]
        at = child
    best[row, at] = lower
    worst = np.float64(best[row, 0])
    return np.float32(worst - (CARE * abs(worst) + margin))


@kernel()
def drop_failing(candidates: Any, row: int, limit: float) -> None:
    """Keeps the candidates of a query whose upper bound reaches the limit."""
    kept = 0
    for c in range(candidates.counts[row]):
        if candidates.bounds[row, c] >= limit:
            candidates.codes[row, kept] = candidates.codes[row, c]
            candidates.bounds[row, kept] = candidates.bounds[row, c]
            kept += 1
    if candidates.counts[row] > 0:
        candidates.counts[row] = kept
