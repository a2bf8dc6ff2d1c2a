"""Columns of any kind as ids, values and times; a value that would need a guess is refused with its row and column."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, cast

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from fastrec.data.checks import TimeUnit, check_values
from fastrec.data.durations import UNITS_PER_SECOND, parse_moment, round_times
from fastrec.data.frames import decoded, plain_column, with_known_scale
from fastrec.data.ids import as_ids, check_text, object_array, parse_integer
from fastrec.data.text_columns import NoNumberError, TextColumn
from fastrec.data.vocabulary import Vocabulary

# A column is a TextColumn of a text file, a narwhals Series (of pandas, polars or pyarrow), or a NumPy array.
Column = Any

IdKind = Literal["auto", "int", "str"]
ID_KINDS: tuple[IdKind, ...] = ("auto", "int", "str")

# What to do about missing cells of ids; in a table of events; of users and times there; and of values, where the value
# of the row above would be that of another event.
_LEAVE_OUT = "leave such rows out"
DROP = f'{_LEAVE_OUT} with incomplete="drop"'
FILL_DOWN = (
    f"{DROP}, or, if only the first row of a group has it, fill it downwards first (in pandas: frame[COLUMN].ffill())"
)
_FILL_VALUE = f"count each event once with value=False, {DROP}, or give such rows a value first"
_COMMAS = (
    ": commas are decimal ones only if no number has two of them or a point, and some number has other than three "
    'digits after it; otherwise read the file by pandas.read_csv(file, decimal=",") or thousands=","'
)
_FILL_BY = " (in pandas: frame[COLUMN].fillna(FILLER))"
_FLOAT_IDS = (
    "pandas makes floats of integers beside an empty cell, and drops leading zeros; read the file with dtype=str and "
    "leave out rows without an id, or make integers again (frame.dropna(subset=[COLUMN]).astype({COLUMN: int}))"
)

BLOCK = 1 << 18  # integers factorized at a time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Seconds between these (1990 and 2100) count as dates, and so do milli-, micro- and nanoseconds.
_PLAUSIBLE_SECONDS = (631_152_000, 4_102_444_800)


def read_ids(
    column: Column, name: str, *, kind: IdKind = "auto", advice: str = _LEAVE_OUT
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """Reads a column of ids: their vocabulary, in ascending order, and the code of every row.

    Parameters
    ----------
    column
        Integers or strings. In a text file, ids are integers if each of them is an int64 without leading zeros, sign or
        point, which would be lost. Otherwise they are strings.
    name
        The name of the column in errors.
    kind
        The kind of the ids: "str" or "int", or "auto" for the kind that they have.
    advice
        What to do about missing ids, in the error.

    Raises
    ------
    TypeError
        If ids are neither integers nor strings.
    ValueError
        If an id is missing, or is no integer though `kind` is "int"; the message names its row.
    """
    if isinstance(column, TextColumn):
        _refuse_gap(column, name, advice)
        integers = column.integers() if kind != "str" else None
        if integers is not None:
            unique, codes = factorize_integers(integers)
            return Vocabulary.from_sorted(unique), codes
        if kind == "int":
            raise _no_integer(column.text(column.no_integer()), column.no_integer(), name)
        texts, codes = column.distinct()
        return _string_vocabulary(texts, name), codes
    strings, integers = _as_written(column, name, advice)
    if strings is None:
        unique, codes = factorize_integers(integers)
        if kind != "str":
            return Vocabulary.from_sorted(unique), codes
        texts, places = _factorize_list(list(map(str, unique.tolist())))
        return _string_vocabulary(texts, name), places[codes]
    texts, codes = strings
    if kind == "int":
        parsed = _parse_integers(texts, codes, name)
        order = np.argsort(parsed)
        return Vocabulary.from_sorted(parsed[order]), _rank(order)[codes]
    return _string_vocabulary(texts, name), codes


def _no_integer(text: str, row: int, name: str) -> ValueError:
    return ValueError(
        f"{name} must be plain integers, since integer ids are asked for, got {text!r} in row {row} (counted from 0)"
    )


_Strings = tuple[list[str], NDArray[np.int32]]  # distinct ones, ascending, and the place of every row


def _as_written(column: Column, name: str, advice: str) -> tuple[_Strings | None, NDArray[np.int64]]:
    """The ids of a column as strings; or None, and the ids as integers."""
    none = np.empty(0, np.int64)
    if isinstance(column, nw.Series):
        column = with_known_scale(column)
        has_floats = column.dtype.is_float() and len(column) > 0
        _refuse_missing(column.is_null().to_numpy(), name, _FLOAT_IDS if has_floats else advice)
        if has_floats:
            got = str(column.dtype).lower()
            raise TypeError(f"{name} must be integers or strings, got {got}: {_name_column(_FLOAT_IDS, name)}")
        column = decoded(column)
        if column.dtype == nw.String:
            return _factorize_series(column), none
        if column.dtype.is_temporal() or column.dtype.is_nested():
            raise TypeError(f"{name} must be integers or strings, got {column.dtype}")
    ids = as_ids(column.to_native() if isinstance(column, nw.Series) else column, name)
    return (_factorize_list(ids.tolist()), none) if ids.dtype == object else (None, ids)


def _parse_integers(texts: list[str], codes: NDArray[np.int32], name: str) -> NDArray[np.int64]:
    """The integers that distinct texts stand for."""
    numbers = [parse_integer(text) for text in texts]
    if None in numbers:
        row = int(np.argmax(np.array([number is None for number in numbers], bool)[codes]))
        raise _no_integer(texts[codes[row]], row, name)
    return np.array(numbers, np.int64)


def _string_vocabulary(texts: list[str], name: str) -> Vocabulary:
    check_text(texts, name)
    return Vocabulary.from_sorted(object_array(texts))


def factorize_integers(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The distinct values in ascending order, and the place of every value among them.

    If their range is short, a table over it takes O(n); otherwise they are sorted.
    """
    if not len(values):
        return values, np.empty(0, np.int32)
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * len(values) + 1_000_000:
        unique, codes = np.unique(values, return_inverse=True)
        return unique, codes.astype(np.int32)
    met: NDArray[np.bool_] = np.zeros(high - low + 1, bool)
    blocks = [slice(first, first + BLOCK) for first in range(0, len(values), BLOCK)]  # to save memory
    for block in blocks:
        met[values[block] - low] = True
    places, found = np.cumsum(met, dtype=np.int32) - np.int32(1), np.empty(len(values), np.int32)
    for block in blocks:
        found[block] = places[values[block] - low]
    return np.flatnonzero(met).astype(np.int64) + low, found


