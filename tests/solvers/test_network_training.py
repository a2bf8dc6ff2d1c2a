"""The network's layout, training and answers."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.network_layout import NetworkLayout
from fastrec.solvers.network_scoring import Scorer
from fastrec.solvers.network_training import EpochSamples, Trainer, make_step_tables, runner
from tests.reference import network as reference

LAYOUTS = [("dot", ()), ("gmf", ()), ("mlp", (20, 7)), ("neumf", (33,))]


def trainer(run, architecture="neumf", layers=(20, 7), normalization=None, batch=4096, **options):
    layout = NetworkLayout(architecture, 10, layers, normalization)
    rng = np.random.default_rng(0)
    users, items = ((rng.normal(size=(n, len(layout.columns))) * 0.1).astype("f4") for n in (50, 40))
    options = {"loss": "logistic", "dropout": 0.0, "tables": make_step_tables(0.01, 0.0), "batch": batch, **options}
    return Trainer(layout, layout.start(rng), layout.pad_rows(users), layout.pad_rows(items), run=run, **options)


def samples(n, seed=0):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, 50, n).astype("i4"), rng.integers(0, 40, n).astype("i4")
    return users, items, ((users + items) % 2).astype("f4"), np.ones(n, "f4")


@pytest.mark.parametrize(("architecture", "layers"), LAYOUTS)
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_padding_comes_and_goes(architecture, layers, normalization):
    layout = NetworkLayout(architecture, 10, layers, normalization)
    own = np.arange(1, len(layout.places) + 1, dtype="f4")
    assert len(np.unique(layout.places)) == len(own)
    np.testing.assert_array_equal(layout.pad(own)[layout.places], own)
    assert sum(values.size for values in layout.named(own).values()) == len(own)
    rows = np.arange(3 * len(layout.columns), dtype="f4").reshape(3, -1)
    np.testing.assert_array_equal(layout.unpad_rows(layout.pad_rows(rows)), rows)


@pytest.mark.parametrize("n", [1, 37, 600, 4096])
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_number_of_threads_changes_no_bit(n, normalization):
    results = []
    for jobs in (1, 2, 3):
        with runner(jobs) as run:
            one = trainer(run, normalization=normalization, dropout=0.2)
            losses = [one.step(*samples(n, seed), seed) for seed in range(3)]
            one.settle()
        results.append((losses, one.weights, one.users.values, one.items.values, one.running))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_batch_of_many_blocks_is_learned_as_dense_adam_would():
    with runner(1) as run:
        one = trainer(run)
        layout = one.layout
        parts = [one.weights[layout.places], *(layout.unpad_rows(v) for v in (one.users.values, one.items.values))]
        dense = [reference.Adam(part, 0.01) for part in parts]
        batch = samples(40)

        def lost(own, users, items):
            out = reference.logits(layout, layout.named(own), users[batch[0]], items[batch[1]])
            return reference.loss("logistic", out, batch[2], batch[3]) / 40

        point = [adam.values for adam in dense]
        slopes = [
            reference.slopes(lambda part, k=k: lost(*point[:k], part, *point[k + 1 :]), point[k]) for k in range(3)
        ]
        one.step(*batch, 0)
    for adam, slope, now in zip(
        dense, slopes, (one.weights[layout.places], *map(layout.unpad_rows, (one.users.values, one.items.values))),
        strict=True,
    ):  # fmt: skip
        adam.step(slope)
        clear = np.abs(slope) > 1e-5  # Adam's first step is the sign of the slope
        np.testing.assert_allclose(now[clear], adam.values[clear], atol=1e-4)


@pytest.mark.parametrize(("architecture", "layers"), LAYOUTS)
@pytest.mark.parametrize("normalization", [None, "layer"])
def test_scores_are_what_the_network_puts_out(architecture, layers, normalization):
    layout = NetworkLayout(architecture, 10, layers, normalization)
    rng = np.random.default_rng(0)
    own = rng.normal(size=len(layout.places)).astype("f4") * 0.5
    users, items = (rng.normal(size=(n, len(layout.columns))).astype("f4") for n in (5, 300))
    scorer = Scorer(layout, layout.pad(own), None, items, "squared")
    scores = scorer.score_all(users, 2)
    rows, codes = np.repeat(np.arange(5, dtype="i4"), 300), np.tile(np.arange(300, dtype="i4"), 5)
    point = [part.astype("f8") for part in (own, users, items)]
    expected = reference.logits(layout, layout.named(point[0]), point[1][rows], point[2][codes]).reshape(5, 300)
    np.testing.assert_allclose(scores, expected, atol=2e-5 * np.abs(expected).max())
    order = rng.permutation(1500)
    np.testing.assert_array_equal(scorer.score_pairs(users, rows[order], codes[order], 1), scores.reshape(-1)[order])
    np.testing.assert_array_equal(scorer.score_all(users[3:4], 1)[0], scores[3])


def test_batch_normalization_becomes_part_of_the_kernels():
    layout = NetworkLayout("mlp", 10, (20, 7), "batch")
    rng = np.random.default_rng(0)
    own = rng.normal(size=len(layout.places)).astype("f4")
    moments = rng.random(len(layout.places)).astype("f4") + 0.1
    plain, folded = layout.without_batches(layout.pad(own), layout.pad(moments))
    named, remembered, new = layout.named(own), layout.named(moments), plain.named(folded[plain.places])
    x = rng.normal(size=(4, 20))
    for index in range(2):
        z = x @ named[f"kernel{index}"] + named[f"bias{index}"]
        z = (z - remembered[f"gain{index}"]) / np.sqrt(remembered[f"shift{index}"] + 1e-5)
        z = z * named[f"gain{index}"] + named[f"shift{index}"]
        np.testing.assert_allclose(x @ new[f"kernel{index}"] + new[f"bias{index}"], z, rtol=1e-4, atol=1e-4)
        x = np.maximum(z, 0)


def test_an_epoch_has_every_sample_once_in_batches_of_about_one_size():
    X = check_matrix((np.random.default_rng(0).random((60, 50)) < 0.3).astype("f4"))
    drawn = list(EpochSamples(X, 3, "logistic").batches(100, np.random.default_rng(1), lambda fs: [f() for f in fs]))
    sizes = [len(batch[0]) for batch in drawn]
    assert sum(sizes) == 4 * X.nnz
    assert max(sizes) <= 100
    assert max(sizes) - min(sizes) <= 1
    users, items, targets, _ = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    cells = {(int(u), int(i)) for u, i, y in zip(users, items, targets, strict=True) if y}
    assert cells == set(zip(*map(np.ndarray.tolist, X.nonzero()), strict=True))


def test_an_error_in_a_thread_comes_out():
    def fail():
        raise ArithmeticError

    with runner(2) as run, pytest.raises(ArithmeticError):
        run([lambda: None, fail, lambda: None])
