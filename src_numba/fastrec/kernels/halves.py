"""Conversions between float16 and float32, by the processor's instruction or, with the same bits, by integers.

The halves are integers of 16 bits to LLVM: its own float16 becomes library calls if the processor lacks the type. All
functions take numbers and vectors.
"""

from typing import Any

from llvmlite import ir

from fastrec.kernels import target

SHORT, INT, FLOAT, HALF = ir.IntType(16), ir.IntType(32), ir.FloatType(), ir.HalfType()
SIGN, INFINITY, QUIET = 0x80000000, 0x7F800000, 0x00400000
REBIASED = (127 - 15) << 23  # difference of the exponents' biases of float32 and float16
LOWEST_NORMAL, BEYOND = 113 << 23, 143 << 23  # float32: 2⁻¹⁴, and 2¹⁶, from which on every number is infinite


def _like(value: Any, element: Any) -> Any:
    """Returns a type of as many lanes as `value` has."""
    return ir.VectorType(element, value.type.count) if isinstance(value.type, ir.VectorType) else element


def _constant(kind: Any, number: float) -> Any:
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def to_floats(builder: Any, halves: Any) -> Any:
    """Returns the float32 of the bits of float16."""
    if target.has("float16"):
        return builder.fpext(builder.bitcast(halves, _like(halves, HALF)), _like(halves, FLOAT))
    return widened_by_integers(builder, halves)


def to_halves(builder: Any, floats: Any) -> Any:
    """Returns the bits of the nearest float16; halfway, of the even one."""
    if target.has("float16"):
        return builder.bitcast(builder.fptrunc(floats, _like(floats, HALF)), _like(floats, SHORT))
    return narrowed_by_integers(builder, floats)


def widened_by_integers(builder: Any, halves: Any) -> Any:
    """Does `to_floats` on any processor."""
    ints, floats = _like(halves, INT), _like(halves, FLOAT)
    bits = builder.zext(halves, ints)
    sign = builder.shl(builder.and_(bits, _constant(ints, 0x8000)), _constant(ints, 16))
    size = builder.and_(bits, _constant(ints, 0x7FFF))
    normal = builder.add(builder.shl(size, _constant(ints, 13)), _constant(ints, REBIASED))
    small = builder.bitcast(builder.fmul(builder.sitofp(size, floats), _constant(floats, 2.0**-24)), ints)
    special = builder.add(normal, _constant(ints, REBIASED))
    quiet = builder.or_(special, _constant(ints, QUIET))
    value = builder.select(builder.icmp_unsigned("<", size, _constant(ints, 0x0400)), small, normal)
    value = builder.select(builder.icmp_unsigned(">=", size, _constant(ints, 0x7C00)), special, value)
    value = builder.select(builder.icmp_unsigned(">", size, _constant(ints, 0x7C00)), quiet, value)
    return builder.bitcast(builder.or_(sign, value), floats)


def narrowed_by_integers(builder: Any, floats: Any) -> Any:
    """Does `to_halves` on any processor."""
    ints, kind = _like(floats, INT), floats.type
    bits = builder.bitcast(floats, ints)
    sign = builder.and_(bits, _constant(ints, SIGN))
    size = builder.xor(bits, sign)
    # The last bit kept decides the direction in which a half is rounded.
    last = builder.and_(builder.lshr(size, _constant(ints, 13)), _constant(ints, 1))
    rounded = builder.add(builder.add(size, _constant(ints, 0xFFF - REBIASED)), last)
    normal = builder.lshr(rounded, _constant(ints, 13))
    # The last bit of 1/2 is 2⁻²⁴, so adding 1/2 rounds a number below 2⁻¹⁴.
    half = _constant(kind, 0.5)
    small = builder.sub(
        builder.bitcast(builder.fadd(builder.bitcast(size, kind), half), ints), _constant(ints, 126 << 23)
    )
    nan = builder.or_(
        builder.lshr(builder.and_(size, _constant(ints, 0x7FFFFF)), _constant(ints, 13)), _constant(ints, 0x7E00)
    )
    value = builder.select(builder.icmp_unsigned("<", size, _constant(ints, LOWEST_NORMAL)), small, normal)
    value = builder.select(builder.icmp_unsigned(">=", size, _constant(ints, BEYOND)), _constant(ints, 0x7C00), value)
    value = builder.select(builder.icmp_unsigned(">", size, _constant(ints, INFINITY)), nan, value)
    value = builder.or_(value, builder.lshr(sign, _constant(ints, 16)))
    return builder.trunc(value, _like(floats, SHORT))
