"""A digest of any value that an option may have: the same for the same value in another process, unlike for another."""

import copyreg
import hashlib
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastrec.data import Interactions, pack_strings

# Options that change how long a fit takes, or what is seen of it, and not what it gives.
IDLE = ("n_jobs", "verbose", "callback")

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


def digest(value: Any) -> str:
    """16 hexadecimal digits that tell a value from others.

    Arrays, sparse matrices and Interactions count by their content, estimators by their parameters (but `IDLE` ones),
    frozen distributions of SciPy by their arguments, functions by their name, other objects by what pickle would keep.

    Raises
    ------
    ValueError
        For what cannot be told from others of its kind, such as a lambda.

    Examples
    --------
    >>> digest([1, np.zeros(2)]) == digest([1, np.zeros(2)])
    True
    >>> digest([1, np.zeros(2)]) == digest([1, np.zeros(3)])
    False
    """
    state = hashlib.blake2b(digest_size=8)
    try:
        _feed(state.update, value)
    except RecursionError:
        raise ValueError(f"{type(value).__name__} refers to itself and cannot be told from others") from None
    return state.hexdigest()


def _feed(update: Callable[[Any], None], value: Any) -> None:
    """The value's content: each kind starts with its name and says how much follows, so that no two read alike."""
    if isinstance(value, _PLAIN):
        _mark(update, type(value).__name__, repr(value))
    elif isinstance(value, np.ndarray | np.generic):
        _feed_array(update, np.asarray(value))
    elif sp.issparse(value):
        rows: Any = sp.csr_array(value)  # type: ignore[call-overload]
        _feed_parts(update, "sparse", [rows.shape, rows.indptr, rows.indices, rows.data])
    elif isinstance(value, Interactions):
        _feed_parts(update, "Interactions", _interactions(value))
    elif isinstance(value, Mapping):
        _feed_parts(update, "mapping", [part for key in sorted(value, key=repr) for part in (key, value[key])])
    elif isinstance(value, set | frozenset):
        _feed_parts(update, "set", sorted(map(digest, value)))
    elif isinstance(value, list | tuple):
        _feed_parts(update, type(value).__name__, list(value))
    elif isinstance(value, type | FunctionType):
        _mark(update, "name", _qualified(value))
    elif hasattr(value, "get_params"):
        params = value.get_params(deep=False)
        kept = {name: param for name, param in params.items() if name not in IDLE}
        _feed_parts(update, _qualified(type(value)), [kept])
    elif hasattr(value, "rvs") and hasattr(getattr(value, "dist", value), "_updated_ctor_param"):  # SciPy's
        family = getattr(value, "dist", value)
        made = family._updated_ctor_param()  # the values of an rv_discrete or rv_histogram
        _feed_parts(update, _qualified(type(family)), [made, getattr(value, "args", ()), getattr(value, "kwds", {})])
    else:
        _feed_object(update, value)


def _mark(update: Callable[[Any], None], kind: str, text: str) -> None:
    update(f"{kind}:{len(text)}:{text};".encode("utf-8", "surrogatepass"))


def _feed_parts(update: Callable[[Any], None], kind: str, parts: list[Any]) -> None:
    _mark(update, kind, str(len(parts)))
    for part in parts:
        _feed(update, part)


def _feed_array(update: Callable[[Any], None], array: np.ndarray[Any, Any]) -> None:
    _mark(update, "array", f"{array.dtype.str}{array.dtype.descr}{array.shape}")
    if array.dtype.hasobject:
        strings = array.dtype == object and all(type(entry) is str for entry in array.flat)
        _feed_parts(update, "objects", list(pack_strings(array.ravel())) if strings else array.ravel().tolist())
    else:
        update(np.ascontiguousarray(array).tobytes())


def _interactions(data: Interactions) -> list[Any]:
    events = [data.user_codes, data.item_codes, data.values, data.times]
    return [*events, data.users.ids, data.items.ids, data.time_unit, data.duplicates, data.item_info]


def _qualified(named: Any) -> str:
    name = f"{named.__module__}.{named.__qualname__}"
    if "<" in name and not isinstance(named, type):
        raise ValueError(f"{name} cannot be told from others of its kind: give it a name of its module")
    return name


def _feed_object(update: Callable[[Any], None], value: Any) -> None:
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        kept: Any = value.__reduce_ex__(4) if reduce is None else reduce(value)
    except Exception as error:
        raise ValueError(f"{type(value).__name__} cannot be told from others of its kind: {error}") from None
    if isinstance(kept, str):
        _feed_parts(update, "global", [kept, _qualified(type(value))])
    else:
        state = [list(part) if hasattr(part, "__next__") else part for part in kept]
        _feed_parts(update, _qualified(type(value)), state)
