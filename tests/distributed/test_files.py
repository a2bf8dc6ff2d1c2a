"""Files that executors write themselves: whole or not there, and only for the task that the folder belongs to."""

import pyarrow as pa
import pytest

from fastrec.distributed.cells import table_of
from fastrec.distributed.files import add_file, empty_folder, open_folder, read_rows

SCHEMA = pa.schema([("piece", pa.int32()), ("data", pa.binary())])


def piece(number, data=b"abc"):
    return table_of([(number, pa.py_buffer(data))], SCHEMA)


def rows(folder, *span):
    return sorted((row["piece"], row["data"].to_pybytes()) for row in read_rows(folder, ("piece", "data"), *span))


@pytest.fixture
def folder(tmp_path):
    empty_folder(str(tmp_path / "run" / "users-0"), "mine")
    return str(tmp_path / "run" / "users-0")


def test_folders_are_found_by_their_addresses(tmp_path):
    assert open_folder(tmp_path.as_uri())[1] == tmp_path.as_posix()
    assert open_folder(str(tmp_path))[1] == str(tmp_path)


def test_a_file_is_added_or_replaced_and_a_span_of_it_read(folder):
    add_file(folder, "shard-0", [piece(0), piece(1, b"")], SCHEMA, "mine")
    add_file(folder, "shard-1", [piece(2)], SCHEMA, "mine")
    add_file(folder, "shard-1", [piece(2, b"new")], SCHEMA, "mine")
    assert rows(folder) == [(0, b"abc"), (1, b""), (2, b"new")]
    assert rows(folder, (1, 3)) == [(1, b""), (2, b"new")]
    empty_folder(folder, "mine")
    add_file(folder, "shard-0", [], SCHEMA, "mine")
    assert rows(folder) == []


def test_a_task_that_was_given_up_adds_nothing(folder, tmp_path):
    empty_folder(folder, "another")
    with pytest.raises(FileNotFoundError, match="no longer the folder of mine: a newer task has it"):
        add_file(folder, "shard-0", [piece(0)], SCHEMA, "mine")
    assert [path.name for path in (tmp_path / "run" / "users-0").iterdir()] == ["_another"]


def test_half_a_file_is_no_file(folder, tmp_path):
    def interrupted():
        yield piece(0)
        raise RuntimeError("a task died")

    with pytest.raises(RuntimeError, match="a task died"):
        add_file(folder, "shard-0", interrupted(), SCHEMA, "mine")
    assert [path.name for path in (tmp_path / "run" / "users-0").iterdir()] == ["_mine"]
