"""Events on an engine: their columns, and errors that name the ids of the user and the item."""

import datetime

import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.distributed.events import check_events, choose_columns


def frame(spark, users=("ann", "bob"), items=(1, 2), values=(1.0, 2.0)):
    return spark.createDataFrame(pa.table({"u": pa.array(users), "i": pa.array(items), "v": pa.array(values)}))


@pytest.mark.parametrize(
    ("columns", "error", "text"),
    [
        (dict(users=("ann", None)), ValueError, "an event has no user .its item is 2."),
        (dict(items=(1, None)), ValueError, "an event has no item .its user is 'bob'."),
        (dict(values=(1.0, float("nan"))), ValueError, "the value of user 'bob' and item 2 is not a number"),
        (dict(values=(1.0, None)), ValueError, "the value of user 'bob' and item 2 is missing"),
        (dict(values=(1.0, -3.0)), ValueError, "the value of user 'bob' and item 2 is negative, -3.0"),
        (dict(values=(1.0, float("inf"))), ValueError, "user 'bob' and item 2 is too large for float32, inf"),
        (dict(values=(-1.0, -3.0)), ValueError, "1 more events are wrong"),
        (dict(users=(1.5, 2.5)), TypeError, "user must be a column of integers, strings or dates, but 'u' is"),
        (dict(values=("a", "b")), TypeError, "value must be a column of numbers, but 'v' is of type string"),
    ],
)
def test_bad_events_are_named(spark, columns, error, text):
    with pytest.raises(error, match=text):
        check_events(choose_columns(frame(spark, **columns), "u", "i", "v"))


def test_columns_must_be_there(spark):
    with pytest.raises(ValueError, match="item must name a column of the frame, u, i, v, got 'sku'"):
        choose_columns(frame(spark), "u", "sku", None)
    with pytest.raises(ValueError, match="the frame of events is empty"):
        check_events(choose_columns(frame(spark).where("u = 'carl'"), "u", "i", "v"))


def test_the_digest_is_that_of_the_rows_in_any_order(spark):
    digest = lambda **columns: check_events(choose_columns(frame(spark, **columns), "u", "i", "v"))
    assert digest() == digest(users=("bob", "ann"), items=(2, 1), values=(2.0, 1.0))
    assert digest().events == 2
    assert digest() != digest(values=(1.0, 2.5))


def test_dates_are_ids_and_values_may_be_left_out(spark):
    days = [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]
    chosen = choose_columns(frame(spark, users=days), "u", "i", None)
    assert dict(chosen.dtypes) == {"user": "date", "item": "bigint", "value": "double"}
    assert check_events(chosen).events == 2