def _factorize_list(values: list[str]) -> tuple[list[str], NDArray[np.int32]]:
    unique = sorted(set(values))
    code_of = dict(zip(unique, range(len(unique)), strict=True))
    return unique, np.fromiter(map(code_of.__getitem__, values), np.int32, len(values))


def _factorize_series(series: "nw.Series[Any]") -> tuple[list[str], NDArray[np.int32]]:
    """The distinct strings in ascending order (of code points, as of UTF-8 bytes) and their places, by the frame's
    library.
    """
    native = series.to_native()
    if series.implementation.is_pyarrow():
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded = native.cast(pa.large_string()).dictionary_encode()
        if not encoded.num_chunks:
            return [], np.empty(0, np.int32)
        encoded = encoded.unify_dictionaries()
        distinct = encoded.chunk(0).dictionary
        codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
        order = pc.array_sort_indices(distinct).to_numpy()
        return distinct.take(pa.array(order)).to_pylist(), _rank(order)[codes]
    if series.implementation.is_polars():
        import polars as pl

        distinct = native.unique().sort()
        return distinct.to_list(), native.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int32)
    if series.implementation.is_pandas():
        import pandas as pd

        codes, distinct = pd.factorize(native)
        values = list(distinct)
        order = np.array(sorted(range(len(values)), key=values.__getitem__), np.int64)
        return [values[place] for place in order.tolist()], _rank(order)[codes]
    return _factorize_list(series.to_list())


def _rank(order: NDArray[Any]) -> NDArray[np.int32]:
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


def _refuse_missing(missing: Any, name: str, advice: str) -> None:
    missing = np.asarray(missing, bool)
    if missing.any():
        raise ValueError(
            f"{name} must not be missing, but is in {np.count_nonzero(missing):,} of {len(missing):,} rows, first in "
            f"row {int(np.argmax(missing))} (counted from 0): {_name_column(advice, name)}"
        )


def _name_column(advice: str, name: str) -> str:
    """Returns an advice with the column's name in place of COLUMN."""
    return advice.replace("COLUMN", name.removeprefix("column ") if name.startswith("column ") else "column")


def _refuse_gap(column: TextColumn, name: str, advice: str) -> None:
    if column.gap >= 0:
        _refuse_missing(column.gaps(), name, advice)


