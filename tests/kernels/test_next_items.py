"""Sequences that go through the network together; whole steps are tested in test_attention_training."""

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.next_items import embed, end_of_part
from fastrec.matrix.arrays import readonly


@kernel()
def end_of(starts, first, last, room):
    return end_of_part(starts, first, last, room)


@kernel()
def embed_items(items, first, last, values, width, grow, x):
    embed(items, first, last, values, width, grow, x)


def test_parts_have_room_together_and_one_sequence_at_least():
    starts = readonly(np.array([0, 4, 6, 20, 21]))
    assert [end_of(starts, first, 4, 6) for first in range(4)] == [2, 2, 3, 4]
    assert end_of(starts, 0, 4, 100) == 4
    assert end_of(starts, 0, 1, 100) == 1


def test_rows_are_the_vectors_of_the_items():
    values, x = np.arange(48, dtype="f4"), np.zeros(32, "f4")
    embed_items(readonly(np.array([9, 2, 0], "i4")), 1, 3, readonly(values), 16, np.float32(2), x)
    np.testing.assert_array_equal(x.reshape(2, 16), 2 * values.reshape(3, 16)[[2, 0]])
