"""The passes of Numba's compiler that kernels are compiled with."""

import ast
import gc

import numba
import numpy as np
import pytest
from numba.core import typed_passes, untyped_passes
from numba.core.errors import TypingError

from fastrec.kernels import _jit, _passes
from fastrec.kernels._jit import kernel

# What the passes that are left out are for.
NEEDING = (ast.With, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Yield, ast.FunctionDef)


@kernel()
def count_up(numbers):
    for place in range(len(numbers)):
        numbers[place] += place
    return len(numbers)


def kernels_of(tree):
    """Returns the functions of a module that `kernel` compiles."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            makers = [maker.func for maker in node.decorator_list if isinstance(maker, ast.Call)]
            if any(isinstance(maker, ast.Name) and maker.id == "kernel" for maker in makers):
                yield node


def test_no_kernel_needs_a_pass_that_is_left_out():
    found = []
    for path in _jit.SOURCES.rglob("*.py"):
        for function in kernels_of(ast.parse(path.read_text(encoding="utf-8"))):
            parts = (part for statement in function.body for part in ast.walk(statement))
            names = [part for part in parts if isinstance(part, NEEDING) or getattr(part, "id", "").startswith("liter")]
            found += [f"{path.name}:{part.lineno}" for part in names]
    assert found == []


def test_the_passes_that_are_left_out_are_passes_of_this_numba():
    assert _passes.is_known(numba.__version__)
    known = vars(untyped_passes).keys() | vars(typed_passes).keys()
    assert known >= _passes.UNNEEDED


def test_a_kernel_is_compiled_with_the_passes_it_needs(monkeypatch):
    monkeypatch.setattr(_jit, "cache_folder", lambda module: None)  # compiled here, not loaded

    @kernel()
    def count(numbers):
        return len(numbers)

    assert count(np.zeros(3)) == 3
    (compiled,) = count.overloads.values()
    (times,) = compiled.metadata["pipeline_times"].values()
    names = [name.split("_", 1)[1] for name in times]
    assert names.count("dead_branch_prune") == 1
    assert "nopython_type_inference" in names
    assert "inline_closure_likes" not in names


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_after_compiling_as_before_it(enabled):
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        count_up.compile((numba.types.Array(numba.types.int16, 1, "C"),))
        assert gc.isenabled() is enabled
        with pytest.raises(TypingError):
            count_up.compile((numba.types.none,))
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
