"""Scans of all vectors that keep, for each query, every one that may be among its best k.

Vectors lie in panels of 16, in order of falling norm: a panel holds the first word of its 16 vectors, then the second,
and so on; a word is one float32 or four bytes. One register then works for 16 vectors, no sum runs across lanes, and
scores are compared in registers.

A scan computes an approximate score s of a vector x with |s - t| ≤ E(x) of the true t, and offers the upper bound u = s
+ E. The k best lower bounds s - E so far give a query's limit: at least k vectors score above it, so a vector whose u
is below the limit cannot be among the best k. All others are kept, and ranked exactly afterwards. Limits are raised
after some vectors were kept, and at the end, so the final candidates do not depend on the times of raising.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.largest import find_kth_largest
from fastrec.kernels.products import accumulate
from fastrec.kernels.simd import (
    add,
    add_across,
    advance,
    at_least,
    broadcast,
    broadcast_load,
    load,
    multiply,
    multiply_add,
    pointer,
    pointer_to_bytes,
    store,
    subtract,
    to_float,
    trailing_zeros,
)
from fastrec.kernels.topk import COSINE, SQUARED_DISTANCE, Found, Lists, is_open, open_doors, rank_lists, sum_products

GROUP = 6  # queries in registers: with 16 lanes they fill AVX2's sixteen registers, NEON's 32, and feed AVX-512
CHUNK_BYTES = 2**18  # of panels that stay in the second-level cache while all groups of queries pass over them
ALL = 2**16 - 1  # the bits of all vectors of a panel
SPARE = 32  # extra places of a query: for one more panel, and for reads after the last candidate
TINY = 2.0**-147  # above the step between float32 numbers near 0
NOTHING = 2.0**-100  # above the underflow in sums of products of numbers below 1
# Relative to a limit: more than the rounding of a score to float32 and of the limit itself can change.
CARE = 2.0**-20
ULP = 2.0**-24  # the largest relative error of rounding to float32
# The error of the rotation in float32 for a query of length 1. Each of four turns rounds every element ten times at
# most, each time by ULP of its size, and changes the row's length by no larger share (Higham, Accuracy and Stability,
# section 3.1). The rounding of the moved query adds one more.
BLUR = 64 * ULP
UP = 1 + 2.0**-21  # factor that turns a rounded float32 into a bound


class Panels(NamedTuple):
    """Vectors in order of falling norm; each array but the first has 16 · n_panels entries."""

    panels: Codes  # (n_panels, width, 16): four bytes in each int32; float32 in a scan of float32
    steps: Floats  # factors of sums
    errors: Floats  # norm of a vector's rounding error, rounded up
    lengths: Floats  # norm of the rounded vector, rounded up
    norms: Floats  # the vector's own norm, rounded up; 0 after the last
    order: Codes  # codes; -1 after the last


class Form(NamedTuple):
    """The form in which the vectors were prepared, and the numbers that queries need for it."""

    scale: float  # factor of the vectors: a power of two that makes the longest at most 1
    longest: float  # the largest norm before scaling
    gamma: float  # the float32 error of a score, for a query and a vector of length 1
    signs: Floats  # (TURNS, dimensions, at least 16): of `rotate_rows`, divided by the transform's length
    blocks: int  # blocks that are rotated separately; 0: no rotation
    levels: int  # queries are rounded to integers within ±levels
    shift: int  # number added to each byte of the vectors


class Space(NamedTuple):
    """The work arrays of a search of n queries; the first row of each but the last three belongs to the first query."""

    scaled: Floats  # (n + 1, dimensions); fewer rows if queries are prepared a few at a time
    rotated: Floats  # as many rows, of a multiple of 16; empty without a rotation
    quads: Codes  # (n + 1, width), four int8 in each; empty without rounding
    offsets: Codes  # (n + 1,)
    norms: Doubles  # (n,)
    margins: Doubles  # (n,)
    reaches: Floats  # (n,)
    limits: Floats  # (n + 1,)
    k: int
    lowers: Floats  # (n, room): lower bounds of the candidates
    bounds: Floats  # (n, room): upper ones
    codes: Codes  # (n, room)
    counts: Counts  # (n,)
    dues: Counts  # (n,): with more candidates than these, a query's limit is raised
    starts: Counts  # (n,)
    alive: Counts  # (n + GROUP,)
    uppers: Floats  # (16 · (GROUP + 1),)
    work: Counts  # (4,): (query, panel) pairs scored, queries that need another search, candidates, lists


class Place(NamedTuple):
    """A Space by pointers, with the sizes of its arrays."""

    n: int
    dimensions: int
    stride: int
    width: int
    k: int
    room: int
    scaled: Floats
    rotated: Floats
    quads: Codes
    offsets: Codes
    norms: Doubles
    margins: Doubles
    reaches: Floats
    limits: Floats
    lowers: Floats
    bounds: Floats
    codes: Codes
    counts: Counts
    dues: Counts
    starts: Counts
    alive: Counts
    uppers: Floats
    work: Counts


class PanelPointers(NamedTuple):
    """Panels by pointers; `panels` are float32 in a scan of float32."""

    n_panels: int
    panels: Codes
    steps: Floats
    errors: Floats
    lengths: Floats
    norms: Floats
    order: Codes


GIVEN_UP, OVERFULL = -1, -2  # counts that mark queries without an answer


@kernel()
def search_floats(
    way: Any, items: Any, form: Any, exact: Any, queries: Any, moved: Any, first: int, filters: Any, space: Any,
    codes: Any, scores: Any,
) -> int:  # fmt: skip
    """Fills rows of codes and scores by a scan in float32; returns the first query that is not finite, or -1.

    `way` is a `Static` of `products.accumulate`; `moved` are the queries where the vectors of the scan were moved to,
    each number rounded once; `first` is the place of query 0 among the rows of the filter. If a query has more
    candidates than there is space for, its row is left empty, and its count is `OVERFULL`.
    """
    own, found = pointer(queries), Found(codes.shape[1], pointer(codes), pointer(scores))
    return find_by_floats(
        way, take_panels(items), form, pointer(exact.vectors), exact.vectors.shape, pointer(exact.norms), exact.metric,
        own, pointer(moved), first, open_doors(filters), take_place(space), found,
    )  # fmt: skip


@kernel()
def search_bytes(
    way: Any, items: Any, form: Any, exact: Any, queries: Any, moved: Any, first: int, filters: Any, space: Any,
    codes: Any, scores: Any,
) -> int:  # fmt: skip
    """Does the same by a scan of bytes."""
    own, found = pointer(queries), Found(codes.shape[1], pointer(codes), pointer(scores))
    return find_by_bytes(
        way, take_panels(items), form, pointer(form.signs), pointer(exact.vectors), exact.vectors.shape,
        pointer(exact.norms), exact.metric, own, pointer(moved), first, open_doors(filters), take_place(space), found,
    )  # fmt: skip


@kernel(inner=True)
def find_by_floats(
    way: Any, items: Any, form: Any, vectors: Any, shape: Any, norms: Any, metric: int, queries: Any, moved: Any,
    first: int, doors: Any, place: Any, found: Any,
) -> int:  # fmt: skip
    """`search_floats` by pointers; of `form` it reads the numbers."""
    bad = scale_queries(moved, shape[1], metric, form.scale, form.longest, place)
    if bad < 0:
        scan_panels(way, items, place.scaled, place.dimensions, form.gamma, 0.0, first, doors, place)
        rank_kept(vectors, shape, norms, metric, queries, first, doors, place, found)
    return bad


@kernel(inner=True)
def find_by_bytes(
    way: Any, items: Any, form: Any, signs: Any, vectors: Any, shape: Any, norms: Any, metric: int, queries: Any,
    moved: Any, first: int, doors: Any, place: Any, found: Any,
) -> int:  # fmt: skip
    """`search_bytes` by pointers; of `form` it reads the numbers."""
    bad = scale_queries(moved, shape[1], metric, form.scale, form.longest, place)
    if bad < 0:
        rotate_rows(signs, form.blocks, place.scaled, place.dimensions, place.n, place.rotated, place.stride)
        error_share, length_share = quantize_queries(form.levels, form.shift, pointer_to_bytes(place.quads), place)
        scan_panels(way, items, place.quads, place.width, error_share, length_share, first, doors, place)
        rank_kept(vectors, shape, norms, metric, queries, first, doors, place, found)
    return bad


@kernel(inner=True)
def rank_kept(
    vectors: Any, shape: Any, norms: Any, metric: int, queries: Any, first: int, doors: Any, place: Any, found: Any
) -> None:
    """Fills rows with the best k of the kept candidates, by exact scores."""
    lists = Lists(place.starts, place.counts, place.codes, True, place.lowers)
    rank_lists(vectors, norms, metric, shape, queries, place.norms, first, place.n, lists, doors, found)


@kernel(inner=True)
def take_place(space: Any) -> Any:
    """Returns the pointers and sizes of a Space."""
    return Place(
        len(space.norms), space.scaled.shape[1], space.rotated.shape[1], space.quads.shape[1], space.k,
        space.codes.shape[1], pointer(space.scaled), pointer(space.rotated), pointer(space.quads),
        pointer(space.offsets), pointer(space.norms), pointer(space.margins), pointer(space.reaches),
        pointer(space.limits), pointer(space.lowers), pointer(space.bounds), pointer(space.codes),
        pointer(space.counts), pointer(space.dues), pointer(space.starts), pointer(space.alive),
        pointer(space.uppers), pointer(space.work),
    )  # fmt: skip


@kernel(inner=True)
def cut_place(place: Any, start: int, n: int) -> Any:
    """Returns the part of a Place that belongs to n queries from `start` on; its scaled and rotated rows start at 0."""
    room = start * place.room
    return Place(
        n, place.dimensions, place.stride, place.width, place.k, place.room, place.scaled, place.rotated,
        advance(place.quads, start * place.width), advance(place.offsets, start), advance(place.norms, start),
        advance(place.margins, start), advance(place.reaches, start), advance(place.limits, start),
        advance(place.lowers, room), advance(place.bounds, room), advance(place.codes, room),
        advance(place.counts, start), advance(place.dues, start), advance(place.starts, start), place.alive,
        place.uppers, place.work,
    )  # fmt: skip


@kernel(inner=True)
def take_panels(items: Any) -> Any:
    """Returns the pointers of Panels."""
    return PanelPointers(
        len(items.order) // 16, pointer(items.panels), pointer(items.steps), pointer(items.errors),
        pointer(items.lengths), pointer(items.norms), pointer(items.order),
    )  # fmt: skip


@kernel(inner=True)
def scale_queries(queries: Any, d: int, metric: int, scale: float, longest: float, place: Any) -> int:
    """Scales queries by powers of two to a length of at most 1, which prevents overflow, and sets their first limits.

    A query gets the margin that covers the rounding of its scores to float32. A query whose scores may overflow or
    underflow float32 is given up at once. Returns the first query that is not finite, or -1.
    """
    distance, n = metric == SQUARED_DISTANCE, place.n
    for i in range(n):
        # The norm of the query; a query that is not finite ends the call.
        row, scaled = advance(queries, i * d), advance(place.scaled, i * place.dimensions)
        norm = np.sqrt(sum_products(row, row, d))
        if not norm < np.inf:
            return i
        # Under squared distance the query has one more dimension, and takes the scale of the vectors.
        stretch = scale if distance else 1.0
        whole = np.sqrt(norm * stretch * norm * stretch + 1.0) if distance else norm
        # 2 to the power of -e, where e is the norm's exponent, read from its bits: `whole` times it is from 0.5 to 1.
        power = np.int64((2045 << 52) - (np.float64(whole).view(np.int64) & (2047 << 52))).view(np.float64)
        for j in range(d):
            scaled[j] = np.float32(row[j] * (power * stretch))
        # The largest possible score, and the unit of the scan's sums in scores.
        largest, unit = norm * longest, power * scale
        if metric == COSINE:
            largest, unit = 1.0, norm * power
        margin = TINY * unit + NOTHING
        if distance:
            scaled[d] = np.float32(power)
            largest, unit = (norm + longest) * (norm + longest), 0.5 * power * scale * scale
            margin = TINY * unit + NOTHING + CARE * largest * unit
        # A query that is given up has a limit that no vector reaches.
        given_up = whole == 0 or not largest < 1e38 or not margin < 0.25
        place.norms[i] = norm
        place.margins[i] = margin
        place.reaches[i] = np.float32(whole * power * UP)
        place.limits[i] = np.inf if given_up else -np.inf
        place.offsets[i] = 0
        place.counts[i] = GIVEN_UP if given_up else 0
        place.starts[i] = i * place.room
        place.dues[i] = place.room - SPARE
    # A row of zeros after the last query fills up a group of queries.
    place.limits[n] = np.inf
    place.offsets[n] = 0
    for j in range(place.dimensions):
        place.scaled[n * place.dimensions + j] = 0
    return -1


@kernel(inner=True)
def rotate_rows(signs: Any, blocks: int, rows: Any, d: int, n: int, rotated: Any, stride: int) -> None:
    """Fills n rows of `stride` with randomly rotated rows; each of `blocks` runs of elements is rotated separately.

    A run is multiplied with random signs and goes through the Walsh-Hadamard transform, some times in turn (Ailon,
    Chazelle 2009: the fast Johnson-Lindenstrauss transform). The transform is of a power of two elements: in a longer
    run it takes the first and the last elements in turn. Fewer than 16 elements become 16. It uses sums only, so that
    all CPUs get the same bits.
    """
    wide = max(d, 16)
    for i in range(n):
        row, own = advance(rows, i * d), advance(rotated, i * stride)
        # The row is copied, with zeros after it.
        for j in range(d):
            own[j] = row[j]
        for j in range(d, stride):
            own[j] = 0
        # Block by block: the transform of the first and of the last elements in turn.
        start = 0
        for block in range(blocks):
            size, span = wide // blocks + (block < wide % blocks), 16
            while 2 * span <= size:
                span *= 2
            for turn in range(3 if span == size else 4):
                at = start + (size - span) * (turn % 2)
                mix_signs(advance(own, at), span, advance(signs, turn * wide + at))
            start += size


@kernel(inner=True)
def mix_signs(values: Any, span: int, signs: Any) -> None:
    """Applies the Walsh-Hadamard transform to values times signs, in place."""
    # The turns within sixteen lanes.
    for j in range(0, span, 16):
        part = multiply(load(values, j, 16), load(signs, j, 16))
        store(values, j, add_across(add_across(add_across(add_across(part, 1), 2), 4), 8))
    # The turns between vectors of sixteen, at doubled distances.
    distance = 16
    while distance < span:
        for start in range(0, span, 2 * distance):
            for j in range(start, start + distance, 16):
                one, two = load(values, j, 16), load(values, j + distance, 16)
                store(values, j, add(one, two))
                store(values, j + distance, subtract(one, two))
        distance *= 2


@kernel(inner=True)
def quantize_queries(levels: int, shift: int, quads: Any, place: Any) -> Any:
    """Rounds rotated queries to integers within ±levels, and expresses all other numbers in units of each query's step.

    Returns the largest norm and the largest error of any query in its unit. With the error and the length of a vector
    they bound the effect of rounding both.
    """
    largest_norm, largest_error = 0.0, 0.0
    # The places after the last number stay 0.
    for at in range(4 * (place.n + 1) * place.width):
        quads[at] = 0
    for i in range(place.n):
        rotated, own = advance(place.rotated, i * place.stride), advance(quads, 4 * i * place.width)
        # The step that makes the largest number the highest level; a query of zeros has none.
        largest = np.float32(0)
        for j in range(place.stride):
            largest = max(largest, abs(rotated[j]))
        if largest == 0:
            continue
        step, total, error = np.float64(np.float32(largest / levels)), 0.0, 0.0
        # The levels of the query, their sum, and the squared error.
        for j in range(max(place.dimensions, 16)):
            level = np.rint(rotated[j] / step)
            own[j] = np.int8(level)
            total += level
            off = rotated[j] - step * level
            error += off * off
        # The other numbers of the query become multiples of its step.
        place.offsets[i] = -shift * np.int64(total)
        place.reaches[i] = np.float32(place.reaches[i] / step * UP)
        place.margins[i] /= step
        largest_norm = max(largest_norm, np.float64(place.reaches[i]))
        largest_error = max(largest_error, (np.sqrt(error) + BLUR) / step)
    # The sum, its float32 form, the product with the step and the bound round by 4 ULP together.
    return largest_norm * UP, (largest_error + 16 * ULP * largest_norm) * UP


@kernel(inner=True)
def scan_panels(
    way: Any, items: Any, queries: Any, width: int, error_share: float, length_share: float, first: int, doors: Any,
    place: Any,
) -> None:  # fmt: skip
    """Fills the candidates of each query, for all of which E = error_share · error + length_share · length.

    `queries` points to rows of `width` elements; the last one, behind all queries, is zero.
    """
    rows = place.alive
    error_factor, length_factor = broadcast(np.float32(error_share), 16), broadcast(np.float32(length_share), 16)
    chunk = max(1, min(64, CHUNK_BYTES // (64 * width)))
    # Chunk by chunk, for the queries whose limit can still be reached; norms fall, so none left means the end.
    for start in range(0, items.n_panels, chunk):
        stop = min(start + chunk, items.n_panels)
        n_alive = list_alive(items.norms[16 * start], place)
        if n_alive == 0:
            break
        place.work[0] += n_alive * (stop - start)
        scan_block(
            way, items, start, stop, queries, width, rows, n_alive, error_factor, length_factor, first, doors, place
        )  # fmt: skip
    # The last limits, and the number of queries that need another search.
    for row in range(place.n):
        raise_limit(place, row)
        place.work[1] += place.counts[row] == OVERFULL


@kernel(inner=True)
def scan_block(
    way: Any, items: Any, start: int, stop: int, queries: Any, width: int, rows: Any, n_rows: int, error_factor: Any,
    length_factor: Any, first: int, doors: Any, place: Any,
) -> None:  # fmt: skip
    """Adds the vectors of panels `start` to `stop` that pass to the candidates of n_rows queries.

    At least GROUP - 1 more rows of queries lie behind these; their scores are not used.
    """
    for at in range(0, n_rows, GROUP):
        size = min(GROUP, n_rows - at)
        # One or two queries are as fast one after the other: the panels are in the cache.
        for begin in range(at, at + size, size if size > 2 else 1):
            for panel in range(start, stop):
                # The bounds of the panel's errors, then its scores; what reaches a limit is kept.
                vectors = advance(items.panels, 16 * width * panel)
                step = load(items.steps, 16 * panel, 16)
                error = multiply(error_factor, load(items.errors, 16 * panel, 16))
                error = multiply_add(length_factor, load(items.lengths, 16 * panel, 16), error)
                if size > 2:
                    passing = score_group(way, vectors, width, queries, advance(rows, begin), step, error, place)
                else:
                    passing = score_one(way, vectors, width, queries, rows[begin], step, error, place)
                if passing:
                    store(place.uppers, 16 * GROUP, error)
                    codes, scored = advance(items.order, 16 * panel), size if size > 2 else 1
                    keep_passing(scored, advance(rows, begin), codes, first, doors, place)


@kernel(inner=True)
def list_alive(norm: float, place: Any) -> int:
    """Lists the queries whose limit a vector of at most this `norm` may reach (Cauchy-Schwarz); returns their number.

    After them, the row of zeros, which has no limit to reach, fills up the last group.
    """
    count = 0
    for row in range(place.n):
        if place.reaches[row] * norm >= place.limits[row]:
            place.alive[count] = row
            count += 1
    # Copies of the row of zeros fill up the last group.
    for at in range(count, count + GROUP):
        place.alive[at] = place.n
    return count


@kernel(inline=True, inner=True)
def score_one(way: Any, panel: Any, width: int, queries: Any, row: int, step: Any, error: Any, place: Any) -> int:
    """Computes upper bounds of a panel's 16 vectors for one query; stores them and returns nonzero if one passes."""
    query = advance(queries, row * width)
    sum0, sum1 = broadcast_load(place.offsets, row, 16), broadcast_load(place.offsets, place.n, 16)
    sum2, sum3 = sum1, sum1
    # Four chains of sums hide the latency.
    for j in range(0, width - 3, 4):
        sum0 = accumulate(way, load(panel, 16 * j, 16), broadcast_load(query, j, 16), sum0)
        sum1 = accumulate(way, load(panel, 16 * j + 16, 16), broadcast_load(query, j + 1, 16), sum1)
        sum2 = accumulate(way, load(panel, 16 * j + 32, 16), broadcast_load(query, j + 2, 16), sum2)
        sum3 = accumulate(way, load(panel, 16 * j + 48, 16), broadcast_load(query, j + 3, 16), sum3)
    for j in range(width - width % 4, width):
        sum0 = accumulate(way, load(panel, 16 * j, 16), broadcast_load(query, j, 16), sum0)
    # The upper bounds, and one bit for each that reaches the limit.
    upper = multiply_add(to_float(add(add(sum0, sum1), add(sum2, sum3))), step, error)
    passing = at_least(upper, broadcast_load(place.limits, row, 16))
    if passing:
        store(place.uppers, 0, upper)
    return passing


