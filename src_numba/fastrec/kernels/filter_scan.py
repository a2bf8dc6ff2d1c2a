"""The best items of a linear filter over a graph: a score's sparse part is computed in full, its dense part by bounds.

A score is degree_j · (p_j + V_j · c): p comes from two steps over the graph, which touch few users and items; V_j · c
is a product of hundreds of numbers for every item. Items lie in panels of 16, V rounded to bytes. A panel's product is
made a part at a time, and abandoned as soon as no item of it can be among the best. The rest adds no more than the norm
of the rest of V_j times that of the rest of c. As in `scan`, an approximate score s comes with E ≥ |s - t|. The k best
s - E give a user's limit, and the items whose s + E reaches it are scored exactly in the end. Their sums are those of
`filters.multiply_rows` and `filters.add_products`, in the same order, so that the bits are those of dense scores.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.products import accumulate
from fastrec.kernels.simd import (
    above,
    add,
    advance,
    at_least,
    broadcast,
    broadcast_load,
    load,
    maximum,
    multiply,
    multiply_add,
    pointer,
    prefetch,
    reduce_maximum,
    store,
    subtract,
    to_float,
    trailing_zeros,
    zeros,
)
from fastrec.kernels.sparse import Entries
from fastrec.kernels.topk import EMPTY, finish_row, is_open, open_doors, sift_down

PART = 32  # words of a part: 128 numbers as bytes
AHEAD, LINES = 4, 3  # users whose entries are prefetched ahead, and the number of cache lines of each
USERS_AHEAD = 4  # users whose p of a panel is prefetched ahead
CHAINS = 8  # candidates that are scored side by side, since each addition waits for the one before
LARGEST_SPREAD = np.float32(1e18)  # of p, and of the norm of c: above it bounds might not be finite
UNBOUNDED = -1  # the count of a user that is not answered: its numbers are too large, or its candidates too many


class FilterPanels(NamedTuple):
    """Items in panels of 16, in an order that makes similar ones neighbours; `n` is 16 · n_panels."""

    words: Codes  # (n_panels, width, 16): four bytes of V in each; a byte less 128 is the number in steps
    steps: Floats  # (n,)
    errors: Floats  # (n,): norm of the rounding error of V_j, rounded up
    tails: Floats  # (parts, n): norm of V_j from each part on, rounded up; for the first part, of all
    degrees: Floats  # (n,)
    order: Codes  # (n,): codes, -1 after the last


class Signals(NamedTuple):
    """Some users: their histories, divided by the degrees, and the coordinates of these by factor."""

    histories: Entries
    coordinates: Floats  # (b, factors): c
    words: Codes  # (b, width): four int8 each
    offsets: Codes  # (b, parts): added to the products of a part
    steps: Floats  # (b,)
    errors: Floats  # (b,): times the norm of V_j
    norms: Floats  # (b,): times the error of V_j
    tails: Floats  # (b, parts): norm of c from each part on, rounded up


class Scratch(NamedTuple):
    """The arrays that a search works in: the first two are zeros before and after it."""

    users: Floats  # (n_users, filled up to a multiple of 16)
    spread: Floats  # (group, n): p of each user of a group
    touched: Codes  # (n_users,)
    seeds: Floats  # (some more than k,): the best by p alone
    seeded: Codes  # as many: their places
    limits: Floats  # (group,)
    lowers: Floats  # (group, k): heaps of the best lower bounds
    nobody: Codes  # (group, k)
    uppers: Floats  # (group, room): of the candidates
    sums: Floats  # (group, room): their p
    places: Codes  # (group, room)
    counts: Counts  # (group,)
    lanes: Floats  # (32,)


class Place(NamedTuple):
    """Panels, users and scratch by pointers, with the sizes of what they point to."""

    n: int
    width: int
    parts: int
    factors: int
    k: int
    room: int
    n_seeds: int
    slack: np.float32
    words: Codes
    steps: Floats
    errors: Floats
    tails: Floats
    degrees: Floats
    order: Codes
    coordinates: Floats
    user_words: Codes
    offsets: Codes
    user_steps: Floats
    user_errors: Floats
    user_norms: Floats
    user_tails: Floats
    spread: Floats
    seeds: Floats
    seeded: Codes
    limits: Floats
    lowers: Floats
    nobody: Codes
    uppers: Floats
    sums: Floats
    places: Codes
    counts: Counts
    lanes: Floats
    vectors: Floats


@kernel(inner=True)
def take_place(signals: Any, panels: Any, scratch: Any, vectors: Any, slack: float) -> Any:
    """Returns the pointers and sizes of all arrays that a scan reads and writes."""
    return Place(
        len(panels.order), panels.words.shape[1], len(panels.tails), vectors.shape[1], scratch.lowers.shape[1],
        scratch.places.shape[1], len(scratch.seeds), np.float32(slack), pointer(panels.words), pointer(panels.steps),
        pointer(panels.errors), pointer(panels.tails), pointer(panels.degrees), pointer(panels.order),
        pointer(signals.coordinates), pointer(signals.words), pointer(signals.offsets), pointer(signals.steps),
        pointer(signals.errors), pointer(signals.norms), pointer(signals.tails), pointer(scratch.spread),
        pointer(scratch.seeds), pointer(scratch.seeded), pointer(scratch.limits), pointer(scratch.lowers),
        pointer(scratch.nobody), pointer(scratch.uppers), pointer(scratch.sums), pointer(scratch.places),
        pointer(scratch.counts), pointer(scratch.lanes), pointer(vectors),
    )  # fmt: skip


@kernel()
def spread_history(
    row: int, histories: Entries, items: Entries, users: Entries, sums: Any, touched: Any, spread: Any
) -> float:
    """Fills `spread` with two steps from a history over the graph, item → user → item; returns the largest.

    Each number is summed in the order of rising codes, as `multiply_rows` does. `sums` holds zeros before and after the
    call.
    """
    # From items to users.
    for p in range(histories.indptr[row], histories.indptr[row + 1]):
        item, value = histories.indices[p], broadcast(histories.values[p], 1)
        for q in range(items.indptr[item], items.indptr[item + 1]):
            user = np.int64(items.indices[q])
            store(sums, user, multiply_add(load(items.values, q, 1), value, load(sums, user, 1)))
    # The users that were touched, by their codes.
    nothing, count = zeros(16), 0
    for start in range(0, len(sums), 16):
        bits = above(load(sums, start, 16), nothing)
        while bits:
            touched[count] = start + trailing_zeros(bits)
            bits &= bits - 1
            count += 1
    # From users to items.
    for t in range(count):
        ahead = users.indptr[touched[min(t + AHEAD, count - 1)]]
        for line in range(0, LINES * 16, 16):
            prefetch(users.indices, ahead + line)
            prefetch(users.values, ahead + line)
        user = np.int64(touched[t])
        value = broadcast(sums[user], 1)
        sums[user] = 0
        for q in range(users.indptr[user], users.indptr[user + 1]):
            place = np.int64(users.indices[q])
            store(spread, place, multiply_add(load(users.values, q, 1), value, load(spread, place, 1)))
    # The largest number of p.
    largest = nothing
    for start in range(0, len(spread), 16):
        largest = maximum(load(spread, start, 16), largest)
    return reduce_maximum(largest)


@kernel()
def search_filter(
    way: Any, first: int, last: int, signals: Signals, items: Entries, users: Entries, panels: FilterPanels,
    vectors: Any, filters: Any, scratch: Scratch, slack: float, codes: Any, scores: Any,
) -> int:  # fmt: skip
    """Fills rows `first` to `last` of codes and scores with each user's best items.

    Returns the number of users that are not answered; they get `UNBOUNDED` as their first code. `slack` bounds the
    change of a score by rounding, relative to the score's parts.
    """
    doors, group, missed = open_doors(filters), len(scratch.counts), 0
    at, n_panels, nothing = take_place(signals, panels, scratch, vectors, slack), len(panels.words), zeros(16)
    for start in range(first, last, group):
        size = min(group, last - start)
        # The two steps over the graph, and a first limit, for each user of the group.
        for i in range(size):
            largest = spread_history(
                start + i, signals.histories, items, users, scratch.users, scratch.touched, scratch.spread[i]
            )
            bounded = largest < LARGEST_SPREAD and signals.norms[start + i] < LARGEST_SPREAD
            at.limits[i] = -np.inf if bounded else np.inf
            at.counts[i] = 0 if bounded else UNBOUNDED
            if bounded:
                at.limits[i] = find_limit(start + i, i, at, doors)
        # All panels, one after the other, so that a panel in the cache serves the whole group. Each part of p that was
        # read is set to zero again.
        for panel in range(n_panels):
            for i in range(size):
                prefetch(at.spread, min(i + USERS_AHEAD, size - 1) * at.n + 16 * panel)
                bits = scan_panel(way, panel, start + i, i, at)
                if bits:
                    keep_candidates(panel, start + i, i, bits, at, doors)
                store(at.spread, i * at.n + 16 * panel, nothing)
        # The answers: the best of the candidates by exact scores.
        for i in range(size):
            if at.counts[i] == UNBOUNDED:
                codes[start + i, 0] = UNBOUNDED
                missed += 1
            else:
                row = (start + i) * at.k
                rank_candidates(start + i, i, at, advance(pointer(codes), row), advance(pointer(scores), row))
    return missed


@kernel(inner=True)
def find_limit(row: int, i: int, at: Any, doors: Any) -> float:
    """Returns the k-th largest score of the items that are best by p alone: a limit for the other items."""
    spread, lowers, nobody = advance(at.spread, i * at.n), advance(at.lowers, i * at.k), advance(at.nobody, i * at.k)
    # The places with the largest p times degree, in a heap.
    for seed in range(at.n_seeds):
        at.seeds[seed], at.seeded[seed] = -np.inf, EMPTY
    clear_heap(lowers, nobody, at.k)
    for start in range(0, at.n, 16):
        part = multiply(load(spread, start, 16), load(at.degrees, start, 16))
        bits = above(part, broadcast(at.seeds[0], 16))
        if not bits:
            continue
        store(at.lanes, 0, part)
        while bits:
            lane = trailing_zeros(bits)
            bits &= bits - 1
            code = at.order[start + lane]
            if at.lanes[lane] > at.seeds[0] and code >= 0 and is_open(doors, row, code):
                sift_down(at.seeds, at.seeded, at.n_seeds, at.lanes[lane], start + lane)
    # The exact scores of these places: the k-th largest is the limit.
    count = 0
    for seed in range(at.n_seeds):
        place = at.seeded[seed]
        if place != EMPTY:
            at.seeds[count], at.seeded[count] = spread[place], place
            count += 1
    for start in range(0, count, CHAINS):
        size = min(CHAINS, count - start)
        score_chains(at, row, advance(at.seeds, start), advance(at.seeded, start), size)
        for lane in range(size):
            if at.lanes[lane] > lowers[0]:
                sift_down(lowers, nobody, at.k, at.lanes[lane], 0)
    limit = lowers[0]
    clear_heap(lowers, nobody, at.k)
    return limit


@kernel(inner=True)
def clear_heap(scores: Any, codes: Any, k: int) -> None:
    """Fills a heap with empty places."""
    for place in range(k):
        scores[place], codes[place] = -np.inf, EMPTY


@kernel(inner=True)
def scan_panel(way: Any, panel: int, row: int, i: int, at: Any) -> int:
    """Returns the bits of the items of a panel that may be among a user's best; leaves their bounds in `lanes`."""
    place, limit, tails = 16 * panel, broadcast(at.limits[i], 16), advance(at.user_tails, row * at.parts)
    degree, own = load(at.degrees, place, 16), load(at.spread, i * at.n + place, 16)
    length = load(at.tails, place, 16)
    # The largest value of the whole product, before any part of it is made.
    error = multiply_add(own, broadcast(at.slack, 16), broadcast(np.float32(1e-40), 16))
    reach = multiply_add(length, broadcast(tails[0], 16), add(own, error))
    if not at_least(multiply(reach, degree), limit):
        return 0
    # The error of a score: the parts of the slack and of both roundings to bytes.
    error = multiply_add(length, broadcast(at.user_errors[row], 16), error)
    error = multiply_add(load(at.errors, place, 16), broadcast(at.user_norms[row], 16), error)
    step = multiply(load(at.steps, place, 16), broadcast(at.user_steps[row], 16))
    words, query = advance(at.words, place * at.width), advance(at.user_words, row * at.width)
    nothing = broadcast(np.int32(0), 16)
    a, b, c, d = nothing, nothing, nothing, nothing
    # Part by part: the sums of bytes in four chains, then the largest value that the rest can add.
    for part in range(at.parts):
        a = add(a, broadcast(at.offsets[row * at.parts + part], 16))
        stop = min((part + 1) * PART, at.width)
        for w in range(part * PART, stop, 4):
            a = accumulate(way, load(words, 16 * w, 16), broadcast_load(query, w, 16), a)
            b = accumulate(way, load(words, 16 * w + 16, 16), broadcast_load(query, w + 1, 16), b)
            c = accumulate(way, load(words, 16 * w + 32, 16), broadcast_load(query, w + 2, 16), c)
            d = accumulate(way, load(words, 16 * w + 48, 16), broadcast_load(query, w + 3, 16), d)
        score = multiply_add(to_float(add(add(a, b), add(c, d))), step, own)
        upper = add(score, error)
        if stop < at.width:
            ahead = load(at.tails, (part + 1) * at.n + place, 16)
            reach = multiply_add(ahead, broadcast(tails[part + 1], 16), upper)
            if not at_least(multiply(reach, degree), limit):
                return 0
            continue
        upper = multiply(upper, degree)
        store(at.lanes, 0, upper)
        store(at.lanes, 16, multiply(subtract(score, error), degree))
        return at_least(upper, limit)
    return 0


