"""Scans of coded vectors: the best k for each query, from rows of bytes that are never decoded as a whole.

Vectors are decoded a few hundred at a time, into a buffer that stays in the second-level cache while all queries pass
over it. Bytes with their own step are not decoded, but multiplied with queries that are rounded to bytes. Queries
lie in panels of 16, so that a register works for 16 of them.

As in `scan`, each approximate score s comes with E ≥ |s - t| for the true t; the k best of s - E give a query's limit,
vectors whose s + E reaches it are kept, and their exact scores decide. If a row has a coarse and a fine level, only the
coarse one is scanned. Then E covers rounding alone, and the answer is the k best of `depth` by the coarse level. A
vector with a worse place by the coarse level is missed.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.codes import FEW_CENTROIDS, STEPS, code_at, decode_row, float_at, scale_of
from fastrec.kernels.products import accumulate
from fastrec.kernels.scan import CARE
from fastrec.kernels.simd import (
    advance,
    at_least,
    broadcast,
    broadcast_load,
    load,
    load_part,
    maximum,
    minimum,
    multiply,
    multiply_add,
    pointer,
    reduce_add,
    store,
    to_float,
    trailing_zeros,
)
from fastrec.kernels.topk import EMPTY, LARGEST, finish_row, is_open, open_doors, sift_down, sum_products

TOO_MANY = -2  # the count of an unanswered query: its scores have no bound, or too many vectors reached its limit


class Queries(NamedTuple):
    """Queries in panels of 16, the last one padded with zeros."""

    panels: Floats | Codes  # (n_panels, width, 16): float32, or int32 with four int8 in each
    offsets: Floats | Codes  # (16 · n_panels,) of the same type: start values of sums
    steps: Floats  # (16 · n_panels,): factors of sums
    exact: Floats  # (n_panels, exact, 16): the exact dimensions, if the others are multiplied as bytes
    errors: Floats  # (16 · n_panels,): E for a vector of length 1


class Weights(NamedTuple):
    """The factors of scores for each vector; arrays of one number hold for all."""

    factors: Floats  # of the score
    lengths: Floats  # a bound of factor · norm


class DecodedChunk(NamedTuple):
    """The work arrays of a scan; it takes as many vectors at a time as `scales` has places."""

    numbers: Floats  # all dimensions of each vector, or the exact ones
    scales: Floats
    lanes: Floats  # (32,)


class Kept(NamedTuple):
    """The scores that reached the limits of n queries."""

    limits: Floats  # (16 · n_panels,): -inf at first; inf for padding and for queries that are not to be answered
    depth: int
    best: Floats  # (n, 16 + depth rounded up to 16): -inf, and inf in the 16th; then the best lower bounds
    bounds: Floats  # (n, room)
    codes: Codes  # (n, room)
    counts: Counts  # (n,)


class QueryBlock(NamedTuple):
    """Queries, weights and kept candidates, by pointers."""

    n: int
    depth: int
    spread: int
    room: int
    panels: Floats | Codes
    n_panels: int
    width: int
    offsets: Floats | Codes
    steps: Floats
    exact: Floats
    n_exact: int
    errors: Floats
    limits: Floats
    lengths: Floats
    reaching: Floats
    best: Floats
    bounds: Floats
    codes: Codes
    counts: Counts
    lanes: Floats


@kernel()
def scan_decoded(
    way: Any, coded: Any, weights: Any, queries: Any, first: int, filters: Any, room: Any, kept: Any
) -> None:  # fmt: skip
    """Fills the candidates of each query; coarse levels are decoded, as many at a time as `room` has places for.

    `way` is `Static(simd.FLOAT)`; `first` is the place of query 0 among the rows of the filter.
    """
    rows, stride, d = pointer(coded.rows), coded.rows.shape[1], coded.dimensions
    search, doors = take_search(weights, queries, kept, room), open_doors(filters)
    block, scales, n, chunk = pointer(room.numbers), pointer(room.scales), len(coded.rows), len(room.scales)
    # Chunk by chunk: its vectors are decoded, then scored for all queries.
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        for i in range(start, stop):
            decode_row(advance(rows, i * stride), coded, False, advance(block, (i - start) * d))
            scales[i - start] = weights.factors[i] if len(weights.factors) > 1 else weights.factors[0]
        scan_block(way, block, d, scales, scales, start, stop, first, doors, search)
    # The candidates that the last limits leave out are dropped.
    for row in range(search.n):
        drop_failing(search, row)


@kernel()
def scan_bytes(
    way: Any, coded: Any, words: Any, weights: Any, queries: Any, first: int, filters: Any, room: Any, kept: Any
) -> None:  # fmt: skip
    """Does the same for a coarse level of BYTES: queries are multiplied with `words`, its rows as int32."""
    rows, stride = pointer(coded.rows), coded.rows.shape[1]
    search, doors = take_search(weights, queries, kept, room), open_doors(filters)
    block, scales, exact, chunk = pointer(words), pointer(room.scales), pointer(room.numbers), len(room.scales)
    n, step_at = len(coded.rows), 4 * queries.panels.shape[1]
    # Chunk by chunk: the steps and the exact numbers are read, then the bytes are multiplied as they are.
    for start in range(0, n, chunk):
        stop = min(start + chunk, n)
        for i in range(start, stop):
            factor = weights.factors[i] if len(weights.factors) > 1 else weights.factors[0]
            row = advance(rows, i * stride)
            scales[i - start] = float_at(row, coded.coarse.start + step_at) * factor
            for j in range(coded.exact):
                exact[(i - start) * coded.exact + j] = float_at(row, coded.exact_at + 4 * j) * factor
        own = advance(block, start * words.shape[1] + coded.coarse.start // 4)
        scan_block(way, own, words.shape[1], scales, exact, start, stop, first, doors, search)
    # The candidates that the last limits leave out are dropped.
    for row in range(search.n):
        drop_failing(search, row)


@kernel()
def scan_tables(
    coded: Any, weights: Any, queries: Any, vectors: Any, table: Any, first: int, filters: Any, room: Any, kept: Any
) -> None:  # fmt: skip
    """Does the same for few queries and a coarse level of centroids: a query's products with centroids are added up.

    `vectors` are the queries. `table` has space for the products of one query: parts · centroids float32. Nothing is
    decoded (Jégou, Douze, Schmid 2011: asymmetric distance computation).
    """
    search, doors = take_search(weights, queries, kept, room), open_doors(filters)
    rows, stride, layout = pointer(coded.rows), coded.rows.shape[1], coded.coarse
    centroids, products = advance(pointer(layout.tables), STEPS), pointer(table)
    size, group, parts = layout.centroids, layout.group, layout.parts
    d, few = coded.dimensions - coded.exact, layout.kind == FEW_CENTROIDS
    for row in range(search.n):
        # The products of the query with all centroids, once.
        query, start = vectors[row], 0
        for part in range(parts):
            stop = (part + 1) * d // parts
            for code in range(size):
                total, at = np.float32(0), (part * size + code) * group
                for j in range(stop - start):
                    total += query[start + j] * centroids[at + j]
                products[part * size + code] = total
            start = stop
        # A vector is the sum of its centroids, so its product is a sum of their products; two sums hide the latency.
        for i in range(len(coded.rows)):
            own = advance(rows, i * stride)
            codes = advance(own, layout.start)
            even, odd = np.float32(0), np.float32(0)
            if few:
                for part in range(parts):
                    even += products[part * size + code_at(codes, part, few)]
            else:
                for part in range(0, parts - 1, 2):
                    even += products[part * size + codes[part]]
                    odd += products[(part + 1) * size + codes[part + 1]]
                if parts % 2:
                    even += products[(parts - 1) * size + codes[parts - 1]]
            # Its length and its exact dimensions, kept apart from the centroids.
            score = (even + odd) * scale_of(codes, layout)
            for j in range(coded.exact):
                score += query[d + j] * float_at(own, coded.exact_at + 4 * j)
            factor = weights.factors[i] if len(weights.factors) > 1 else weights.factors[0]
            offer(score * factor, row, i, first, doors, search)
    for row in range(search.n):
        drop_failing(search, row)


@kernel()
def scan_rows(
    coded: Any, weights: Any, queries: Any, vectors: Any, buffer: Any, first: int, filters: Any, room: Any, kept: Any
) -> None:  # fmt: skip
    """Does the same for few queries, `vectors`: each coded vector is decoded into `buffer` and multiplied with them."""
    search, doors = take_search(weights, queries, kept, room), open_doors(filters)
    rows, stride, d = pointer(coded.rows), coded.rows.shape[1], coded.dimensions
    vector, asked, rest = pointer(buffer), pointer(vectors), coded.dimensions % 16
    # Vector by vector: it is decoded, and multiplied with each query.
    for i in range(len(coded.rows)):
        decode_row(advance(rows, i * stride), coded, False, vector)
        factor = weights.factors[i] if len(weights.factors) > 1 else weights.factors[0]
        for row in range(search.n):
            query, total = advance(asked, row * d), broadcast(np.float32(0), 16)
            for j in range(0, d - 15, 16):
                total = multiply_add(load(vector, j, 16), load(query, j, 16), total)
            if rest:
                last = load_part(query, d - rest, rest, 16)
                total = multiply_add(load_part(vector, d - rest, rest, 16), last, total)
            offer(reduce_add(total) * factor, row, i, first, doors, search)
    for row in range(search.n):
        drop_failing(search, row)


@kernel(inner=True)
def offer(score: float, row: int, code: int, first: int, doors: Any, search: Any) -> None:
    """Adds a vector to the candidates of one query if it reaches the query's limit."""
    error = search.errors[row] * search.lengths[code * search.reaching]
    if score + error >= search.limits[row]:
        search.lanes[0] = score + error
        search.lanes[16] = error
        add_candidate(1, code, first, row, doors, search)