@kernel(inline=True, inner=True)
def score_group(way: Any, panel: Any, width: int, queries: Any, rows: Any, step: Any, error: Any, place: Any) -> int:
    """Computes upper bounds of a panel's 16 vectors for six queries; stores them and returns nonzero if one passes."""
    row0, row1, row2, row3, row4, row5 = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    query0, query1, query2 = row0 * width, row1 * width, row2 * width
    query3, query4, query5 = row3 * width, row4 * width, row5 * width
    offsets, limits, uppers = place.offsets, place.limits, place.uppers
    # The sums of six queries in registers: each load from the panel is used six times.
    sum0, sum1 = broadcast_load(offsets, row0, 16), broadcast_load(offsets, row1, 16)
    sum2, sum3 = broadcast_load(offsets, row2, 16), broadcast_load(offsets, row3, 16)
    sum4, sum5 = broadcast_load(offsets, row4, 16), broadcast_load(offsets, row5, 16)
    for j in range(width):
        x = load(panel, 16 * j, 16)
        sum0 = accumulate(way, x, broadcast_load(queries, query0 + j, 16), sum0)
        sum1 = accumulate(way, x, broadcast_load(queries, query1 + j, 16), sum1)
        sum2 = accumulate(way, x, broadcast_load(queries, query2 + j, 16), sum2)
        sum3 = accumulate(way, x, broadcast_load(queries, query3 + j, 16), sum3)
        sum4 = accumulate(way, x, broadcast_load(queries, query4 + j, 16), sum4)
        sum5 = accumulate(way, x, broadcast_load(queries, query5 + j, 16), sum5)
    # Upper bounds, and one bit for each that reaches its query's limit.
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


