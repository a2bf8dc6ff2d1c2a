"""Spans of time in the unit that the data's times have."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.validation import check_number

UNITS_PER_SECOND: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365.25 * 86400}


def parse_duration(name: str, duration: Any, time_unit: str | None) -> float:
    """A span of time, above 0, in the data's time unit.

    Parameters
    ----------
    name
        What errors call it.
    duration
        A number in the unit of the data, or a string such as "30d" (s, min, h, d, w, y).
    time_unit
        "s", "ms", "us" or "ns"; None where the data's times have no unit.

    Raises
    ------
    ValueError, TypeError
        Where it is neither, or not above 0, or a string though no unit is known.

    Examples
    --------
    >>> parse_duration("half_life", "30d", "ms")
    2592000000.0
    """
    if not isinstance(duration, str):
        return check_number(name, duration, minimum=0, above=True)
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(s|min|h|d|w|y)\s*", duration)
    if match is None:
        raise ValueError(f"{name} must be a number, or a string such as '30d' (s, min, h, d, w, y), got {duration!r}")
    if time_unit not in UNITS_PER_SECOND:
        raise ValueError(f"{name} is {duration!r}, but the data's times have no unit: give it as a number in theirs")
    number = check_number(name, float(match[1]), minimum=0, above=True)
    return number * _SECONDS[match[2]] * UNITS_PER_SECOND[time_unit]


def convert_times(name: str, times: NDArray[np.int64], unit: str | None, wanted: str | None) -> NDArray[Any]:
    """Times in another unit: as they are where it is the same, else float64.

    Parameters
    ----------
    name
        What errors call who asks.
    times
        int64.
    unit, wanted
        Theirs and the one wanted: "s", "ms", "us" or "ns", or None for times that are an order and no date.

    Raises
    ------
    ValueError
        Where one has a unit and the other has none.

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


def round_times(name: str, times: NDArray[np.int64], unit: str, wanted: str) -> NDArray[np.int64]:
    """Times since 1970 in another unit, as int64; to a coarser one they are rounded down.

    Raises
    ------
    ValueError
        Where one is beyond int64 in the unit wanted: its row is named.

    Examples
    --------
    >>> round_times("times", np.array([-1500, 1500]), "ms", "s")
    array([-2,  1])
    >>> round_times("times", np.array([0, 2**40]), "s", "ns")
    Traceback (most recent call last):
    ...
    ValueError: times must fit in int64 as ns, got 36812-02-20T00:36:16 in row 1 (counted from 0): take a coarser unit
    """
    up, down = UNITS_PER_SECOND[wanted] // UNITS_PER_SECOND[unit], UNITS_PER_SECOND[unit] // UNITS_PER_SECOND[wanted]
    if not up:
        return times // down
    most = np.iinfo(np.int64).max // up
    beyond = (times > most) | (times < -most)
    if beyond.any():
        row = int(np.argmax(beyond))
        date = times[row : row + 1].astype(f"datetime64[{unit}]")[0]
        raise ValueError(
            f"{name} must fit in int64 as {wanted}, got {date} in row {row} (counted from 0): take a coarser unit"
        )
    return times * up
