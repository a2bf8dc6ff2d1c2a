"""The forms of a kernel: one that Python calls, with machine code, and one that other kernels link.

Numba optimizes and makes machine code of each function that a kernel calls, and with it again of all that this function
calls. But a kernel has a copy of its own of all it calls, so a helper five calls deep would be made five times and used
once. The linked form stays as the compiler's input, which is optimized only as a part of the kernel that Python calls.

These copies would also have the same name in every kernel, and a process runs the first one of a name that it loads.
Each is optimized for its own kernel, so sums would be rounded as the kernels before have been, or as the compiler's
process does. Here a copy belongs to its kernel alone, and a kernel has the same bits in every process.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numba
from llvmlite.binding import Linkage
from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.dispatcher import Dispatcher
from numba.core.registry import CPUDispatcher

from fastrec.kernels._passes import KernelCompiler, is_known, no_collection

Function = Callable[..., Any]


class _NoEnvironment:
    """Takes the environment of a function, which only calls of Python objects need, and leaves it out."""

    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        return


class _LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one function, neither optimized nor made to machine code."""

    codegen = _NoEnvironment

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        return

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0


class _EntryLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a kernel that Python calls, with copies of all it calls that nothing else sees."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self.enable_object_caching()

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._optimize_final_module()


@contextlib.contextmanager
def _all_linked(codegen: Any) -> Iterator[None]:
    """Puts all that is compiled meanwhile, Numba's own functions too, into a `_LinkedLibrary`."""
    codegen._library_class, before = _LinkedLibrary, codegen._library_class
    try:
        yield
    finally:
        codegen._library_class = before


class _LinkedCompiler(KernelCompiler):
    """The compiler of kernels, whose code goes into a `_LinkedLibrary`."""

    def compile_extra(self, func: Function) -> Any:
        self.state.library = _LinkedLibrary(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


class _EntryCompiler(KernelCompiler):
    """The compiler of kernels, whose code goes into an `_EntryLibrary`."""

    def compile_extra(self, func: Function) -> Any:
        codegen = self.state.targetctx.codegen()
        self.state.library = _EntryLibrary(codegen, func.__qualname__)
        with _all_linked(codegen):
            return super().compile_extra(func)


class Entry(CPUDispatcher):  # type: ignore[misc]
    """A kernel that Python calls; a kernel that calls it links its other form."""

    def __init__(self, function: Function, options: dict[str, Any]) -> None:
        only_python_calls = {**options, "no_cfunc_wrapper": True}
        compiler = _EntryCompiler if is_known(numba.__version__) else Compiler
        super().__init__(function, targetoptions=only_python_calls, pipeline_class=compiler)

    def compile(self, signature: Any) -> Any:
        """Returns the entry of the kernel for a signature, compiled unless it was before."""
        with no_collection():
            return super().compile(signature)

    @functools.cached_property
    def linked(self) -> Dispatcher:
        """The form that other kernels link."""
        return link_form(self.py_func, self.targetoptions)

    @property
    def _numba_type_(self) -> types.Dispatcher:
        return types.Dispatcher(self.linked)


def link_form(function: Function, options: dict[str, Any]) -> Dispatcher:
    """Returns the form of a function that kernels link; Python cannot call it."""
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiler = _LinkedCompiler if is_known(numba.__version__) else Compiler
    return CPUDispatcher(function, targetoptions={**options, **wrappers}, pipeline_class=compiler)
