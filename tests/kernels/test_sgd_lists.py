"""Steps on lists of items, with every optimizer, and folding in by them, against their NumPy twins."""

import numpy as np
import pytest

from fastrec.kernels._jit import Static
from fastrec.kernels.sgd_lists import Contrast, fold_lists, step_lists
from fastrec.kernels.sgd_pairs import Samples
from tests.kernels.sgd_cells import (
    LENGTHS,
    N_ITEMS,
    PACE,
    WIDTH,
    assert_alike,
    cell,
    every_optimizer,
    histories,
    static,
    twins,
)
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


@pytest.mark.parametrize("one_value", [False, True])
@pytest.mark.parametrize("softmax", [False, True])
def test_histories_are_folded_in_as_by_their_twin(softmax, one_value):
    _, _, _, (_, rows), _, pool = cell(2, unit=True)
    entries, rate = histories(one_value), np.float32(0.2)
    options = dict(draws=8, softmax=softmax, margin=0.1, weight=3.0, temperature=0.5)
    contrast = Contrast(8, softmax, np.float32(0.1), np.float32(3), np.float32(0.5))
    out = [np.full(len(LENGTHS) * WIDTH, np.nan, np.float32) for _ in range(2)]
    for found, (first, last) in zip(out, ((0, 4), (2, 3)), strict=True):
        fold_lists(
            entries, first, last, pool, np.full(N_ITEMS, -1, np.int32), contrast, 6, np.uint64(0), rows.reshape(-1),
            rate, np.empty(8, np.int32), np.empty(8, np.float32), found, Static(WIDTH),
        )  # fmt: skip
    whole, alone = (found.reshape(-1, WIDTH) for found in out)
    np.testing.assert_array_equal(alone[2], whole[2])
    assert np.isnan(alone[[0, 1, 3]]).all()
    values = np.broadcast_to(entries.values, entries.indices.shape)
    for user, length in enumerate(LENGTHS):
        part = slice(entries.indptr[user], entries.indptr[user + 1])
        if length == 0:
            assert np.isnan(whole[user]).all()  # a row without a user stays unchanged
            continue
        expected = plain.fold_lists(
            entries.indices[part], values[part], pool, rows.astype(float), passes=6, rate=rate, **options
        )
        np.testing.assert_allclose(whole[user], expected, atol=1e-5)
