"""The abilities of the processor that Numba compiles for: the one place where kernels ask before they emit an
instruction.

Nearly all that kernels are made of is LLVM's own and runs anywhere: LLVM puts several instructions where the processor
has not the one. What is named here is the rest: instructions that only some have, and operations that LLVM turns into a
call of a library that need not be there (float16 without F16C). Whoever emits one asks `has`, and has another way.
"""

import ctypes
import functools
import sys

import llvmlite.binding as llvm
import numba
from numba.core.registry import cpu_target

# What each needs, by architecture: sets of LLVM's features, of which one must be there whole. No set: never there.
NEEDS: dict[str, dict[str, list[set[str]]]] = {
    "float16": {"x86_64": [{"f16c"}], "aarch64": [set()]},  # converted to float32 and back
    "rounding": {"x86_64": [{"sse4.1"}], "aarch64": [set()]},  # to the nearest integer, as a float32
    "avx512_vnni": {"x86_64": [{"avx512vnni", "avx512bw"}]},
    "avx_vnni": {"x86_64": [{"avxvnni"}, {"avx512vnni", "avx512bw", "avx512vl"}]},
    "avx2": {"x86_64": [{"avx2"}]},
    "neon": {"aarch64": [{"dotprod"}]},
}

HWCAP, HWCAP_ASIMDDP = 16, 1 << 20  # of Linux: asm/hwcap.h of arm64


def has(what: str) -> bool:
    """Tells whether the processor that Numba compiles for has `what`, one of `NEEDS`."""
    known = features()
    return any(needed <= known for needed in NEEDS[what].get(architecture(), []))


def architecture() -> str:
    """LLVM's name of the architecture: "x86_64", "aarch64" or another."""
    name: str = llvm.get_process_triple().split("-")[0]
    return "aarch64" if name == "arm64" else name


@functools.cache
def features() -> frozenset[str]:
    """LLVM's names of what the processor has beyond its architecture.

    NUMBA_CPU_FEATURES, where it is set, says all of it (and NUMBA_CPU_NAME=generic sets it to nothing); else the host
    does. ARM's dot product is asked of the system, since LLVM's own list lacks it on Linux.
    """
    found: dict[str, bool] = {}
    for feature in cpu_target.target_context.codegen()._get_host_cpu_features().split(","):
        found[feature[1:]] = feature.startswith("+")
    if numba.config.CPU_FEATURES is None and architecture() == "aarch64" and _system_has_dot_product():
        found["dotprod"] = True
        llvm.initialize_native_asmparser()  # the instruction is written as text, which needs no feature of LLVM's list
    return frozenset(name for name, there in found.items() if there)


def _system_has_dot_product() -> bool:
    if sys.platform == "darwin":
        return True  # all of Apple's own processors
    if sys.platform != "linux":
        return False
    ask = ctypes.CDLL(None).getauxval
    ask.restype, ask.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return bool(ask(HWCAP) & HWCAP_ASIMDDP)
