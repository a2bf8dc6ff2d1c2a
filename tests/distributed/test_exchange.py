"""Exchanges: the choice among them, and the vectors that each of them moves."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.distributed.cells import array_of, bytes_of, rows_of_table, table_of
from fastrec.distributed.delivery import MAIL
from fastrec.distributed.exchange import LOCAL_BLOCKS, STATE, Layout, _localize, _post, _post_wanted, _split_wants
from fastrec.distributed.half_epoch import Turn, state_row
from fastrec.matrix.arrays import aligned_zeros

TURN = Turn(np.eye(16, dtype=np.float32), np.ones(16), "float32")


def side(n):
    """Returns the state of n rows; the first number of each row is its code."""
    rows = []
    for piece, first in enumerate(range(0, n, 1024)):
        factors = aligned_zeros(min(1024, n - first), 16)
        factors[:, 0] = np.arange(first, first + len(factors))
        rows.append(state_row(piece, factors))
    return table_of(rows, STATE)


def blocks(key, parts):
    empty = pa.py_buffer(b"")
    rows = [(key, i, empty, bytes_of(np.array(part, np.int32)), empty, empty) for i, part in enumerate(parts)]
    return table_of(rows, LOCAL_BLOCKS)


def test_all_vectors_go_to_every_shard():
    letters = [row for batch in _post(TURN, [4, 9], side(1500).to_batches()) for row in rows_of_table(batch)]
    assert [(row["key"], row["piece"]) for row in letters] == [(4, 0), (9, 0), (4, 1), (9, 1)]
    assert letters[2]["data"].size == 476 * 16 * 4


def test_a_shard_gets_the_vectors_that_its_entries_name_in_the_order_of_its_indices():
    local = _localize(1500, blocks(3, [[7, 1200, 7], [0, 1499]]))
    places = [array_of(row["indices"], np.int32).tolist() for row in rows_of_table(local)]
    assert places == [[1, 2, 1], [0, 3]]
    wants = pa.Table.from_batches(
        list(_split_wants([1024, 1500], [5, 6], local.select(["key", "codes"]).slice(0, 1).to_batches()))
    )
    assert wants["key"].to_pylist() == [5, 6]
    assert wants["to"].to_pylist() == [3, 3]
    state = side(1500)
    mail = [_post_wanted(1500, TURN, state.slice(i, 1), wants.slice(i, 1)) for i in range(2)]
    assert mail[0].schema == MAIL
    rows = np.concatenate([array_of(next(rows_of_table(table))["data"], np.float32).reshape(-1, 16) for table in mail])
    assert rows[:, 0].tolist() == [0, 7, 1200, 1499]


def test_two_folders_take_turns():
    layout = Layout("run", (3, 4), 1, (np.zeros(1, np.int64), np.zeros(1, np.int64)))
    assert layout.state(0, 3) == "run/users-1"
    folders = layout.folders(1, 4, 5)
    assert (folders.own, folders.others, folders.n_others) == ("run/items-0", "run/users-1", 3)
