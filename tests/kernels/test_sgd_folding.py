"""Users folded in by the losses on pairs and on labels, against their NumPy twins."""

import numpy as np
import pytest

from fastrec.kernels._jit import Static
from fastrec.kernels.sgd_folding import fold_labels, fold_pairs
from fastrec.kernels.sgd_labels import Labels
from fastrec.kernels.sgd_pairs import Negatives
from tests.kernels.sgd_cells import DECAY, LENGTHS, N_ITEMS, PACE, RATE, WIDTH, cell, compiled, histories
from tests.reference import sgd as plain

PASSES = {"passes": 5, "rate": RATE, "decay": DECAY}


def assert_folded(kernel, twin, entries, drawing, has_priors, **options):
    """Checks the rows of all users, and one row that is folded in alone, to the bit."""
    _, _, _, (_, rows), (_, biases), pool = cell()
    priors = np.random.default_rng(4).normal(0, 0.3, (len(LENGTHS), WIDTH)).astype(np.float32) * has_priors
    starts = np.random.default_rng(5).normal(0, 0.3, (len(LENGTHS), WIDTH)).astype(np.float32)
    out = [starts.reshape(-1).copy() for _ in range(2)]
    for found, (first, last) in zip(out, ((0, 4), (2, 3)), strict=True):
        kernel(
            entries, first, last, pool, np.full(N_ITEMS, -1, np.int32), drawing, PASSES["passes"], np.uint64(0),
            compiled(rows, biases), PACE, priors.reshape(-1) if has_priors else np.zeros(1, np.float32), found,
            Static(WIDTH),
        )  # fmt: skip
    whole, alone = (found.reshape(-1, WIDTH) for found in out)
    np.testing.assert_array_equal(alone[2], whole[2])
    np.testing.assert_array_equal(alone[[0, 1, 3]], starts[[0, 1, 3]])
    values = np.broadcast_to(entries.values, entries.indices.shape)
    for user, found in enumerate(whole):
        part = slice(entries.indptr[user], entries.indptr[user + 1])
        expected = twin(
            entries.indices[part],
            values[part],
            starts[user],
            priors[user],
            pool,
            rows.astype(float),
            biases,
            **PASSES,
            **options,
        )
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("one_value", [False, True])
@pytest.mark.parametrize("has_priors", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        dict(draws=4, margin=np.inf, hardest=False, hinge=False),
        dict(draws=6, margin=np.inf, hardest=True, hinge=False),
        dict(draws=20, margin=1.0, hardest=False, hinge=True),
    ],
    ids=["uniform", "adaptive", "warp"],
)
def test_histories_are_folded_in_by_pairs_as_by_their_twin(options, has_priors, one_value):
    shares = np.linspace(1, 2, options["draws"] + 1).astype(np.float32)
    drawing = Negatives(options["draws"], np.float32(options["margin"]), options["hardest"], options["hinge"], shares)
    assert_folded(fold_pairs, plain.fold_pairs, histories(one_value), drawing, has_priors, shares=shares, **options)


@pytest.mark.parametrize("one_value", [False, True])
@pytest.mark.parametrize("has_priors", [False, True])
def test_histories_are_folded_in_by_labels_as_by_their_twin(has_priors, one_value):
    entries = histories(one_value)
    if not one_value:
        entries.values[::3] *= -1  # dislikes
    drawing = Labels(3, np.float32(0.5), True)
    assert_folded(fold_labels, plain.fold_labels, entries, drawing, has_priors, draws=3, weight=0.5)
