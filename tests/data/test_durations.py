"""Spans and moments in the unit of the data's times, exact where int64 and float64 are not."""

import datetime as dt
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec import Interactions
from fastrec.data.durations import (
    UNITS_PER_SECOND as SECOND,
)
from fastrec.data.durations import (
    as_count,
    convert_times,
    find_far_times,
    parse_duration,
    parse_moment,
    round_times,
    time_between,
)

SPANS = {"W": 7 * 86400, "D": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1, "us": 1, "ns": 1}
FINE = {"ps": Fraction(1, 10**3), "fs": Fraction(1, 10**6), "as": Fraction(1, 10**9)}  # in nanoseconds
MOST = 2**63 - 1


@pytest.mark.parametrize("steps", [1, 25])
@pytest.mark.parametrize("unit", [*SPANS, *FINE])
@settings(max_examples=25)
@given(number=st.integers(-MOST, MOST) | st.integers(-(10**6), 10**6))
def test_dates_in_any_unit_of_numpy_are_exact_or_refused(unit, steps, number):
    dates = np.array([0, number], f"M8[{steps}{unit}]")
    factor = steps * Fraction({**SPANS, **FINE}[unit])
    if abs(number) * factor.numerator > MOST:
        with pytest.raises(ValueError, match=r"times must fit in int64 as \w+, got .* in row 1"):
            Interactions([0, 1], [0, 1], times=dates)
    else:
        read = Interactions([0, 1], [0, 1], times=dates)
        assert read.times.tolist() == [0, math.floor(number * factor)]
        assert read.time_unit == ("ns" if unit in FINE else unit if unit in ("ms", "us", "ns") else "s")


def test_years_and_months_are_those_of_the_calendar():
    dates = np.array(["0001-01", "2020-03", "9999-12"], "M8[M]")
    seconds = [int(date.astype("M8[s]").astype(int)) for date in dates]
    assert Interactions([0, 1, 2], [0, 1, 2], times=dates).times.tolist() == seconds
    with pytest.raises(ValueError, match=r"times must fit in int64 as s, got .* in row 1"):
        Interactions([0, 1], [0, 1], times=np.array([0, 2**61], "M8[Y]"))


def test_dates_without_a_unit_are_refused():
    with pytest.raises(ValueError, match="times are datetime64 without a unit"):
        Interactions([0], [0], times=np.array([1]).view("M8"))


@pytest.mark.parametrize(
    ("duration", "unit", "expected"),
    [
        ("90s", "s", 90),
        (" 1.5 h ", "ms", 5_400_000),
        (".5min", "us", 30_000_000),
        ("1y", "s", 31_557_600),
        (7, None, 7),
        (2.5, "ns", 2.5),
        (dt.timedelta(days=2), "s", 172_800),
        (dt.timedelta(microseconds=1), "ns", 1000),
        (np.timedelta64(3, "W"), "s", 1_814_400),
        (np.timedelta64(250, "ns"), "us", 0.25),
        (pd.Timedelta("2min"), "ms", 120_000),
    ],
)
def test_spans_of_any_make_are_read(duration, unit, expected):
    assert parse_duration("span", duration, unit) == expected


@pytest.mark.parametrize(
    ("duration", "unit", "error", "message"),
    [
        ("soon", "s", ValueError, "a string such as '30d'"),
        ("-3d", "s", ValueError, "a string such as '30d'"),
        ("3d", None, ValueError, "no unit: give it as a number"),
        ("0d", "s", ValueError, "span must be"),
        (0, "s", ValueError, "span must be"),
        (dt.timedelta(days=-1), "s", ValueError, "got '-86400s'"),
        (np.timedelta64("NaT"), "s", ValueError, "is missing"),
        (np.timedelta64(1, "M"), "s", ValueError, "weeks or shorter"),
        ([1], "s", TypeError, "span must be"),
    ],
)
def test_an_invalid_span_is_refused(duration, unit, error, message):
    with pytest.raises(error, match=message):
        parse_duration("span", duration, unit)


