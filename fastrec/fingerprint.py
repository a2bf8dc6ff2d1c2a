"""A fingerprint of any value by its whole content: the same in every process, Python and platform."""

import copyreg
import dataclasses
import enum
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from types import FunctionType
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fastrec.data.interactions import Interactions
from fastrec.data.strings import ERRORS, pack_strings
from fastrec.data.vocabulary import Vocabulary

# Options that change the time or the display of a fit, and not its result.
IDLE = ("n_jobs", "verbose", "callback")

ENTRIES_AT_ONCE = 1 << 20  # entries of an array whose bytes are copied at a time

_NUMBERS = (bool, int, float, complex, type(None), type(Ellipsis))
_Update = Callable[[Any], None]


def fingerprint(value: Any) -> str:
    """Returns 32 hexadecimal digits that identify the content of a value.

    Values of equal content have equal fingerprints, in every process, Python and platform. A loaded model has the
    fingerprint of the saved one.

    Parameters
    ----------
    value
        Anything that an option, a question or a job may hold:

        - numbers, strings, sequences; sets and mappings, whose order does not count;
        - arrays (any memory layout and byte order, strings of any width), sparse matrices of any format, frames,
          Interactions and vocabularies;
        - an estimator: its class and its options, except those that only change the time of a fit. A fitted one is
          identified by its learned values, and its options without functions and random generators, which have done
          their work;
        - functions by their name, their text and the values that they hold; classes by their name;
        - any other value by its pickled content.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the value cannot be identified, such as a lambda or a value that refers to itself.

    Examples
    --------
    >>> fingerprint({"b", "a"}) == fingerprint({"a", "b"})
    True
    >>> fingerprint([1, np.zeros(2)]) == fingerprint([1, np.zeros(3)])
    False
    >>> from fastrec.models import Popularity
    >>> X = np.eye(3)
    >>> fingerprint(Popularity().fit(X)) == fingerprint(Popularity().fit(X)) != fingerprint(Popularity().fit(X * 2))
    True
    """
    try:
        return _digest(value).hex()
    except RecursionError:
        raise ValueError(
            f"{type(value).__name__} refers to itself, or is nested too deeply, and cannot be identified"
        ) from None


def _digest(value: Any) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    _feed(state.update, value)
    return state.digest()


def _feed(update: _Update, value: Any) -> None:
    """Feeds the value's content: each kind starts with its name and its length, so that no two contents read alike."""
    if isinstance(value, np.ndarray):
        _feed_array(update, value)
    elif isinstance(value, np.generic) and value.dtype.kind in "biufcUS":
        _feed(update, value.item() if value.dtype.char not in "gG" else str(value))
    elif type(value) in _NUMBERS:
        _mark(update, type(value).__name__, repr(value).encode())
    elif type(value) in (str, bytes):  # by their bytes: the repr of a text differs between Pythons
        _mark(update, type(value).__name__, value.encode("utf-8", ERRORS) if isinstance(value, str) else value)
    elif isinstance(value, enum.Enum):
        _feed_parts(update, "enum", [type(value), value.name])
    elif isinstance(value, PurePath):
        _feed_parts(update, "path", [value.as_posix()])
    elif isinstance(value, Mapping):
        pairs = sorted((_digest(key), _digest(part)) for key, part in value.items())
        _mark(update, "mapping", b"".join(map(b"".join, pairs)))
    elif isinstance(value, set | frozenset):
        _mark(update, "set", b"".join(sorted(map(_digest, value))))
    elif isinstance(value, list | tuple):
        _feed_parts(update, type(value).__name__, value)
    elif isinstance(value, type):
        _mark(update, "class", _qualify(value).encode())
    elif isinstance(value, FunctionType):
        _feed_function(update, value)
    else:
        _feed_data(update, value)


def _feed_data(update: _Update, value: Any) -> None:
    """Feeds the content of tables, estimators and other objects."""
    if sp.issparse(value):
        _feed_sparse(update, value)
    elif isinstance(value, Interactions):
        _feed_parts(update, "Interactions", _interactions(value))
    elif isinstance(value, Vocabulary):
        _feed_parts(update, "Vocabulary", [value.kind, value.ids])
    elif nw.dependencies.is_into_dataframe(value):
        _feed_frame(update, nw.from_native(value, eager_only=True))
    elif hasattr(value, "__array__"):  # a column of a frame, an Arrow array
        _feed_parts(update, "column", [np.asarray(value)])
    elif hasattr(value, "get_params"):
        _feed_parts(update, _qualify(type(value)), _estimator(value))
    elif hasattr(value, "rvs") and hasattr(getattr(value, "dist", value), "_updated_ctor_param"):  # SciPy's
        family = getattr(value, "dist", value)
        made = family._updated_ctor_param()  # the values of an rv_discrete or rv_histogram
        _feed_parts(update, _qualify(type(family)), [made, getattr(value, "args", ()), getattr(value, "kwds", {})])
    elif dataclasses.is_dataclass(value):
        kept = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        _feed_parts(update, _qualify(type(value)), [kept])
    else:
        _feed_object(update, value)


def _mark(update: _Update, kind: str, content: bytes) -> None:
    update(f"{kind}:{len(content)}:".encode("utf-8", ERRORS))
    update(content)


def _feed_parts(update: _Update, kind: str, parts: list[Any] | tuple[Any, ...]) -> None:
    _mark(update, kind, str(len(parts)).encode())
    for part in parts:
        _feed(update, part)