@kernel(inner=True)
def keep_passing(size: int, rows: Any, order: Any, first: int, doors: Any, place: Any) -> None:
    """Adds the vectors of a panel that reach a query's limit to its candidates.

    `place.uppers` holds the upper bounds for `size` queries, 16 each, and at 16 · GROUP the errors E.
    """
    errors = load(place.uppers, 16 * GROUP, 16)
    for q in range(size):
        row = rows[q]
        bits = at_least(load(place.uppers, 16 * q, 16), broadcast_load(place.limits, row, 16))
        if bits:
            start, count = row * place.room, place.counts[row]
            # All sixteen pass, and no filter is set: they are written at once.
            if bits == ALL and order[15] >= 0 and not doors.has_mask and not doors.has_starts:
                uppers = load(place.uppers, 16 * q, 16)
                store(place.codes, start + count, load(order, 0, 16))
                store(place.bounds, start + count, uppers)
                store(place.lowers, start + count, subtract(uppers, add(errors, errors)))
                count, bits = count + 16, 0
            # Otherwise one by one, those that the filter allows.
            while bits:
                lane = trailing_zeros(bits)
                bits &= bits - 1
                upper, code = place.uppers[16 * q + lane], order[lane]
                if code >= 0 and is_open(doors, first + row, code):
                    place.codes[start + count] = code
                    place.bounds[start + count] = upper
                    place.lowers[start + count] = upper - np.float32(2) * place.uppers[16 * GROUP + lane]
                    count += 1
            place.counts[row] = count
            if count > place.dues[row]:
                make_way(place, row)


