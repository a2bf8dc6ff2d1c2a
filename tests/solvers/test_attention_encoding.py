"""Vectors of histories by a transformer."""

import numpy as np
import pytest

from fastrec.matrix.arrays import starts_of
from fastrec.matrix.sequences import Sequences, pick_sequences
from fastrec.solvers.attention_encoding import encode
from fastrec.solvers.attention_layout import AttentionLayout
from tests.reference import attention as reference


def make_model(blocks, rng, length=12):
    layout = AttentionLayout(20, blocks, 2, 24, length)
    weights = layout.start(rng)
    for block in range(max(1, blocks)):
        biases = slice(block * layout.block_size + layout.biases, (block + 1) * layout.block_size)
        weights[biases] = rng.standard_normal(layout.block_size - layout.biases)
    return layout, weights, rng.standard_normal((50, 20)).astype("f4")


def make_sequences(rng, lengths):
    starts = starts_of(np.array(lengths))
    return Sequences(starts, rng.integers(0, 50, starts[-1]).astype("i4"))


@pytest.mark.parametrize("blocks", [0, 2])
def test_vectors_are_those_of_plain_numpy_after_the_newest_events(blocks):
    rng = np.random.default_rng(0)
    layout, weights, items = make_model(blocks, rng)
    sequences = make_sequences(rng, [3, 0, 12, 1, 40])
    found = encode(layout, weights, items, sequences, 1)
    padded = np.zeros((50, layout.width))
    padded[:, :20] = items
    for row, (begin, end) in enumerate(zip(sequences.starts[:-1], sequences.starts[1:], strict=True)):
        newest = sequences.items[max(begin, end - 12) : end]
        expected = np.zeros(20)
        if len(newest):
            expected = reference.outputs(layout, weights, padded[newest] * np.sqrt(20))[-1, :20]
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_vector_depends_on_its_own_sequence_alone(blocks):
    rng = np.random.default_rng(1)
    layout, weights, items = make_model(blocks, rng, 200)
    sequences = make_sequences(rng, rng.integers(0, 150, 60))
    together = encode(layout, weights, items, sequences, 3)
    for row in range(60):
        alone = encode(layout, weights, items, pick_sequences(sequences, np.array([row])), 1)
        np.testing.assert_array_equal(alone[0], together[row])
    np.testing.assert_array_equal(encode(layout, weights, items, make_sequences(rng, []), 1).shape, (0, 20))