@kernel(inner=True)
def take_search(weights: Any, queries: Any, kept: Any, room: Any) -> Any:
    """Returns the pointers and sizes of a search."""
    return QueryBlock(
        len(kept.counts), kept.depth, kept.best.shape[1], kept.codes.shape[1], pointer(queries.panels),
        len(queries.panels), queries.panels.shape[1], pointer(queries.offsets), pointer(queries.steps),
        pointer(queries.exact), queries.exact.shape[1], pointer(queries.errors), pointer(kept.limits),
        pointer(weights.lengths), len(weights.lengths) > 1, pointer(kept.best), pointer(kept.bounds),
        pointer(kept.codes), pointer(kept.counts), pointer(room.lanes),
    )  # fmt: skip


@kernel(inner=True)
def scan_block(
    way: Any, block: Any, stride: int, scales: Any, exact: Any, start: int, stop: int, first: int, doors: Any,
    search: Any,
) -> None:  # fmt: skip
    """Scores the vectors from `start` to `stop`, rows of `stride` in `block`, for all queries."""
    count = stop - start
    # Sixteen queries at a time, with six vectors, then with those that are left.
    for panel in range(search.n_panels):
        own, place = advance(search.panels, panel * search.width * 16), 16 * panel
        for i in range(0, count - 5, 6):
            score_six(
                way, advance(block, i * stride), stride, own, scales, exact, i, start, first, place, doors, search
            )
        for i in range(count - count % 6, count):
            total = load(search.offsets, place, 16)
            for j in range(search.width):
                one = broadcast_load(block, i * stride + j, 16)
                total = accumulate(way, one, load(own, 16 * j, 16), total)
            keep_best(total, scales[i], advance(exact, i * search.n_exact), start + i, first, place, doors, search)


