"""The kernels of the network against plain NumPy and finite differences."""

import numpy as np
import pytest

from fastrec.kernels.network import (
    BLOCK,
    learn_blocks,
)
from fastrec.matrix.arrays import readonly
from fastrec.solvers.network_layout import ARCHITECTURES, LOSSES, NetworkLayout
from tests.reference import network as reference


def problem(architecture, normalization, seed=0, n=37):
    layout = NetworkLayout(architecture, 5, (20, 7) if architecture in ("mlp", "neumf") else (), normalization)
    rng = np.random.default_rng(seed)
    own = (rng.normal(size=len(layout.places)) * 0.5).astype("f4")
    users, items = (rng.normal(size=(m, len(layout.columns))).astype("f4") for m in (9, 8))
    codes = rng.integers(0, 9, n).astype("i4"), rng.integers(0, 8, n).astype("i4")
    targets, weights = (rng.random(n) < 0.5).astype("f4"), rng.random(n).astype("f4")
    return layout, own, users, items, codes, targets, weights


def learn(layout, own, users, items, codes, targets, weights, loss, block=BLOCK, dropout=0.0):
    """Returns the kernels' loss and derivatives without padding: (loss, by parameters, by users, by items)."""
    n, width = len(targets), layout.product + layout.tower
    net = layout.network(layout.pad(own), loss, dropout)
    slopes, moments = np.empty(layout.size, "f4"), np.empty(layout.size, "f4")
    by_users, by_items = np.zeros(n * width, "f4"), np.zeros(n * width, "f4")
    lost = learn_blocks(
        net, readonly(layout.pad_rows(users)), codes[0], readonly(layout.pad_rows(items)), codes[1], targets, weights,
        0, n, block, np.float32(1), np.uint64(1), layout.make_work(), slopes, moments, by_users, by_items,
    )  # fmt: skip
    assert not np.delete(slopes, layout.places).any(), "what is padded must stay zero"
    sides = np.zeros(users.shape), np.zeros(items.shape)
    for side, rows, by_pair in zip(sides, codes, (by_users, by_items), strict=True):
        np.add.at(side, rows, layout.unpad_rows(by_pair))
    return lost, slopes[layout.places], *sides


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(architecture, normalization, loss):
    layout, own, users, items, codes, targets, weights = problem(architecture, normalization)
    found = learn(layout, own, users, items, codes, targets, weights, loss)

    def lost(own, users, items):
        out = reference.logits(layout, layout.named(own), users[codes[0]], items[codes[1]])
        return reference.loss(loss, out, targets, weights)

    point = [part.astype("f8") for part in (own, users, items)]
    assert found[0] == pytest.approx(lost(*point), rel=1e-5)
    for place in range(3):
        gradient = reference.slopes(
            lambda part, place=place: lost(*point[:place], part, *point[place + 1 :]), point[place]
        )
        np.testing.assert_allclose(found[1 + place], gradient, atol=3e-6 * np.abs(gradient).max(), rtol=1e-4)


def test_blocks_make_no_difference_without_batch_normalization():
    some = problem("neumf", "layer", n=130)
    whole, parts = learn(*some, "logistic"), learn(*some, "logistic", block=13)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradients_go_where_dropout_lets_them():
    layout, own, users, items, codes, targets, weights = problem("mlp", None)
    plain = learn(layout, own, users, items, codes, targets, weights, "logistic")
    dropped = learn(layout, own, users, items, codes, targets, weights, "logistic", dropout=0.5)
    assert dropped[0] != plain[0]
    nothing = learn(layout, own, users, items, codes, targets, weights * 0, "logistic", dropout=0.5)
    assert not any(np.any(part) for part in nothing)
