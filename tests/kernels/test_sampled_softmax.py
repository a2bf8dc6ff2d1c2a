"""The loss among candidates against plain NumPy."""

import numpy as np
import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.sampled_softmax import ROWS, Candidates, forget_candidates, gather_candidates, lose_rows
from fastrec.matrix.arrays import readonly
from tests.reference import attention as reference


@kernel()
def lose(h, rows, width, targets, values, candidates, weight, logits, errors, target_slopes, candidate_slopes):
    return lose_rows(
        h, rows, width, targets, 0, values, candidates, weight, logits, errors, target_slopes, candidate_slopes
    )


@pytest.mark.parametrize("n", [1, 16, 25])
def test_losses_and_derivatives(n):
    rng, rows, width, n_items = np.random.default_rng(n), 70, 16, 40
    h, values = rng.standard_normal((rows, width)), rng.standard_normal((n_items, width))
    codes = np.sort(rng.choice(n_items, n, replace=False)).astype("i4")
    targets, corrections = rng.integers(0, n_items, rows).astype("i4"), rng.standard_normal(n)
    padded = -(-n // 16) * 16
    slots, filled = np.full(n_items, -1, "i4"), np.full(padded, 1e30, "f4")
    filled[:n] = corrections
    flat = values.astype("f4").reshape(-1)
    drawn = Candidates(readonly(codes), np.empty(padded * width, "f4"), np.empty(padded * width, "f4"), filled, slots)
    gather_candidates(readonly(flat), width, drawn)
    errors, by_target = np.empty(rows * width, "f4"), np.empty(rows * width, "f4")
    by_candidate = np.zeros(padded * width, "f4")
    lost = lose(
        h.astype("f4").reshape(-1), rows, width, readonly(targets), readonly(flat), Candidates(*map(readonly, drawn)),
        np.float32(0.5), np.empty(ROWS * padded, "f4"), errors, by_target, by_candidate,
    )  # fmt: skip
    assert lost == pytest.approx(reference.losses(h, targets, values, codes, corrections).sum(), rel=1e-5)
    by_item = np.zeros_like(values)
    np.add.at(by_item, targets, by_target.reshape(rows, width))
    np.add.at(by_item, codes, by_candidate.reshape(padded, width)[:n])
    assert not by_candidate.reshape(padded, width)[n:].any()
    step, a, b = 1e-6, rng.standard_normal(h.shape), rng.standard_normal(values.shape)
    there, back = (
        reference.losses(h + s * a, targets, values + s * b, codes, corrections).sum() for s in (step, -step)
    )
    found = (errors.reshape(h.shape) * a).sum() + (by_item * b).sum()
    assert found == pytest.approx(0.5 * (there - back) / (2 * step), rel=1e-4)
    forget_candidates(readonly(codes), slots)
    assert (slots == -1).all()
