"""Blocks: pieces of a matrix, made of its events, and distributed to shards."""

import itertools

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.distributed.blocks import Block, block_builder, deal_pieces, names_of, piece_rows
from fastrec.distributed.cells import rows_of_table
from fastrec.solvers.als import block_cuts


def build(matrix, names=None):
    """Returns all blocks of a dense matrix, in which -1 is an event of value 0."""
    n = len(matrix)
    rows, columns = np.nonzero(matrix)
    values = np.maximum(matrix[rows, columns], 0)
    found = []
    for piece, (first, last) in enumerate(itertools.pairwise(block_cuts(n))):
        mine = (rows >= first) & (rows < last)
        shuffled = np.random.default_rng(0).permutation(np.flatnonzero(mine))
        events = pa.table({"row": rows[shuffled], "column": columns[shuffled], "value": values[shuffled] * 1.0})
        codes = np.arange(first, last)[::-1]
        ids = pa.table({"piece": np.full(len(codes), piece), "code": codes, "id": codes * 10})
        found += rows_of_table(block_builder(n)(events, ids))
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
