"""The places of a transformer's parameters."""

import numpy as np
import pytest

from fastrec.solvers.attention_layout import AttentionLayout


@pytest.mark.parametrize(("blocks", "heads", "factors"), [(0, 3, 10), (1, 1, 16), (2, 3, 10), (3, 5, 4)])
def test_parts_do_not_overlap_and_padding_is_zero(blocks, heads, factors):
    layout = AttentionLayout(factors, blocks, heads, 20, 33)
    met = np.zeros(layout.size, int)
    for inputs, outputs, at, rows, columns in layout.matrices():
        met[at : at + inputs * outputs] += 1
        assert rows.max() < inputs
        assert columns.max() < outputs
    for block in range(max(1, blocks)):
        met[block * layout.block_size + layout.biases : (block + 1) * layout.block_size] += 1
    met[layout.gain : layout.gain + layout.width] += 1
    assert (met[:-16] == 1).all()
    assert not met[-16:].any()
    flat = layout.start(np.random.default_rng(0))
    own = sum(len(rows) * len(columns) for *_, rows, columns in layout.matrices())
    assert np.count_nonzero(flat) == own + factors


def test_matrices_are_transposed_at_their_places():
    layout = AttentionLayout(16, 2, 2, 32, 5)
    flat, other = layout.start(np.random.default_rng(0)), np.zeros(layout.size, "f4")
    layout.transpose(flat, other)
    for inputs, outputs, at, _, _ in layout.matrices():
        part = slice(at, at + inputs * outputs)
        np.testing.assert_array_equal(other[part].reshape(outputs, inputs).T, flat[part].reshape(inputs, outputs))
