"""Users folded into a network, against dense Adam on slopes found by differences."""

import numpy as np
import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.network import BLOCK
from fastrec.kernels.network_folding import fold_in_rows, list_samples
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.network_layout import LOSSES, NetworkLayout
from tests.reference import network as reference

STEPS, RATE, DECAY, N_ITEMS = 4, 0.05, 0.1, 12
SEEDS = np.arange(5, dtype=np.uint64) + np.uint64(40)
HISTORIES = check_matrix((np.random.default_rng(0).random((5, N_ITEMS)) < 0.4) * np.arange(5)[:, None])  # one is empty


@kernel()
def sample(loss, low, high, indices, values, negatives, n_items, seed, codes, targets, weights):
    return list_samples(loss, low, high, indices, values, negatives, n_items, seed, codes, targets, weights)


def samples_of(row, loss, negatives):
    """Returns codes, targets and weights of a row's entries and of the items drawn beside them."""
    low, high = HISTORIES.indptr[row : row + 2]
    room = [np.empty((high - low) * (1 + negatives), kind) for kind in ("i4", "f4", "f4")]
    n, total = sample(LOSSES[loss], low, high, HISTORIES.indices, HISTORIES.data, negatives, N_ITEMS, SEEDS[row], *room)
    assert total == pytest.approx(room[2][:n].sum())
    return [part[:n] for part in room]


def fold(layout, own, items, center, loss, negatives, start, stop):
    width = layout.product + layout.tower
    out = np.full(HISTORIES.shape[0] * width, np.nan, np.float32)
    fold_in_rows(
        layout.network(layout.pad(own), loss), start, stop,
        *map(readonly, (HISTORIES.indptr, HISTORIES.indices, HISTORIES.data, SEEDS)), negatives,
        readonly(layout.pad_rows(items)), N_ITEMS, readonly(layout.pad_rows(center[None])), STEPS, np.float32(RATE),
        np.float32(1 - RATE * DECAY), layout.make_work(), np.empty(2 * BLOCK * width, np.float32), out,
    )  # fmt: skip
    return layout.unpad_rows(out)


@pytest.mark.parametrize(("architecture", "layers"), [("dot", ()), ("gmf", ()), ("mlp", (20, 7)), ("neumf", (9,))])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("negatives", [0, 3])
def test_users_are_folded_in_as_by_dense_adam(architecture, layers, loss, negatives):
    layout, rng = NetworkLayout(architecture, 5, layers, None), np.random.default_rng(1)
    own = (rng.normal(size=len(layout.places)) * 0.5).astype(np.float32)
    items = rng.normal(size=(N_ITEMS, len(layout.columns))).astype(np.float32)
    center = rng.normal(size=len(layout.columns)).astype(np.float32)
    whole = fold(layout, own, items, center, loss, negatives, 0, 5)
    some = fold(layout, own, items, center, loss, negatives, 2, 4)
    np.testing.assert_array_equal(some[2:4], whole[2:4])
    assert np.isnan(some[[0, 1, 4]]).all()
    named = layout.named(own.astype(np.float64))
    assert not whole[0].any()
    for row in range(1, 5):
        codes, targets, weights = samples_of(row, loss, negatives)

        def lost(user, codes=codes, targets=targets, weights=weights):
            users = np.broadcast_to(user, (len(codes), len(user)))
            out = reference.logits(layout, named, users, items[codes].astype(np.float64))
            return reference.loss(loss, out, targets, weights) / weights.sum()

        adam = reference.Adam(center, RATE, DECAY)
        for _ in range(STEPS):
            adam.step(reference.slopes(lost, adam.values))
        np.testing.assert_allclose(whole[row], adam.values, atol=2e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_drawn_negatives_are_not_among_the_entries(loss):
    for row in range(1, 5):
        own = HISTORIES.indices[HISTORIES.indptr[row] : HISTORIES.indptr[row + 1]]
        codes, targets, weights = samples_of(row, loss, 4)
        drawn = ~np.isin(codes, own)
        assert codes[~drawn].tolist() == own.tolist()
        assert drawn.sum() == 4 * len(own)
        assert not targets[drawn].any()
        assert (weights[drawn] == 1).all()
        assert (targets[~drawn] * weights[~drawn] == row).all()
