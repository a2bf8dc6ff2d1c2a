"""exp, log, sigmoid and softplus of float32 by polynomials: a few multiplications instead of a library call.

NaN gives NaN. The errors stated are the largest found over all floats of the range (tests/kernels).
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import add, broadcast, maximum, minimum, multiply, multiply_add, power_of_two, round_even

FUSE = frozenset({"contract"})  # nothing may be reordered here: the split of ln 2 would be undone

F = np.float32
INVERSE_LN2 = F(1.4426950408889634)
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.12194440e-4)  # their sum is ln 2; multiples of the first are exact
SHIFT = F(12582912.0)  # 1.5 · 2²³: a number added to it is rounded to an integer
LOWEST, HIGHEST = F(-87.0), F(88.0)
ONE, HALF = F(1), F(0.5)


@kernel(inline=True, fastmath=FUSE)
def exp(x: Any) -> Any:
    """Returns e to the power of a float32, with a relative error below 2e-7; x is clipped to -87 … 88."""
    # Clips x; a NaN stays, since no comparison with it is true.
    if x < LOWEST:
        x = LOWEST
    if x > HIGHEST:
        x = HIGHEST
    # x = n · ln 2 + r, with ln 2 in two parts so that r keeps its digits.
    n = (x * INVERSE_LN2 + SHIFT) - SHIFT
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    # The polynomial of eʳ.
    p = F(1.9875691500e-4)  # Cephes' expf: minimax on [-ln 2 / 2, ln 2 / 2]
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r + ONE
    # 2 to the power of n, by its exponent's bits.
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return p * power.view(np.float32)


@kernel(inline=True)
def exp_lanes(x: Any) -> Any:
    """Returns `exp` of each of sixteen lanes: compilers do not make such code from a loop."""
    x = minimum(broadcast(HIGHEST, 16), maximum(broadcast(LOWEST, 16), x))  # in this order a NaN stays
    n = round_even(multiply(x, broadcast(INVERSE_LN2, 16)))
    r = multiply_add(n, broadcast(-LN2_LOW, 16), multiply_add(n, broadcast(-LN2_HIGH, 16), x))
    p = multiply_add(broadcast(F(1.9875691500e-4), 16), r, broadcast(F(1.3981999507e-3), 16))
    p = multiply_add(p, r, broadcast(F(8.3334519073e-3), 16))
    p = multiply_add(p, r, broadcast(F(4.1665795894e-2), 16))
    p = multiply_add(p, r, broadcast(F(1.6666665459e-1), 16))
    p = multiply_add(p, r, broadcast(F(5.0000001201e-1), 16))
    p = multiply_add(multiply(p, r), r, add(r, broadcast(ONE, 16)))
    return multiply(p, power_of_two(n))


@kernel(inline=True, fastmath=FUSE)
def log1p_of_unit(t: Any) -> Any:
    """Returns log(1 + t) of a float32 from 0 to 1, with an absolute error below 1.6e-7."""
    s = t / (t + F(2))  # log(1 + t) = 2 atanh(s), s at most 1/3
    q = s * s
    p = F(1 / 13)
    p = p * q + F(1 / 11)
    p = p * q + F(1 / 9)
    p = p * q + F(1 / 7)
    p = p * q + F(1 / 5)
    p = p * q + F(1 / 3)
    return F(2) * s * (q * p + ONE)


@kernel(inline=True, fastmath=FUSE)
def log(x: Any) -> Any:
    """Returns the natural logarithm of a positive, normal float32, with an error below 3e-7 of max(1, |log x|)."""
    # x = 2ⁿ · m, with m from 1 to 2, read from the bits.
    bits = np.float32(x).view(np.int32)
    n = (bits >> np.int32(23)) - np.int32(127)
    m = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    return F(n) * LN2_HIGH + (log1p_of_unit(m - ONE) + F(n) * LN2_LOW)


@kernel(inline=True, fastmath=FUSE)
def logistic_loss(x: Any) -> tuple[Any, Any]:
    """Returns (sigmoid(-x), log(1 + e⁻ˣ)) of a float32: the negative slope and the loss, with errors below 2e-7.

    The loss's error is relative to max(1, loss).
    """
    # Both follow from e to the power of -|x|, which cannot overflow.
    t = exp(-abs(x))
    share = ONE / (ONE + t)
    loss = log1p_of_unit(t)
    if x < F(0):
        return share, loss - x
    return t * share, loss


@kernel(inline=True, fastmath=FUSE)
def sigmoid(x: Any) -> Any:
    """Returns 1 / (1 + e⁻ˣ) of a float32, with a relative error below 5e-7."""
    return ONE / (ONE + exp(-x))
