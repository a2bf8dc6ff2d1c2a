"""The forms of a kernel: called from Python, and linked into other kernels."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from llvmlite.binding import Linkage
from numba.core.registry import cpu_target

from fastrec.kernels import _jit, _linked, _passes
from fastrec.kernels._jit import FAST, kernel

ROOT = Path(__file__).resolve().parents[2]

# The bits of sums whose order a compiler may choose.
SUMS = """
import numpy as np
from fastrec.kernels._jit import Static
from tests.kernels.test_als_entries import multiply_entries
rng = np.random.default_rng(0)
normal = lambda *shape: rng.standard_normal(shape, np.float32)
halves, codes = normal(20 * 32).astype(np.float16).view(np.uint16), rng.integers(0, 20, 13).astype(np.int32)
for _ in range(20):
    out = normal(32)
    print(multiply_entries(codes, normal(13), 1, halves, np.float32(.3), Static(32), normal(32), out), out.tobytes())
"""


@kernel()
def add_one(numbers):
    for place in range(len(numbers)):
        numbers[place] += 1
    return len(numbers)


@kernel(inner=True)
def add_twice(numbers):
    return add_one(numbers) + add_one(numbers)


@kernel()
def add_thrice(numbers):
    return add_twice(numbers) + add_one(numbers)


@kernel(inner=True)
def refuse_negative(number):
    if number < 0:
        raise ValueError("below 0")
    return number


@kernel()
def check_all(numbers):
    total = 0
    for number in numbers:
        total += refuse_negative(number)
    return total


def test_a_kernel_runs_the_kernels_that_it_links():
    numbers = np.zeros(5, np.float32)
    assert add_thrice(numbers) == 15
    assert numbers.tolist() == [3] * 5


def test_a_kernel_has_an_entry_only_if_python_calls_it():
    numbers = np.zeros(2, np.int16)
    add_thrice(numbers)
    assert add_one.signatures == []
    assert add_one(numbers) == 2
    assert numbers.tolist() == [4, 4]
    assert len(add_one.signatures) == 1


def test_all_that_a_kernel_calls_is_its_own(monkeypatch):
    monkeypatch.setattr(_jit, "cache_folder", lambda module: None)  # compiled here, not loaded

    @kernel(fastmath=FAST)
    def spread(numbers):
        room = np.empty(max(len(numbers), 4), np.float64)
        for place in range(len(numbers)):
            room[place] = numbers[place] - numbers.mean()
        return np.sqrt((room[: len(numbers)] ** 2).sum())

    numbers = np.array([1.0, 2.0, 6.0])
    assert spread(numbers) == pytest.approx(np.sqrt(14))
    (compiled,) = spread.overloads.values()
    library, descriptor = compiled.library, compiled.fndesc
    seen = {f.name for f in library.get_defined_functions() if f.linkage != Linkage.internal}
    assert seen == {descriptor.mangled_name, descriptor.llvm_cpython_wrapper_name}
    assert cpu_target.target_context.codegen()._library_class is not _linked._LinkedLibrary


def test_functions_of_numba_that_a_kernel_has_linked_can_be_used_elsewhere():
    @kernel()
    def widest(numbers):
        return np.empty(max(len(numbers), np.int16(7)), np.complex64).shape[0]

    def plain(numbers):
        return np.empty(max(len(numbers), np.int16(7)), np.complex64).shape[0]

    assert widest(np.zeros(9)) == numba.njit(plain)(np.zeros(9)) == 9


def test_a_kernel_has_the_same_bits_in_the_process_that_compiles_it_and_in_others(tmp_path):
    given = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", SUMS]
    ask = lambda: subprocess.run(run, cwd=ROOT, env={**os.environ, **given}, capture_output=True, check=True).stdout
    compiling, loading = ask(), ask()
    assert compiling == loading


def test_an_error_in_a_linked_kernel_is_raised():
    assert check_all(np.array([1, 2])) == 3
    with pytest.raises(ValueError, match="below 0"):
        check_all(np.array([1, -2]))


def test_a_version_of_numba_that_nobody_has_looked_at_compiles_in_its_own_way(monkeypatch):
    monkeypatch.setattr(_passes, "NEWEST", (0, 1))

    @kernel(inner=True)
    def double(number):
        return 2 * number

    @kernel()
    def double_all(numbers):
        for place in range(len(numbers)):
            numbers[place] = double(numbers[place])

    numbers = np.array([1, 2])
    double_all(numbers)
    assert numbers.tolist() == [2, 4]