@kernel(inner=True)
def keep_candidates(panel: int, row: int, i: int, bits: int, at: Any, doors: Any) -> None:
    """Lists those items of a panel that a user may be given, and raises the limit by their lower bounds."""
    lowers, first = advance(at.lowers, i * at.k), i * at.room
    while bits:
        lane = trailing_zeros(bits)
        bits &= bits - 1
        place = 16 * panel + lane
        if at.order[place] < 0 or not is_open(doors, row, at.order[place]):
            continue
        # If there is no room left, the candidates below the limit go; a user who keeps too many is given up.
        if at.counts[i] == at.room:
            drop_candidates(i, at)
            if 4 * at.counts[i] > 3 * at.room:
                at.counts[i], at.limits[i] = UNBOUNDED, np.inf
                return
        new = first + at.counts[i]
        at.uppers[new], at.sums[new], at.places[new] = at.lanes[lane], at.spread[i * at.n + place], place
        at.counts[i] += 1
        # The lower bound may raise the limit.
        if at.lanes[16 + lane] > lowers[0]:
            sift_down(lowers, advance(at.nobody, i * at.k), at.k, at.lanes[16 + lane], 0)
            at.limits[i] = max(at.limits[i], lowers[0])


@kernel(inner=True)
def drop_candidates(i: int, at: Any) -> None:
    """Keeps those candidates of a user that reach the limit."""
    kept = first = i * at.room
    for old in range(first, first + at.counts[i]):
        upper = at.uppers[old]
        at.uppers[kept], at.sums[kept], at.places[kept] = upper, at.sums[old], at.places[old]
        kept += upper >= at.limits[i]
    at.counts[i] = kept - first


