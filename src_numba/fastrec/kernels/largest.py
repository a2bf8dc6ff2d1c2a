"""The k largest of many float32, by counting: a few instructions count how many of sixteen are above a number.

Values are given by pointer; their number is a multiple of 16. A value of -inf, which only the last 16 may hold, does
not count.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.simd import (
    above,
    at_least,
    broadcast,
    count_ones,
    keep_reaching,
    load,
    maximum,
    minimum,
    reduce_maximum,
    reduce_minimum,
    store,
    trailing_zeros,
)

LOWEST = np.finfo(np.float32).min
FEW = 32  # up to so many values each one is counted; for more, bisection brackets the k-th largest


@kernel(inner=True)
def find_kth_largest(values: Any, n: int, k: int) -> float:
    """Returns the k-th largest of at least k values."""
    return count_down(values, n, k) if n <= FEW else bisect(values, n, k)


@kernel(inner=True)
def count_down(values: Any, n: int, k: int) -> float:
    """Returns the k-th largest of few values: the smallest value with fewer than k values above it."""
    smallest = np.float32(np.inf)
    for at in range(n):
        value = values[at]
        smallest = min(smallest, value if count_above(values, n, value, False) < k else np.float32(np.inf))
    return smallest


@kernel(inner=True)
def bisect(values: Any, n: int, k: int) -> float:
    """Returns the k-th largest value: bisection brackets the number that k values reach."""
    low, high = find_smallest(values, n, LOWEST), find_largest(values, n)
    # If k values equal the largest one, it is the answer.
    if count_above(values, n, high, True) >= k:
        return high
    while True:
        # Halves the bracket; it ends when k values reach the middle, or no float32 lies within.
        middle = np.float32(0.5) * low + np.float32(0.5) * high
        if not (low < middle and middle < high):
            return low
        count = count_above(values, n, middle, True)
        if count == k:
            return find_smallest(values, n, middle)
        if count > k:
            low = middle
        else:
            high = middle


@kernel(inner=True)
def choose_largest(values: Any, n: int, places: Any, k: int, tops: Any, spots: Any) -> None:
    """Fills the places of the k largest values, in their order; among equal values the first ones.

    `tops` (float32) and `spots` (int32) are work arrays of n + 16 numbers. The values are cut into about 2 k groups: at
    least k values, and few more, reach the k-th largest of the groups' maxima. Only these are read again.
    """
    stride, limit = (k + 7) // 8 * 16, np.float32(-np.inf)
    # The values that reach the k-th largest of the groups' maxima, and the k-th largest of these.
    if n >= 2 * stride:
        limit = find_kth_of_groups(values, n, stride, k, tops)
    count = gather_reaching(values, n, limit, tops, spots)
    store(tops, count, broadcast(np.float32(-np.inf), 16))
    low = find_kth_largest(tops, padded_width(count), k)
    # The values above it, and as many of those equal to it as there are places left, the first ones first.
    found, equal = 0, k
    for at in range(count):
        equal -= tops[at] > low
    for at in range(count):
        if tops[at] > low or (tops[at] == low and equal > 0):
            equal -= tops[at] == low
            places[found] = spots[at]
            found += 1


@kernel(inner=True)
def gather_largest(values: Any, n: int, places: Any, most: int, tops: Any, spots: Any) -> int:
    """Fills the places of some of the largest values, in their order, about two thirds of `most`; returns their number.
    It is for callers that need no exact number: the values are those that reach a limit, which is found faster.
    """
    stride, count = padded_width(most), most + 1
    if n >= 2 * stride:
        count = gather_reaching(values, n, find_kth_of_groups(values, n, stride, (most + 1) // 2, tops), tops, spots)
    if count > most:
        choose_largest(values, n, places, most, tops, spots)
        return most
    for at in range(count):
        places[at] = spots[at]
    return count


@kernel(inner=True)
def find_kth_of_groups(values: Any, n: int, stride: int, k: int, tops: Any) -> float:
    """Returns the k-th largest of the maxima of `stride` groups of values, each of two at least."""
    for start in range(0, stride, 16):
        largest = load(values, start, 16)
        for at in range(start + stride, n, stride):
            largest = maximum(load(values, at, 16), largest)
        store(tops, start, largest)
    return find_kth_largest(tops, stride, k)


@kernel(inner=True)
def gather_reaching(values: Any, n: int, limit: float, tops: Any, spots: Any) -> int:
    """Fills the values that are finite and at least a limit, and their places; returns their number."""
    count, limits = 0, broadcast(max(limit, LOWEST), 16)
    for start in range(0, n, 16):
        bits = at_least(load(values, start, 16), limits)
        while bits:
            at = start + trailing_zeros(bits)
            bits &= bits - 1
            tops[count] = values[at]
            spots[count] = at
            count += 1
    return count


@kernel(inline=True, inner=True)
def count_above(values: Any, n: int, limit: float, equal: bool) -> int:
    """Counts the values above a limit, or with `equal` also those equal to it."""
    count, limits = 0, broadcast(limit, 16)
    for start in range(0, n, 16):
        part = load(values, start, 16)
        count += count_ones(at_least(part, limits) if equal else above(part, limits))
    return count


@kernel(inner=True)
def find_smallest(values: Any, n: int, limit: float) -> float:
    """Returns the smallest value that is not below a limit."""
    limits, infinity = broadcast(limit, 16), broadcast(np.float32(np.inf), 16)
    smallest = infinity
    for start in range(0, n, 16):
        smallest = minimum(keep_reaching(load(values, start, 16), limits, infinity), smallest)
    return reduce_minimum(smallest)


@kernel(inner=True)
def find_largest(values: Any, n: int) -> float:
    """Returns the largest value."""
    largest = load(values, 0, 16)
    for start in range(16, n, 16):
        largest = maximum(load(values, start, 16), largest)
    return reduce_maximum(largest)