@pytest.mark.parametrize(
    ("at", "error", "message"),
    [
        (float("nan"), ValueError, "finite"),
        (1.5, TypeError, "round it"),
        (True, TypeError, "must be a number"),
        (np.timedelta64(1, "s"), TypeError, "must be a number"),
        (np.datetime64("NaT"), TypeError, "is missing"),
        ("soon", ValueError, "a string such as 2020-01-31 or 31.01.2020 12:00, got 'soon'"),
        (np.datetime64(10**4, "Y"), ValueError, "years 1 to 9999"),
    ],
)
def test_an_invalid_moment_is_refused(at, error, message):
    with pytest.raises(error, match=message):
        as_count("at", at, "s")


def test_a_date_needs_a_unit_and_a_whole_number_none():
    assert as_count("at", np.array(7.0), None) == 7
    assert as_count("at", "1970-01-01T00:00:00.0001+00:00", "ms") == 1  # rounded up
    with pytest.raises(ValueError, match="time_unit="):
        as_count("at", dt.date(2020, 1, 1), None)


@pytest.mark.parametrize("text", ["24.11.2026 9:05", "24.11.2026 09:05:00", "2026-11-24 9:05", "2026-11-24T9:05Z"])
def test_moments_of_spreadsheets_are_read(text):
    assert parse_moment(text).replace(tzinfo=None) == dt.datetime(2026, 11, 24, 9, 5)
    assert as_count("at", text, "s") == as_count("at", "2026-11-24T09:05:00", "s")


@pytest.mark.parametrize("text", ["24.11.2026 9", "24.11.2026 9:5", "24.11.20267", "4.2026", "24.11.26 9:05"])
def test_moments_that_could_mean_several_things_are_refused(text):
    with pytest.raises(ValueError, match=r"Invalid isoformat"):
        parse_moment(text)


UNITS = ["s", "ms", "us", "ns"]


@given(st.lists(st.integers(-MOST, MOST), min_size=1, max_size=5), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_times_in_another_unit_are_rounded_down_or_refused(times, unit, wanted):
    expected = [math.floor(time * Fraction(SECOND[wanted], SECOND[unit])) for time in times]
    if max(map(abs, expected)) <= MOST:
        assert round_times("times", np.array(times), unit, wanted).tolist() == expected
    else:
        with pytest.raises(ValueError, match=f"times must fit in int64 as {wanted}"):
            round_times("times", np.array(times), unit, wanted)


def test_times_are_converted_where_both_have_a_unit_or_none():
    times = np.array([1500, 2000])
    assert convert_times("model", times, "ms", "ms") is times
    assert convert_times("model", times, None, None) is times
    assert convert_times("model", times, "s", "ms").tolist() == [1_500_000, 2_000_000]
    with pytest.raises(ValueError, match="the times of the events are in 'ms', those of the training data"):
        convert_times("model", times, "ms", None)
    with pytest.raises(ValueError, match="the times of the training data are in 's', those of the events"):
        convert_times("model", times, None, "s")


@given(st.lists(st.integers(-MOST, MOST), min_size=1, max_size=5), st.integers(-MOST, MOST))
def test_time_between_is_exact_before_it_is_rounded(times, last):
    expected = [float(max(last - time, 0)) for time in times]
    assert time_between(np.array(times), last).tolist() == expected


def test_time_between_of_floats():
    assert time_between(np.array([1.5, 4.0]), 3.0).tolist() == [1.5, 0]


@pytest.mark.parametrize("odd", [10**6, -(10**6), MOST, -MOST])
def test_times_far_from_all_others_are_found(odd):
    times = np.arange(1000)
    assert find_far_times(times).size == 0
    times[400] = odd
    assert find_far_times(times).tolist() == [400]
    assert find_far_times(times[380:420]).size == 0, "too few to tell"
