"""The network's layout, training and answers."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.network_layout import NetworkLayout
from fastrec.solvers.network_training import EpochSamples, Trainer, make_step_tables, runner
from tests.reference import network as reference


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