@kernel(inner=True)
def make_way(place: Any, row: int) -> None:
    """Raises the limit of a query, and sets the number of candidates before the next time.

    A query that still keeps too many is given up: no vector reaches its limit any more.
    """
    raise_limit(place, row)
    kept = place.counts[row]
    if 4 * kept > 3 * (place.room - SPARE):
        place.counts[row] = OVERFULL
        place.limits[row] = np.inf
    place.dues[row] = min(kept + max(place.k, 16) // 2, place.room - SPARE)


@kernel(inner=True)
def raise_limit(place: Any, row: int) -> None:
    """Sets the limit of a query by the k-th best lower bound, and keeps the candidates that reach it."""
    count, start, k = place.counts[row], row * place.room, place.k
    if count < k:
        return
    # The k-th best lower bound, less the rounding of limit and scores, is the new limit.
    codes, bounds, lowers = advance(place.codes, start), advance(place.bounds, start), advance(place.lowers, start)
    nothing = broadcast(np.float32(-np.inf), 16)
    store(lowers, count, nothing)
    worst = np.float64(find_kth_largest(lowers, padded_width(count), k))
    limit = np.float32(worst - (CARE * abs(worst) + place.margins[row]))
    place.limits[row] = limit
    # The candidates whose upper bounds reach it move together.
    store(bounds, count, nothing)
    kept, limits = 0, broadcast(limit, 16)
    for at in range(0, count, 16):
        bits = at_least(load(bounds, at, 16), limits)
        while bits:
            c = at + trailing_zeros(bits)
            bits &= bits - 1
            codes[kept], bounds[kept], lowers[kept] = codes[c], bounds[c], lowers[c]
            kept += 1
    place.counts[row] = kept
