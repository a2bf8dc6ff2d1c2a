"""Scans of all vectors that keep, for each query, every one that may be among its best k.

Vectors lie in panels of 16, in order of falling norm: a panel holds dimension 0 of its 16 vectors, then dimension 1, and
so on. One register then works for 16 vectors, no sum runs across lanes, and scores are compared where they are made.

A scan computes an approximate score s of a vector x with |s - t| ≤ E(x) of the true t. It offers the upper bound
u = s + E. The k best lower bounds s - E seen so far give the query's limit: at least k vectors score above it, so one
whose u is below cannot be among the best k. What is not below is kept, and ranked exactly afterwards.
"""

import math
from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import (
    add,
    at_least,
    broadcast,
    broadcast_load,
    load,
    multiply,
    multiply_add,
    store,
    trailing_zeros,
)
from fastrec.kernels.topk import COSINE, SQUARED_DISTANCE, is_open

GROUP = 6  # queries in registers: with 16 lanes they fill AVX2's sixteen registers, NEON's 32, and feed AVX-512
TINY = 2.0**-147  # above the step between float32 numbers near 0
# Of a limit's own size: more than the rounding of a score to float32 and of the limit itself can change.
CARE = 2.0**-20
CHUNK_BYTES = 2**18  # panels that stay in the second-level cache while all groups of queries pass over them