@kernel(inline=True, inner=True)
def score_six(
    way: Any, rows: Any, stride: int, panel: Any, scales: Any, exact: Any, i: int, start: int, first: int, place: int,
    doors: Any, search: Any,
) -> None:  # fmt: skip
    """Scores six vectors for 16 queries."""
    row0, row1, row2 = rows, advance(rows, stride), advance(rows, 2 * stride)
    row3, row4, row5 = advance(rows, 3 * stride), advance(rows, 4 * stride), advance(rows, 5 * stride)
    sum0 = load(search.offsets, place, 16)
    sum1, sum2, sum3, sum4, sum5 = sum0, sum0, sum0, sum0, sum0
    # The sums of six vectors for sixteen queries in registers: each load of the queries is used six times.
    for j in range(search.width):
        query = load(panel, 16 * j, 16)
        sum0 = accumulate(way, broadcast_load(row0, j, 16), query, sum0)
        sum1 = accumulate(way, broadcast_load(row1, j, 16), query, sum1)
        sum2 = accumulate(way, broadcast_load(row2, j, 16), query, sum2)
        sum3 = accumulate(way, broadcast_load(row3, j, 16), query, sum3)
        sum4 = accumulate(way, broadcast_load(row4, j, 16), query, sum4)
        sum5 = accumulate(way, broadcast_load(row5, j, 16), query, sum5)
    n = search.n_exact
    keep_best(sum0, scales[i], advance(exact, i * n), start + i, first, place, doors, search)
    keep_best(sum1, scales[i + 1], advance(exact, (i + 1) * n), start + i + 1, first, place, doors, search)
    keep_best(sum2, scales[i + 2], advance(exact, (i + 2) * n), start + i + 2, first, place, doors, search)
    keep_best(sum3, scales[i + 3], advance(exact, (i + 3) * n), start + i + 3, first, place, doors, search)
    keep_best(sum4, scales[i + 4], advance(exact, (i + 4) * n), start + i + 4, first, place, doors, search)
    keep_best(sum5, scales[i + 5], advance(exact, (i + 5) * n), start + i + 5, first, place, doors, search)


