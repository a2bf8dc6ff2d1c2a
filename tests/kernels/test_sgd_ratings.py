"""Steps on ratings against their NumPy twin, with every optimizer; fold-in against exact solutions."""

import numpy as np
import pytest

from fastrec.kernels._jit import Static
from fastrec.kernels.sgd_pairs import Samples
from fastrec.kernels.sgd_ratings import fold_ratings, move_rows, step_ratings, sum_sources
from fastrec.kernels.sparse import Entries
from tests.kernels.sgd_cells import (
    BIAS_DECAY,
    DECAY,
    LENGTHS,
    N_ITEMS,
    N_USERS,
    PACE,
    WIDTH,
    assert_alike,
    cell,
    compiled,
    every_optimizer,
    histories,
    static,
    twins,
)
from tests.reference import sgd as plain


@every_optimizer
@pytest.mark.parametrize("aided", [False, True])
def test_ratings_are_stepped_as_by_their_twin(optimizer, aided):
    users, items, weights, rows, biases, _ = cell(3)
    sides, references = twins(rows, biases, optimizer)
    offsets = np.random.default_rng(0).normal(0, 0.3, (N_USERS, WIDTH)).astype(np.float32) * aided
    asked = np.zeros(N_USERS * WIDTH if aided else 1, np.float32)
    given = offsets.reshape(-1) if aided else np.zeros(1, np.float32)
    loss, _ = step_ratings(
        Samples(users, items, weights), 0, len(users), np.float32(1.5), given, asked, *sides, PACE, PACE,
        *static(optimizer),
    )  # fmt: skip
    expected, wishes = plain.step_ratings(users, items, weights, 1.5, offsets, *references)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert_alike(sides, references)
    if aided:
        np.testing.assert_allclose(asked.reshape(-1, WIDTH), wishes, atol=1e-4)


@pytest.mark.parametrize("aided", [False, True])
def test_folded_ratings_solve_the_normal_equations(aided):
    rng = np.random.default_rng(7)
    lengths = np.array([4, 0, 12, 30])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    indices = np.concatenate([np.sort(rng.choice(N_ITEMS, n, replace=False)) for n in lengths]).astype(np.int32)
    values = rng.normal(0, 1, len(indices)).astype(np.float32)
    rows, biases = rng.normal(0, 0.5, (N_ITEMS, WIDTH)).astype(np.float32), rng.normal(0, 1, N_ITEMS).astype(np.float32)
    offsets = rng.normal(0, 0.3, (4, WIDTH)).astype(np.float32) * aided
    out, out_biases = np.zeros(4 * WIDTH, np.float32), np.zeros(4, np.float32)
    given = offsets.reshape(-1) if aided else np.zeros(1, np.float32)
    fold_ratings(
        Entries(indptr, indices, values), 0, 4, np.float32(0.5), given, compiled(rows, biases), PACE, 100,
        np.float32(1e-12), out, out_biases, Static(WIDTH),
    )  # fmt: skip
    for row in range(4):
        part = slice(indptr[row], indptr[row + 1])
        if lengths[row] == 0:
            assert not out[row * WIDTH : (row + 1) * WIDTH].any()
            continue
        x, b = plain.solve_ratings(
            indices[part], values[part].astype(float), 0.5, offsets[row].astype(float), rows.astype(float),
            biases.astype(float), DECAY, BIAS_DECAY,
        )  # fmt: skip
        np.testing.assert_allclose(out[row * WIDTH : (row + 1) * WIDTH], x, atol=2e-4)
        assert out_biases[row] == pytest.approx(b, abs=2e-4)


@pytest.mark.parametrize("one_scale", [False, True])
def test_rows_are_sums_of_the_scaled_rows_that_they_name(one_scale):
    rng, entries = np.random.default_rng(0), histories(one_value=True)
    sources = rng.normal(size=(N_ITEMS, WIDTH)).astype(np.float32)
    scales, row_scales = (rng.random(1 if one_scale else n).astype(np.float32) for n in (N_ITEMS, len(LENGTHS)))
    out = np.full(len(LENGTHS) * WIDTH, np.nan, np.float32)
    sum_sources(entries.indptr, entries.indices, 1, 4, scales, row_scales, sources.reshape(-1), out, Static(WIDTH))
    found = out.reshape(-1, WIDTH)
    assert np.isnan(found[0]).all()
    for row in range(1, 4):
        codes = entries.indices[entries.indptr[row] : entries.indptr[row + 1]]
        scaled = np.broadcast_to(scales, N_ITEMS)[codes, None] * sources[codes]
        expected = np.broadcast_to(row_scales, len(LENGTHS))[row] * scaled.sum(axis=0)
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


@every_optimizer
def test_rows_move_together_up_their_ascents_less_a_penalty(optimizer):
    _, _, _, rows, biases, _ = cell()
    sides, references = twins(rows, biases, optimizer)
    rng = np.random.default_rng(0)
    for _ in range(3):
        ascents, penalties = rng.normal(size=(N_ITEMS, WIDTH)).astype(np.float32), rng.random(N_ITEMS).astype("f4")
        move_rows(sides[1], 2, 20, ascents.reshape(-1), penalties, PACE, *static(optimizer))
        for row in range(2, 20):
            references[1].move_row(row, ascents[row] - penalties[row] * references[1].rows[row])
    assert_alike(sides, references)
