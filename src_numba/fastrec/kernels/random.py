"""Random numbers by counting: the n-th of a stream is a function of its seed and n, so the order of work does not
change it.

SplitMix64 (Steele, Lea, Flood 2014): a Weyl sequence through a finalizer that passes BigCrush.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
HALF = np.uint64(32)
GOLDEN32 = np.uint32(0x9E3779B9)


@kernel(inline=True)
def random_bits(seed: Any, number: Any) -> Any:
    """Returns the 64 random bits with this number, a non-negative integer, in the stream of `seed`, a uint64."""
    z = seed + (np.uint64(number) + np.uint64(1)) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@kernel(inline=True)
def random_below(seed: Any, number: Any, n: Any) -> int:
    """Returns an integer from 0 to n - 1, n below 2³²; all are equally likely, up to a share of n / 2³²."""
    return np.int64(((random_bits(seed, number) >> HALF) * np.uint64(n)) >> HALF)


@kernel(inline=True)
def random_uniform(seed: Any, number: Any) -> Any:
    """Returns a float32 from [0, 1), of 24 random bits."""
    return np.float32(random_bits(seed, number) >> np.uint64(40)) * np.float32(2.0**-24)


@kernel(inline=True)
def random_bits32(seed: Any, number: Any) -> Any:
    """Returns the 32 random bits with this number in the stream of `seed`, both uint32 (MurmurHash3's finalizer).

    It is for loops over 32-bit numbers, of which the compiler computes eight or sixteen at a time.
    """
    x = np.uint32(np.uint32(np.uint32(number) * GOLDEN32) ^ seed)
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ np.uint32(x >> np.uint32(16)))