@kernel(inner=True)
def rank_candidates(row: int, i: int, at: Any, codes: Any, scores: Any) -> None:
    """Fills a row with the best of a user's candidates by their exact scores."""
    drop_candidates(i, at)
    places, sums, count = advance(at.places, i * at.room), advance(at.sums, i * at.room), at.counts[i]
    clear_heap(scores, codes, at.k)
    for start in range(0, count, CHAINS):
        # The exact scores of a few candidates side by side, then the heap of the best.
        size = min(CHAINS, count - start)
        score_chains(at, row, advance(sums, start), advance(places, start), size)
        for lane in range(size):
            score, code = at.lanes[lane], at.order[places[start + lane]]
            if score > scores[0] or (score == scores[0] and code < codes[0]):
                sift_down(scores, codes, at.k, score, code)
    finish_row(scores, codes, at.k)


@kernel(inner=True)
def score_chains(at: Any, row: int, sums: Any, places: Any, size: int) -> None:
    """Fills lanes with the exact scores of up to `CHAINS` places, whose p are `sums`."""
    for lane in range(CHAINS):
        at.lanes[lane] = sums[min(lane, size - 1)]
    add_chains(at, advance(at.coordinates, row * at.factors), places, size)
    for lane in range(size):
        at.lanes[lane] *= at.degrees[places[lane]]