def read_values(column: Column, name: str) -> NDArray[np.float32]:
    """Reads a column of numbers as float32.

    Raises
    ------
    TypeError, ValueError
        If a value is missing, no number, NaN, infinite or beyond float32; the message names its row.
    """
    filler = "" if isinstance(column, TextColumn) else _FILL_BY.replace("FILLER", _filler_of(column))
    try:
        numbers = _read_numbers(column, name, _FILL_VALUE + filler)
    except NoNumberError as error:
        advice = _COMMAS if "," in str(error.text) else ""
        raise ValueError(
            f"{name} must be numbers, got {error.text!r} in row {error.row} (counted from 0){advice}"
        ) from None
    return check_values(numbers, len(numbers), name)


def _filler_of(column: Column) -> str:
    """Returns a one as code, in the type of a column of a frame."""
    return '"1"' if isinstance(column, nw.Series) and with_known_scale(column).dtype == nw.String else "1"


def _read_numbers(column: Column, name: str, advice: str) -> NDArray[Any]:
    """Reads a column as integers or floats; raises a NoNumberError if it holds other text."""
    if isinstance(column, nw.Series):
        _refuse_missing(column.is_null().to_numpy(), name, advice)
        column = decoded(column)
        if column.dtype != nw.String:
            return _plain_numbers(column, name)
        column = TextColumn.of(column.to_list())
    if isinstance(column, TextColumn):
        _refuse_gap(column, name, advice)
        return column.numbers()
    return np.asarray(column)


def _plain_numbers(column: "nw.Series[Any]", name: str) -> NDArray[Any]:
    plain = plain_column(column)
    if isinstance(plain, np.ndarray):
        return plain
    numbers = np.empty(len(plain))
    for row, value in enumerate(plain):
        if isinstance(value, str):
            numbers[row] = TextColumn.of([value]).numbers()[0]
        elif isinstance(value, Real | Decimal):
            numbers[row] = float(value)
        elif column.dtype == nw.Object:
            raise NoNumberError(row, value)
        else:
            raise TypeError(f"{name} must be numbers, got {column.dtype}")
    return numbers


def read_times(column: Column, name: str, unit: TimeUnit | None) -> tuple[NDArray[np.int64], TimeUnit | None]:
    """Reads a column of times as int64, and their unit since 1970 (UTC); the unit is None if it is unknown.

    Raises
    ------
    TypeError, ValueError
        If a time is missing or cannot be read; the message names its row.
    """
    if isinstance(column, nw.Series):
        column = decoded(column)
        if column.dtype in (nw.Datetime, nw.Date):
            return _read_datetimes(column, name, unit)
        _refuse_missing(column.is_null().to_numpy(), name, FILL_DOWN)
        if column.dtype == nw.String:
            column = TextColumn.of(column.to_list())
    try:
        numbers = _read_numbers(column, name, FILL_DOWN)
    except NoNumberError:
        return _read_dates(column, name, unit)
    if numbers.dtype.kind in "iu":
        if numbers.dtype == np.uint64 and numbers.size and numbers.max() > np.iinfo(np.int64).max:
            raise ValueError(f"{name} must fit in int64, got {numbers.max()}")
        times = numbers.astype(np.int64, copy=False)
        return times, unit or _plausible_unit(times)
    if numbers.dtype.kind != "f":
        raise TypeError(f"{name} must be numbers, datetimes or strings of dates, got {numbers.dtype}")
    # Of float16 the largest is below what an integer holds, to which times are compared.
    return _read_float_times(numbers.astype(np.float64, copy=False), name, unit)


def _plausible_unit(times: NDArray[np.int64]) -> TimeUnit | None:
    if not len(times):
        return None
    low, high = int(times.min()), int(times.max())
    for unit, per_second in UNITS_PER_SECOND.items():
        if _PLAUSIBLE_SECONDS[0] * per_second <= low and high <= _PLAUSIBLE_SECONDS[1] * per_second:
            return cast(TimeUnit, unit)
    return None


def _read_float_times(
    times: NDArray[Any], name: str, unit: TimeUnit | None
) -> tuple[NDArray[np.int64], TimeUnit | None]:
    finite = np.isfinite(times)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"{name} must be finite, got {times[row]} in row {row} (counted from 0)")
    if np.abs(times).max(initial=0) >= 2.0**63:
        raise ValueError(f"{name} must fit in int64, got {times[np.argmax(np.abs(times))]}")
    whole = times.astype(np.int64)
    unit = unit or _plausible_unit(whole)
    if np.array_equal(whole, times):
        return whole, unit
    # Fractions of a second are kept as microseconds, which is about the precision of float64 for a time since 1970.
    if unit != "s":
        row = int(np.argmax(whole != times))
        raise ValueError(
            f'{name} must be whole numbers unless they are seconds (time_unit="s"), got {times[row]} in row {row}'
        )
    return np.rint(times * 1e6).astype(np.int64), "us"


