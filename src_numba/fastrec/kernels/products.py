"""Products of float32, or of bytes, added lane by lane with the processor's fastest instruction."""

import functools
import os
from typing import Any

from llvmlite import ir
from numba.core.errors import TypingError
from numba.extending import intrinsic

from fastrec.kernels import target
from fastrec.kernels.simd import I32, Vector, declare, fuse, pick_lanes

# The ways to add products: elements of float32, or four products of a byte (0 to 255) and an int8 in each int32 lane.
FLOAT, PORTABLE, AVX2, AVX_VNNI, AVX512_VNNI, NEON = range(6)


@intrinsic  # type: ignore[misc]
def accumulate(context: Any, way: Any, items: Vector, query: Vector, total: Vector) -> Any:
    """Returns total + items · query in each lane, by the instructions that the `Static` way names.

    With AVX2 the query must be within ±64: sums of two products are kept in int16 there. NEON takes the bytes less 128.
    A way that the processor lacks is refused.
    """
    if way.value != FLOAT and way.value not in runnable_ways().values():
        raise TypingError(f"the processor that Numba compiles for does not have way {way.value} to add products")
    build = _WAYS[way.value]

    def build_call(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        return build(builder, *args[1:])

    return total(way, items, query, total), build_call


def _add_floats(builder: Any, items: Any, query: Any, total: Any) -> Any:
    return fuse(builder, items, query, total)


def _bytes(builder: Any, vector: Any) -> Any:
    return builder.bitcast(vector, ir.VectorType(ir.IntType(8), 4 * vector.type.count))


def _add_portably(builder: Any, items: Any, query: Any, total: Any) -> Any:
    lanes = total.type.count
    wide = ir.VectorType(I32, 4 * lanes)
    products = builder.mul(builder.zext(_bytes(builder, items), wide), builder.sext(_bytes(builder, query), wide))
    # Neighbouring products are added twice, so that four become one.
    for _ in range(2):
        half = products.type.count // 2
        none = ir.Constant(products.type, ir.Undefined)
        even = ir.Constant(ir.VectorType(I32, half), list(range(0, 2 * half, 2)))
        odd = ir.Constant(ir.VectorType(I32, half), list(range(1, 2 * half, 2)))
        products = builder.add(
            builder.shuffle_vector(products, none, even), builder.shuffle_vector(products, none, odd)
        )
    return builder.add(total, products)


def _in_parts(count: int, call: Any) -> Any:
    """Turns a way for registers of `count` int32 into one for vectors of more lanes."""

    def build(builder: Any, items: Any, query: Any, total: Any) -> Any:
        # Each part by its own instruction, then all parts together again.
        parts = [
            call(builder, *(pick_lanes(builder, vector, start, count) for vector in (items, query, total)))
            for start in range(0, total.type.count, count)
        ]
        while len(parts) > 1:
            places = ir.Constant(ir.VectorType(I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
            parts = [builder.shuffle_vector(a, b, places) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return build


def _add_by(name: str) -> Any:
    def build(builder: Any, items: Any, query: Any, total: Any) -> Any:
        return builder.call(declare(builder, name, total.type, [total.type] * 3), [total, items, query])

    return build


def _add_avx2(builder: Any, items: Any, query: Any, total: Any) -> Any:
    # Products of two, then of four bytes, are added; LLVM names the instructions.
    eight, sixteen = ir.VectorType(ir.IntType(8), 32), ir.VectorType(ir.IntType(16), 16)
    pairs = declare(builder, "llvm.x86.avx2.pmadd.ub.sw", sixteen, [eight, eight])
    fours = declare(builder, "llvm.x86.avx2.pmadd.wd", total.type, [sixteen, sixteen])
    two = builder.call(pairs, [_bytes(builder, items), _bytes(builder, query)])
    return builder.add(total, builder.call(fours, [two, ir.Constant(sixteen, [1] * 16)]))


def _add_neon(builder: Any, items: Any, query: Any, total: Any) -> Any:
    # Written as text: LLVM's list of features may lack the instruction, and LLVM would then end the process.
    items = _bytes(builder, items)
    signed = builder.xor(items, ir.Constant(items.type, [-128] * 16))
    kind = ir.FunctionType(total.type, [total.type, items.type, items.type])
    text = ".arch_extension dotprod\nsdot $0.4s, $2.16b, $3.16b"
    return builder.asm(kind, text, "=w,0,w,w", [total, signed, _bytes(builder, query)], False)


_WAYS = {
    FLOAT: _add_floats,
    PORTABLE: _add_portably,
    AVX2: _in_parts(8, _add_avx2),
    AVX_VNNI: _in_parts(8, _add_by("llvm.x86.avx512.vpdpbusd.256")),
    AVX512_VNNI: _in_parts(16, _add_by("llvm.x86.avx512.vpdpbusd.512")),
    NEON: _in_parts(4, _add_neon),
}


@functools.cache
def byte_way() -> int:
    """Returns the fastest way to add products of bytes on the CPU for which Numba compiles.

    The environment variable FASTREC_INT8 may name another one: portable, avx2, avx_vnni, avx512_vnni or neon.
    """
    ways = runnable_ways()
    wanted = os.environ.get("FASTREC_INT8", "")
    if wanted and wanted not in ways:
        raise ValueError(f"FASTREC_INT8 must be one of {', '.join(map(repr, ways))} on this CPU, got {wanted!r}")
    return ways[wanted] if wanted else next(iter(ways.values()))


def runnable_ways() -> dict[str, int]:
    """Lists the ways to add products of bytes that the CPU has, the fastest first."""
    ways = {"avx512_vnni": AVX512_VNNI, "avx_vnni": AVX_VNNI, "avx2": AVX2, "neon": NEON}
    return {**{name: way for name, way in ways.items() if target.has(name)}, "portable": PORTABLE}
