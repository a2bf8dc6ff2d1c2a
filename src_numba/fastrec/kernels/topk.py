"""The best k by exact scores: heaps, float64 products in a fixed order, and the ranking of candidates.

Order is always (score descending, code ascending). A row's best k are kept as a heap with the worst at its root. It is
filled with EMPTY places at first, which are worse than all others. Helpers take pointers.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Bytes, Codes, Counts, Doubles, Floats, Halves
from fastrec.kernels.simd import (
    above,
    add,
    advance,
    at_least,
    broadcast,
    count_ones,
    load,
    load_double,
    multiply,
    multiply_add,
    pointer,
    prefetch,
    reduce_add,
    store,
    subtract,
    trailing_zeros,
)

LARGEST = float(np.finfo(np.float32).max)
EMPTY = 2**31 - 1
FEW = 64  # up to so many candidates are ranked by comparing each with all others
AHEAD = 3  # candidates whose vectors are prefetched ahead
INNER_PRODUCT, COSINE, SQUARED_DISTANCE = 0, 1, 2


class Filter(NamedTuple):
    """The items that queries may choose: arrays, empty if they filter nothing."""

    mask: Bytes  # 0 where no query may choose
    starts: Counts  # query i leaves out codes[starts[i] : starts[i + 1]]
    codes: Codes  # sorted for each query


class Doors(NamedTuple):
    """A Filter by pointers."""

    has_mask: bool
    has_starts: bool
    mask: Bytes
    starts: Counts
    codes: Codes


@kernel(inner=True)
def open_doors(filters: Any) -> Any:
    """Returns the pointers of a Filter."""
    mask, starts, codes = pointer(filters.mask), pointer(filters.starts), pointer(filters.codes)
    return Doors(len(filters.mask) > 0, len(filters.starts) > 0, mask, starts, codes)


@kernel(inner=True)
def is_open(doors: Any, row: int, code: int) -> bool:
    """Tells whether a filter allows `code` for the query `row`."""
    if doors.has_mask and doors.mask[code] == 0:
        return False
    if doors.has_starts:
        low, high = doors.starts[row], doors.starts[row + 1]
        while low < high:
            middle = (low + high) >> 1
            if doors.codes[middle] == code:
                return False
            if doors.codes[middle] < code:
                low = middle + 1
            else:
                high = middle
    return True


@kernel(inner=True)
def sift_down(scores: Any, codes: Any, size: int, score: float, code: int) -> None:
    """Replaces the root of a heap of `size` members by (score, code)."""
    at = 0
    # The worse child moves up until no child is worse than the new member.
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and (
            scores[child + 1] < scores[child]
            or (scores[child + 1] == scores[child] and codes[child + 1] > codes[child])
        ):
            child += 1
        if score < scores[child] or (score == scores[child] and code >= codes[child]):
            break
        scores[at] = scores[child]
        codes[at] = codes[child]
        at = child
    scores[at] = score
    codes[at] = code


@kernel(inner=True)
def finish_row(scores: Any, codes: Any, k: int) -> None:
    """Sorts a heap, the best first, and gives empty places the code -1."""
    # The worst member goes to the end, one after the other.
    for size in range(k - 1, 0, -1):
        score, code = scores[size], codes[size]
        scores[size] = scores[0]
        codes[size] = codes[0]
        sift_down(scores, codes, size, score, code)
    # Places that were never filled.
    for place in range(k):
        if codes[place] == EMPTY:
            codes[place] = -1


@kernel(inner=True)
def sum_products(a: Any, b: Any, d: int) -> float:
    """Returns Σ a·b in float64, lane by lane: products of float32 are exact, so the bits are equal on every CPU."""
    total = broadcast(np.float64(0), 16)
    for j in range(0, d - 15, 16):
        total = multiply_add(load_double(a, j, 16, 16), load_double(b, j, 16, 16), total)
    rest = d % 16
    if rest:
        total = multiply_add(load_double(a, d - rest, rest, 16), load_double(b, d - rest, rest, 16), total)
    return reduce_add(total)


@kernel(inner=True)
def sum_squared_differences(a: Any, b: Any, d: int) -> float:
    """Returns Σ (a - b)² in float64; each step is rounded, never fused, for equal bits on every CPU."""
    total = broadcast(np.float64(0), 16)
    for j in range(0, d, 16):
        count = min(16, d - j)
        difference = subtract(load_double(a, j, count, 16), load_double(b, j, count, 16))
        total = add(total, multiply(difference, difference))
    return reduce_add(total)


@kernel()
def measure_rows(vectors: Any, norms: Any) -> int:
    """Fills the float64 norm of each row; returns the first row that is not finite, or -1."""
    n, d = vectors.shape
    for i in range(n):
        row = advance(pointer(vectors), i * d)
        norms[i] = np.sqrt(sum_products(row, row, d))
        if not norms[i] < np.inf:
            return i
    return -1


@kernel()
def score_rows(left: Any, rows: Any, right: Any, codes: Any, scores: Any) -> None:
    """Fills the inner product of a row of `left` and a row of `right` for each pair, as rankings score it."""
    d = left.shape[1]
    for i in range(len(scores)):
        product = sum_products(advance(pointer(left), rows[i] * d), advance(pointer(right), codes[i] * d), d)
        scores[i] = np.float32(min(max(product, -LARGEST), LARGEST))


class Exact(NamedTuple):
    """The parts of an exact score."""

    vectors: Floats | Halves  # (n, d)
    norms: Doubles  # (n,)
    metric: int


class Lists(NamedTuple):
    """The candidates of queries, by pointers."""

    starts: Counts  # query i has those in codes[starts[i] : starts[i] + counts[i]],
    counts: Counts  # all vectors if counts[i] is -1, and none if it is less
    codes: Codes
    filtered: bool  # whether the lists have been filtered, and few are ranked side by side
    scores: Floats  # work space in the same places, with 16 more at the end


class Found(NamedTuple):
    """Rows of the best k, by pointers."""

    k: int
    codes: Codes
    scores: Floats


@kernel()
def rank_candidates(
    exact: Any, queries: Any, query_norms: Any, first: int, starts: Any, counts: Any, listed: Any, filters: Any,
    codes: Any, scores: Any,
) -> None:  # fmt: skip
    """Fills rows of codes and scores with the best k candidates by exact score; the lists are filtered here."""
    found = Found(codes.shape[1], pointer(codes), pointer(scores))
    lists = Lists(pointer(starts), pointer(counts), pointer(listed), False, found.scores)
    doors, own = open_doors(filters), pointer(queries)
    rank_lists(
        pointer(exact.vectors), pointer(exact.norms), exact.metric, exact.vectors.shape, own, pointer(query_norms),
        first, len(queries), lists, doors, found,
    )  # fmt: skip


@kernel(inner=True)
def rank_lists(
    vectors: Any, norms: Any, metric: int, shape: Any, queries: Any, query_norms: Any, first: int, n_queries: int,
    lists: Any, doors: Any, found: Any,
) -> None:  # fmt: skip
    """Fills rows with the best k candidates by exact score; `first` is the place of query 0 among the filter's rows."""
    (n, d), k = shape, found.k
    for i in range(n_queries):
        scores, codes, query, norm = (
            advance(found.scores, i * k), advance(found.codes, i * k), advance(queries, i * d), query_norms[i],
        )  # fmt: skip
        own, everything = lists.starts[i], lists.counts[i] == -1
        count = n if everything else lists.counts[i]
        # Few candidates are scored side by side and ranked by counting.
        if lists.filtered and 0 <= count <= FEW and not everything:
            listed, work = advance(lists.codes, own), advance(lists.scores, own)
            for c in range(count):
                fetch_row(vectors, listed[min(c + AHEAD, count - 1)], d)
                work[c] = score_exactly(vectors, norms, metric, d, listed[c], query, norm)
            rank_few(work, listed, count, scores, codes, k)
            continue
        # More go through a heap of the best k, the worst of them first.
        for place in range(k):
            scores[place] = -np.inf
            codes[place] = EMPTY
        kept = 0
        for c in range(count):
            if not everything and c + AHEAD < count:
                fetch_row(vectors, lists.codes[own + c + AHEAD], d)
            code = np.int32(c) if everything else lists.codes[own + c]
            if (everything or not lists.filtered) and not is_open(doors, first + i, code):
                continue
            score = score_exactly(vectors, norms, metric, d, code, query, norm)
            if score > scores[0] or (score == scores[0] and code < codes[0]):
                sift_down(scores, codes, k, score, code)
            kept += 1
            # A query of zeros scores 0 for all under these metrics: the first codes are the best.
            if everything and kept >= k and norm == 0 and metric != SQUARED_DISTANCE:
                break
        finish_row(scores, codes, k)


