"""The one place that compiles: a decorator whose on-disk cache is never stale, and integers known to the compiler."""

import contextlib
import functools
import hashlib
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
from numba.core import caching, types
from numba.extending import NativeValue, intrinsic, models, register_model, unbox

from fastrec.kernels._cache import user_cache

Function = TypeVar("Function", bound=Callable[..., Any])

SOURCES = Path(__file__).resolve().parent
KEPT = 30 * 24 * 3600.0  # seconds that the compiled kernels of another version are kept

# Everything that lets LLVM reorder sums and fuse multiplications, without `nnan` and `ninf`: a NaN must stay visible.
FAST = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _drop_old(base: Path) -> None:
    """Removes what other versions compiled longer ago than `KEPT`; one that still runs compiles again."""
    for folder in base.glob("fastrec-*"):
        with contextlib.suppress(OSError):  # another process has removed it
            if time.time() - folder.stat().st_mtime > KEPT:
                shutil.rmtree(folder, ignore_errors=True)


def _bases() -> list[Path]:
    """Where compiled kernels may be kept, the best first.

    The last is beside the package, not in it: an uninstalled package would leave a folder that can be imported.
    """
    beside = next(folder for folder in SOURCES.parents if not (folder / "__init__.py").exists())
    given, user = os.environ.get("NUMBA_CACHE_DIR"), user_cache()
    return [
        *([Path(given)] if given else []),
        *([user / "fastrec" / "kernels"] if user else []),
        beside / "__pycache__",
    ]


@functools.cache
def cache_folder() -> Path | None:
    """The folder of compiled kernels, named after a digest of all kernel sources; None where nothing can be written.

    Numba's own key covers the file of a function but not the helpers that it calls from other files, so a changed
    helper would leave its callers stale. With all sources in the name, nothing old can be found. The versions are in it
    as well: two of Numba would drop each other's kernels, and of LLVM's its key knows nothing.
    """
    versions = f"{sys.implementation.cache_tag} numba {numba.__version__} llvmlite {llvmlite.__version__}"
    digest = hashlib.sha256(versions.encode())
    for path, source in sorted((source.relative_to(SOURCES).as_posix(), source) for source in SOURCES.rglob("*.py")):
        digest.update(path.encode() + b"\0" + source.read_bytes() + b"\0")
    name = f"fastrec-{digest.hexdigest()[:16]}"
    bases = _bases()
    for base in bases:
        is_new = not os.path.exists(base / name)  # of Path an error where it may not be looked at
        if _writable(base / name):
            if is_new:
                _drop_old(base)
            return base / name
    warnings.warn(
        f"fastrec found no folder to keep compiled kernels in (tried {', '.join(map(str, bases))}): every new process "
        "compiles them again. Set NUMBA_CACHE_DIR to a folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Tells Numba to keep a function's machine code in `cache_folder()`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = f"{function.__module__}.{function.__code__.co_firstlineno}"

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return str(cache_folder())

    def get_disambiguator(self) -> str:
        return self.name

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        return cls(py_func)


class _CacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Cache(caching.Cache):  # type: ignore[misc]
    _impl_class = _CacheImpl


def _uncompiled(function: Function) -> Function:
    """What stands for a kernel where Numba does not compile: plain Python cannot run its vectors."""

    @functools.wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"fastrec's kernels (here {function.__name__}) need Numba's compiler, which NUMBA_DISABLE_JIT=1 turns off: "
            "unset NUMBA_DISABLE_JIT. A debugger and coverage see all but the kernels without it."
        )

    return refuse  # type: ignore[return-value]


def kernel(
    *, fastmath: bool | frozenset[str] = False, inline: bool = False, inner: bool = False
) -> Callable[[Function], Function]:
    """A decorator that compiles a function to run without the GIL, and keeps it on disk; type checkers see it as it is.

    Parameters
    ----------
    fastmath
        LLVM's fast-math flags: `FAST` for sums that may be reordered, False (default) for exact IEEE order.
    inline
        Ask LLVM to inline the function into its callers.
    inner
        Only other kernels call the function: it gets no entry from Python and no file of its own, and compiles faster.
    """

    def decorate(function: Function) -> Function:
        if numba.config.DISABLE_JIT:
            return _uncompiled(function)
        flags = set(fastmath) if isinstance(fastmath, frozenset) else fastmath
        options = {"forceinline": True} if inline else {}
        if inner:
            options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        dispatcher = numba.njit(nogil=True, fastmath=flags, **options)(function)
        if not inner and cache_folder() is not None:
            dispatcher._cache = _Cache(function)
        return dispatcher  # type: ignore[no-any-return]

    return decorate


class Static:
    """An integer that is part of an argument's type, so that a kernel is compiled with it as a constant.

    >>> Static(64).value
    64
    """

    __slots__ = ("_numba_type_", "value")

    def __init__(self, value: int) -> None:
        self.value = int(value)
        self._numba_type_ = StaticType(self.value)  # where Numba looks first


class StaticType(types.Type):  # type: ignore[misc]
    """Numba's type of `Static(value)`: one type for each value."""

    def __init__(self, value: int) -> None:
        self.value = value
        super().__init__(name=f"Static({value})")


register_model(StaticType)(models.OpaqueModel)


@unbox(StaticType)
def _unbox_static(kind: StaticType, value: Any, context: Any) -> NativeValue:
    return NativeValue(context.context.get_dummy_value())


@intrinsic  # type: ignore[misc]
def constant(context: Any, number: Any) -> Any:
    """Inside a kernel: the value of a `Static` argument as a compile-time constant; of a plain integer, itself."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(number, StaticType):
            return ctx.get_constant(types.intp, number.value)
        return ctx.cast(builder, args[0], number, types.intp)

    return types.intp(number), build