@kernel(inner=True)
def vector_of(at: Any, place: int) -> Any:
    """Returns the vector of the item at a place."""
    return advance(at.vectors, np.int64(at.order[place]) * at.factors)


@kernel(inner=True)
def add_chains(at: Any, own: Any, places: Any, size: int) -> None:
    """Adds V_j · c to the lanes of `CHAINS` candidates, each in the order of the factors; the last one pads."""
    last, lanes = size - 1, at.lanes
    # The vectors of the eight, and the sums that are added to.
    v0, v1 = vector_of(at, places[0]), vector_of(at, places[min(1, last)])
    v2, v3 = vector_of(at, places[min(2, last)]), vector_of(at, places[min(3, last)])
    v4, v5 = vector_of(at, places[min(4, last)]), vector_of(at, places[min(5, last)])
    v6, v7 = vector_of(at, places[min(6, last)]), vector_of(at, places[min(7, last)])
    s0, s1, s2, s3 = load(lanes, 0, 1), load(lanes, 1, 1), load(lanes, 2, 1), load(lanes, 3, 1)
    s4, s5, s6, s7 = load(lanes, 4, 1), load(lanes, 5, 1), load(lanes, 6, 1), load(lanes, 7, 1)
    # One factor of all eight at a time.
    for f in range(at.factors):
        c = load(own, f, 1)
        s0, s1 = multiply_add(load(v0, f, 1), c, s0), multiply_add(load(v1, f, 1), c, s1)
        s2, s3 = multiply_add(load(v2, f, 1), c, s2), multiply_add(load(v3, f, 1), c, s3)
        s4, s5 = multiply_add(load(v4, f, 1), c, s4), multiply_add(load(v5, f, 1), c, s5)
        s6, s7 = multiply_add(load(v6, f, 1), c, s6), multiply_add(load(v7, f, 1), c, s7)
    store(lanes, 0, s0)
    store(lanes, 1, s1)
    store(lanes, 2, s2)
    store(lanes, 3, s3)
    store(lanes, 4, s4)
    store(lanes, 5, s5)
    store(lanes, 6, s6)
    store(lanes, 7, s7)
