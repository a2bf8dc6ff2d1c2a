"""The transfer of factors: rotated and narrowed, or unchanged; and the state of a piece."""

import numpy as np
import pytest

from fastrec.distributed.half_epoch import Turn, rows_of, solved_row, state_row, turn_rows
from fastrec.matrix.arrays import aligned_zeros


def test_unchanged_factors_keep_their_bits_and_their_width():
    rows = aligned_zeros(5, 7)
    rows[:] = np.random.default_rng(0).standard_normal((5, 7))
    turn = Turn.unchanged(7)
    sent = turn_rows(solved_row(0, rows)[1], turn)
    assert (turn.width, turn.kind, sent.scale) == (7, np.float32, 1.0)
    assert np.array_equal(sent.vectors, rows)


def test_only_the_state_of_rotated_factors_has_a_gramian():
    rows = aligned_zeros(3, 16)
    rows[:, 0] = 2
    assert np.frombuffer(state_row(4, rows)[2])[0] == 12
    assert solved_row(4, rows, 1.5, 0.5)[2].size == 0
    assert solved_row(4, rows, 1.5, 0.5)[3].size == 0
    assert solved_row(4, rows, 1.5, 0.5)[4:] == (1.5, 0.5)
    assert np.frombuffer(state_row(4, rows, weights=np.float32([1, 2, 3]))[3])[0] == pytest.approx(24)
    assert np.array_equal(rows_of(solved_row(4, rows)[1], 16), rows)
