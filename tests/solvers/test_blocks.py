"""Samples in cells that share no rows: their order, and the same result for any number of threads."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.blocks import BLOCKS, BlockSchedule, assign_items, count_blocks


@pytest.fixture
def matrix():
    return check_matrix(np.random.default_rng(0).random((300, 280)) < 0.1)


def cells_of_steps(matrix, n_jobs):
    """Returns, for each step, the users, items and seed of each cell."""
    steps, done = [], []

    def task(cell):
        part = slice(cell.first, cell.last)
        done.append((int(cell.seed), cell.samples.users[part].copy(), cell.samples.items[part].copy(), cell.pool))
        return float(cell.last - cell.first), 1

    def end():
        steps.append(sorted(done, key=lambda cell: cell[0]))
        done.clear()

    block_schedule = BlockSchedule(matrix, np.ones(1, np.float32), np.ones(matrix.shape[1], np.int64), n_jobs)
    total = block_schedule.run_epoch(np.random.default_rng(1), task, end)
    return steps, total


def test_cells_of_a_step_share_nothing_and_every_entry_is_met_once(matrix):
    steps, (entries, _) = cells_of_steps(matrix, 1)
    assert (len(steps), entries) == (BLOCKS, matrix.nnz)
    pairs = []
    for cells in steps:
        for side in (1, 2):
            codes = [code for cell in cells for code in set(cell[side].tolist())]
            assert len(codes) == len(set(codes))
        for _, users, items, pool in cells:
            assert set(items.tolist()) <= set(pool.tolist())
            pairs += zip(users.tolist(), items.tolist(), strict=True)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    assert sorted(pairs) == sorted(zip(rows.tolist(), matrix.indices.tolist(), strict=True))


def test_threads_change_no_cell(matrix):
    (one, _), (two, _) = cells_of_steps(matrix, 1), cells_of_steps(matrix, 2)
    for a, b in zip(one, two, strict=True):
        for cell, other in zip(a, b, strict=True):
            assert all(np.array_equal(part, same) for part, same in zip(cell, other, strict=True))


def test_items_are_dealt_evenly_and_drawn_as_often_as_they_are_copied():
    counts, copies = np.arange(100, dtype=np.int64), np.arange(100, dtype=np.int64) % 3
    block, pools = assign_items(np.random.default_rng(0), counts, copies, 4)
    assert np.ptp(np.bincount(block, weights=counts)) <= 2 * counts.max()
    for number, pool in enumerate(pools):
        assert set(block[pool]) <= {number}
    assert np.array_equal(np.bincount(np.concatenate(pools), minlength=100), copies)


@pytest.mark.parametrize(("sizes", "blocks"), [((5,), 1), ((100, 5000), 3), ((9999,), BLOCKS)])
def test_few_rows_are_dealt_into_few_blocks(sizes, blocks):
    assert count_blocks(*sizes) == blocks