@kernel(inline=True)
def raise_bounds(best: Any, start: int, k: int, lower: float) -> None:
    """Replaces the root of a heap of the k largest lower bounds, the smallest at the root."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= k:
            break
        if child + 1 < k and best[start + child + 1] < best[start + child]:
            child += 1
        if lower <= best[start + child]:
            break
        best[start + at] = best[start + child]
        at = child
    best[start + at] = lower


@kernel(inline=True)
def keep_passing(
    bits: int, row: int, panel: int, upper_at: int, uppers: Any, errors: Any, order: Any, first: int, mask: Any,
    exclude_starts: Any, exclude_codes: Any, margins: Any, limits: Any, best: Any, found: Any,
    bounds: Any, counts: Any,
) -> None:  # fmt: skip
    """Adds the vectors of a panel whose bits are set to the candidates of a query, and raises its limit.

    uppers[upper_at + lane] is the upper bound in each lane, errors[lane] is E. A query with more candidates than there
    is room for is given up: its count becomes -1, and no vector passes its limit any more.
    """
    k, room = best.shape[1], found.shape[1]
    while bits:
        lane = trailing_zeros(bits)
        bits &= bits - 1
        upper = uppers[upper_at + lane]
        code = order[panel * 16 + lane]
        if upper < limits[row] or code < 0 or not is_open(code, first + row, mask, exclude_starts, exclude_codes):
            continue
        lower = upper - np.float32(2) * errors[lane]
        if lower > best[row, 0]:
            raise_bounds(best[row], 0, k, lower)
            limits[row] = best[row, 0] - (CARE * abs(best[row, 0]) + margins[row])
        if counts[row] == room:
            counts[row] = drop_failing(found[row], bounds[row], limits[row])
            if 4 * counts[row] > 3 * room:
                counts[row], limits[row] = -1, np.inf
                return
        found[row, counts[row]] = code
        bounds[row, counts[row]] = upper
        counts[row] += 1


@kernel(inline=True)
def drop_failing(found: Any, bounds: Any, limit: float) -> int:
    """Keeps the candidates whose upper bound reaches the limit; returns how many."""
    kept = 0
    for c in range(len(found)):
        if bounds[c] >= limit:
            found[kept] = found[c]
            bounds[kept] = bounds[c]
            kept += 1
    return kept


@kernel(inline=True)
def list_alive(reach: float, lengths: Any, limits: Any, alive: Any) -> int:
    """Lists the queries whose upper bound can still reach their limit, if no vector is longer than `reach`."""
    count = 0
    for row in range(len(lengths)):
        if lengths[row] * reach >= limits[row]:
            alive[count] = row
            count += 1
    return count


@kernel()
def prepare_queries(
    queries: Any, norms: Any, metric: int, scale: float, longest: float, scaled: Any, lengths: Any, margins: Any,
    limits: Any, counts: Any,
) -> None:  # fmt: skip
    """Scales queries by powers of two to a length of at most 1, so that nothing overflows, and sets out their limits.

    `scale` is what the packed vectors were multiplied by (ip, l2), `longest` the largest norm before that. A query gets
    the margin that the rounding of its scores to float32 asks for, beyond CARE; one whose scores may leave float32's
    range, at either end, is given up at once.
    """
    d = queries.shape[1]
    limits[len(queries)] = np.inf
    for i in range(len(queries)):
        stretch = scale if metric == SQUARED_DISTANCE else 1.0
        whole = norms[i] * stretch
        if metric == SQUARED_DISTANCE:
            whole = np.sqrt(whole * whole + 1.0)
        power = 2.0 ** -math.frexp(whole)[1] if whole > 0 else 1.0
        for j in range(d):
            scaled[i, j] = np.float32(queries[i, j] * (power * stretch))
        largest, unit = norms[i] * longest, power * scale
        if metric == COSINE:
            largest, unit = 1.0, norms[i] * power
        if metric == SQUARED_DISTANCE:
            scaled[i, d] = np.float32(power)
            largest, unit = (norms[i] + longest) ** 2, 0.5 * power * scale * scale
        margins[i] = TINY * unit + 2.0**-100
        if metric == SQUARED_DISTANCE:
            margins[i] += CARE * largest * unit
        lengths[i] = np.float32(whole * power * (1 + 2.0**-22))
        given_up = whole == 0 or not largest < 1e38 or not margins[i] < 0.25
        limits[i] = np.inf if given_up else -np.inf
        counts[i] = -1 if given_up else 0


@kernel()
def scan_float32(
    panels: Any, norms: Any, order: Any, gamma: float, queries: Any, lengths: Any, first: int, mask: Any,
    exclude_starts: Any, exclude_codes: Any, margins: Any, limits: Any, best: Any, found: Any,
    bounds: Any, counts: Any, alive: Any, uppers: Any, work: Any,
) -> None:  # fmt: skip
    """Fills the candidates of each query.

    Parameters are the packed vectors: `panels`, their `norms` (rounded up) and codes (`order`, -1 behind the last one);
    `gamma`, so that E(x) = gamma · ‖x‖ for all queries; the queries, at most 1 long, and one more row of zeros;
    their `lengths` (rounded up); filters as in `rank_candidates`; the last eight are filled or used here: `limits`
    (-inf, and inf for the last), `best` (-inf), `counts` (0); `alive` has room for GROUP more queries than there are,
    `uppers` for GROUP + 1 times 16; `work[0]` grows by the (query, panel) pairs that were looked at.
    """
    d = queries.shape[1]
    n_panels = len(order) // 16
    nobody = len(lengths)
    chunk = max(1, CHUNK_BYTES // (64 * d))
    errors = uppers[16 * GROUP :]
    spread = broadcast(np.float32(gamma), 16)
    for start in range(0, n_panels, chunk):
        stop = min(start + chunk, n_panels)
        n_alive = list_alive(norms[16 * start] * (1 + 2 * gamma), lengths, limits, alive)
        if n_alive == 0:
            break
        work[0] += n_alive * (stop - start)
        for place in range(n_alive, n_alive + GROUP):
            alive[place] = nobody
        at = 0
        while at < n_alive:
            size = GROUP if n_alive - at > 2 else 1
            for panel in range(start, stop):
                error = multiply(spread, load(norms, 16 * panel, 16))
                if size == 1:
                    passing = score_one(panels, panel, queries, alive[at], error, limits, uppers)
                else:
                    passing = score_group(panels, panel, queries, alive, at, error, limits, uppers)
                if passing == 0:
                    continue
                store(errors, 0, error)
                for q in range(size):
                    row = alive[at + q]
                    bits = at_least(load(uppers, 16 * q, 16), broadcast(limits[row], 16))
                    keep_passing(
                        bits, row, panel, 16 * q, uppers, errors, order, first, mask, exclude_starts, exclude_codes,
                        margins, limits, best, found, bounds, counts,
                    )  # fmt: skip
            at += size


@kernel(inline=True)
def score_one(panels: Any, panel: int, queries: Any, row: int, error: Any, limits: Any, uppers: Any) -> int:
    """Upper bounds of a panel's 16 vectors for one query, stored where one passes; nonzero if so."""
    d = queries.shape[1]
    at, vector = panel * 16 * d, row * d
    zero = broadcast(np.float32(0), 16)
    sum0, sum1, sum2, sum3 = error, zero, zero, zero
    for j in range(0, d - 3, 4):
        sum0 = multiply_add(load(panels, at + 16 * j, 16), broadcast_load(queries, vector + j, 16), sum0)
        sum1 = multiply_add(load(panels, at + 16 * j + 16, 16), broadcast_load(queries, vector + j + 1, 16), sum1)
        sum2 = multiply_add(load(panels, at + 16 * j + 32, 16), broadcast_load(queries, vector + j + 2, 16), sum2)
        sum3 = multiply_add(load(panels, at + 16 * j + 48, 16), broadcast_load(queries, vector + j + 3, 16), sum3)
    for j in range(d - d % 4, d):
        sum0 = multiply_add(load(panels, at + 16 * j, 16), broadcast_load(queries, vector + j, 16), sum0)
    upper = add(add(sum0, sum1), add(sum2, sum3))
    passing = at_least(upper, broadcast(limits[row], 16))
    if passing:
        store(uppers, 0, upper)
    return passing


