"""Spans of time in the unit of the data's times."""

import math
import numbers
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.validation import check_number

UNITS_PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NUMPY_SECONDS = {
    **{unit: Fraction(seconds) for unit, seconds in (("W", 7 * 86400), ("D", 86400), ("h", 3600), ("m", 60), ("s", 1))},
    **{unit: Fraction(1, 1000**power) for power, unit in enumerate(("ms", "us", "ns", "ps", "fs", "as"), 1)},
}
_INT64 = np.iinfo(np.int64)
# A date with dots has its day first; spreadsheets write an hour before ten with one digit.
_DOTTED = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?![0-9])")
_SHORT_HOUR = re.compile(r"(?<=[0-9][ T])([0-9])(?=:)")
_DATES = "a date, or a string such as 2020-01-31 or 31.01.2020 12:00"  # what a moment may be, in errors
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365.25 * 86400}


def check_duration(name: str, duration: Any) -> None:
    """Raises a ValueError or TypeError that names the option, unless the value is a span of time above 0."""
    parse_duration(name, duration, "s")


def parse_duration(name: str, duration: Any, time_unit: str | None) -> float:
    """Parses a span of time, above 0, into the data's time unit.

    Parameters
    ----------
    name
        The name of the span in errors.
    duration
        A number in the unit of the data, a string such as "30d" (s, min, h, d, w, y), or a timedelta of Python, NumPy
        or pandas.
    time_unit
        "s", "ms", "us" or "ns"; None if the data's times have no unit.

    Raises
    ------
    ValueError, TypeError
        If the span is of another type, or not above 0, or a string though no unit is known.

    Examples
    --------
    >>> parse_duration("half_life", "30d", "ms")
    2592000000.0
    """
    if isinstance(duration, timedelta | np.timedelta64):
        duration = f"{_span(name, duration):f}s"
    if not isinstance(duration, str):
        return check_number(name, duration, minimum=0, above=True)
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(s|min|h|d|w|y)\s*", duration)
    if match is None:
        raise ValueError(f"{name} must be a number, or a string such as '30d' (s, min, h, d, w, y), got {duration!r}")
    if time_unit not in UNITS_PER_SECOND:
        raise ValueError(
            f"{name} is {duration!r}, but the data's times have no unit: give it as a number in their unit"
        )
    number = check_number(name, float(match[1]), minimum=0, above=True)
    return number * _SECONDS[match[2]] * UNITS_PER_SECOND[time_unit]


def _span(name: str, duration: timedelta | np.timedelta64) -> Decimal:
    """Returns the seconds of a timedelta."""
    if duration != duration:
        raise ValueError(f"{name} must be a span of time, got {duration!r}, which is missing")
    if isinstance(duration, timedelta):
        return Decimal(duration.days * 86400 + duration.seconds) + Decimal(duration.microseconds) / 10**6
    unit, steps = np.datetime_data(duration.dtype)
    if unit not in _NUMPY_SECONDS:
        raise ValueError(f"{name} must be a span in weeks or shorter units, got {duration!r}")
    seconds = int(duration.astype(np.int64)) * steps * _NUMPY_SECONDS[unit]
    return Decimal(seconds.numerator) / seconds.denominator


def parse_moment(text: str) -> datetime:
    """Parses a date or a time in ISO 8601 or with dots, also with a blank before its zone, with UTC or GMT as the zone,
    and with an hour of one digit.

    >>> str(parse_moment("2019-10-01 00:00:00 UTC")), str(parse_moment("2024-03-01 10:11:12 +0100"))
    ('2019-10-01 00:00:00+00:00', '2024-03-01 10:11:12+01:00')
    >>> str(parse_moment("24.11.2026 9:05"))
    '2026-11-24 09:05:00'
    """
    text = re.sub(r"(?<=[0-9]) ?(UTC|GMT|Z|z)$", "+00:00", text.strip())
    if dotted := _DOTTED.match(text):
        text = f"{dotted[3]}-{dotted[2]:0>2}-{dotted[1]:0>2}{text[dotted.end() :]}"
    text = _SHORT_HOUR.sub(r"0\1", text)
    return datetime.fromisoformat(re.sub(r"(?<=[0-9]) (?=[+-][0-9:]+$)", "", text))