@kernel(inline=True, inner=True)
def keep_best(total: Any, scale: float, exact: Any, code: int, first: int, place: int, doors: Any, search: Any) -> None:
    """Adds a vector to the candidates of the queries, of 16, whose limit it reaches."""
    # The upper bounds of sixteen queries: the product in float32, the exact dimensions, and the error.
    reach = search.lengths[code * search.reaching]
    error = multiply(load(search.errors, place, 16), broadcast(reach, 16))
    score = multiply(to_float(total), load(search.steps, place, 16))
    upper = multiply_add(score, broadcast(scale, 16), error)
    for j in range(search.n_exact):
        query = load(search.exact, (place // 16 * search.n_exact + j) * 16, 16)
        upper = multiply_add(query, broadcast(exact[j], 16), upper)
    bits = at_least(upper, load(search.limits, place, 16))
    if bits:
        store(search.lanes, 0, upper)
        store(search.lanes, 16, error)
        add_candidate(bits, code, first, place, doors, search)


@kernel(inner=True)
def add_candidate(bits: int, code: int, first: int, place: int, doors: Any, search: Any) -> None:
    """Adds a vector to the candidates of the queries whose bits are set, if the filter allows it."""
    room = search.room
    # Query by query: the filter, then the limit, then a place among the candidates.
    while bits:
        lane = trailing_zeros(bits)
        bits &= bits - 1
        row, upper = place + lane, search.lanes[lane]
        if not is_open(doors, first + row, code):
            continue
        lower = upper - np.float32(2) * search.lanes[16 + lane]
        best = advance(search.best, row * search.spread + 16)
        # A lower bound among the best raises the limit.
        if lower > best[search.depth - 1]:
            search.limits[row] = raise_limit(best, search.depth, lower)
        # If there is no room left, the candidates below the limit go; a query that keeps too many is given up.
        if search.counts[row] == room:
            drop_failing(search, row)
            if 4 * search.counts[row] > 3 * room:
                search.counts[row] = TOO_MANY
                search.limits[row] = np.inf
                continue
        search.codes[row * room + search.counts[row]] = code
        search.bounds[row * room + search.counts[row]] = upper
        search.counts[row] += 1


@kernel(inline=True, inner=True)
def raise_limit(best: Any, depth: int, lower: float) -> float:
    """Inserts a lower bound among the best, in falling order; returns the new limit.

    Each place gets max(itself, min(the one before it, the new one)), sixteen at a time.
    """
    # From the last sixteen places to the first, so that each reads its neighbours before they change.
    new = broadcast(lower, 16)
    for start in range((depth - 1) // 16 * 16, -1, -16):
        store(best, start, maximum(load(best, start, 16), minimum(load(best, start - 1, 16), new)))
    worst = np.float64(best[depth - 1])
    return np.float32(worst - CARE * abs(worst))


@kernel(inner=True)
def drop_failing(search: Any, row: int) -> None:
    """Keeps the candidates of a query whose upper bound reaches its limit."""
    kept, count, start, limit = 0, search.counts[row], row * search.room, search.limits[row]
    # The candidates that reach the limit move together.
    for c in range(start, start + count):
        if search.bounds[c] >= limit:
            search.codes[start + kept] = search.codes[c]
            search.bounds[start + kept] = search.bounds[c]
            kept += 1
    if count > 0:
        search.counts[row] = kept


@kernel()
def rank_codes(
    coded: Any, norms: Any, queries: Any, query_norms: Any, first: int, starts: Any, counts: Any, listed: Any,
    filtered: bool, filters: Any, buffer: Any, codes: Any, scores: Any,
) -> None:  # fmt: skip
    """Fills rows of codes and scores with the best k by exact score of listed[starts[i] : starts[i] + counts[i]].

    A count of -1 means all vectors; a smaller count leaves the row unchanged. Scores are summed in float64, divided by
    both norms unless `norms` is empty, and rounded to float32. Lists that are not `filtered` are filtered here;
    `buffer` has space for a vector.
    """
    rows, stride, d, k = pointer(coded.rows), coded.rows.shape[1], coded.dimensions, codes.shape[1]
    vector, own, doors = pointer(buffer), pointer(queries), open_doors(filters)
    all_codes, all_scores = pointer(codes), pointer(scores)
    for i in range(len(queries)):
        if counts[i] < -1:
            continue
        heap_codes, heap_scores = advance(all_codes, i * k), advance(all_scores, i * k)
        for place in range(k):
            heap_scores[place] = -np.inf
            heap_codes[place] = EMPTY
        # A query of zeros needs no decoding: all products are 0.
        query, everything = advance(own, i * d), counts[i] == -1
        nothing = sum_products(query, query, d) == 0
        for c in range(len(coded.rows) if everything else counts[i]):
            code = np.int32(c) if everything else listed[starts[i] + c]
            if not filtered and not is_open(doors, first + i, code):
                continue
            product = 0.0
            if not nothing:
                decode_row(advance(rows, code * stride), coded, True, vector)
                product = sum_products(vector, query, d)
            # The cosine divides by both norms; a score that float32 cannot hold becomes its largest number.
            if len(norms):
                length = norms[code] * query_norms[i]
                product = product / length if length > 0 else 0.0
            score = np.float32(min(max(product, -LARGEST), LARGEST))
            if score > heap_scores[0] or (score == heap_scores[0] and code < heap_codes[0]):
                sift_down(heap_scores, heap_codes, k, score, code)
        finish_row(heap_scores, heap_codes, k)
