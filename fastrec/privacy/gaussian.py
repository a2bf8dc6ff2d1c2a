"""Gaussian noise in integers, from random bytes, by integer arithmetic alone.

Noise in floating point gives data away by its last bits (Mironov 2012). Here, sums are integers, and what is added is
the discrete Gaussian, P(k) ∝ exp(-k² / 2σ²), with σ of 5.5 million steps. It is put together of two small ones, whose
tables are computed with 320 bits:

    z = x₀ + 1340 x₁,    σ² = 4096² (1 + 1340²).

**Sums of Gaussians are Gaussian, nearly.** P(x₀ + k x₁ = n) is proportional to exp(-n² / 2σ²) times the sum over all
integers j of exp(-(j - c)² / 2w²), with w = 4096 / √(1 + k²) = 3.056 and a c that depends on n. By Poisson's formula
that sum is w √2π up to a relative 2.1 exp(-2π² w²) < 2⁻²⁶⁴, whatever c is.

**The discrete Gaussian protects as the continuous one does, nearly.** Whoever has f + N(0, s²) of the continuous
mechanism can round it at random to an integer z, with probabilities in proportion to exp(-(z - f - N)² / 2τ²). By the
same formula, with τ = 3.056, the result is f plus the discrete Gaussian of σ² = s² + τ², up to twice that error.
Any function of a private release is as private, so the release is as private as that of the continuous mechanism with
s > σ (1 - 2⁻⁴⁰).

With the errors of the table (2⁻²⁵⁵ for each of 155 649 values, 2⁻²⁵⁸ for what lies beyond 19 σ), what is drawn and what
it stands for differ in total variation by less than `DISTANCE` = 2⁻²³⁵ for each number. For n numbers that adds
n (1 + exp(ε)) 2⁻²³⁵ to delta. The steps are in docs/explanation/privacy.md.
"""

import functools
import math
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal, localcontext
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.gaussian import Numbers, place_numbers
from fastrec.matrix.arrays import readonly

Source: TypeAlias = Callable[[int], bytes]
"""A function that returns so many random bytes: `os.urandom`, except in tests."""

WIDTH, FACTOR = 4096, 1340  # σ of the small Gaussians, and the factor of the second one
REACH = 19 * WIDTH  # the largest distance of a small value from 0
DIGITS, BITS = 320, 256  # of the numbers that the table is made of, and of those in it
HEAD = 32  # bits that nearly always decide the value

SIGMA = WIDTH * math.hypot(1, FACTOR)
"""The standard deviation of the noise: 5.49e6 steps."""

EFFECTIVE_SIGMA = SIGMA * (1 - 2.0**-40)
"""The standard deviation of a continuous Gaussian that protects no better."""

DISTANCE = 2.0**-235

MOST_NUMBERS = 2**40
"""The maximum number of released numbers of a fit, for which the distance is counted."""


def noise_delta(epsilon: float, numbers: int) -> float:
    """The addition to delta for so many numbers that have this noise in place of a continuous Gaussian's.

    >>> noise_delta(5.0, 10**6) < 1e-60
    True
    """
    return numbers * (1 + math.exp(epsilon)) * DISTANCE


class _Table(NamedTuple):
    """The chances of a small value: with 2²⁵⁶ as 1, it is at most j - REACH with the chance `thresholds[j]`."""

    thresholds: list[int]
    heads: Numbers  # their first bits
    guide: NDArray[np.int32]  # how many heads are below each multiple of 2^16


@functools.cache
def _table() -> _Table:
    with localcontext() as context:
        context.prec = 110
        root = int((Decimal(-1) / (2 * WIDTH * WIDTH)).exp() * 2**DIGITS)
    square, step, weight = root * root >> DIGITS, root, 1 << DIGITS
    weights = [weight]
    for _ in range(REACH):  # exp(-k²/2σ²), each from the one before it
        weight, step = weight * step >> DIGITS, step * square >> DIGITS
        weights.append(weight)
    sums = list(accumulate(weights[:0:-1] + weights))
    thresholds = [(part << BITS) // sums[-1] for part in sums[:-1]]
    heads = np.array([threshold >> (BITS - HEAD) for threshold in thresholds], np.uint32)
    guide = np.searchsorted(heads, np.arange(2**16 + 1, dtype=np.uint64) << np.uint64(16)).astype(np.int32)
    return _Table(thresholds, readonly(heads), readonly(guide))


def _draw_small(n: int, source: Source) -> NDArray[np.int64]:
    """Values of the small Gaussian: the places of random numbers of 256 bits among the thresholds.

    The bits after the first 32 are drawn only where these are those of a threshold.
    """
    table = _table()
    heads = readonly(np.frombuffer(source(HEAD // 8 * n), "<u4").astype(np.uint32))
    places = np.empty(n, np.int32)
    place_numbers(heads, table.heads, table.guide, places)
    alike = np.take(table.heads, places, mode="clip") == heads
    for place in np.flatnonzero(alike):
        number = (int(heads[place]) << (BITS - HEAD)) + int.from_bytes(source((BITS - HEAD) // 8), "little")
        places[place] = bisect_right(table.thresholds, number)
    return places.astype(np.int64) - REACH


def draw_gaussian(n: int, source: Source) -> NDArray[np.int64]:
    """Values of the discrete Gaussian of standard deviation `SIGMA`.

    >>> import os
    >>> draw_gaussian(3, os.urandom).shape
    (3,)
    """
    small = _draw_small(2 * n, source)
    return small[:n] + FACTOR * small[n:]
