"""Steps of the transformer: their gradients, their bits, and the distribution of sequences to steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.next_items import Steps
from fastrec.matrix.arrays import readonly, starts_of
from fastrec.matrix.sequences import Sequences
from fastrec.solvers.attention_layout import AttentionLayout
from fastrec.solvers.attention_training import AttentionTrainer, ItemDraws, cut_windows, deal_steps
from fastrec.solvers.network_training import runner
from tests.reference import attention as reference

N_ITEMS = 30
LAYOUTS = [
    AttentionLayout(factors=8, blocks=0, heads=1, hidden=8, length=9),
    AttentionLayout(factors=20, blocks=2, heads=2, hidden=24, length=21),
    AttentionLayout(factors=32, blocks=1, heads=1, hidden=16, length=40),
]


def make_steps(layout, rng, more=0):
    starts = starts_of(np.array([1, layout.length, 5, 4, min(17, layout.length), *[layout.length] * more]))
    items, targets = (readonly(rng.integers(0, N_ITEMS, starts[-1]).astype("i4")) for _ in range(2))
    return Steps(readonly(starts), items, targets)


def make_trainer(layout, run, negatives=12, rate=0.0, dropout=0.0, seed=0):
    draws = ItemDraws(np.arange(N_ITEMS) + 1, negatives, 0.5)
    trainer = AttentionTrainer(
        layout, N_ITEMS, draws, learning_rate=rate, decay=0.0, dropout=dropout, most=4000,
        rng=np.random.default_rng(seed), run=run,
    )  # fmt: skip
    trainer.items.values *= np.float32(6)
    for block in range(max(1, layout.blocks)):
        biases = slice(block * layout.block_size + layout.biases, (block + 1) * layout.block_size)
        trainer.weights[biases] = trainer.rng.standard_normal(layout.block_size - layout.biases) * 0.5
    return trainer


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.blocks} blocks")
@pytest.mark.parametrize("negatives", [12, N_ITEMS])
def test_a_step_has_the_loss_and_the_gradient_of_plain_numpy(layout, negatives):
    rng = np.random.default_rng(1)
    steps = make_steps(layout, rng)
    with runner(1) as run:
        trainer = make_trainer(layout, run, negatives)
        before = trainer.rng.bit_generator.state
        codes, corrections = trainer.draws.draw(trainer.rng)
        trainer.rng.bit_generator.state = before
        lost = trainer.step(steps) / len(steps.items)
    vectors, n = trainer.items.values.reshape(N_ITEMS, -1), len(steps.items)

    def loss(weights, vectors):
        return reference.step_loss(layout, weights, vectors, *steps, codes, corrections)

    assert lost == pytest.approx(loss(trainer.weights, vectors), rel=1e-6)
    slopes, by_vectors = trainer.items.slopes.reshape(-1, layout.width), np.zeros(vectors.shape)
    np.add.at(by_vectors, steps.items, slopes[:n])
    np.add.at(by_vectors, steps.targets, slopes[n : 2 * n])
    np.add.at(by_vectors, codes, slopes[2 * n : 2 * n + len(codes)])
    own = np.zeros(layout.size)  # the part that is no padding
    for inputs, outputs, at, rows, columns in layout.matrices():
        own[at : at + inputs * outputs].reshape(inputs, outputs)[np.ix_(rows, columns)] = 1
    for block in range(max(1, layout.blocks)):
        own[block * layout.block_size + layout.biases : (block + 1) * layout.block_size] = 1
    own[layout.gain : layout.gain + layout.factors] = 1
    assert not trainer.slopes[0][own == 0].any()
    for _ in range(4):  # the derivative along a direction, by central differences
        a, b = rng.standard_normal(layout.size) * own, rng.standard_normal(vectors.shape) * (vectors != 0)
        step = 1e-7
        there = loss(trainer.weights + step * a, vectors + step * b)
        back = loss(trainer.weights - step * a, vectors - step * b)
        expected = (there - back) / (2 * step)
        found = (trainer.slopes[0] * a).sum() + (by_vectors * b).sum()
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS[:2], ids=lambda layout: f"{layout.blocks} blocks")
def test_steps_are_the_same_to_the_bit_for_any_number_of_threads(layout):
    found = []
    for n_jobs in (1, 3):
        with runner(n_jobs) as run:
            trainer = make_trainer(layout, run, rate=0.01, dropout=0.3)
            dealt = [make_steps(layout, np.random.default_rng(seed), more=60) for seed in range(3)]
            lost = trainer.run_epoch(dealt)
            found.append((lost, trainer.vectors(), trainer.weights))
    assert found[0][0] == found[1][0]
    for one, other in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_dropout_has_the_gradient_of_the_same_numbers_left_out():
    # With the same seed, loss and gradient belong to one function: the loss falls along the gradient.
    layout = LAYOUTS[1]
    with runner(1) as run:
        losses = []
        for size in (0.0, 1e-3):
            trainer = make_trainer(layout, run, dropout=0.5)
            start = trainer.rng.bit_generator.state
            steps = make_steps(layout, np.random.default_rng(1))
            trainer.step(steps)
            slopes = trainer.slopes[0].copy()
            trainer.rng.bit_generator.state = start
            trainer.weights -= np.float32(size) * slopes
            losses.append(trainer.step(steps) / len(steps.items))
    expected = 1e-3 * float((slopes.astype("f8") ** 2).sum())
    assert losses[0] - losses[1] == pytest.approx(expected, rel=0.05)


def test_draws_are_as_likely_as_their_shares_and_are_corrected_for_it():
    counts = np.array([0, 1, 9, 90])
    draws = ItemDraws(counts, 3, 1.0)
    assert draws.all  # of three items that are known
    few, rng = ItemDraws(counts, 2, 1.0), np.random.default_rng(0)
    expected = np.zeros(4)
    for _ in range(20_000):
        codes, corrections = few.draw(rng)
        assert (np.diff(codes) > 0).all()
        expected[codes] += np.exp(-corrections)  # 1 for each item on average
    np.testing.assert_allclose(expected / 20_000, [0, 1, 1, 1], rtol=0.15)
    np.testing.assert_array_equal(draws.draw(rng)[0], [1, 2, 3])
    assert not draws.draw(rng)[1].any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 12), st.integers(1, 40), st.integers(0, 5))
def test_every_event_but_the_first_of_a_sequence_is_once_a_target(lengths, length, size, seed):
    starts = starts_of(np.array(lengths, np.int64))
    items = np.arange(starts[-1], dtype=np.int32)
    sequences, rng = Sequences(starts, items), np.random.default_rng(seed)
    dealt = deal_steps(sequences, length, size, rng)
    targets = np.concatenate([steps.targets for steps in dealt]) if dealt else np.empty(0)
    assert sorted(targets) == [item for item in items if item not in starts]
    for steps in dealt:
        assert np.diff(steps.starts).min() > 0
        assert np.diff(steps.starts).max() <= length
        assert len(steps.items) < 2 * size + length
        np.testing.assert_array_equal(steps.targets, steps.items + 1)


def test_cuts_of_long_sequences_begin_anywhere():
    sequences = Sequences(np.array([0, 25]), np.arange(25, dtype=np.int32))
    firsts = {int(cut_windows(sequences, 10, np.random.default_rng(seed))[1][0]) for seed in range(100)}
    assert firsts == set(range(1, 11))
