"""Random numbers by counting: known values, equal frequencies, and different streams."""

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.random import random_below, random_bits, random_bits32, random_uniform

MASK = 2**64 - 1


@kernel()
def draw(seed, bits, below, uniform, n):
    for k in range(len(bits)):
        bits[k] = random_bits(seed, k)
        below[k] = random_below(seed, k, n)
        uniform[k] = random_uniform(seed, k)


def drawn(seed, size=100_000, n=10):
    out = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.float32)
    draw(np.uint64(seed), *out, n)
    return out


def splitmix64(seed, number):
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_bits_are_those_of_splitmix64():
    # The first three of the published generator with seed 1234567.
    assert drawn(1234567, 3)[0].tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert drawn(2**63 + 5, 50)[0].tolist() == [splitmix64(2**63 + 5, k) for k in range(50)]


def test_integers_are_even_and_in_range():
    _, below, _ = drawn(3)
    counts = np.bincount(below, minlength=10)
    assert len(counts) == 10
    assert np.square(counts - 10_000).sum() / 10_000 < 35  # chi-square, 9 degrees of freedom: p = 6e-5


def test_uniforms_fill_the_unit_interval():
    _, _, uniform = drawn(4)
    assert 0 <= uniform.min() < 1e-3
    assert 0.999 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.005


@kernel()
def draw32(seed, bits):
    for k in range(len(bits)):
        bits[k] = random_bits32(seed, k)


def murmur(x):
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & (2**32 - 1)
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & (2**32 - 1)
    return x ^ (x >> 16)


def test_short_bits_are_those_of_murmurhash_and_even():
    bits = np.empty(100_000, np.uint32)
    draw32(np.uint32(7), bits)
    assert bits[:50].tolist() == [murmur((k * 0x9E3779B9 & (2**32 - 1)) ^ 7) for k in range(50)]
    counts = np.bincount(bits >> 28, minlength=16)
    assert np.square(counts - 6250).sum() / 6250 < 45  # chi-square, 15 degrees of freedom: p = 8e-5