def as_count(name: str, at: Any, unit: str | None) -> int:
    """Converts a moment to a whole number of a unit since 1970, rounded up, so that earlier times stay earlier.

    The number is exact for every moment of every library, even beyond int64.

    Parameters
    ----------
    name
        The name of the moment in errors.
    at
        A whole number in the unit (of Python or NumPy); or, if there is a unit, a date or time of Python, NumPy or
        pandas, or a string in ISO 8601 or with dots, such as 24.11.2026. Without a zone it is UTC.
    unit
        "s", "ms", "us" or "ns", or None.

    Raises
    ------
    ValueError, TypeError
        If the moment is of another type, missing or infinite, or a date though no unit is known.

    Examples
    --------
    >>> as_count("at", np.float64(1602592000), "s"), as_count("at", "2600-01-01", "ns")
    (1602592000, 19880899200000000000)
    """
    at = at[()] if isinstance(at, np.ndarray) and not at.ndim else at
    is_date = isinstance(at, str | date | np.datetime64)
    if isinstance(at, numbers.Real | Decimal) and not isinstance(at, bool | np.timedelta64):
        if isinstance(at, int | np.integer):
            return int(at)
        if not math.isfinite(at):
            raise ValueError(f"{name} must be a finite number, {_DATES}, got {at!r}")
        number: Any = at
        if number != int(number):
            raise TypeError(f"{name} must be a whole number, {_DATES}, got {at!r}: round it")
        return int(number)
    if not is_date:
        raise TypeError(f"{name} must be a number, {_DATES}, got {at!r}")
    seconds = _seconds(name, at)
    if unit is None:
        raise ValueError(
            f"{name} is a date, but the unit of the times is unknown: read the interactions with "
            "time_unit=…, or give a number"
        )
    return math.ceil(seconds * UNITS_PER_SECOND[unit])


def _seconds(name: str, at: Any) -> Fraction:
    """Returns a date or time as seconds since 1970, exactly."""
    if at != at:
        raise TypeError(f"{name} must be a number, {_DATES}, got {at!r}, which is missing")
    if isinstance(at, np.datetime64):
        return _seconds_of_numpy(name, at)
    if isinstance(at, str):
        try:
            at = parse_moment(at)
        except ValueError:
            raise ValueError(f"{name} must be a number, {_DATES}, got {at!r}") from None
    if not isinstance(at, datetime):
        at = datetime.combine(at, time())
    span = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    whole = Fraction(span.days * 86400 + span.seconds) + Fraction(span.microseconds, 10**6)
    return whole + Fraction(getattr(at, "nanosecond", 0), 10**9)  # pandas has nanoseconds


def _seconds_of_numpy(name: str, at: np.datetime64) -> Fraction:
    unit, steps = np.datetime_data(at.dtype)
    number = int(at.astype(np.int64)) * steps
    if unit in ("Y", "M"):
        years, months = divmod(number, 12) if unit == "M" else (number, 0)
        if not 1 <= years + 1970 <= 9999:
            raise ValueError(f"{name} must be in the years 1 to 9999, got {at!r}")
        number, unit = date(years + 1970, months + 1, 1).toordinal() - date(1970, 1, 1).toordinal(), "D"
    return number * _NUMPY_SECONDS[unit]


def convert_times(name: str, times: NDArray[np.int64], unit: str | None, wanted: str | None) -> NDArray[Any]:
    """Converts times to another unit: unchanged if the units are equal, otherwise float64.

    Parameters
    ----------
    name
        The name of the caller in errors.
    times
        int64.
    unit, wanted
        The unit of the times and the wanted one: "s", "ms", "us" or "ns", or None for times that are only an order.

    Raises
    ------
    ValueError
        If one has a unit and the other has none.

    Examples
    --------
    >>> convert_times("model", np.array([1500, 2000]), "ms", "s")
    array([1.5, 2. ])
    """
    if unit == wanted:
        return times
    if unit is None or wanted is None:
        known, other = ("events", "training data") if wanted is None else ("training data", "events")
        raise ValueError(
            f"{name}: the times of the {known} are in {unit or wanted!r}, those of the {other} have no unit; give both "
            "a time_unit"
        )
    return times * (UNITS_PER_SECOND[wanted] / UNITS_PER_SECOND[unit])