@kernel(inline=True, inner=True)
def score_exactly(vectors: Any, norms: Any, metric: int, d: int, code: int, query: Any, query_norm: float) -> float:
    """Returns the score of a vector: summed in float64, rounded to float32, and limited to float32's largest number."""
    vector = advance(vectors, np.int64(code) * d)
    if metric == SQUARED_DISTANCE:
        product = -sum_squared_differences(vector, query, d)
    else:
        product = sum_products(vector, query, d)
        if metric == COSINE:
            length = norms[code] * query_norm
            product = product / length if length > 0 else 0.0
    return np.float32(min(max(product, -LARGEST), LARGEST))


@kernel(inner=True)
def rank_few(work: Any, listed: Any, count: int, scores: Any, codes: Any, k: int) -> None:
    """Fills the best k of a few: the number of better ones is the place of each, without a branch to mispredict."""
    # The places after the last candidate are empty.
    for place in range(min(count, k), k):
        scores[place] = -np.inf
        codes[place] = -1
    store(work, count, broadcast(np.float32(-np.inf), 16))
    # Candidate by candidate: its place is the number of better ones, sixteen compared at a time.
    for c in range(count):
        score, code, place = work[c], listed[c], 0
        own, name = broadcast(score, 16), broadcast(code, 16)
        for start in range(0, count, 16):
            others = load(work, start, 16)
            equal = at_least(others, own) & above(name, load(listed, start, 16))
            place += count_ones(above(others, own) | equal)
        if place < k:
            scores[place] = score
            codes[place] = code


