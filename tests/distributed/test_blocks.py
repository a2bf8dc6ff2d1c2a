"""Blocks: pieces of a matrix, made of its events, and distributed to shards."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.distributed.blocks import Block, block_builder, deal_pieces, names_of, piece_rows
from fastrec.distributed.cells import array_of, rows_of_table
from fastrec.distributed.packs import Events, pack_events
from fastrec.solvers.als import block_cuts


def build(matrix, keeps_zeros=False):
    """Returns all blocks of a dense matrix, in which -1 is an event of value 0."""
    n = len(matrix)
    rows, columns = np.nonzero(matrix)
    values = np.maximum(matrix[rows, columns], 0)
    found = []
    for piece, (first, last) in enumerate(itertools.pairwise(block_cuts(n))):
        mine = (rows >= first) & (rows < last)
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(mine))
        arrays = rows[shuffled].astype(np.int32), columns[shuffled].astype(np.int32), values[shuffled] * 1.0
        packs = pa.Table.from_batches(pack_events(piece_rows(n), [Events(*arrays)]))
        codes = np.arange(first, last)[::-1]
        ids = pa.table({"piece": np.full(len(codes), piece), "code": codes, "id": codes * 10})
        found += rows_of_table(block_builder(n, matrix.shape[1], keeps_zeros)(packs, ids))
    return found


def test_blocks_hold_the_events_of_the_matrix():
    rng = np.random.default_rng(0)
    matrix = (rng.random((2100, 7)) < 0.3) * rng.integers(-1, 3, (2100, 7))
    rows = build(matrix)
    blocks = [Block.of(row) for row in rows]
    assert [block.piece for block in blocks] == [0, 1, 2]
    events = [block.events(7) for block in blocks]
    assert np.array_equal(np.vstack([part.toarray() for part in events]), np.maximum(matrix, 0))
    assert sum(part.nnz for part in events) == np.count_nonzero(matrix)
    assert sum(block.training(7).nnz for block in blocks) == np.count_nonzero(matrix > 0)
    assert names_of(rows).to_pylist() == list(range(0, 21000, 10))
    assert sum(row["entries"] for row in rows) == np.count_nonzero(matrix)


def test_numbers_of_a_block_count_zeros_only_if_they_are_learned_from():
    matrix = np.array([[3, -1], [0, -1], [1, 2]])
    row, kept = build(matrix)[0], build(matrix, keeps_zeros=True)[0]
    assert [row[name] for name in ("rows", "entries", "learned", "met", "repeated", "total", "most")] == [
        3, 5, 3, 2, 0, 6, 3,
    ]  # fmt: skip
    assert row["squares"] == pytest.approx(np.var([3, 0, 0, 1, 2]) * 5)
    assert (kept["learned"], kept["met"]) == (5, 3)
    assert array_of(kept["counts"], np.int64).tolist() == [2, 1, 2]


def test_events_of_an_entry_add_up_the_same_in_any_order():
    values = np.array([1e16, 1.0, 1.0, 5.0, -0.0])
    rows, columns = np.array([1, 1, 1, 0, 1], np.int32), np.array([2, 2, 2, 0, 2], np.int32)
    ids = pa.table({"piece": [0, 0], "code": [0, 1], "id": ["a", "b"]})
    for order in itertools.permutations(range(5)):
        events = Events(*(array[list(order)] for array in (rows, columns, values)))
        packs = pa.Table.from_batches(list(pack_events(1024, [events])))
        row = next(rows_of_table(block_builder(2, 3)(packs, ids)))
        assert Block.of(row).events(3).toarray().tolist() == [[5, 0, 0], [0, 0, np.float32(1e16 + 2)]]
        assert (row["repeated"], row["most"]) == (3, 1e16 + 2)


def test_the_events_of_a_block_are_turned_to_the_other_side():
    block = Block.of(build(np.array([[0, 4], [5, 6]]))[0])
    events = block.turned_events(100, 2)
    assert events.rows.tolist() == [1, 0, 1]
    assert events.columns.tolist() == [100, 101, 101]
    assert events.values.tolist() == [4, 5, 6]


def test_one_value_stands_for_all_that_are_equal_unless_it_is_0():
    assert len(Block.of(build(np.full((3, 2), 5))[0]).values) == 1
    assert len(Block.of(build(np.full((3, 2), -1))[0]).values) == 6


@given(st.integers(1, 300_000))
def test_pieces_have_as_many_rows_as_a_code_is_divided_by(n):
    cuts = block_cuts(n)
    codes = np.array([0, n // 3, n - 1])
    assert np.array_equal(codes // piece_rows(n), np.searchsorted(cuts, codes, side="right") - 1)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=64), st.integers(1, 64))
def test_shards_are_runs_of_pieces(entries, shards):
    places = deal_pieces(np.full(len(entries), 1024), np.array(entries), shards)
    assert len(places) == len(entries)
    assert places[0] == 0
    assert set(np.diff(places)) <= {0, 1}
    assert places[-1] < shards