def time_between(times: NDArray[Any], last: float) -> NDArray[np.float64]:
    """Returns the time from each time to the last one, 0 for later ones: exact even if times are beyond float64.

    >>> time_between(np.array([2**62, 2**62 + 1, -(2**62)]), 2**62 + 1)
    array([1.00000000e+00, 0.00000000e+00, 9.22337204e+18])
    """
    if times.dtype != np.int64 or isinstance(last, float):
        return np.maximum(last - times.astype(np.float64), 0)
    # Modulo 2⁶⁴, so that even a difference beyond int64 is right.
    ages = (np.int64(last) - times).view(np.uint64)
    return np.where(times < last, ages, 0).astype(np.float64)


def round_times(name: str, times: NDArray[np.int64], unit: str, wanted: str) -> NDArray[np.int64]:
    """Times since 1970 in another unit, as int64; to a coarser one they are rounded down.

    Raises
    ------
    ValueError
        If a time is beyond int64 in the wanted unit; the message names its row.

    Examples
    --------
    >>> round_times("times", np.array([-1500, 1500]), "ms", "s")
    array([-2,  1])
    >>> round_times("times", np.array([0, 2**40]), "s", "ns")
    Traceback (most recent call last):
    ...
    ValueError: times must fit in int64 as ns, got 36812-02-20T00:36:16 in row 1 (counted from 0): take a coarser unit
    """
    return _rescale(name, times, Fraction(UNITS_PER_SECOND[wanted], UNITS_PER_SECOND[unit]), unit, wanted)


def read_dates(name: str, dates: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], str]:
    """Reads dates in any unit of NumPy as int64 since 1970, and their unit: "s", "ms", "us" or "ns".

    The unit is their own, or the next finer one: longer units become seconds. Units finer than "ns" are rounded down.

    Raises
    ------
    ValueError
        If a date is missing or beyond int64 (its row is named), or the dates have no unit.

    Examples
    --------
    >>> read_dates("times", np.array(["1970-01-02", "9999-12-31"], "M8[D]"))
    (array([       86400, 253402214400]), 's')
    >>> read_dates("times", np.array([1500, -1], "M8[ps]"))
    (array([ 1, -1]), 'ns')
    """
    if np.isnat(dates).any():
        raise ValueError(f"{name} must not be missing, got NaT in row {int(np.argmax(np.isnat(dates)))}")
    unit, steps = np.datetime_data(dates.dtype)
    if unit == "generic":
        raise ValueError(f"{name} are datetime64 without a unit: give them one, such as datetime64[s]")
    numbers = dates.astype(np.int64)
    if unit in ("Y", "M"):
        # In these years NumPy's own days are exact.
        numbers = _rescale(name, numbers, Fraction(steps), unit, "s", most=10**9)
        numbers, unit, steps = numbers.astype(f"M8[{unit}]").astype("M8[D]").astype(np.int64), "D", 1
    wanted = unit if unit in UNITS_PER_SECOND else "ns" if _NUMPY_SECONDS[unit] < 1 else "s"
    return _rescale(name, numbers, steps * _NUMPY_SECONDS[unit] * UNITS_PER_SECOND[wanted], unit, wanted), wanted


def _rescale(
    name: str, numbers: NDArray[np.int64], factor: Fraction, unit: str, wanted: str, most: int = int(_INT64.max)
) -> NDArray[np.int64]:
    """Times by another unit's factor, rounded down; a time that int64 does not hold is refused with its row."""
    up, down = factor.numerator, factor.denominator
    beyond = (numbers > most // up) | (numbers < -(most // up))
    if beyond.any():
        row = int(np.argmax(beyond))
        date = numbers[row : row + 1].astype(f"datetime64[{unit}]")[0]
        help = "" if wanted == "s" else ": take a coarser unit"
        raise ValueError(f"{name} must fit in int64 as {wanted}, got {date} in row {row} (counted from 0){help}")
    return numbers * up // down


def find_far_times(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Finds times that lie beyond the middle 99.8 % of all by more than these spans; none among fewer than a hundred.

    >>> find_far_times(np.append(np.arange(999), 10**6))
    array([999])
    """
    if len(times) < 100:
        return np.empty(0, np.int64)
    cut = max(1, len(times) // 1000)
    ordered = np.partition(times, [cut, len(times) - 1 - cut])
    low, high = int(ordered[cut]), int(ordered[len(times) - 1 - cut])
    least, most = max(2 * low - high, int(_INT64.min)), min(2 * high - low, int(_INT64.max))
    return np.flatnonzero((times < least) | (times > most))
