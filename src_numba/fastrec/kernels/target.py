"""The features of the processor that Numba compiles for. Kernels ask here before they emit a special instruction.

Nearly all operations of kernels are LLVM's own and run anywhere: LLVM replaces an instruction that a processor lacks by
several others. This module names the exceptions: instructions that only some processors have, and operations that LLVM
turns into a call of a library that may be missing (float16 without F16C). Code that emits one asks `has` first, and has
an alternative. Code that would hold more than the registers do asks as well.
"""

import ctypes
import functools
import sys

import llvmlite.binding as llvm
import numba
from numba.core.registry import cpu_target

# The needs of each, by architecture: sets of LLVM features, of which one must be complete. No set: never available.
NEEDS: dict[str, dict[str, list[set[str]]]] = {
    "float16": {"x86_64": [{"f16c"}], "aarch64": [set()]},  # converted to float32 and back
    "rounding": {"x86_64": [{"sse4.1"}], "aarch64": [set()]},  # to the nearest integer, as a float32
    "avx512_vnni": {"x86_64": [{"avx512vnni", "avx512bw"}]},
    "avx_vnni": {"x86_64": [{"avxvnni"}, {"avx512vnni", "avx512bw", "avx512vl"}]},
    "avx2": {"x86_64": [{"avx2"}]},
    "neon": {"aarch64": [{"dotprod"}]},
    "wide_registers": {"x86_64": [{"avx512f"}]},  # 32 of 64 bytes: several whole rows of float32
}

# The names of ARM's dot product in each operating system: asm/hwcap.h, <sys/sysctl.h> and winnt.h.
LINUX_HWCAP, LINUX_HWCAP_ASIMDDP = 16, 1 << 20
DARWIN_FEATURE = b"hw.optional.arm.FEAT_DotProd"
WINDOWS_FEATURE = 43  # PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE


def has(what: str) -> bool:
    """Tells whether the processor that Numba compiles for has `what`, one of `NEEDS`."""
    known = features()
    return any(needed <= known for needed in NEEDS[what].get(architecture(), []))


def architecture() -> str:
    """Returns LLVM's name of the architecture: "x86_64", "aarch64" or another."""
    name: str = llvm.get_process_triple().split("-")[0]
    return "aarch64" if name == "arm64" else name


@functools.cache
def features() -> frozenset[str]:
    """Returns LLVM's names of the processor's features beyond its architecture.

    NUMBA_CPU_FEATURES, if set, names all features (and NUMBA_CPU_NAME=generic means none); else the host's are read.
    ARM's dot product is read from the operating system: LLVM's list lacks it on Linux, and may be empty elsewhere.
    """
    found: dict[str, bool] = {}
    for feature in cpu_target.target_context.codegen()._get_host_cpu_features().split(","):
        found[feature[1:]] = feature.startswith("+")
    if numba.config.CPU_FEATURES is None and architecture() == "aarch64" and _system_has_dot_product():
        found["dotprod"] = True
        llvm.initialize_native_asmparser()  # the instruction is written as text, which needs no feature in LLVM's list
    return frozenset(name for name, there in found.items() if there)


def _system_has_dot_product() -> bool:
    ask = {"linux": _linux_has_it, "darwin": _macos_has_it, "win32": _windows_has_it}.get(sys.platform)
    return ask is not None and ask()


def _linux_has_it() -> bool:
    ask = ctypes.CDLL(None).getauxval
    ask.restype, ask.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return bool(ask(LINUX_HWCAP) & LINUX_HWCAP_ASIMDDP)


def _macos_has_it() -> bool:
    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    failed = ctypes.CDLL(None).sysctlbyname(DARWIN_FEATURE, ctypes.byref(value), ctypes.byref(size), None, 0)
    return not failed and value.value == 1


def _windows_has_it() -> bool:
    return bool(ctypes.CDLL("kernel32").IsProcessorFeaturePresent(WINDOWS_FEATURE))
