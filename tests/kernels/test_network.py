"""The kernels of the network and of Adam against plain NumPy and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.adam import update_weights
from fastrec.kernels.network import (
    BLOCK,
    add_products,
    draw_samples,
    exponential,
    learn_blocks,
    rectify,
    sigmoid,
)
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.network_layout import ARCHITECTURES, LOSSES, NetworkLayout
from fastrec.solvers.network_training import Embedding, make_pace
from tests.reference import network as reference


@kernel(fastmath=FAST)
def apply_exponential(x, out):
    for i in range(len(x)):
        out[i] = exponential(x[i])


@kernel(fastmath=FAST)
def apply_sigmoid(x, out):
    for i in range(len(x)):
        out[i] = sigmoid(x[i])


def test_exponential_is_within_its_stated_error():
    x = np.concatenate([np.linspace(-87, 88, 200_001), np.random.default_rng(0).normal(size=10_000)]).astype("f4")
    out = np.empty_like(x)
    apply_exponential(x, out)
    exact = np.exp(x.astype("f8"))
    assert np.abs(out / exact - 1).max() < 2.5e-7
    apply_exponential(np.array([np.nan, -np.inf, np.inf], "f4"), out[:3])
    assert np.isnan(out[0])
    assert out[1] < 1e-37
    assert out[2] > 1e38


def test_sigmoid_is_within_its_stated_error():
    x = np.linspace(-80, 80, 100_001).astype("f4")
    out = np.empty_like(x)
    apply_sigmoid(x, out)
    assert np.abs(out * (1 + np.exp(-x.astype("f8"))) - 1).max() < 5e-7


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 21), inner=st.integers(0, 40), vectors=st.integers(1, 5), turned=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_products_add_to_what_is_there(rows, inner, vectors, turned, seed):
    rng = np.random.default_rng(seed)
    outer = 16 * vectors
    x, w = rng.normal(size=(rows, inner)).astype("f4"), rng.normal(size=(inner, outer)).astype("f4")
    out = rng.normal(size=(rows, outer)).astype("f4")
    expected = out + x.astype("f8") @ w
    flat = np.ascontiguousarray(x.T if turned else x).reshape(-1)
    across, down = (1, rows) if turned else (inner, 1)
    add_products(readonly(flat), 0, across, down, readonly(w.reshape(-1)), 0, out.reshape(-1), 0, rows, inner, outer)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_a_row_of_a_product_hangs_on_no_other():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(23, 50)).astype("f4"), rng.normal(size=(50, 48)).astype("f4").reshape(-1)
    together = np.zeros((23, 48), "f4")
    add_products(readonly(x.reshape(-1)), 0, 50, 1, readonly(w), 0, together.reshape(-1), 0, 23, 50, 48)
    for row in range(23):
        alone = np.zeros(48, "f4")
        add_products(readonly(x[row]), 0, 50, 1, readonly(w), 0, alone, 0, 1, 50, 48)
        np.testing.assert_array_equal(alone, together[row])


def problem(architecture, normalization, seed=0, n=37):
    layout = NetworkLayout(architecture, 5, (20, 7) if architecture in ("mlp", "neumf") else (), normalization)
    rng = np.random.default_rng(seed)
    own = (rng.normal(size=len(layout.places)) * 0.5).astype("f4")
    users, items = (rng.normal(size=(m, len(layout.columns))).astype("f4") for m in (9, 8))
    codes = rng.integers(0, 9, n).astype("i4"), rng.integers(0, 8, n).astype("i4")
    targets, weights = (rng.random(n) < 0.5).astype("f4"), rng.random(n).astype("f4")
    return layout, own, users, items, codes, targets, weights


def learn(layout, own, users, items, codes, targets, weights, loss, block=BLOCK, dropout=0.0):
    """Loss and derivatives by the kernels, without padding: (loss, by parameters, by users, by items)."""
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


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    x = np.ones(200_000, "f4")
    rectify(x, len(x), np.float32(0.3), np.uint32(5))
    assert (x == 0).mean() == pytest.approx(0.3, abs=0.005)
    assert x.mean() == pytest.approx(1, abs=0.01)
    again, other = np.ones(1000, "f4"), np.ones(1000, "f4")
    rectify(again, 1000, np.float32(0.3), np.uint32(5))
    rectify(other, 1000, np.float32(0.3), np.uint32(6))
    np.testing.assert_array_equal(again, x[:1000])
    assert (other != again).any()


def test_gradients_go_where_dropout_lets_them():
    layout, own, users, items, codes, targets, weights = problem("mlp", None)
    plain = learn(layout, own, users, items, codes, targets, weights, "logistic")
    dropped = learn(layout, own, users, items, codes, targets, weights, "logistic", dropout=0.5)
    assert dropped[0] != plain[0]
    nothing = learn(layout, own, users, items, codes, targets, weights * 0, "logistic", dropout=0.5)
    assert not any(np.any(part) for part in nothing)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("width", [16, 48])
def test_rows_move_as_under_dense_adam(decay, width):
    rng = np.random.default_rng(0)
    n, steps, batch = 12, 300, 3
    values = rng.normal(size=(n, width)).astype("f4")
    dense = reference.Adam(values, 0.01, decay)
    embedding = Embedding(values.reshape(-1), width, batch)
    pace = make_pace(0.01, decay)
    begun = np.zeros(n, bool)
    for step in range(1, steps + 1):
        codes = rng.integers(0, n, batch).astype("i4")
        slopes = rng.normal(size=(batch, width)).astype("f4")
        embedding.prepare(codes, step, pace)
        begun[codes] = True
        embedding.slopes[:] = slopes.reshape(-1)
        embedding.update(step, pace)
        whole = np.zeros((n, width))
        np.add.at(whole, codes, slopes)
        before = dense.values[~begun].copy()
        dense.step(whole)
        dense.values[~begun] = before  # decay begins with a row's first sample
        assert (embedding.heads == -1).all()
    embedding.settle(steps, pace)
    # The decay of what a row moves while it rests is left out: of the order of (rate · decay) · rate.
    np.testing.assert_allclose(values, dense.values, atol=1e-5 if decay == 0 else 5e-3)


@pytest.mark.parametrize("pieces", [1, 3])
def test_weights_move_as_under_adam(pieces):
    rng = np.random.default_rng(0)
    values = rng.normal(size=32).astype("f4")
    dense = reference.Adam(values, 0.01, 0.1)
    first, second, pace = np.zeros(32, "f4"), np.zeros(32, "f4"), make_pace(0.01, 0.1)
    for step in range(1, 100):
        slopes = rng.normal(size=(pieces, 32)).astype("f4")
        dense.step(slopes.sum(axis=0, dtype="f8"))
        update_weights(values, first, second, slopes, step, pace)
    np.testing.assert_allclose(values, dense.values, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), negatives=st.integers(0, 5), density=st.floats(0, 1))
def test_samples_are_entries_and_items_outside_their_rows(seed, negatives, density):
    rng = np.random.default_rng(seed)
    X = check_matrix(((rng.random((7, 11)) < density) * rng.integers(1, 5, (7, 11))).astype("f4"))
    rows = np.repeat(np.arange(7, dtype="i4"), np.diff(X.indptr))
    n = X.nnz * (1 + negatives)
    order = rng.permutation(n).astype("i4")
    users, items, targets, weights = np.empty(n, "i4"), np.empty(n, "i4"), np.empty(n, "f4"), np.empty(n, "f4")
    for first, last in ((0, n // 3), (n // 3, n)):
        draw_samples(
            order, first, last, negatives, rows, X.indptr, X.indices, X.data, 11, LOSSES["logistic"],
            np.uint64(seed), users, items, targets, weights,
        )  # fmt: skip
    dense = X.toarray()
    positive = targets == 1
    assert positive.sum() == X.nnz
    np.testing.assert_array_equal(weights[positive], dense[users[positive], items[positive]])
    drawn = ~positive & (weights > 0)
    assert (dense[users[drawn], items[drawn]] == 0).all()
    gave_up = weights == 0  # where nearly all items are in the row
    assert all((dense[user] > 0).sum() > 6 for user in users[gave_up])
