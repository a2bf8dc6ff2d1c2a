"""A shard gets the same blocks if they are read from files and if they are sent."""

import gc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastrec.distributed.blocks import SCHEMA
from fastrec.distributed.cells import bytes_of, bytes_of_ids, table_of
from fastrec.distributed.delivery import (
    MAIL,
    Folders,
    ReadDelivery,
    SentDelivery,
    count_threads,
    scale_of,
    settle_worker,
)
from fastrec.distributed.half_epoch import STATE, Turn, state_row, turn_rows
from fastrec.matrix.arrays import aligned_zeros


def blocks(n):
    """Returns blocks of a side of n rows, each row with an entry."""
    rows = []
    for piece, first in enumerate(range(0, n, 1024)):
        size = min(1024, n - first)
        arrays = (np.arange(size + 1), np.zeros(size, np.int32), np.ones(1, np.float32), np.ones(size, np.int64))
        names = bytes_of_ids(pa.chunked_array([np.arange(first, first + size)]))
        rows.append((piece, size, size, size, size, 0, 1.0, 0.0, 1.0, *map(bytes_of, arrays), names))
    return table_of(rows, SCHEMA)


def states(n, rng):
    rows = []
    for piece, first in enumerate(range(0, n, 1024)):
        factors = aligned_zeros(min(1024, n - first), 16)
        factors[:, :4] = rng.standard_normal((len(factors), 4))
        rows.append(state_row(piece, factors))
    return table_of(rows, STATE)


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    frames = {"blocks": blocks(2500), "own": states(2500, rng), "others": states(1500, rng), "other": blocks(1500)}
    for name, table in frames.items():
        (tmp_path / name).mkdir()
        for i in reversed(range(table.num_rows)):  # a file for each piece, in another order
            pq.write_table(table.slice(i, 1), tmp_path / name / f"part-{table.num_rows - i}.parquet")
        (tmp_path / name / "_SUCCESS").touch()
    places = np.array([0, 0, 1])
    names = [str(tmp_path / name) for name in ("blocks", "own", "others", "other")]
    return Folders(*names, places, 1500), frames


TURN = Turn(np.eye(16, dtype=np.float32)[::-1].copy(), np.array([9.0, 4.0, 2.0, 1.0]), "float16")


def send(frames, pieces):
    own = [row for row in frames["own"].to_pylist() if row["piece"] in pieces]
    mail = [(0, row["piece"], "own", pa.py_buffer(row["factors"])) for row in own]
    turned = [(row["piece"], turn_rows(row["factors"], TURN)) for row in frames["others"].to_pylist()]
    mail += [(0, piece, "vectors", bytes_of(part.vectors)) for piece, part in turned]
    for row in frames["other"].to_pylist():
        mail += [(0, row["piece"], name, pa.py_buffer(row[name])) for name in ("ids", "counts")]
    table = frames["blocks"].filter(pa.array([piece in pieces for piece in frames["blocks"]["piece"].to_pylist()]))
    return SentDelivery(table, table_of(mail[::-1], MAIL))


@pytest.mark.parametrize(("shard", "pieces"), [(0, [0, 1]), (1, [2]), (2, [])])
def test_blocks_that_are_read_equal_those_that_are_sent(folders, shard, pieces):
    read, sent = ReadDelivery(folders[0], shard), send(folders[1], pieces)
    for one, other in zip(read.blocks(), sent.blocks(), strict=True):
        assert one["piece"] == other["piece"]
        assert one["indices"] == other["indices"]
    assert {piece: cell.to_pybytes() for piece, cell in read.own().items()} == {
        piece: cell.to_pybytes() for piece, cell in sent.own().items()
    }
    assert sorted(read.own()) == pieces
    mine, theirs = read.vectors(TURN), sent.vectors(TURN)
    assert np.array_equal(mine.vectors, theirs.vectors)
    assert mine.vectors.shape == (1500, 16)
    assert mine.scale == theirs.scale == scale_of(TURN)
    for column in ("ids", "counts"):
        assert [cell.to_pybytes() for cell in read.others(column)] == [
            cell.to_pybytes() for cell in sent.others(column)
        ]
    assert read.extra() == sent.extra() == {}


def test_a_missing_piece_is_an_error(folders, tmp_path):
    (tmp_path / "others" / "part-1.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="1 pieces of 2"):
        ReadDelivery(folders[0], 0).vectors(TURN)


def test_outside_of_tasks_there_is_one_thread():
    assert count_threads() == 1


def test_only_workers_of_spark_are_settled():
    frozen = gc.get_freeze_count()
    settle_worker()
    assert gc.get_freeze_count() == frozen
