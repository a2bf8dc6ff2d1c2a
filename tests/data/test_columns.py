"""Columns of files and frames become ids, values and times; an unreadable value is named by row and column."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrec as fr
from fastrec.data import columns as columns_module
from fastrec.data.text_columns import TextColumn
from tests.data.tables import MIXED, rows, write


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ("1 -2 9223372036854775807", "int"),
        ("0 -9223372036854775808", "int"),
        ("1 01", "str"),  # two different ids, which would be one as integers
        ("1 2.0", "str"),
        ("1 +2", "str"),
        ("-0 1", "str"),
        ("1 9223372036854775808", "str"),
        ("99999999999999999999 1", "str"),
        ("1 ٣", "str"),  # int() would read Arabic digits
        ("1 1_000", "str"),
        ("NA null nan None", "str"),  # names that some readers take for missing
        ("é 漢字 🎬", "str"),
    ],
)
def test_ids_of_a_text_file_are_integers_only_if_nothing_is_lost(engine, tmp_path, ids, kind):
    text = "user,item\n" + "".join(f"{id},{id}\n" for id in ids.split())
    data = fr.read_interactions(write(tmp_path, text))
    assert data.users.kind == kind
    assert data.users.decode(data.user_codes).tolist() == (
        [int(id) for id in ids.split()] if kind == "int" else ids.split()
    )
    assert data.users.ids.tolist() == sorted(data.users.ids.tolist())


@pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
def test_strings_in_a_frame_stay_strings(make):
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}[make]({"user": ["1"], "item": ["2"]})
    assert fr.read_interactions(frame).users.kind == "str"


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (
            {"user": ["a", None], "item": [1, 2]},
            ValueError,
            "column 'user' must not be missing, but is in 1 of 2 rows, first in row 1",
        ),
        (
            {"user": ["a", "b"], "item": [1, None]},
            ValueError,
            "column 'item' must not be missing, but is in 1 of 2 rows, first in row 1",
        ),
        ({"user": [1.0, 2.0], "item": [1, 2]}, TypeError, "column 'user' must be integers or strings, got float64"),
        ({"user": [True, False], "item": [1, 2]}, TypeError, "column 'user' must be integers or strings, got bool"),
        ({"user": [dt.date(2020, 1, 1)] * 2, "item": [1, 2]}, TypeError, "column 'user' must be integers or strings"),
        ({"user": [b"a", b"b"], "item": [1, 2]}, TypeError, "column 'user' must be integers or strings"),
        ({"user": [1, 2], "item": [1, 2], "value": [1.0, None]}, ValueError, "'value' must .*in row 1"),
        ({"user": [1, 2], "item": [1, 2], "value": [1.0, float("nan")]}, ValueError, "'value' must .*in row 1"),
        ({"user": [1, 2], "item": [1, 2], "value": [1.0, float("inf")]}, ValueError, "got inf in row 1"),
        ({"user": [1, 2], "item": [1, 2], "value": ["1", "x"]}, ValueError, "got 'x' in row 1"),
        ({"user": [1, 2], "item": [1, 2], "value": [dt.date(2020, 1, 1)] * 2}, (TypeError, ValueError), "must be num"),
        ({"user": [1, 2], "item": [1, 2], "time": [dt.datetime(2020, 1, 1), None]}, ValueError, "'time' .*in row 1"),
        ({"user": [1, 2], "item": [1, 2], "time": [1.5, float("nan")]}, ValueError, "'time' must .*in row 1"),
        ({"user": [1, 2], "item": [1, 2], "time": [True, False]}, TypeError, "'time' must be numbers, datetimes"),
        (
            {"a": [1], "b": [2]},
            ValueError,
            "no user column was recognised among 'a', 'b': .*and the one of items with item=…",
        ),
    ],
)
def test_bad_columns_of_a_frame_are_named(kind, columns, error, message):
    with pytest.raises(error, match=message):
        fr.read_interactions(kind(columns))


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_ids_that_came_as_floats_are_told_to_be_read_as_text(kind):
    advice = (
        r"pandas makes floats of integers beside an empty cell, .* read the file with dtype=str .*"
        r"\(frame.dropna\(subset=\['user'\]\).astype\(\{'user': int\}\)\)$"
    )
    with pytest.raises(TypeError, match=r"column 'user' must be integers or strings, got float64: " + advice):
        fr.read_interactions(kind({"user": [17.0, 23.0], "item": [1, 2]}))
    floats = kind({"user": pa.array([17.0, None]) if kind is pa.table else [17.0, None], "item": [1, 2]})
    with pytest.raises(ValueError, match=r"is in 1 of 2 rows, first in row 1 \(counted from 0\): " + advice):
        fr.read_interactions(floats)


def test_the_advice_for_ids_that_came_as_floats_works():
    frame = pd.DataFrame({"user": [17, None, 23], "item": [1, 2, 3]})
    whole = frame.dropna(subset=["user"]).astype({"user": int})
    assert rows(fr.read_interactions(whole)) == [(17, 1), (23, 3)]


def test_mixed_ids_in_a_frame_are_refused_by_row():
    with pytest.raises(TypeError, match=r"column 'user' must be all integers or all strings, got 'b' \(str\) in row 1"):
        fr.read_interactions(pd.DataFrame({"user": [1, "b"], "item": [1, 2]}))


def test_ids_beyond_int64_in_a_frame_are_refused_by_row():
    with pytest.raises(ValueError, match="column 'user' must fit in int64, got 18446744073709551615 in row 1"):
        fr.read_interactions(
            pl.DataFrame({"user": [1, 2**64 - 1], "item": [1, 2]}, schema_overrides={"user": pl.UInt64})
        )


def times_of(column, **options):
    data = fr.read_interactions(column, **options)
    return data.times.tolist(), data.time_unit


MOMENT = dt.datetime(2020, 1, 2, 3, 4, 5, 250_000)


MICROSECONDS = 1_577_934_245_250_000


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize(
    "moment", [MOMENT, MOMENT.replace(tzinfo=dt.UTC), MOMENT.astimezone(dt.timezone(dt.timedelta(hours=2)))]
)
def test_datetimes_are_utc_in_their_own_unit(kind, moment):
    if moment.tzinfo is not None and moment.tzinfo is not dt.UTC:
        moment = MOMENT.replace(tzinfo=dt.UTC).astimezone(moment.tzinfo)
    times, unit = times_of(kind({"user": [1], "item": [1], "time": [moment]}))
    assert np.datetime64(times[0], unit) == np.datetime64(MICROSECONDS, "us")  # pandas 2 has nanoseconds


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("make", ["pandas", "arrow"])
def test_units_of_datetimes_are_kept_or_converted(unit, make):
    array = np.array(["2020-01-02T03:04:05"], f"M8[{unit}]")
    frame = {"user": [1], "item": [1], "time": array}
    frame = pd.DataFrame(frame) if make == "pandas" else pa.table({**frame, "time": pa.array(array)})
    assert times_of(frame) == (array.astype(np.int64).tolist(), unit)
    assert times_of(frame, time_unit="ms") == ([1_577_934_245_000], "ms")


@pytest.mark.parametrize("make", ["pandas", "text"])
def test_dates_beyond_int64_in_the_unit_asked_for_are_named_by_their_row(make):
    dates = ["2020-01-02", "9999-01-01"]
    time = pd.Series(np.array(dates, "M8[s]")) if make == "pandas" else dates
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": time})
    with pytest.raises(ValueError, match=r"'time' must fit in int64 as ns, got 9999-01-01.* in row 1"):
        times_of(frame, time_unit="ns")
    assert times_of(frame, time_unit="ms")[0] == [1_577_923_200_000, 253_370_764_800_000]


def test_datetimes_as_python_objects_are_read():
    moments = pd.Series([MOMENT, MOMENT.replace(tzinfo=dt.UTC)], dtype=object)
    assert times_of(pd.DataFrame({"user": [1, 2], "item": [1, 2], "time": moments})) == ([MICROSECONDS] * 2, "us")


@pytest.mark.parametrize("make", ["polars", "arrow"])
def test_dates_are_seconds(make):
    table = {"user": [1], "item": [1], "date": [dt.date(2020, 1, 2)]}
    assert times_of(pl.DataFrame(table) if make == "polars" else pa.table(table)) == ([1_577_923_200], "s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-01-02", 1_577_923_200_000_000),
        ("2020-01-02 03:04", 1_577_934_240_000_000),
        ("2020-01-02T03:04:05", 1_577_934_245_000_000),
        ("2020-01-02 03:04:05.25", MICROSECONDS),
        ("2020-01-02T03:04:05.250000", MICROSECONDS),
        ("2020-01-02T03:04:05Z", 1_577_934_245_000_000),
        ("2020-01-02T05:04:05+02:00", 1_577_934_245_000_000),
        ("2020-01-02T05:04:05.250+0200", MICROSECONDS),
        ("2020-01-02 03:04:05 UTC", 1_577_934_245_000_000),
        ("2020-01-02 03:04:05.25 UTC", MICROSECONDS),
        ("2020-01-02 04:04:05 +0100", 1_577_934_245_000_000),
        ("2020-01-02 03:04:05 GMT", 1_577_934_245_000_000),
        ("1960-01-01", -315_619_200_000_000),
        ("20200102", None),  # a number of eight digits, not a date
    ],
)
def test_iso_strings_are_microseconds(engine, tmp_path, text, expected):
    path = write(tmp_path, f"user,item,date\n1,1,{text}\n2,2,{text}\n")
    assert times_of(path) == (([20200102] * 2, None) if expected is None else ([expected] * 2, "us"))


def test_iso_strings_may_be_of_several_forms(engine, tmp_path):
    path = write(tmp_path, "user,item,date\n1,1,2020-01-02\n2,2,2020-01-02T05:04:05+02:00\n")
    assert times_of(path) == ([1_577_923_200_000_000, 1_577_934_245_000_000], "us")


@given(st.lists(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), min_size=1, max_size=5))
def test_the_fast_way_through_iso_strings_agrees_with_the_standard_library(moments):
    texts = [f"{moment:%Y-%m-%dT%H:%M:%S.%f}" for moment in moments]
    expected = [columns_module._parse_date(text, 0, "time") for text in texts]
    for zone in ("", "Z", " UTC"):
        letters = TextColumn.of([text + zone for text in texts]).letters()
        assert columns_module._parse_uniform_iso(letters).tolist() == expected


DOTTED = ["%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"]
TABLES = [pd.DataFrame, pl.DataFrame, pa.table]


def in_microseconds(text, form):
    return (dt.datetime.strptime(text, form) - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)


@given(
    st.lists(st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9000, 1, 1)), min_size=1, max_size=5),
    st.sampled_from(DOTTED),
    st.sampled_from(TABLES),
)
def test_dates_with_dots_have_their_day_first(moments, form, make):
    texts = [moment.strftime(form) for moment in moments]
    expected = [in_microseconds(text, form) for text in texts]
    frame = {"user": [1] * len(texts), "item": [1] * len(texts), "date": texts}
    assert times_of(make(frame), duplicates="sum") == (expected, "us")
    letters = columns_module._put_year_first(TextColumn.of(texts).letters())
    assert columns_module._parse_uniform_iso(letters).tolist() == expected
    assert [columns_module._parse_date(text, 0, "date") for text in texts] == expected


def test_dates_with_dots_are_read_from_text_in_several_forms(engine, tmp_path):
    path = write(tmp_path, "user;item;Date\n1;1;24.11.2026 13:05\n2;2;01.02.2026 00:00\n")
    first, second = (in_microseconds(text, DOTTED[1]) for text in ("24.11.2026 13:05", "01.02.2026 00:00"))
    assert times_of(path) == ([first, second], "us")
    path = write(tmp_path, "user;item;Date\n1;1;24.11.2026 13:05\n2;2; 1.2.2026\n3;3;2026-02-01\n")
    assert times_of(path) == ([first, second, second], "us")
    assert times_of(path, time_unit="s") == ([first // 10**6, second // 10**6, second // 10**6], "s")


@pytest.mark.parametrize("make", [None, *TABLES])
def test_an_hour_may_have_one_digit(make, tmp_path):
    dates = ["24.11.2026 9:05", "24.11.2026 13:05", "2026-11-24 9:05:00"]
    text = "user,item,date\n" + "".join(f"{row},1,{date}\n" for row, date in enumerate(dates))
    source = write(tmp_path, text) if make is None else make({"user": [0, 1, 2], "item": [1, 1, 1], "date": dates})
    hour = 3_600_000_000
    nine = in_microseconds("24.11.2026 09:05", DOTTED[1])
    assert times_of(source) == ([nine, nine + 4 * hour, nine], "us")


@pytest.mark.parametrize("make", [None, *TABLES])
@pytest.mark.parametrize(
    "wrong",
    ["32.01.2026", "24.13.2026", "31.04.2026", "29.02.2025", "00.01.2026", "24/11/2026", "24.11/2026", "24.11.26x"],
)
def test_impossible_and_ambiguous_dates_are_named_by_their_row(make, tmp_path, wrong):
    dates = ["24.11.2026", "29.02.2024", wrong]
    text = "user,item,date\n" + "".join(f"{row},1,{date}\n" for row, date in enumerate(dates))
    source = write(tmp_path, text) if make is None else make({"user": [0, 1, 2], "item": [1, 1, 1], "date": dates})
    with pytest.raises(ValueError, match=f"'date' must be .* 31.01.2020 12:00, got '{wrong}' in row 2"):
        fr.read_interactions(source)


@pytest.mark.parametrize(
    ("numbers", "unit"),
    [
        ("1500000000 1600000000", "s"),
        ("1500000000000", "ms"),
        ("1500000000000000", "us"),
        ("1500000000000000000", "ns"),
        ("1500000000 1500000000000", None),
        ("2015 2016", None),
        ("1 2 3", None),
        ("-5 1500000000", None),
        ("1.5e9", "s"),
    ],
)
def test_the_unit_of_numbers_is_told_where_they_are_plausible_dates(engine, tmp_path, numbers, unit):
    path = write(
        tmp_path, "user,item,time\n" + "".join(f"{n},1,{number}\n" for n, number in enumerate(numbers.split()))
    )
    times, told = times_of(path)
    assert told == unit
    assert times == [int(float(number)) if "." in number else int(number) for number in numbers.split()]
    assert times_of(path, time_unit="ms")[1] == "ms"


def test_fractions_of_seconds_are_kept_as_microseconds(engine, tmp_path):
    path = write(tmp_path, "user,item,timestamp\n1,1,1500000000.25\n2,1,1500000001\n")
    assert times_of(path) == ([1_500_000_000_250_000, 1_500_000_001_000_000], "us")


def test_the_kind_of_ids_holds_for_frames_too():
    frame = pd.DataFrame({"user": [10, 9, 10], "item": ["3", "20", "20"]})
    data = fr.read_interactions(frame, ids=("str", "int"))
    assert data.users.ids.tolist() == ["10", "9"]
    assert data.items.ids.tolist() == [3, 20]
    assert rows(data) == [("10", 3), ("9", 20), ("10", 20)]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("int", "column 'item' must be plain integers, since integer ids are asked for, got 'X9' in row 1"),
        ("integer", "ids must be"),
        (("int", "str", "str"), "a pair of them"),
    ],
)
def test_a_kind_that_ids_are_not_is_refused(tmp_path, ids, message):
    with pytest.raises(ValueError, match=message):
        fr.read_interactions(write(tmp_path, MIXED), ids=ids)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([7, 30, 7], dtype="category"),
        pa.array([7, 30, 7]).dictionary_encode(),
    ],
)
def test_categories_that_are_integers_are_integers(column):
    frame = pd.DataFrame({"user": [1, 1, 2], "item": column})
    if isinstance(column, pa.Array):
        frame = pa.table({"user": [1, 1, 2], "item": column})
    data = fr.read_interactions(frame)
    assert data.items.ids.tolist() == [7, 30]
    assert rows(data) == [(1, 7), (1, 30), (2, 7)]


def test_dates_of_python_are_times():
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "date": [dt.date(2020, 1, 2), dt.date(1970, 1, 2)]})
    data = fr.read_interactions(frame, time="date")
    assert data.times.tolist() == [1577923200 * 10**6, 86400 * 10**6]
    assert data.time_unit == "us"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_times_of_any_width_are_read(dtype):
    times, unit = columns_module.read_times(np.array([1, 2, 3.5], dtype), "time", "s")
    assert (times.tolist(), unit) == ([1_000_000, 2_000_000, 3_500_000], "us")


@given(st.lists(st.integers(0, 4 * 10**15), min_size=1, max_size=20))
def test_seconds_with_fractions_are_the_nearest_microseconds(microseconds):
    seconds = np.array(microseconds) / 1e6
    times, unit = columns_module.read_times(np.append(seconds, 0.5), "time", "s")
    assert (times[:-1].tolist(), unit) == (microseconds, "us")


@pytest.mark.parametrize("make", [None, *TABLES])
def test_decimal_commas_of_a_whole_column_are_read(make, tmp_path):
    cells = {"user": ["a", "b", "c"], "item": ["x", "x", "y"], "Menge": ["3,5", "2", "1,250"]}
    lines = [";".join(row) for row in zip(*cells.values(), strict=True)]
    source = write(tmp_path, "\n".join([";".join(cells), *lines]) + "\n") if make is None else make(cells)
    assert fr.read_interactions(source).values.tolist() == [3.5, 2, 1.25]
    cells["Menge"][0] = "3"
    lines[0] = "a;x;3"
    source = write(tmp_path, "\n".join([";".join(cells), *lines]) + "\n") if make is None else make(cells)
    with pytest.raises(
        ValueError, match=r"'Menge' must be numbers, got '1,250' in row 2 .* decimal=\",\"\) or thousands"
    ):
        fr.read_interactions(source)
