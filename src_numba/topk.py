"""The best k by exact scores: heaps, float64 products in a fixed order, and the final ranking of candidates.

Order is always (score descending, code ascending). A heap of the best k holds its worst member at the root.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import (
    above,
    add,
    broadcast,
    load,
    load_part,
    multiply,
    multiply_add,
    reduce_add,
    subtract,
    trailing_zeros,
    widen,
)

LARGEST = float(np.finfo(np.float32).max)
INNER_PRODUCT, COSINE, SQUARED_DISTANCE = 0, 1, 2


@kernel(inline=True)
def sift_down(scores: Any, codes: Any, start: int, size: int, score: float, code: int) -> None:
    """Puts (score, code) at the root of the heap in places start … start + size - 1, whose root has been taken."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        left, right = start + child, start + child + 1
        if child + 1 < size and (
            scores[right] < scores[left] or (scores[right] == scores[left] and codes[right] > codes[left])
        ):
            child, left = child + 1, right
        if score < scores[left] or (score == scores[left] and code >= codes[left]):
            break
        scores[start + at] = scores[left]
        codes[start + at] = codes[left]
        at = child
    scores[start + at] = score
    codes[start + at] = code


@kernel(inline=True)
def sort_heap(scores: Any, codes: Any, start: int, size: int) -> None:
    """Turns a heap into a row with the best first."""
    for last in range(size - 1, 0, -1):
        score, code = scores[start + last], codes[start + last]
        scores[start + last] = scores[start]
        codes[start + last] = codes[start]
        sift_down(scores, codes, start, last, score, code)


@kernel(inline=True)
def insert(scores: Any, codes: Any, size: int, score: float, code: int) -> int:
    """Adds a member to a heap that is not full; returns its new size."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if scores[parent] < score or (scores[parent] == score and codes[parent] >= code):
            break
        scores[at] = scores[parent]
        codes[at] = codes[parent]
        at = parent
    scores[at] = score
    codes[at] = code
    return size + 1


@kernel(inline=True)
def offer(scores: Any, codes: Any, size: int, score: float, code: int) -> int:
    """Puts (score, code) into the heap of the best len(scores), if it belongs there; returns the heap's size."""
    if size < len(scores):
        return insert(scores, codes, size, score, code)
    if score > scores[0] or (score == scores[0] and code < codes[0]):
        sift_down(scores, codes, 0, size, score, code)
    return size


@kernel(inline=True)
def finish_row(scores: Any, codes: Any, size: int) -> None:
    """Sorts a heap, best first, and marks the places behind it as empty."""
    sort_heap(scores, codes, 0, size)
    for place in range(size, len(codes)):
        scores[place] = -np.inf
        codes[place] = -1


@kernel(inline=True)
def contains(codes: Any, start: int, stop: int, code: int) -> bool:
    """Whether `code` is among the sorted codes[start:stop]."""
    while start < stop:
        middle = (start + stop) >> 1
        if codes[middle] < code:
            start = middle + 1
        elif codes[middle] > code:
            stop = middle
        else:
            return True
    return False


@kernel(inline=True)
def is_open(code: int, row: int, mask: Any, exclude_starts: Any, exclude_codes: Any) -> bool:
    """Whether a filter leaves `code` to the query `row`; an empty mask or empty starts filter nothing."""
    if len(mask) and mask[code] == 0:
        return False
    if len(exclude_starts):
        return not contains(exclude_codes, exclude_starts[row], exclude_starts[row + 1], code)
    return True


@kernel(inline=True)
def sum_products(a: Any, a_at: int, b: Any, b_at: int, d: int) -> float:
    """Σ a·b of float32 numbers in float64, lane by lane: products are exact, so the bits are the same on every CPU."""
    total = broadcast(np.float64(0), 16)
    whole = d - d % 16
    for j in range(0, whole, 16):
        total = multiply_add(widen(load(a, a_at + j, 16)), widen(load(b, b_at + j, 16)), total)
    if whole < d:
        left, right = load_part(a, a_at + whole, d - whole, 16), load_part(b, b_at + whole, d - whole, 16)
        total = multiply_add(widen(left), widen(right), total)
    return reduce_add(total)


