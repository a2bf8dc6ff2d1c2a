"""The accountant: the cost of Gaussian noise on sums over users, as epsilon and delta.

A release of sums to which one user adds a vector of length at most 1, with Gaussian noise of standard deviation σ, is
μ-GDP with μ = 1/σ. Several releases together are like one whose μ² is the sum of theirs (Dong, Roth, Su 2022). Such a
mechanism is (ε, δ)-private for exactly

    δ(ε) = Φ(μ/2 - ε/μ) - exp(ε) Φ(-μ/2 - ε/μ)                                               (Balle, Wang 2018).

All three functions err on the side of safety, by a relative 1e-10 that is far above their rounding.
"""

import functools
import math
from collections.abc import Callable, Iterable

from scipy.optimize import brentq
from scipy.special import erfcx, ndtr

from fastrec.validation import check_number

SAFETY = 1e-10
SMALLEST_DELTA = 1e-300
LARGEST_MU = 1e4
NARROW = 1e-3  # closer arguments get their difference from the derivative, since the values' own is mostly rounding


def delta_of(mu: float, epsilon: float) -> float:
    """The delta of a μ-GDP mechanism at an epsilon, never below the exact one.

    >>> round(delta_of(1.0, 1.0), 6)
    0.126937
    """
    check_number("mu", mu, minimum=0)
    check_number("epsilon", epsilon, minimum=0)
    if mu == 0:
        return 0.0
    low = epsilon / mu - mu / 2
    if low < -30:
        return float(ndtr(-low))  # the other term subtracts less than a double can represent
    # Both terms contain the factor exp(-low²/2) / 2; without it their difference is far above their rounding.
    difference = _erfcx_difference(epsilon / mu / math.sqrt(2), mu / math.sqrt(8))
    return min(1.0, max(math.exp(-low * low / 2) / 2 * difference * (1 + SAFETY), SMALLEST_DELTA))


def mu_of(epsilon: float, delta: float) -> float:
    """The largest μ whose mechanism is (epsilon, delta)-private, never above the exact one.

    >>> round(mu_of(1.0, 1e-5), 4)
    0.2681
    """
    return _find_mu(check_number("epsilon", epsilon, minimum=0), check_delta(delta))


@functools.lru_cache
def _find_mu(epsilon: float, delta: float) -> float:
    high = _double_until(lambda mu: delta_of(mu, epsilon) >= delta)
    return _find_root(lambda mu: delta_of(mu, epsilon) - delta, high) * (1 - SAFETY)


def epsilon_of(mu: float, delta: float) -> float:
    """The smallest epsilon of a μ-GDP mechanism at a delta, never below the exact one.

    >>> round(epsilon_of(0.2681, 1e-5), 3)
    1.0
    """
    return _find_epsilon(check_number("mu", mu, minimum=0, maximum=LARGEST_MU), check_delta(delta))


@functools.lru_cache
def _find_epsilon(mu: float, delta: float) -> float:
    if delta_of(mu, 0.0) <= delta:
        return 0.0
    high = _double_until(lambda epsilon: delta_of(mu, epsilon) <= delta)
    return _find_root(lambda epsilon: delta_of(mu, epsilon) - delta, high) * (1 + SAFETY)


def compose(mus: Iterable[float]) -> float:
    """The μ of several releases together.

    >>> compose([3.0, 4.0])
    5.0
    """
    return math.hypot(*mus)


def check_delta(delta: float) -> float:
    """A delta above 0 and below 1."""
    return check_number("delta", delta, minimum=SMALLEST_DELTA, maximum=1, below=True)


def _erfcx_difference(middle: float, half: float) -> float:
    """erfcx(middle - half) - erfcx(middle + half)."""
    if half > NARROW:
        return float(erfcx(middle - half) - erfcx(middle + half))
    value = float(erfcx(middle))
    first = 2 * middle * value - 2 / math.sqrt(math.pi)
    third = 4 * first + 2 * middle * (2 * value + 2 * middle * first)
    return -2 * half * (first + half * half / 6 * third)


def _double_until(reached: Callable[[float], bool]) -> float:
    value = 1.0
    while not reached(value):
        value *= 2
    return value


def _find_root(function: Callable[[float], float], high: float) -> float:
    return float(brentq(function, 0.0, high, xtol=1e-300, rtol=1e-14, maxiter=5000))
