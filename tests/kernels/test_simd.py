"""The ways to multiply bytes agree with plain NumPy; the one that cannot run here is compiled for its own CPU."""

import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from fastrec.kernels import simd
from fastrec.kernels._jit import Static, kernel


@kernel()
def add_products(way, items, query, totals):
    total = simd.load(totals, 0, 16)
    simd.store(totals, 0, simd.accumulate(way, simd.load(items, 0, 16), simd.load(query, 0, 16), total))


@pytest.mark.parametrize("name", ["portable", "avx2", "avx_vnni", "avx512_vnni", "neon"])
def test_ways_to_multiply_bytes_agree(name):
    ways = simd.runnable_ways()
    if name not in ways:
        pytest.skip(f"this CPU has no {name}")
    random = np.random.default_rng(0)
    limit = 63 if name == "avx2" else 127
    items = random.integers(1, 256, 64).astype(np.uint8)
    items[:8], query = 255, random.integers(-limit, limit + 1, 64).astype(np.int8)
    query[:8] = limit  # the largest sum that a lane can have
    totals = random.integers(-1000, 1000, 16).astype(np.int32)
    shift = 128 if name == "neon" else 0
    wanted = totals + ((items.astype(int) - shift) * query).reshape(16, 4).sum(axis=1)
    add_products(Static(ways[name]), items.view(np.int32), query.view(np.int32), totals)
    np.testing.assert_array_equal(totals, wanted)


def test_neon_is_its_own_instruction():
    """Where there is no such processor, its code is made and read by LLVM, and not run."""
    vector = ir.VectorType(ir.IntType(32), 16)
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(vector, [vector] * 3), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(simd._WAYS[simd.NEON](builder, *function.args))
    assert len(re.findall(r"sdot ", str(llvm.parse_assembly(str(module))))) == 4


@kernel()
def widen_row(row, count, numbers):
    wide = simd.load_double(row, 0, count, 16)
    numbers[0] = simd.reduce_add(wide)
    numbers[1] = simd.above(wide, simd.broadcast(0.0, 16))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("count", [0, 1, 7, 16])
def test_loads_stop_where_they_are_told(count, dtype):
    row = np.arange(1, 17).astype(dtype)
    numbers = np.zeros(2)
    widen_row(row.view(np.uint16) if dtype == np.float16 else row, count, numbers)
    assert numbers[0] == row[:count].astype(float).sum()
    assert numbers[1] == 2**count - 1


@kernel()
def round_halves(halves, numbers):
    simd.store(numbers, 0, simd.widen(simd.load(halves, 0, 16)))


def test_halves_widen_exactly():
    halves = np.array([0, 1, -2.5, 65504, 6e-8, np.inf, -np.inf, 0.1] * 2, np.float16)
    numbers = np.zeros(16, np.float32)
    round_halves(halves.view(np.uint16), numbers)
    np.testing.assert_array_equal(numbers, halves.astype(np.float32))