@kernel(inline=True)
def sum_squared_differences(a: Any, a_at: int, b: Any, b_at: int, d: int) -> float:
    """Σ (a - b)² in float64; each step rounded, never fused, for the same bits on every CPU."""
    total = broadcast(np.float64(0), 16)
    whole = d - d % 16
    for j in range(0, whole, 16):
        difference = subtract(widen(load(a, a_at + j, 16)), widen(load(b, b_at + j, 16)))
        total = add(total, multiply(difference, difference))
    if whole < d:
        left, right = load_part(a, a_at + whole, d - whole, 16), load_part(b, b_at + whole, d - whole, 16)
        difference = subtract(widen(left), widen(right))
        total = add(total, multiply(difference, difference))
    return reduce_add(total)


@kernel(inline=True)
def score_exactly(vectors: Any, code: int, queries: Any, row: int, metric: int, norms: Any, query_norm: float) -> Any:
    """The score in float64, rounded to float32; what float32 cannot hold is its largest number."""
    d = vectors.shape[1]
    if metric == SQUARED_DISTANCE:
        score = -sum_squared_differences(vectors, code * d, queries, row * d, d)
    else:
        score = sum_products(vectors, code * d, queries, row * d, d)
        if metric == COSINE:
            length = norms[code] * query_norm
            score = score / length if length > 0 else 0.0
    return np.float32(min(max(score, -LARGEST), LARGEST))


@kernel()
def measure_rows(vectors: Any, norms: Any) -> int:
    """Fills the float64 norm of each row; returns the first row that is not finite, or -1."""
    n, d = vectors.shape
    for i in range(n):
        norms[i] = np.sqrt(sum_products(vectors, i * d, vectors, i * d, d))
        if not norms[i] < np.inf:
            return i
    return -1


@kernel()
def rank_candidates(
    vectors: Any, norms: Any, metric: int, queries: Any, query_norms: Any, first: int, starts: Any, counts: Any,
    listed: Any, filtered: bool, mask: Any, exclude_starts: Any, exclude_codes: Any, codes: Any, scores: Any,
) -> None:  # fmt: skip
    """Fills rows of codes and scores with the best k candidates by exact score.

    Query i has the candidates listed[starts[i] : starts[i] + counts[i]], or where counts[i] is below 0 all vectors.
    `first` is the place of query 0 among the rows of the filter; `filtered` says that the list has been filtered.
    """
    for i in range(len(counts)):
        everything = counts[i] < 0
        # A query of zeros gives all the score 0 under these metrics: the first codes are the best.
        level = everything and query_norms[i] == 0 and metric != SQUARED_DISTANCE
        size = 0
        heap_codes, heap_scores = codes[i], scores[i]
        for c in range(len(vectors) if everything else counts[i]):
            code = np.int32(c) if everything else listed[starts[i] + c]
            if (everything or not filtered) and not is_open(code, first + i, mask, exclude_starts, exclude_codes):
                continue
            score = score_exactly(vectors, code, queries, i, metric, norms, query_norms[i])
            size = offer(heap_scores, heap_codes, size, score, code)
            if level and size == len(heap_codes):
                break
        finish_row(heap_scores, heap_codes, size)


@kernel()
def select_rows(
    values: Any, starts: Any, counts: Any, listed: Any, mask: Any, exclude_starts: Any, exclude_codes: Any, codes: Any,
    scores: Any,
) -> None:  # fmt: skip
    """Fills rows of codes and scores with the best k of each row of float32 values; NaN and -inf are never chosen.

    Row i may choose from listed[starts[i] : starts[i] + counts[i]], or where counts[i] is below 0 from all.
    """
    n = values.shape[1]
    for i in range(len(values)):
        heap_codes, heap_scores = codes[i], scores[i]
        size, limit = 0, np.float32(-np.inf)
        for c in range(counts[i]):
            code = listed[starts[i] + c]
            score = values[i, code]
            if score > -np.inf and is_open(code, i, mask, exclude_starts, exclude_codes):
                size = offer(heap_scores, heap_codes, size, score, code)
        for start in range(0, n if counts[i] < 0 else 0, 16):
            if start + 16 <= n:
                bits = above(load(values, i * n + start, 16), broadcast(limit, 16))
            else:
                bits = (1 << (n - start)) - 1
            while bits:
                code = np.int32(start + trailing_zeros(bits))
                bits &= bits - 1
                score = values[i, code]
                # Codes come in rising order, so one that only equals the worst kept is behind it.
                if score > limit and is_open(code, i, mask, exclude_starts, exclude_codes):
                    size = offer(heap_scores, heap_codes, size, score, code)
                    if size == len(heap_scores):
                        limit = heap_scores[0]
        finish_row(heap_scores, heap_codes, size)
