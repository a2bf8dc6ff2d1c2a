"""Each family of types in each make of frame: the same ids, values and times come out, or the same kind of error."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fastrec as fr

BACKENDS = {
    "pandas": lambda table: table.to_pandas(),
    "pandas nullable": lambda table: table.to_pandas().convert_dtypes(),
    "pandas arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
    "polars lazy": lambda table: pl.from_arrow(table).lazy(),
    "arrow": lambda table: table,
    "arrow batch": lambda table: table.to_batches()[0],
    "arrow chunks": lambda table: pa.concat_tables([table.slice(0, 1), table.slice(1)]),
}
D = Decimal
IDS = {
    **{str(kind): pa.array([5, 3, 5], kind) for kind in (pa.int8(), pa.int64(), pa.uint32(), pa.uint64())},
    "decimal(38,0)": pa.array([D(5), D(3), D(5)], pa.decimal128(38, 0)),
    "decimal256(50,0)": pa.array([D(5), D(3), D(5)], pa.decimal256(50, 0)),
    "dictionary of integers": pa.array([5, 3, 5]).dictionary_encode(),
}
STRINGS = {
    **{str(kind): pa.array(["b", "a", "b"], kind) for kind in (pa.string(), pa.large_string())},
    "dictionary": pa.array(["b", "a", "b"]).dictionary_encode(),
}
VALUES = {
    **{str(kind): pa.array([2, 1, 4], kind) for kind in (pa.int8(), pa.uint64(), pa.float32(), pa.float64())},
    "decimal(10,2)": pa.array([D("2.00"), D("1.00"), D("4.00")], pa.decimal128(10, 2)),
    "decimal(38,0)": pa.array([D(2), D(1), D(4)], pa.decimal128(38, 0)),
    "text": pa.array(["2", "1.0", "4e0"]),
    "dictionary of text": pa.array(["2", "1", "4"]).dictionary_encode(),
    "dictionary of integers": pa.array([2, 1, 4]).dictionary_encode(),
}
MOMENTS = [dt.datetime(2020, 1, 2, 3, 4, 5), dt.datetime(2020, 1, 3), dt.datetime(2021, 1, 1)]
SECONDS = [int(moment.replace(tzinfo=dt.UTC).timestamp()) for moment in MOMENTS]
TIMES = {
    **{f"timestamp({unit})": pa.array(MOMENTS, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
    "timestamp with zone": pa.array(MOMENTS, pa.timestamp("us", "UTC")).cast(pa.timestamp("us", "Asia/Tokyo")),
    "text": pa.array([f"{moment} UTC" for moment in MOMENTS]),
    "numbers": pa.array(SECONDS),
    "floats": pa.array(list(map(float, SECONDS))),
    "decimal(38,0)": pa.array(list(map(D, SECONDS)), pa.decimal128(38, 0)),
}
PLAIN = pa.array([1, 2, 1])


def read(backend, **columns):
    return fr.read_interactions(BACKENDS[backend](pa.table({"user": PLAIN, "item": PLAIN, **columns})))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", IDS)
def test_integers_are_ids(backend, family):
    if "256" in family and "polars" in backend:
        return  # polars has none
    data = read(backend, user=IDS[family])
    assert data.users.ids.tolist() == [3, 5]
    assert data.users.kind == "int"
    assert data.user_codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", STRINGS)
def test_strings_are_ids(backend, family):
    data = read(backend, user=STRINGS[family])
    assert data.users.ids.tolist() == ["a", "b"]
    assert data.user_codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", VALUES)
def test_numbers_are_values(backend, family):
    assert read(backend, value=VALUES[family]).values.tolist() == [2, 1, 4]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", TIMES)
def test_moments_are_times(backend, family):
    data = read(backend, time=TIMES[family])
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[data.time_unit]
    assert [time // per_second for time in data.times.tolist()] == SECONDS


@pytest.mark.parametrize("backend", [name for name in BACKENDS if "polars" not in name])  # polars has no such decimals
@pytest.mark.parametrize("role", ["user", "value", "time", "note"])
def test_decimals_of_a_negative_scale_are_whole_numbers(backend, role):
    data = read(backend, **{role: pa.array([D(200), D(100), D(400)], pa.decimal128(5, -2))})
    found = {"user": data.users.ids[data.user_codes], "value": data.values, "time": data.times}.get(role)
    assert found is None or found.tolist() == [200, 100, 400]


NO_IDS = {
    "float": pa.array([1.0, 2.0, 3.5]),
    "boolean": pa.array([True, False, True]),
    "decimal(10,2)": pa.array([D("1.00"), D("2.00"), D("3.00")], pa.decimal128(10, 2)),
    "timestamp": pa.array(MOMENTS),
    "date": pa.array([moment.date() for moment in MOMENTS]),
    "duration": pa.array([dt.timedelta(1)] * 3),
    "list": pa.array([[1], [2], [3]]),
    "binary": pa.array([b"a", b"b", b"c"]),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", NO_IDS)
def test_an_invalid_id_is_a_type_error(backend, family):
    if "nullable" in backend and family == "float":
        return  # pandas makes integers of whole floats there
    with pytest.raises(TypeError, match="column 'user' must be integers or strings"):
        read(backend, user=NO_IDS[family])


NO_VALUES = {
    "timestamp": pa.array(MOMENTS),
    "duration": pa.array([dt.timedelta(1)] * 3),
    "list": pa.array([[1], [2], [3]]),
    "text": pa.array(["1", "1_0", "2"]),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", NO_VALUES)
def test_an_invalid_value_is_named(backend, family):
    with pytest.raises((TypeError, ValueError), match="column 'value' must be numbers"):
        read(backend, value=NO_VALUES[family])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("role", ["user", "value", "time"])
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.decimal128(38, 0), pa.string(), pa.timestamp("us")])
def test_missing_values_are_named_by_their_row(backend, role, kind):
    if kind == pa.timestamp("us") and role != "time":
        return
    values = {pa.string(): ["1", None, "2"], pa.timestamp("us"): [MOMENTS[0], None, MOMENTS[1]]}
    column = pa.array(values.get(kind, [1, None, 2]), kind)
    with pytest.raises((ValueError, TypeError), match=f"column '{role}' must .*row 1"):
        read(backend, **{role: column})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2**64 - 1, 2], pa.uint64()),
        pa.array([D(1), D(2**70), D(2)], pa.decimal128(38, 0)),
        pa.array([D(1), D(-(2**63) - 1), D(2)], pa.decimal128(38, 0)),
    ],
    ids=["uint64", "decimal", "negative"],
)
def test_ids_beyond_int64_are_named_by_their_row(backend, column):
    with pytest.raises(ValueError, match=r"column 'user' must fit in int64, got -?\d+ in row 1"):
        read(backend, user=column)


@pytest.mark.parametrize("kind", [pl.Int128, pl.UInt128])
def test_integers_of_128_bits_are_read_where_they_fit(kind):
    frame = pl.DataFrame({"user": pl.Series([5, 3, 5], dtype=kind), "item": [1, 2, 1]})
    frame = frame.with_columns(value=pl.Series([2, 1, 4], dtype=kind), time=pl.Series(SECONDS, dtype=kind))
    data = fr.read_interactions(frame)
    assert (data.users.ids.tolist(), data.values.tolist(), data.times.tolist()) == ([3, 5], [2, 1, 4], SECONDS)
    with pytest.raises(ValueError, match=r"must fit in int64, got \d+ in row 1"):
        fr.read_interactions(frame.with_columns(user=pl.Series([5, 2**70, 5], dtype=kind)))


DOUBLED = {
    "pandas": lambda: pd.DataFrame([[1, 2, 3, 4]], columns=["user", "item", "rating", "rating"]),
    "arrow": lambda: pa.table([[1], [2], [3], [4]], names=["user", "item", "rating", "rating"]),
    "arrow batch": lambda: pa.table([[1], [2], [3], [4]], names=["user", "item", "rating", "rating"]).to_batches()[0],
}


@pytest.mark.parametrize("make", DOUBLED.values(), ids=DOUBLED)
def test_columns_of_one_name_are_chosen_by_number(make):
    assert fr.read_interactions(make(), value=3).values.tolist() == [4]
    assert fr.read_interactions(make(), value=2).values.tolist() == [3]
    with pytest.raises(ValueError, match="2 columns are named 'rating': give the number"):
        fr.read_interactions(make(), value="rating")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", IDS)
def test_facts_about_items_are_found_by_ids_of_any_type(backend, family):
    if "256" in family and "polars" in backend:
        return  # polars has none
    ids = IDS[family].slice(0, 2)
    info = BACKENDS[backend](pa.table({"item": ids, "title": ["five", "three"], "price": pa.array([D(7), D(8)])}))
    data = fr.read_interactions(pa.table({"user": [1, 1], "item": [3, 5]}), item_info=info)
    assert data.titles([0, 1]) == ["three", "five"]
    np.testing.assert_array_equal(data.item_info["price"], [8, 7])
