"""The passes of Numba's compiler that kernels need, and compiling without pauses for the collection of garbage.

Each pass that changes a function costs what it does, and once more the analysis of the whole function after it. Most of
them look for what no kernel has: closures, comprehensions, `with`, `literal_unroll`, expressions of whole arrays.
"""

import contextlib
import gc
from collections.abc import Iterator

import numba
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager

# The newest version of Numba whose inner parts are known to fit what is changed here and in `_linked`. Later ones
# compile in their own way, to the same code in more time.
NEWEST = (0, 68)

# By their names, since versions of Numba do not all have the same. Of the three that prune branches the first is kept.
UNNEEDED = frozenset(
    {
        "WithLifting",
        "InlineClosureLikes",
        "RewriteDynamicRaises",
        "MakeFunctionToJitFunction",
        "InlineInlinables",
        "FindLiterallyCalls",
        "LiteralUnroll",
        "LiteralPropagationSubPipelinePass",
        "InlineOverloads",
        "NopythonRewrites",
        "DumpParforDiagnostics",
    }
)


class KernelCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler without the passes that find nothing to do in a kernel."""

    def define_pipelines(self) -> list[PassManager]:
        """Returns Numba's own passes, less the `UNNEEDED` ones and a second look for dead branches."""
        pipelines = super().define_pipelines()
        return list(map(_shorten, pipelines)) if is_known(numba.__version__) else pipelines


def _shorten(given: PassManager) -> PassManager:
    short, pruned = PassManager(given.pipeline_name), False
    for kind, description in given.passes:
        prunes = kind.__name__ == "DeadBranchPrune"
        if kind.__name__ not in UNNEEDED and not (prunes and pruned):
            short.add_pass(kind, description)
        pruned |= prunes
    short.finalize()
    return short


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Keeps Python from looking for garbage: the compiler makes millions of objects that live until it is done."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def is_known(version: str) -> bool:
    """Tells whether a version of Numba is at most `NEWEST`.

    >>> is_known("0.68.1"), is_known("0.69.0rc1")
    (True, False)
    """
    return tuple(map(int, version.split(".")[:2])) <= NEWEST
