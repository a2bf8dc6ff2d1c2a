"""Cells counted and summed by code."""

import numpy as np

from fastrec.matrix import cells
from fastrec.matrix.cells import count_codes, sum_by_code


def test_counts_and_sums_in_blocks_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr(cells, "BLOCK", 7)
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 5, 100).astype(np.int32), rng.random(100).astype(np.float32)
    assert count_codes(codes, 6).tolist() == np.bincount(codes, minlength=6).tolist()
    np.testing.assert_allclose(sum_by_code(codes, values, 6), np.bincount(codes, values, 6))
    assert count_codes(codes[:0], 2).tolist() == [0, 0]