@kernel(inline=True, inner=True)
def fetch_row(vectors: Any, code: int, d: int) -> None:
    """Prefetches a vector."""
    for j in range(0, d, 16):
        prefetch(vectors, np.int64(code) * d + j)


@kernel()
def select_rows(values: Any, starts: Any, counts: Any, listed: Any, filters: Any, codes: Any, scores: Any) -> None:
    """Fills rows of codes and scores with the best k of each row of float32 values; NaN and -inf are never chosen.

    Row i may choose from listed[starts[i] : starts[i] + counts[i]], or from all if counts[i] is below 0.
    """
    n, k = values.shape[1], codes.shape[1]
    doors, candidates, all_codes, all_scores = open_doors(filters), pointer(listed), pointer(codes), pointer(scores)
    for i in range(len(values)):
        found = Found(k, advance(all_codes, i * k), advance(all_scores, i * k))
        everything = counts[i] < 0
        count = n if everything else counts[i]
        own = advance(candidates, 0 if everything else starts[i])
        select_best(advance(pointer(values), i * n), everything, own, count, i, doors, found)


@kernel()
def select_row(values: Any, mask: Any, ends: Any, closed: Any, codes: Any, scores: Any) -> None:
    """Fills codes and scores, of shape (k,), with the best of `values`, of shape (n,), as `select_rows` does.

    `mask` is 0 for codes that may not be chosen, or empty; no code of `closed` is chosen: `ends` is 0 and their number.
    """
    doors = Doors(len(mask) > 0, len(closed) > 0, pointer(mask), pointer(ends), pointer(closed))
    found = Found(len(codes), pointer(codes), pointer(scores))
    select_best(pointer(values), True, pointer(closed), len(values), 0, doors, found)


@kernel(inner=True)
def select_best(row: Any, everything: bool, candidates: Any, count: int, i: int, doors: Any, found: Any) -> None:
    """Fills one row with the best of some candidates, or of everything; `i` is its place among the rows of a filter."""
    heap_codes, heap_scores, k = found.codes, found.scores, found.k
    # An empty heap; then sixteen values at a time that are above the worst kept one.
    for place in range(k):
        heap_scores[place] = -np.inf
        heap_codes[place] = EMPTY
    for start in range(0, count, 16):
        bits = (1 << min(16, count - start)) - 1
        if everything and count - start >= 16:
            bits = above(load(row, start, 16), broadcast(heap_scores[0], 16))
        while bits:
            place = start + trailing_zeros(bits)
            bits &= bits - 1
            code = np.int32(place) if everything else candidates[place]
            score = row[code]
            # Codes come in rising order, so a code that only equals the worst kept one comes after it.
            if score > heap_scores[0] and is_open(doors, i, code):
                sift_down(heap_scores, heap_codes, k, score, code)
    finish_row(heap_scores, heap_codes, k)
