"""Rows that the caller does not take are not read, and rows that lack a cell are left out where the caller says so."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrec as fr
from fastrec.data.chosen_rows import numbering, take_rows
from fastrec.data.frames import open_frame
from fastrec.data.text_columns import TextColumn
from tests.data.tables import rows, write

CELLS = {
    "user": ["ann", "bob", None, "cy", "dan", "eve"],
    "item": ["7", "8", "7", None, "9", "X"],
    "event": ["buy", "view", "buy", "buy", "buy", "view"],
    "qty": ["2", None, "3", "1", None, "many"],
    "date": ["2026-11-24", "soon", "2026-11-24", "2026-11-25", "2026-11-25", None],
}
FIRST = 1_795_478_400_000_000  # the 24th of November, 2026
TABLES = ("csv", "parquet", pd.DataFrame, pl.DataFrame, pa.table)


@pytest.fixture(params=TABLES, ids=lambda make: getattr(make, "__name__", make))
def table(request, tmp_path):
    """Makes a table of some rows of the cells above."""

    def make(*kept):
        cells = {name: [column[row] for row in kept] for name, column in CELLS.items()}
        if request.param == "csv":
            lines = [",".join(cell or "" for cell in row) for row in zip(*cells.values(), strict=True)]
            return write(tmp_path, "\n".join([",".join(cells), *lines]) + "\n")
        if request.param == "parquet":
            pl.DataFrame(cells).write_parquet(tmp_path / "data.parquet")
            return tmp_path / "data.parquet"
        return request.param(cells)

    return make


def test_rows_that_where_leaves_out_may_have_any_cells(table):
    assert rows(fr.read_interactions(table(0, 1, 5), where={"event": "buy"}, ids="str")) == [("ann", "7", 2, FIRST)]


def test_rows_of_weight_0_may_have_any_cells(table):
    data = fr.read_interactions(table(5, 0, 1), weights={"buy": 3, "view": 0}, ids=("str", "int"))
    assert rows(data) == [("ann", 7, 6, FIRST)]
    assert "left out" not in repr(data)


def test_rows_with_an_empty_cell_are_left_out_and_counted_among_the_rows_that_are_taken(table):
    data = fr.read_interactions(table(0, 1, 2, 3, 4, 5), where={"event": "buy"}, incomplete="drop", ids="str")
    assert rows(data) == [("ann", "7", 2, FIRST)]
    assert "left out     3 of 4 rows, which have an empty cell (user 1, item 1, qty 1)" in repr(data)
    assert data.shape == (1, 1)


def test_columns_that_are_not_read_may_be_empty(table):
    options = {"value": False, "time": False, "incomplete": "drop", "event": False, "ids": "str"}
    data = fr.read_interactions(table(0, 1, 2, 4, 5), **options)
    assert rows(data) == [("ann", "7"), ("bob", "8"), ("dan", "9"), ("eve", "X")]


def test_a_cell_that_is_not_empty_is_an_error_in_any_case(table):
    with pytest.raises(ValueError, match="'qty' must be numbers, got 'many' in row 1"):
        fr.read_interactions(table(0, 5), time=False, event=False, incomplete="drop")


def test_errors_count_all_rows_of_the_table(table):
    source = table(0, 1, 0, 1, 4)
    with pytest.raises(ValueError, match=r"'qty' must not be missing, but is in 1 of 3 rows, first in row 4 "):
        fr.read_interactions(source, where={"event": "buy"})
    with pytest.raises(ValueError, match=r"'date' must be .*, got 'soon' in row 1 "):
        fr.read_interactions(source, where={"event": "view"}, value=False)


def test_complete_rows_are_read_as_without_the_option(table):
    source = table(0, 0)
    data, same = (fr.read_interactions(source, incomplete=word, event=False) for word in ("drop", "refuse"))
    assert rows(data) == rows(same)
    assert repr(data) == repr(same)


def test_titles_belong_to_the_rows_that_are_read(tmp_path):
    text = "user,item,event,name\n1,5,view,Heat\n1,6,buy,Alien\n2,5,buy,Heat!\n"
    data = fr.read_interactions(write(tmp_path, text), where={"event": "buy"}, title="name")
    assert data.item_info["title"].tolist() == ["Heat!", "Alien"]


def test_an_unknown_treatment_and_a_wide_table_are_refused(tmp_path):
    path = write(tmp_path, "user,item\n1,2\n")
    with pytest.raises(ValueError, match=r"incomplete must be .*'refuse'.*'drop'"):
        fr.read_interactions(path, incomplete="skip")
    for option in ({"incomplete": "drop"}, {"where": {"item": 2}}, {"weights": {"buy": 1}}):
        with pytest.raises(ValueError, match="choose events by row: leave them out with wide=True"):
            fr.read_interactions(path, wide=True, **option)


@given(st.lists(st.text(), min_size=1, max_size=30), st.data())
def test_rows_are_taken_from_columns_of_any_kind(texts, data):
    kept = np.array(sorted(data.draw(st.sets(st.integers(0, len(texts) - 1)))), np.int64)
    column = TextColumn.of(texts)
    assert take_rows(column, kept).to_list() == [column.text(row) for row in kept.tolist()]
    for make in (pd.DataFrame, pl.DataFrame, pa.table):
        series = open_frame(make({"text": texts}))[1]["text"]
        assert take_rows(series, kept).to_list() == [texts[row] for row in kept.tolist()]


def test_only_numbers_of_rows_are_rewritten():
    said = r"^got 1 in row 7 \(counted from 0\): of 1 rows, not in row 9$"
    with pytest.raises(ValueError, match=said), numbering(np.array([3, 7])):
        raise ValueError("got 1 in row 1 (counted from 0): of 1 rows, not in row 9")
    with pytest.raises(TypeError, match=r"^in row 1$"), numbering(None):
        raise TypeError("in row 1")
