"""The ways to multiply bytes agree with plain NumPy; those that cannot run here are skipped."""

import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from fastrec.kernels import products, simd
from fastrec.kernels._jit import Static, kernel
from fastrec.kernels.products import byte_way, runnable_ways


@kernel()
def add_products(way, items, query, totals):
    total = simd.load(totals, 0, 16)
    simd.store(totals, 0, products.accumulate(way, simd.load(items, 0, 16), simd.load(query, 0, 16), total))


@pytest.mark.parametrize("name", ["portable", "avx2", "avx_vnni", "avx512_vnni", "neon"])
def test_ways_to_multiply_bytes_agree(name):
    ways = products.runnable_ways()
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
    """LLVM reads the instruction's text if it has a parser for ARM: on ARM, and by `make test-arm`."""
    vector = ir.VectorType(ir.IntType(32), 16)
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(vector, [vector] * 3), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(products._WAYS[products.NEON](builder, *function.args))
    assert len(re.findall(r"sdot \$0\.4s, \$2\.16b, \$3\.16b\"", str(llvm.parse_assembly(str(module))))) == 4


def test_the_environment_chooses_the_way(monkeypatch):
    ways = runnable_ways()
    monkeypatch.delenv("FASTREC_INT8", raising=False)
    assert byte_way.__wrapped__() == next(iter(ways.values()))
    monkeypatch.setenv("FASTREC_INT8", "portable")
    assert byte_way.__wrapped__() == ways["portable"]
    monkeypatch.setenv("FASTREC_INT8", "sse9")
    with pytest.raises(ValueError, match=r"FASTREC_INT8 must be one of .*portable. on this CPU, got .sse9."):
        byte_way.__wrapped__()
