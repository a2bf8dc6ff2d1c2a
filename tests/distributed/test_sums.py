"""Sums of pieces: in their order, and of every piece once."""

import numpy as np
import pytest

from fastrec.distributed.sums import SUMS, collect_sums


class Frame:
    """A frame of rows in the order in which an engine happens to have them."""

    def __init__(self, rows):
        self.rows = rows

    def select(self, *names):
        assert list(names) == SUMS.names
        return self

    def collect(self):
        return [Row(zip(SUMS.names, row, strict=True)) for row in self.rows]


class Row(dict):
    def __lt__(self, other):
        return self["piece"] < other["piece"]


def piece(number, gram, loss, weighted=()):
    return number, np.full((16, 16), gram).tobytes(), np.asarray(weighted).tobytes(), loss, 2 * loss


def test_pieces_are_added_in_their_order():
    grams = [1e16, 1.0, -1e16]
    frame = Frame([piece(number, grams[number], 0.5) for number in (2, 0, 1)])
    sums = collect_sums(frame, "run/users-0", 3000)
    assert np.array_equal(sums.gram, np.full((16, 16), 0.0))
    assert np.array_equal(sums.weighted, sums.gram)
    assert (sums.loss, sums.penalty) == (1.5, 3.0)


def test_weighted_gramians_are_added_too():
    frame = Frame([piece(number, 1.0, 0.5, np.full((16, 16), 2.0**number)) for number in (2, 0, 1)])
    sums = collect_sums(frame, "run/users-0", 3000)
    assert np.array_equal(sums.weighted, np.full((16, 16), 7.0))
    assert np.array_equal(sums.gram, np.full((16, 16), 3.0))


@pytest.mark.parametrize("pieces", [(0, 1), (0, 1, 1), (0, 1, 2, 3), ()])
def test_a_piece_that_is_missing_or_double_is_an_error(pieces):
    with pytest.raises(RuntimeError, match="run/users-0 has not every piece once"):
        collect_sums(Frame([piece(number, 1.0, 0.5) for number in pieces]), "run/users-0", 3000)
