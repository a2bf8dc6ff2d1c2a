"""The best k by exact scores: heaps, float64 products in a fixed order, and the ranking of candidates.

Order is always (score descending, code ascending). A row's best k are kept as a heap with the worst at its root, full
from the beginning: of EMPTY places, which are worse than all others. Helpers take pointers.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import (
    above,
    add,
    broadcast,
    load,
    load_double,
    multiply,
    multiply_add,
    pointer,
    reduce_add,
    subtract,
    trailing_zeros,
)

LARGEST = float(np.finfo(np.float32).max)
EMPTY = 2**31 - 1
INNER_PRODUCT, COSINE, SQUARED_DISTANCE = 0, 1, 2


class Filter(NamedTuple):
    """What queries may choose: arrays, empty where they filter nothing."""

    mask: Any  # uint8, 0 where no query may choose
    starts: Any  # int64: query i leaves out codes[starts[i] : starts[i + 1]]
    codes: Any  # int32, sorted for each query


@kernel()
def sift_down(scores: Any, codes: Any, start: int, size: int, score: float, code: int) -> None:
    """Replaces the root of the heap in places start … start + size - 1 by (score, code)."""
    at = start
    while True:
        child = 2 * at - start + 1
        if child >= start + size:
            break
        other = child + 1
        if other < start + size and (
            scores[other] < scores[child] or (scores[other] == scores[child] and codes[other] > codes[child])
        ):
            child = other
        if score < scores[child] or (score == scores[child] and code >= codes[child]):
            break
        scores[at] = scores[child]
        codes[at] = codes[child]
        at = child
    scores[at] = score
    codes[at] = code


@kernel()
def begin_row(scores: Any, codes: Any, start: int, k: int) -> None:
    """Makes a row a heap of empty places."""
    for place in range(start, start + k):
        scores[place] = -np.inf
        codes[place] = EMPTY


@kernel()
def finish_row(scores: Any, codes: Any, start: int, k: int) -> None:
    """Sorts the heap of a row, the best first, and gives empty places the code -1."""
    for size in range(k - 1, 0, -1):
        score, code = scores[start + size], codes[start + size]
        scores[start + size] = scores[start]
        codes[start + size] = codes[start]
        sift_down(scores, codes, start, size, score, code)
    for place in range(start, start + k):
        if codes[place] == EMPTY:
            codes[place] = -1


@kernel()
def is_open(code: int, row: int, mask: Any, starts: Any, codes: Any, has_mask: bool, has_starts: bool) -> bool:
    """Whether a filter leaves `code` to the query `row`."""
    if has_mask and mask[code] == 0:
        return False
    if has_starts:
        low, high = starts[row], starts[row + 1]
        while low < high:
            middle = (low + high) >> 1
            if codes[middle] == code:
                return False
            if codes[middle] < code:
                low = middle + 1
            else:
                high = middle
    return True


@kernel()
def sum_products(a: Any, b: Any, a_at: int, b_at: int, d: int) -> float:
    """Σ a·b in float64, lane by lane: products of float32 are exact, so the bits are the same on every CPU."""
    total = broadcast(np.float64(0), 16)
    for j in range(0, d - 15, 16):
        total = multiply_add(load_double(a, a_at + j, 16, 16), load_double(b, b_at + j, 16, 16), total)
    rest = d % 16
    if rest:
        left, right = load_double(a, a_at + d - rest, rest, 16), load_double(b, b_at + d - rest, rest, 16)
        total = multiply_add(left, right, total)
    return reduce_add(total)


@kernel()
def sum_squared_differences(a: Any, b: Any, a_at: int, b_at: int, d: int) -> float:
    """Σ (a - b)² in float64; each step rounded, never fused, for the same bits on every CPU."""
    total = broadcast(np.float64(0), 16)
    for j in range(0, d, 16):
        count = min(16, d - j)
        difference = subtract(load_double(a, a_at + j, count, 16), load_double(b, b_at + j, count, 16))
        total = add(total, multiply(difference, difference))
    return reduce_add(total)


@kernel()
def measure_rows(vectors: Any, norms: Any) -> int:
    """Fills the float64 norm of each row; returns the first row that is not finite, or -1."""
    n, d = vectors.shape
    at = pointer(vectors)
    for i in range(n):
        norms[i] = np.sqrt(sum_products(at, at, i * d, i * d, d))
        if not norms[i] < np.inf:
            return i
    return -1


@kernel()
def rank_candidates(
    vectors: Any, norms: Any, metric: int, queries: Any, query_norms: Any, first: int, starts: Any, counts: Any,
    listed: Any, filtered: bool, filters: Any, codes: Any, scores: Any,
) -> None:  # fmt: skip
    """Fills rows of codes and scores with the best k candidates by exact score, in float64 and rounded to float32.

    Query i has the candidates listed[starts[i] : starts[i] + counts[i]], or where counts[i] is below 0 all vectors.
    `first` is the place of query 0 among the rows of the filter; `filtered` says that the list has been filtered. What
    float32 cannot hold is its largest number.
    """
    (n, d), k = vectors.shape, codes.shape[1]
    all_vectors, all_queries = pointer(vectors), pointer(queries)
    heap_codes, heap_scores = pointer(codes), pointer(scores)
    mask, exclude_starts, exclude_codes = pointer(filters.mask), pointer(filters.starts), pointer(filters.codes)
    has_mask, has_starts = len(filters.mask) > 0, len(filters.starts) > 0
    for i in range(len(counts)):
        everything, root, kept = counts[i] < 0, i * k, 0
        begin_row(heap_scores, heap_codes, root, k)
        for c in range(n if everything else counts[i]):
            code = np.int32(c) if everything else listed[starts[i] + c]
            if (everything or not filtered) and not is_open(
                code, first + i, mask, exclude_starts, exclude_codes, has_mask, has_starts
            ):
                continue
            if metric == SQUARED_DISTANCE:
                exact = -sum_squared_differences(all_vectors, all_queries, code * d, i * d, d)
            else:
                exact = sum_products(all_vectors, all_queries, code * d, i * d, d)
                if metric == COSINE:
                    length = norms[code] * query_norms[i]
                    exact = exact / length if length > 0 else 0.0
            score = np.float32(min(max(exact, -LARGEST), LARGEST))
            if score > scores[i, 0] or (score == scores[i, 0] and code < codes[i, 0]):
                sift_down(heap_scores, heap_codes, root, k, score, code)
            kept += 1
            # A query of zeros gives all the score 0 under these metrics: the first codes are the best.
            if everything and kept >= k and query_norms[i] == 0 and metric != SQUARED_DISTANCE:
                break
        finish_row(heap_scores, heap_codes, root, k)


@kernel()
def select_rows(values: Any, starts: Any, counts: Any, listed: Any, filters: Any, codes: Any, scores: Any) -> None:
    """Fills rows of codes and scores with the best k of each row of float32 values; NaN and -inf are never chosen.

    Row i may choose from listed[starts[i] : starts[i] + counts[i]], or where counts[i] is below 0 from all.
    """
    n, k = values.shape[1], codes.shape[1]
    heap_codes, heap_scores = pointer(codes), pointer(scores)
    mask, exclude_starts, exclude_codes = pointer(filters.mask), pointer(filters.starts), pointer(filters.codes)
    has_mask, has_starts = len(filters.mask) > 0, len(filters.starts) > 0
    for i in range(len(values)):
        begin_row(heap_scores, heap_codes, i * k, k)
        for start in range(0, n if counts[i] < 0 else counts[i], 16):
            size = min(16, (n if counts[i] < 0 else counts[i]) - start)
            bits = (1 << size) - 1
            if counts[i] < 0 and size == 16:
                bits = above(load(values, i * n + start, 16), broadcast(scores[i, 0], 16))
            while bits:
                place = start + trailing_zeros(bits)
                bits &= bits - 1
                code = np.int32(place) if counts[i] < 0 else listed[starts[i] + place]
                score = values[i, code]
                # Codes come in rising order, so one that only equals the worst kept is behind it.
                if score > scores[i, 0] and is_open(code, i, mask, exclude_starts, exclude_codes, has_mask, has_starts):
                    sift_down(heap_scores, heap_codes, i * k, k, score, code)
        finish_row(heap_scores, heap_codes, i * k, k)
