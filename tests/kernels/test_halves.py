"""float16 and float32 are converted by integers, and numbers rounded by them, to the bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import types
from numba.extending import intrinsic

from fastrec.kernels import halves, simd
from fastrec.kernels._jit import kernel
from fastrec.kernels.lanes import padded_width
from fastrec.kernels.simd import Vector


def by_integers(define, source, result):
    """Makes an intrinsic of sixteen lanes from a function that builds LLVM's code."""

    @intrinsic
    def convert(context, value):
        def build_it(ctx, builder, signature, args):
            return define(builder, args[0])

        return Vector(result, 16)(Vector(source, 16)), build_it

    return convert


WIDEN = by_integers(halves.widened_by_integers, types.uint16, types.float32)
NARROW = by_integers(halves.narrowed_by_integers, types.float32, types.uint16)
ROUND = by_integers(simd.rounded_by_integers, types.float32, types.float32)


@kernel()
def widen_all(source, out):
    for at in range(0, len(source), 16):
        simd.store(out, at, WIDEN(simd.load(source, at, 16)))


@kernel()
def narrow_all(source, out):
    for at in range(0, len(source), 16):
        simd.store(out, at, NARROW(simd.load(source, at, 16)))


@kernel()
def round_all(source, out):
    for at in range(0, len(source), 16):
        simd.store(out, at, ROUND(simd.load(source, at, 16)))


def narrowed(values):
    out = np.empty(len(values), np.uint16)
    narrow_all(values, out)
    return out


def test_all_halves_are_widened_to_the_bit():
    every, out = np.arange(1 << 16).astype(np.uint16), np.empty(1 << 16, np.float32)
    widen_all(every, out)
    expected = every.view(np.float16).astype(np.float32).view(np.uint32)
    nan = np.isnan(out)
    assert np.array_equal(nan, np.isnan(every.view(np.float16)))
    assert np.array_equal(out.view(np.uint32)[~nan], expected[~nan])
    assert (out.view(np.uint32)[nan] & 0x00400000).all(), "a quiet NaN"


def test_all_halves_and_what_lies_beside_and_between_them_are_narrowed_to_the_bit():
    every = np.arange(1 << 16).astype(np.uint16).view(np.float16).astype(np.float32)
    every = every[np.isfinite(every)]
    between = (every[:-1].astype(np.float64) + every[1:]).astype(np.float32) / 2
    values = np.concatenate([every, between, [np.inf, -np.inf, 1e9, -1e9, 65519.996, 65520, 1e-45]]).astype(np.float32)
    values = np.concatenate([values, np.nextafter(values, np.float32(9e9)), np.nextafter(values, np.float32(-9e9))])
    values = np.resize(values, padded_width(len(values)))
    with np.errstate(over="ignore"):
        assert np.array_equal(narrowed(values), values.astype(np.float16).view(np.uint16))
    assert np.isnan(narrowed(np.full(16, np.nan, np.float32)).view(np.float16)).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=16, max_size=16))
def test_any_numbers_are_narrowed_and_rounded_as_numpy_does(numbers):
    values, out = np.array(numbers, np.float32), np.empty(16, np.float32)
    with np.errstate(over="ignore"):
        assert np.array_equal(narrowed(values), values.astype(np.float16).view(np.uint16))
    round_all(values, out)
    assert np.array_equal(out.view(np.uint32), np.rint(values).view(np.uint32))


def test_numbers_about_halfway_are_rounded_to_the_bit():
    values = np.concatenate([np.arange(-512, 512) / 4, 2.0**22 + np.arange(-512, 512) / 4]).astype(np.float32)
    out = np.empty_like(values)
    round_all(values, out)
    assert np.array_equal(out.view(np.uint32), np.rint(values).view(np.uint32))
