"""Ids as callers give them: any collection as one array, and the texts of ids."""

import numbers
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastrec.data.frames import find_column, plain_column

Kind = Literal["int", "str"]
Id = int | str

_PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


def parse_integer(text: str) -> int | None:
    """Returns the integer of a plain text, or None.

    A plain text has ASCII digits and at most a minus, within int64. A text with a plus, a leading zero, a blank, an
    underscore or digits of another script differs from the integer's own text, and would be lost.

    >>> [parse_integer(text) for text in ("-7", "07", "+7", " 7", "1_0", "７", str(2**63))]
    [-7, None, None, None, None, None, None]
    """
    if not _PLAIN_INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def parse_id(text: str, kind: Kind) -> Id | None:
    """The id of a kind that a text stands for, or None if it stands for none.

    >>> parse_id("007", "str"), parse_id("7", "int"), parse_id("007", "int")
    ('007', 7, None)
    """
    return text if kind == "str" else parse_integer(text)


def as_ids(ids: Any, name: str = "ids") -> NDArray[Any]:
    """Returns `ids` as a 1-D array of int64 or of Python strings (dtype object); other types are refused, not guessed.

    Parameters
    ----------
    ids
        One id, or any collection of n ids: a sequence, a set, an iterator, keys of a dict, an array of NumPy, a series
        of pandas or polars, or an array of pyarrow. Ids are plain, nullable, 128-bit or categorical integers or
        strings, or decimals without a fraction.
    name
        The name of the argument in errors.

    Returns
    -------
    ndarray of int64 or object, of shape (n,)

    Raises
    ------
    TypeError
        If ids are floats, booleans, bytes, a mix of integers and strings, or of any other type.
    ValueError
        If an id is missing, or an integer is beyond int64; the message names its row.

    Examples
    --------
    >>> as_ids([3, 1])
    array([3, 1])
    >>> as_ids({3: "c", 1: "a"}.keys())
    array([3, 1])
    >>> as_ids(["a", 1])
    Traceback (most recent call last):
    ...
    TypeError: ids must be all integers or all strings, got 1 (int) in row 1 after strings
    """
    # np.asarray would drop trailing NULs of strings, and turn integers beside strings into text.
    given = as_sequence(ids)
    if isinstance(given, list):
        return _objects_as_ids(given, name)
    if given.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {given.shape}")
    if isinstance(given, np.ma.MaskedArray):
        return _objects_as_ids(given.tolist(), name)
    if given.dtype.kind in "iu":
        if given.dtype == np.uint64 and given.size and given.max() > np.iinfo(np.int64).max:
            row = int(np.argmax(given > np.iinfo(np.int64).max))
            raise ValueError(f"{name} must fit in int64, got {given[row]} in row {row}")
        return np.ascontiguousarray(given, np.int64)
    if given.dtype.kind in "UTO":
        return _objects_as_ids(given.tolist(), name)
    if not given.size:
        return np.empty(0, np.int64)
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise ValueError(f"{name} must not be missing, got nan in row {int(np.argmax(np.isnan(given)))}")
    raise TypeError(f"{name} must be integers or strings, got {given.dtype}")


def as_sequence(given: Any) -> NDArray[Any] | list[Any]:
    """Returns one thing as a list of it, and any collection of things as an array or a list; arrays stay unchanged.

    >>> as_sequence("ann"), as_sequence(("ann", "bob")), as_sequence(range(2))
    (['ann'], ['ann', 'bob'], array([0, 1]))
    """
    if isinstance(given, list):
        return given
    if isinstance(given, np.ndarray) and given.ndim:
        return given
    if isinstance(given, str | bytes | int | np.generic | np.ndarray) or not isinstance(given, Iterable):
        return [given]
    if isinstance(given, range):
        return np.array(given, np.int64)
    column = find_column(given)
    if column is not None:
        return plain_column(column)
    if hasattr(given, "__array__"):
        array = np.asarray(given)
        return array if array.ndim else [given]
    return list(given)


def as_numbers(given: Any, name: str) -> NDArray[Any]:
    """Returns one code or any collection of codes as an array; `check_codes` checks them.

    >>> as_numbers({3, 1}, "items"), as_numbers(7, "items")
    (array([1, 3]), array([7]))
    """
    array = np.asarray(as_sequence(given))
    return as_ids(array, name) if array.dtype == object and array.ndim == 1 else array


def _objects_as_ids(values: list[Any], name: str) -> NDArray[Any]:
    kinds = set(map(type, values))
    if not kinds <= {int} and kinds != {str}:
        gap = next((row for row, value in enumerate(values) if is_missing(value)), None)
        if gap is not None:
            raise ValueError(f"{name} must not be missing, got {values[gap]!r} in row {gap}")
        values = [_plain_id(value, row, name) for row, value in enumerate(values)]
        kinds = set(map(type, values))
    if len(kinds) > 1:
        row = next(row for row, value in enumerate(values) if type(value) is not type(values[0]))
        first, other = ("strings", "int") if isinstance(values[0], str) else ("integers", "str")
        raise TypeError(
            f"{name} must be all integers or all strings, got {values[row]!r} ({other}) in row {row} after {first}"
        )
    if kinds == {str}:
        return object_array(values)
    try:
        return np.array(values, np.int64)
    except OverflowError:
        row = next(row for row, value in enumerate(values) if not -(2**63) <= value < 2**63)
        raise ValueError(f"{name} must fit in int64, got {values[row]} in row {row}") from None


def _plain_id(value: Any, row: int, name: str) -> Id:
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    value = value.as_py() if hasattr(value, "as_py") else value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value.as_tuple().exponent >= 0:  # type: ignore[operator]
        return int(value)
    raise TypeError(f"{name} must be integers or strings, got {value!r} ({type(value).__name__}) in row {row}")


def is_missing(value: Any) -> bool:
    """Tells whether a Python object is a missing value: None, NaN, or pandas' own.

    >>> [is_missing(value) for value in (None, float("nan"), Decimal("nan"), np.datetime64("nat"), 0, "")]
    [True, True, True, True, False, False]
    """
    value = value.as_py() if hasattr(value, "as_py") else value  # a scalar of pyarrow
    if value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float | np.floating | np.datetime64 | np.timedelta64) and bool(value != value)


def object_array(values: list[Any]) -> NDArray[np.object_]:
    """Returns any Python objects as an array of shape (n,)."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def check_text(strings: Iterable[str], name: str) -> None:
    r"""Raises a ValueError that names the first string with a lone surrogate: no file, database or answer can hold it.

    >>> check_text(["ann", "b\ud800"], "ids")
    Traceback (most recent call last):
    ...
    ValueError: ids must be strings of Unicode characters, got 'b\ud800', which has a lone surrogate
    """
    strings = list(strings)
    try:
        "".join(strings).encode()
    except UnicodeEncodeError:
        wrong = next(string for string in strings if not _is_text(string))
        raise ValueError(
            f"{name} must be strings of Unicode characters, got {wrong!r}, which has a lone surrogate"
        ) from None


def strings_in(values: Iterable[Any]) -> Iterator[str]:
    """Returns the strings of a column, also those in lists of categories; lists of numbers are passed over.

    >>> list(strings_in(["a", 1, ["b", "c"], [0.5, 1.5], None]))
    ['a', 'b', 'c']
    """
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple | set | frozenset):
            if not isinstance(next(iter(value), 0), numbers.Number):
                yield from strings_in(value)
        elif isinstance(value, np.ndarray) and value.dtype.kind in "OUT":
            yield from strings_in(value.tolist())


def _is_text(string: str) -> bool:
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True
