"""Tables opened: paths and frames, and errors that name the file."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastrec.data import tables
from fastrec.data.tables import Columns, FrameTable, ParquetTable, naming, open_table

FORM = {"delimiter": None, "header": None, "encoding": "utf-8", "quote": '"'}


def test_a_frame_gives_its_columns_by_place():
    table = open_table(pd.DataFrame({"a": [1], "b": [2]}), FORM, {})
    assert isinstance(table, FrameTable)
    assert table.names == ["a", "b"]
    assert [column.to_list() for column in table.read([1, 0])] == [[2], [1]]


def test_parquet_is_read_a_column_and_a_batch_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 4)
    columns = {"a": np.arange(11), "b": list("abcdefghijk"), "c": [None, *range(10)], "d": np.arange(11, dtype="u1")}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=5)
    table = open_table(tmp_path / "x.parquet", FORM, {})
    assert isinstance(table, ParquetTable)
    assert table.names == ["a", "b", "c", "d"]
    assert [column.to_list() for column in table.read([1, 3])] == [columns["b"], list(range(11))]
    read = Columns(table, [0, 1, 2, 3])
    assert list(read) == [0, 1, 2, 3]
    assert len(read) == 4
    for place in (0, 3):
        assert isinstance(read.ids(place), np.ndarray)
        assert read.ids(place).tolist() == read[place].to_list() == list(range(11))
    assert table.integers(1) is table.integers(2) is None
    assert read.ids(2).to_list() == columns["c"]


def test_parquet_without_a_name_for_each_column_is_read_as_a_whole(tmp_path):
    pq.write_table(pa.table({"a": [{"x": 1, "y": 2}], "b": [3]}), tmp_path / "x.parquet")
    assert isinstance(open_table(tmp_path / "x.parquet", FORM, {}), FrameTable)


def test_parquet_without_rows_has_columns_of_none(tmp_path):
    pq.write_table(pa.table({"a": np.arange(0)}), tmp_path / "x.parquet")
    table = open_table(tmp_path / "x.parquet", FORM, {})
    assert table.integers(0) is None
    assert table.read([0])[0].to_list() == []


def test_a_path_without_a_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_table(tmp_path / "no.csv", FORM, {})
    with pytest.raises(IsADirectoryError, match="is a folder"):
        open_table(tmp_path, FORM, {})
    with pytest.raises(TypeError, match="header"):
        open_table(tmp_path, FORM | {"header": "yes"}, {})


def test_errors_name_the_file_and_are_pythons_own():
    class OtherError(Exception):
        pass

    with pytest.raises(ValueError, match=r"^a\.csv: odd$"), naming("a.csv"):
        raise OtherError("odd\nand long")
    with pytest.raises(TypeError, match=r"^a\.csv: odd$"), naming("a.csv"):
        raise TypeError("odd")
    with pytest.raises(OSError, match=r"^gone$"), naming("a.csv"):
        raise OSError("gone")
