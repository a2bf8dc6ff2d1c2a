"""The forms of a kernel: called from Python, and linked into other kernels."""

import numpy as np
import pytest

from fastrec.kernels import _passes
from fastrec.kernels._jit import kernel


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
