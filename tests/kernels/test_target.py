"""No kernel emits an instruction that the processor lacks: each intrinsic is built for minimal processors."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.core.extending import _Intrinsic
from numba.core.registry import cpu_target

import fastrec.kernels
from fastrec.kernels import products, simd, target
from fastrec.kernels._jit import Static, StaticType, kernel
from fastrec.kernels.row import Row
from fastrec.kernels.simd import Vector

FLOAT, INDEX, LANES = types.float32, types.intp, types.literal(16)
FLOATS, SHORTS, BYTES = (types.Array(dtype, 1, "C") for dtype in (types.float32, types.uint16, types.uint8))
V, INTS, WIDE = Vector(types.float32, 16), Vector(types.int32, 16), Vector(types.float64, 8)
ROW, WIDTH, COUNT = Row(32), StaticType(32), types.int64
PLACE = types.CPointer(types.uint8)

# The types of arguments that each intrinsic is built for.
CALLS = {
    "_jit.constant": [(WIDTH,)],
    "addresses.as_floats": [(types.CPointer(types.int32),)],
    "codes.float_at": [(PLACE, INDEX)],
    "codes.half_at": [(PLACE, INDEX)],
    "products.accumulate": [(StaticType(products.PORTABLE), INTS, INTS, INTS), (StaticType(products.FLOAT), V, V, V)],
    "row.add_scaled": [(ROW, FLOAT, ROW)],
    "row.add_square": [(FLOAT, ROW, FLOAT, ROW), (FLOAT, V, FLOAT, V), (FLOAT, FLOAT, FLOAT, FLOAT)],
    "row.add_squares": [(V, ROW)],
    "row.blend": [(FLOAT, ROW, FLOAT, ROW), (FLOAT, V, FLOAT, V), (FLOAT, FLOAT, FLOAT, FLOAT)],
    "row.dot": [(ROW, ROW)],
    "row.dot_four": [(ROW, ROW, ROW, ROW, ROW)],
    "row.load_row": [(FLOATS, INDEX, WIDTH), (SHORTS, INDEX, WIDTH)],
    "row.over_root": [(ROW, ROW, FLOAT), (V, V, FLOAT), (FLOAT, FLOAT, FLOAT)],
    "row.scale": [(FLOAT, ROW)],
    "row.store_row": [(FLOATS, INDEX, ROW)],
    "row.subtract_rows": [(ROW, ROW)],
    "row.zero_row": [(WIDTH,)],
    "simd.above": [(V, V), (INTS, INTS)],
    "simd.add": [(V, V), (INTS, INTS)],
    "simd.add_across": [(V, types.literal(4))],
    "simd.advance": [(PLACE, INDEX)],
    "simd.at_least": [(V, V)],
    "simd.broadcast": [(FLOAT, LANES)],
    "simd.broadcast_load": [(FLOATS, INDEX, LANES)],
    "simd.count_ones": [(COUNT,)],
    "simd.divide": [(V, V)],
    "simd.keep_reaching": [(V, V, V)],
    "simd.load": [(FLOATS, INDEX, LANES), (SHORTS, INDEX, LANES)],
    "simd.load_double": [(FLOATS, INDEX, INDEX, LANES), (SHORTS, INDEX, INDEX, LANES)],
    "simd.load_floats": [(FLOATS, INDEX, LANES), (SHORTS, INDEX, LANES)],
    "simd.load_part": [(FLOATS, INDEX, INDEX, LANES), (SHORTS, INDEX, INDEX, LANES)],
    "simd.maximum": [(V, V)],
    "simd.minimum": [(V, V)],
    "simd.multiply": [(V, V), (INTS, INTS)],
    "simd.multiply_add": [(V, V, V), (WIDE, WIDE, WIDE)],
    "simd.pointer": [(FLOATS,)],
    "simd.pointer_to_bytes": [(BYTES,), (PLACE,)],
    "simd.power_of_two": [(V,)],
    "simd.prefetch": [(FLOATS, INDEX)],
    "simd.reduce_add": [(V,), (WIDE,)],
    "simd.reduce_maximum": [(V,)],
    "simd.reduce_minimum": [(V,)],
    "simd.round_even": [(V,)],
    "simd.square_root": [(V,)],
    "simd.store": [(FLOATS, INDEX, V)],
    "simd.subtract": [(V, V), (INTS, INTS)],
    "simd.to_bytes": [(V,)],
    "simd.to_float": [(INTS,), (V,)],
    "simd.to_halves": [(V,)],
    "simd.trailing_zeros": [(COUNT,)],
    "simd.widen": [(V,), (Vector(types.uint16, 16),)],
    "simd.zeros": [(LANES,)],
}


def find_intrinsics():
    """Returns all intrinsics of all kernels, by the module that defines them."""
    found = {}
    for module in pkgutil.iter_modules(fastrec.kernels.__path__):
        for name, thing in vars(importlib.import_module(f"fastrec.kernels.{module.name}")).items():
            home = getattr(thing, "_defn", thing).__module__ if isinstance(thing, _Intrinsic) else ""
            if home == f"fastrec.kernels.{module.name}":
                found[f"{module.name}.{name}"] = thing
    return found


INTRINSICS = find_intrinsics()


def test_all_intrinsics_are_tried():
    assert set(CALLS) == set(INTRINSICS)


def build(name, arguments, triple):
    """Builds a module of LLVM with one function that is the intrinsic."""
    signature, define = INTRINSICS[name]._defn(None, *arguments)
    context = cpu_target.target_context
    context.refresh()
    kinds = [context.get_value_type(kind) for kind in signature.args]
    result = context.get_value_type(signature.return_type)
    module = ir.Module()
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(result, kinds), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    value = define(context, builder, signature, function.args)
    builder.ret(value if value.type == result else ir.Constant(result, ir.Undefined))
    return str(module)


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-darwin"])
@pytest.mark.parametrize("name", sorted(INTRINSICS))
def test_a_processor_that_has_nothing_runs_it(name, triple, monkeypatch):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    monkeypatch.setattr(target, "features", frozenset)
    monkeypatch.setattr(llvm, "get_process_triple", lambda: triple)
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu="", features="", opt=2)
    for arguments in CALLS[name]:
        text = build(name, arguments, triple)
        assert not re.search(r"llvm\.(x86|aarch64)\.", text), "an instruction that only some have"
        if triple.startswith("x86"):
            assert not re.search(r"\bhalf\b", text), "float16 without F16C"
        assembly = machine.emit_assembly(llvm.parse_assembly(text))
        called = re.findall(r"^\s+(?:callq?|jmp|bl|b)\s+(?!L?BB)(\w+)", assembly, re.MULTILINE)
        assert not called, "a function of a library that need not be there"


def test_instructions_that_are_asked_for_are_emitted():
    """Instructions of one architecture, and the type of float16, occur if their feature is asked for."""
    for module in pkgutil.iter_modules(fastrec.kernels.__path__):
        source = importlib.import_module(f"fastrec.kernels.{module.name}").__file__
        with open(source, encoding="utf-8") as file:
            text = file.read()
        assert ("HalfType" in text) == (module.name == "halves")
        assert ("llvm.x86" in text or "llvm.aarch64" in text or ".asm(" in text) == (module.name == "products")
        assert ("_get_host_cpu_features" in text) == (module.name == "target")


def test_a_way_that_the_processor_lacks_is_refused(monkeypatch):
    @kernel()
    def add(way, numbers):
        total = simd.load(numbers, 0, 16)
        simd.store(numbers, 0, products.accumulate(way, total, total, total))

    monkeypatch.setattr(target, "features", frozenset)
    way = products.NEON if target.architecture() == "x86_64" else products.AVX2
    with pytest.raises(TypingError, match="does not have way"):
        add(Static(way), np.zeros(16, np.int32))


@pytest.mark.parametrize(
    ("triple", "system", "answer", "stated", "expected"),
    [
        ("aarch64-unknown-linux-gnu", "linux", 1 << 20, None, True),
        ("aarch64-unknown-linux-gnu", "linux", 1 << 19, None, False),
        ("aarch64-unknown-linux-gnu", "linux", 1 << 20, "+neon", False),
        ("aarch64-unknown-linux-gnu", "linux", 0, "+neon,+dotprod", True),
        ("arm64-apple-darwin23.0.0", "darwin", 1, None, True),
        ("arm64-apple-darwin23.0.0", "darwin", 0, None, False),
        ("arm64-apple-darwin23.0.0", "darwin", None, None, False),
        ("aarch64-pc-windows-msvc", "win32", 1, None, True),
        ("aarch64-pc-windows-msvc", "win32", 0, None, False),
        ("aarch64-unknown-freebsd", "freebsd14", 1 << 20, None, False),
        ("x86_64-unknown-linux-gnu", "linux", 1 << 20, None, False),
    ],
)
def test_arm_is_asked_for_its_dot_product(triple, system, answer, stated, expected, monkeypatch):
    class System:
        """The libraries of Linux, macOS and Windows, which return `answer`; None: macOS does not know the feature."""

        def getauxval(number):
            return answer if number == 16 else 0

        def sysctlbyname(name, value, size, new, new_size):
            assert (name, size._obj.value, new, new_size) == (b"hw.optional.arm.FEAT_DotProd", 4, None, 0)
            value._obj.value = 0 if answer is None else answer
            return -1 if answer is None else 0

        def IsProcessorFeaturePresent(number):
            return answer if number == 43 else 0

    monkeypatch.setattr(target.ctypes, "CDLL", lambda name: System)
    monkeypatch.setattr(llvm, "get_process_triple", lambda: triple)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(numba.config, "CPU_FEATURES", stated)
    codegen = type(cpu_target.target_context.codegen())
    monkeypatch.setattr(codegen, "_get_host_cpu_features", lambda self: stated or "+neon,+fp-armv8")
    target.features.cache_clear()
    try:
        assert target.has("neon") == expected
        assert target.has("float16") == (not triple.startswith("x86"))
    finally:
        target.features.cache_clear()


def test_models_answer_on_a_plain_processor():
    code = (
        "import numpy as np, fastrec as fr; X = (np.random.default_rng(0).random((60, 40)) < .2) * 1.0; "
        "model = fr.ImplicitALS(8, iterations=2, random_state=0).fit(X); "
        "print(model.recommend([0], k=3).codes[0].tolist(), "
        "fr.compress(model, 'float16').recommend([0], k=3).codes[0].tolist())"
    )
    answers = []
    for extra in ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}):
        environment = {**os.environ, **extra}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert answers[0] == answers[1]
