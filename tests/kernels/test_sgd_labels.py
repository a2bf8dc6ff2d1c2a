"""Steps on labels against their NumPy twin, with every optimizer."""

import numpy as np
import pytest

from fastrec.kernels.sgd_labels import Labels, step_labels
from fastrec.kernels.sgd_pairs import Samples
from tests.kernels.sgd_cells import N_ITEMS, PACE, assert_alike, cell, every_optimizer, static, twins
from tests.reference import sgd as plain


@every_optimizer
def test_labels_are_stepped_as_by_their_twin(optimizer):
    users, items, weights, rows, biases, pool = cell(1)
    weights[::3] *= -1  # dislikes
    sides, references = twins(rows, biases, optimizer)
    marks = np.full(N_ITEMS, -1, np.int32)
    loss, _ = step_labels(
        Samples(users, items, weights), 0, len(users), pool, marks, Labels(3, np.float32(0.5), True), np.uint64(5),
        *sides, PACE, PACE, *static(optimizer),
    )  # fmt: skip
    expected = plain.step_labels(users, items, weights, pool, 5, *references, draws=3, weight=0.5)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert_alike(sides, references)
