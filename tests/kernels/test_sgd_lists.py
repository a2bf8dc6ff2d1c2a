"""Steps on lists of items against their NumPy twin, with every optimizer."""

import numpy as np
import pytest

from fastrec.kernels.sgd_lists import Contrast, step_lists
from fastrec.kernels.sgd_pairs import Samples
from tests.kernels.sgd_cells import N_ITEMS, PACE, WIDTH, assert_alike, cell, every_optimizer, static, twins
from tests.reference import sgd as plain


@every_optimizer
@pytest.mark.parametrize("softmax", [False, True])
def test_lists_are_stepped_as_by_their_twin(optimizer, softmax):
    users, items, weights, rows, biases, pool = cell(2, unit=True)
    sides, references = twins(rows, biases, optimizer)
    options = dict(softmax=softmax, margin=0.1, weight=3.0, temperature=0.5)
    contrast = Contrast(8, softmax, np.float32(0.1), np.float32(3), np.float32(0.5))
    marks, drawn, pulls = np.full(N_ITEMS, -1, np.int32), np.empty(8, np.int32), np.empty(8, np.float32)
    loss, _ = step_lists(
        Samples(users, items, weights), 0, len(users), pool, marks, contrast, np.uint64(5), *sides, PACE, PACE, drawn,
        pulls, *static(optimizer),
    )  # fmt: skip
    expected = plain.step_lists(users, items, weights, pool, 5, *references, draws=8, **options)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert_alike(sides, references)
    np.testing.assert_allclose(np.linalg.norm(sides[1].rows.reshape(-1, WIDTH), axis=1), 1, rtol=1e-5)
