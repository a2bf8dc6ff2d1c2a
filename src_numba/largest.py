"""The k largest of many float32, by counting: how many reach a number takes a few instructions for sixteen of them.

Values are given by pointer, as many as a multiple of 16; those of -inf, which only the last 16 may hold, do not count.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel
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
    trailing_zeros,
)

LOWEST = np.finfo(np.float32).min


@kernel(inner=True)
def find_kth_largest(values: Any, n: int, k: int) -> float:
    """The k-th largest value, of at least k: the number that k reach is bracketed by bisection."""
    low, high = find_smallest(values, n, LOWEST), find_largest(values, n)
    if count_above(values, n, high, True) >= k:
        return high
    while True:
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
def choose_largest(values: Any, n: int, places: Any, k: int) -> None:
    """Fills the places of the k largest values, in their order; of equal ones the first."""
    low = find_kth_largest(values, n, k)
    found, equal, limit = 0, k - count_above(values, n, low, False), broadcast(low, 16)
    for start in range(0, n, 16):
        bits = at_least(load(values, start, 16), limit)
        while bits:
            at = start + trailing_zeros(bits)
            bits &= bits - 1
            if values[at] == low:
                if equal == 0:
                    continue
                equal -= 1
            places[found] = at
            found += 1


@kernel(inline=True, inner=True)
def count_above(values: Any, n: int, limit: float, equal: bool) -> int:
    """How many values are above a limit, or equal to it where that counts."""
    count, limits = 0, broadcast(limit, 16)
    for start in range(0, n, 16):
        part = load(values, start, 16)
        count += count_ones(at_least(part, limits) if equal else above(part, limits))
    return count


@kernel(inner=True)
def find_smallest(values: Any, n: int, limit: float) -> float:
    """The smallest value that is not below a limit."""
    limits, infinity = broadcast(limit, 16), broadcast(np.float32(np.inf), 16)
    smallest = infinity
    for start in range(0, n, 16):
        smallest = minimum(keep_reaching(load(values, start, 16), limits, infinity), smallest)
    return reduce_minimum(smallest)


@kernel(inner=True)
def find_largest(values: Any, n: int) -> float:
    """The largest value."""
    largest = load(values, 0, 16)
    for start in range(16, n, 16):
        largest = maximum(load(values, start, 16), largest)
    return reduce_maximum(largest)
