"""Cells: arrays and ids come back from them as they went in."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.distributed.cells import array_of, bytes_of, bytes_of_ids, ids_of, rows_of_table, table_of


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_arrays_come_back(numbers):
    array = np.array(numbers, np.int32)
    table = table_of([(7, bytes_of(array)), (8, bytes_of(array[::2]))], SCHEMA)
    assert table["piece"].to_pylist() == [7, 8]
    for row, wanted in zip(rows_of_table(table), (array, array[::2]), strict=True):
        found = array_of(row["data"], np.int32)
        assert np.array_equal(found, wanted)
        assert not found.flags.writeable


SCHEMA = pa.schema([("piece", pa.int32()), ("data", pa.binary())])


def test_no_rows_are_a_table_too():
    assert table_of([], SCHEMA).num_rows == 0


def test_cells_are_not_copied():
    array = np.arange(1000)
    table = table_of([(0, bytes_of(array[:5])), (1, bytes_of(array))], SCHEMA)
    assert np.shares_memory(array_of(list(rows_of_table(table))[1]["data"], np.int64), array)
    second = table.combine_chunks().slice(1)
    assert np.array_equal(array_of(next(rows_of_table(second))["data"], np.int64), array)


@pytest.mark.parametrize("ids", [pa.array([3, 1], pa.int32()), pa.array(["ä", ""]), pa.array([], pa.int64())])
def test_ids_of_any_type_come_back(ids):
    found = ids_of(bytes_of_ids(pa.chunked_array([ids])))
    assert found.equals(ids)