def _feed_array(update: _Update, array: NDArray[Any]) -> None:
    _mark(update, "array", f"{_kind_of(array.dtype)}{array.shape}".encode())
    flat = array.reshape(-1)
    for start in range(0, len(flat), ENTRIES_AT_ONCE):
        _feed_entries(update, flat[start : start + ENTRIES_AT_ONCE])


def _kind_of(dtype: np.dtype[Any]) -> str:
    """Returns the type of an array's entries, without byte order and the width of strings."""
    if dtype.names is not None:
        return str([(name, _kind_of(dtype[name])) for name in dtype.names])
    if dtype.kind in "UTO":
        return "objects"
    return dtype.char if dtype.char in "gG" else dtype.newbyteorder("<").str


def _feed_entries(update: _Update, entries: NDArray[Any]) -> None:
    """Feeds the bytes of entries, without the padding between fields of records and after numbers."""
    if entries.dtype.names is not None:
        for name in entries.dtype.names:
            _feed_array(update, entries[name])
    elif entries.dtype.kind in "UTO":
        listed = entries.tolist()
        strings = all(type(entry) is str for entry in listed)
        _feed_parts(update, "strings" if strings else "objects", list(pack_strings(listed)) if strings else listed)
    elif entries.dtype.char in "gG":
        _feed_parts(update, "numbers", [str(entry) for entry in entries])
    else:
        little = entries.dtype.newbyteorder("<")
        update(np.ascontiguousarray(entries, little).view(np.uint8).data if little.itemsize else b"")


def _feed_sparse(update: _Update, matrix: Any) -> None:
    """Feeds a sparse matrix by its entries in order, stored zeros included: they are data for some models."""
    cells: Any = sp.coo_array(matrix) if matrix.ndim != 2 else None
    if cells is None:
        rows: Any = sp.csr_array(matrix)
        rows = sp.csr_array((rows.data, rows.indices, rows.indptr), shape=rows.shape)  # flags that are right
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        places = [rows.indptr, rows.indices]
    else:
        cells = cells.copy()
        cells.sum_duplicates()
        rows, places = cells, list(cells.coords)
    _mark(update, "sparse", f"{tuple(map(int, rows.shape))}".encode())
    for place in places:
        _feed_array(update, place.astype(np.int64, copy=False))
    _feed_array(update, rows.data)


def _feed_frame(update: _Update, frame: Any) -> None:
    index = getattr(frame.to_native(), "index", None)
    _feed_parts(update, "frame", [frame.implementation.name, None if index is None else np.asarray(index)])
    for column in frame.iter_columns():
        missing = column.is_null().to_numpy()
        _feed_parts(update, "column", [column.name, str(column.dtype), missing, column.to_numpy()])


def _interactions(data: Interactions) -> list[Any]:
    events = [data.user_codes, data.item_codes, data.values, data.times]
    return [*events, data.users, data.items, data.time_unit, data.duplicates, data.item_info]


def _estimator(value: Any) -> list[Any]:
    """Feeds an estimator's options and, after a fit, its learned values."""
    options = {name: option for name, option in value.get_params(deep=False).items() if name not in IDLE}
    settle = getattr(value, "settle", None)
    if settle is not None:  # events taken in place are learned
        settle()
    learned = {name: part for name, part in vars(value).items() if name.endswith("_") and not name.startswith("_")}
    if learned:  # a file does not hold these options, or they are made again from learned values
        rebuilt = getattr(type(value), "_rebuilt_options", ())
        options = {name: one for name, one in options.items() if name not in rebuilt and not _is_spent(one)}
    return [options, learned]


def _is_spent(option: Any) -> bool:
    random = isinstance(option, np.random.Generator | np.random.RandomState)
    return option is None or callable(option) or hasattr(option, "get_n_splits") or random


def _qualify(named: Any) -> str:
    name = f"{named.__module__}.{named.__qualname__}"
    if "<" in name and not isinstance(named, type):
        raise ValueError(f"{name} cannot be identified: define it with a name in a module")
    return name


def _feed_function(update: _Update, function: FunctionType) -> None:
    """Feeds a function by its name, its text and its values; Python's own functions, whose text varies, by name
    alone.
    """
    name = _qualify(function)
    if function.__module__.partition(".")[0] in sys.stdlib_module_names - {"__main__"}:
        return _mark(update, "function", name.encode())
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    _feed_parts(update, "function", [name, _text_of(function), function.__defaults__, function.__kwdefaults__, held])


def _text_of(function: FunctionType) -> Any:
    """Returns the source of a function, or its code if there is no source, as in an interactive session."""
    code = function.__code__
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return [code.co_code, code.co_names, [part for part in code.co_consts if not inspect.iscode(part)]]


def _feed_object(update: _Update, value: Any) -> None:
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        kept: Any = value.__reduce_ex__(4) if reduce is None else reduce(value)
    except Exception as error:
        raise ValueError(f"{type(value).__name__} cannot be identified: {error}") from None
    if isinstance(kept, str):
        _feed_parts(update, "global", [kept, _qualify(type(value))])
    else:
        make, *parts = kept
        named = [_qualify(make) if isinstance(make, FunctionType) else make]
        state = [list(part) if isinstance(part, Iterator) else part for part in parts]
        _feed_parts(update, _qualify(type(value)), named + state)
