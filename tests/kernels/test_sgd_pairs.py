"""Steps on pairs of items against their NumPy twin, with every optimizer."""

import numpy as np
import pytest

from fastrec.kernels.sgd_pairs import Negatives, Samples, step_pairs
from tests.kernels.sgd_cells import N_ITEMS, PACE, WIDTH, assert_alike, cell, every_optimizer, static, twins
from tests.reference import sgd as plain


@every_optimizer
@pytest.mark.parametrize(
    "options",
    [
        dict(draws=4, margin=np.inf, hardest=False, hinge=False),
        dict(draws=6, margin=np.inf, hardest=True, hinge=False),
        dict(draws=20, margin=1.0, hardest=False, hinge=True),
    ],
    ids=["uniform", "adaptive", "warp"],
)
@pytest.mark.parametrize("has_priors", [False, True])
def test_pairs_are_stepped_as_by_their_twin(optimizer, options, has_priors):
    users, items, weights, rows, biases, pool = cell()
    shares = np.linspace(1, 2, options["draws"] + 1).astype(np.float32)
    sides, references = twins(rows, biases, optimizer, has_priors)
    negatives = Negatives(options["draws"], np.float32(options["margin"]), options["hardest"], options["hinge"], shares)
    marks = np.full(N_ITEMS, -1, np.int32)
    loss, count = step_pairs(
        Samples(users, items, weights), 0, len(users), pool, marks, negatives, np.uint64(9), *sides, PACE, PACE,
        *static(optimizer),
    )  # fmt: skip
    expected = plain.step_pairs(users, items, weights, pool, 9, *references, shares=shares, **options)
    assert count == len(users)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert_alike(sides, references)


def test_nan_shows_in_the_loss():
    users, items, weights, rows, biases, pool = cell()
    sides, _ = twins(rows, biases, "sgd")
    sides[0].rows[4 * WIDTH] = np.nan
    negatives = Negatives(4, np.float32(np.inf), False, False, np.ones(5, np.float32))
    loss, _ = step_pairs(
        Samples(users, items, weights), 0, len(users), pool, np.full(N_ITEMS, -1, np.int32), negatives, np.uint64(1),
        *sides, PACE, PACE, *static("sgd"),
    )  # fmt: skip
    assert np.isnan(loss)
