"""Compiles kernels, here alone: a decorator whose on-disk cache is never stale, and integers known to the compiler."""

import contextlib
import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
from numba.core import caching, types
from numba.extending import NativeValue, intrinsic, models, register_model, unbox

from fastrec.kernels._cache import user_cache
from fastrec.kernels._linked import Entry, link_form

Function = TypeVar("Function", bound=Callable[..., Any])

SOURCES = Path(__file__).resolve().parent
PACKAGE = "fastrec.kernels"
IMPORTS = re.compile(rf"^from {re.escape(PACKAGE)}(?:\.([\w.]+) import| +import ([\w, ]+))", re.MULTILINE)
KEPT = 30 * 24 * 3600.0  # seconds that compiled kernels are kept without a process that asks for them

# Docstrings and comments, except comments after code with a double quote: a change of these parts compiles nothing.
PROSE = re.compile(
    r'(?:\A|(?<=:\n)|(?<=:  # fmt: skip\n))[ \t]*"""(?s:.*?)"""\n|^[ \t]*#.*\n|[ \t]+#[^"\n]*$', re.MULTILINE
)

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
    """Removes the folders of compiled kernels that no process has asked for since `KEPT` seconds."""
    for folder in base.glob("fastrec-*"):
        with contextlib.suppress(OSError):  # another process has removed it
            if time.time() - folder.stat().st_mtime > KEPT:
                shutil.rmtree(folder, ignore_errors=True)


def _bases() -> list[Path]:
    """Lists the folders where compiled kernels may be kept, the best first.

    The last is beside the package, not in it: an uninstalled package would leave a folder that can be imported.
    """
    beside = next(folder for folder in SOURCES.parents if not (folder / "__init__.py").exists())
    given, user = os.environ.get("NUMBA_CACHE_DIR"), user_cache()
    return [
        *([Path(given)] if given else []),
        *([user / "fastrec" / "kernels"] if user else []),
        beside / "__pycache__",
    ]


def _source(module: str) -> str:
    """Returns the source of a module of this package; empty for one that does not exist."""
    path = SOURCES.joinpath(*module.split("."))
    found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()]
    return found[0].read_text(encoding="utf-8") if found else ""


@functools.cache
def _digest_and_imports(module: str) -> tuple[str, frozenset[str]]:
    """Returns a digest of the code of a module of this package, and the modules of this package that it imports."""
    source = PROSE.sub("", _source(module))
    names = [name.strip() for one, several in IMPORTS.findall(source) for name in (one or several).split(",")]
    return hashlib.sha256(source.encode()).hexdigest(), frozenset(names)


def _with_imports(module: str) -> set[str]:
    """Returns `module` and all modules of this package that it imports, directly or through others."""
    found, ahead = {module}, [module]
    while ahead:
        new = _digest_and_imports(ahead.pop())[1] - found
        found |= new
        ahead += new
    return found


def _all_modules() -> set[str]:
    return {".".join(path.relative_to(SOURCES).with_suffix("").parts) for path in SOURCES.rglob("*.py")}


def _cache_name(module: str) -> str:
    """Returns the name of the folder of a module's compiled kernels: the module, and a digest of all it depends on."""
    inside = module.startswith(f"{PACKAGE}.")
    short = module.removeprefix(f"{PACKAGE}.")
    versions = f"{sys.implementation.cache_tag} numba {numba.__version__} llvmlite {llvmlite.__version__}"
    digest = hashlib.sha256(versions.encode())
    for name in sorted(_with_imports(short) if inside else _all_modules()):
        digest.update(f"{name} {_digest_and_imports(name)[0]} ".encode())
    return f"fastrec-{short}-{digest.hexdigest()[:16]}"


@functools.cache
def cache_folder(module: str) -> Path | None:
    """Returns the folder of the compiled kernels of a module; None if no folder can be written to.

    Numba's own key covers the file of a function but not the helpers that it calls from other files, so a changed
    helper would leave its callers stale. With the sources of all imported modules in the name, nothing old can be
    found, and an upgrade compiles only the modules again that it changes. The versions are in the name as well: two
    versions of Numba would drop each other's kernels, and Numba's key does not contain LLVM's version.
    """
    name = _cache_name(module)
    bases = _bases()
    for base in bases:
        is_new = not os.path.exists(base / name)  # of Path an error where it may not be looked at
        if _writable(base / name):
            with contextlib.suppress(OSError):  # a folder of another user
                os.utime(base / name)
            if is_new:
                _drop_old(base)
            return base / name
    _warn_of_no_folder(tuple(map(str, bases)))
    return None


@functools.cache
def _warn_of_no_folder(bases: tuple[str, ...]) -> None:
    """Warns once in a process, not once for each module."""
    warnings.warn(
        f"fastrec found no folder to keep compiled kernels in (tried {', '.join(bases)}): every new process "
        "compiles them again. Set NUMBA_CACHE_DIR to a folder that can be written.",
        RuntimeWarning,
        stacklevel=3,
    )


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Tells Numba to keep a function's machine code in the `cache_folder` of its module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        inside = function.__module__.startswith(f"{PACKAGE}.")  # its digest covers the function, whatever its line
        self.name = f"{function.__module__}.{'' if inside else function.__code__.co_firstlineno}"
        self.folder = str(cache_folder(function.__module__))

    def get_cache_path(self) -> str:
        return self.folder

    def get_source_stamp(self) -> str:
        return self.folder

    def get_disambiguator(self) -> str:
        return self.name

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        return cls(py_func)


class _CacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


def _field_names(kinds: Iterable[Any]) -> tuple[Any, ...]:
    """Returns the names of the fields of all named tuples among types, nested ones included."""
    named = [kind for kind in kinds if isinstance(kind, types.BaseTuple)]
    return tuple((getattr(kind, "fields", ()), _field_names(kind.types)) for kind in named)


class _Cache(caching.Cache):  # type: ignore[misc]
    _impl_class = _CacheImpl

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """Returns Numba's key and the fields of named tuples: Numba's key has only the name of a tuple's class."""
        return (*super()._index_key(sig, codegen), _field_names(sig))


def _uncompiled(function: Function) -> Function:
    """Stands for a kernel where Numba does not compile: plain Python cannot run its vectors."""

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
    """Returns a decorator that compiles a function to run without the GIL and keeps it on disk; its type is unchanged.

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
        options = {"nopython": True, "nogil": True, "fastmath": flags, "boundscheck": None}
        if inline:
            options["forceinline"] = True
        if inner:
            return link_form(function, options)  # type: ignore[no-any-return]
        dispatcher = Entry(function, options)
        if cache_folder(function.__module__) is not None:
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
        self._numba_type_ = StaticType(self.value)  # Numba looks here first


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
    """Returns, inside a kernel, the value of a `Static` as a compile-time constant, and a plain integer as it is."""

    def build(ctx: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(number, StaticType):
            return ctx.get_constant(types.intp, number.value)
        return ctx.cast(builder, args[0], number, types.intp)

    return types.intp(number), build