@kernel(inline=True)
def score_group(panels: Any, panel: int, queries: Any, alive: Any, at: int, error: Any, limits: Any, uppers: Any) -> int:
    """Upper bounds of a panel's 16 vectors for six queries, stored where one passes; nonzero if so."""
    d = queries.shape[1]
    vectors = panel * 16 * d
    row0, row1, row2 = alive[at], alive[at + 1], alive[at + 2]
    row3, row4, row5 = alive[at + 3], alive[at + 4], alive[at + 5]
    query0, query1, query2, query3, query4, query5 = row0 * d, row1 * d, row2 * d, row3 * d, row4 * d, row5 * d
    upper0, upper1, upper2, upper3, upper4, upper5 = error, error, error, error, error, error
    for j in range(d):
        x = load(panels, vectors + 16 * j, 16)
        upper0 = multiply_add(x, broadcast_load(queries, query0 + j, 16), upper0)
        upper1 = multiply_add(x, broadcast_load(queries, query1 + j, 16), upper1)
        upper2 = multiply_add(x, broadcast_load(queries, query2 + j, 16), upper2)
        upper3 = multiply_add(x, broadcast_load(queries, query3 + j, 16), upper3)
        upper4 = multiply_add(x, broadcast_load(queries, query4 + j, 16), upper4)
        upper5 = multiply_add(x, broadcast_load(queries, query5 + j, 16), upper5)
    passing = at_least(upper0, broadcast(limits[row0], 16)) | at_least(upper1, broadcast(limits[row1], 16))
    passing |= at_least(upper2, broadcast(limits[row2], 16)) | at_least(upper3, broadcast(limits[row3], 16))
    passing |= at_least(upper4, broadcast(limits[row4], 16)) | at_least(upper5, broadcast(limits[row5], 16))
    if passing:
        store(uppers, 0, upper0)
        store(uppers, 16, upper1)
        store(uppers, 32, upper2)
        store(uppers, 48, upper3)
        store(uppers, 64, upper4)
        store(uppers, 80, upper5)
    return passing