def _read_datetimes(
    series: "nw.Series[Any]", name: str, unit: TimeUnit | None
) -> tuple[NDArray[np.int64], TimeUnit | None]:
    _refuse_missing(series.is_null().to_numpy(), name, FILL_DOWN)
    own: TimeUnit = "s"
    if isinstance(series.dtype, nw.Datetime):
        own = series.dtype.time_unit
    if unit is None or UNITS_PER_SECOND[unit] == UNITS_PER_SECOND[own]:
        return _datetime_integers(series, own), own
    return round_times(name, _datetime_integers(series, own), own, unit), unit


def _datetime_integers(series: "nw.Series[Any]", unit: TimeUnit) -> NDArray[np.int64]:
    if series.dtype == nw.Date:
        return np.asarray(series.to_numpy()).astype("datetime64[s]").astype(np.int64)
    if series.dtype.time_zone is not None:  # type: ignore[attr-defined]
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return np.asarray(series.to_numpy()).astype(f"datetime64[{unit}]").astype(np.int64)


def _read_dates(column: Column, name: str, unit: TimeUnit | None) -> tuple[NDArray[np.int64], TimeUnit | None]:
    """Reads dates and times, in ISO 8601 or with dots, as microseconds; without an offset they are UTC."""
    letters = column.letters() if isinstance(column, TextColumn) else None
    times = None if letters is None else _parse_uniform_iso(_put_year_first(letters))
    if times is None:
        values = column.to_list()
        times = np.fromiter((_parse_date(value, row, name) for row, value in enumerate(values)), np.int64, len(values))
    return (times, "us") if unit is None else (round_times(name, times, "us", unit), unit)


def _parse_date(value: Any, row: int, name: str) -> int:
    try:
        moment = _as_moment(value)
    except (ValueError, TypeError, AttributeError):
        raise ValueError(
            f"{name} must be numbers, datetimes, ISO 8601 strings, such as 2020-01-31, 2020-01-31T12:00:00Z or "
            f"2020-01-31 12:00:00 +0100, or dates with dots, such as 31.01.2020 12:00, got {value!r} in row {row} "
            "(counted from 0). Read a file with other dates by pandas.read_csv(file, dtype=str), and the dates by "
            "pandas.to_datetime(column, dayfirst=True), say; or leave the times out with time=False"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _as_moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    return parse_moment(value)


def _put_year_first(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rewrites strings that all begin with DD.MM.YYYY as YYYY-MM-DD…; other strings stay unchanged."""
    if letters.shape[1] < 10 or (letters[:, [2, 5]] != ord(".")).any():
        return letters
    rewritten = letters.copy()
    rewritten[:, :10] = letters[:, [6, 7, 8, 9, 2, 3, 4, 5, 0, 1]]
    rewritten[:, [4, 7]] = ord("-")
    return rewritten


def _parse_uniform_iso(letters: NDArray[np.uint8]) -> NDArray[np.int64] | None:
    """Reads strings that all have the form YYYY-MM-DD[Thh:mm[:ss[.ffffff]]][Z or UTC] at once; returns None
    otherwise.
    """
    for zone in (b"Z", b" UTC"):
        if letters.shape[1] > len(zone) and (letters[:, -len(zone) :] == np.frombuffer(zone, np.uint8)).all():
            letters = letters[:, : -len(zone)]
            break
    width = letters.shape[1]
    if width not in (10, 16, 19, *range(21, 27)) or not _matches_iso(letters):
        return None
    try:
        moments = np.ascontiguousarray(letters).view(f"S{width}").ravel().astype("datetime64[us]")
    except ValueError:  # such as a 13th month: reading one by one finds its row
        return None
    return moments.astype(np.int64)


def _matches_iso(letters: NDArray[np.uint8]) -> bool:
    separators = {4: b"-", 7: b"-", 10: b"T ", 13: b":", 16: b":", 19: b"."}
    for place in range(letters.shape[1]):
        column = letters[:, place]
        if place in separators:
            fits = np.isin(column, list(separators[place]))
        else:
            fits = (column >= ord("0")) & (column <= ord("9"))
        if not fits.all():
            return False
    return True
