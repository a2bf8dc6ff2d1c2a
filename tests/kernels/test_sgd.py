"""Every step kernel against its NumPy twin, with every optimizer; folding against exact solutions; dealing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels._jit import Static
from fastrec.kernels.sgd_blocks import count_cells, deal_cells
from fastrec.kernels.sgd_labels import Labels, step_labels
from fastrec.kernels.sgd_lists import Contrast, step_lists
from fastrec.kernels.sgd_pairs import Negatives, Samples, step_pairs
from fastrec.kernels.sgd_ratings import fold_ratings, step_ratings
from fastrec.kernels.sgd_steps import Parameters, StepSizes
from fastrec.kernels.sparse import Entries
from tests.reference import sgd as plain

WIDTH, N_USERS, N_ITEMS = 16, 6, 30
OPTIMIZERS = {"sgd": 0, "adagrad": 1, "adam": 2}
RATE, DECAY, BIAS_DECAY = 0.05, 0.1, 0.02
PACE = StepSizes(np.float32(RATE), np.float32(DECAY), np.float32(BIAS_DECAY))

every_optimizer = pytest.mark.parametrize("optimizer", list(OPTIMIZERS))


def cell(seed=0, unit=False):
    """Samples in runs of users, two starting sides, a pool and its seed."""
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.choice(N_ITEMS, n, replace=False)) for n in (5, 1, 9, 3)]
    users = np.repeat(np.array([4, 0, 2, 5], np.int32), [len(items) for items in chosen])
    items = np.concatenate(chosen).astype(np.int32)
    rows = [rng.normal(0, 0.5, (n, WIDTH)).astype(np.float32) for n in (N_USERS, N_ITEMS)]
    if unit:
        rows = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in rows]
    biases = [rng.normal(0, 0.5, n).astype(np.float32) for n in (N_USERS, N_ITEMS)]
    pool = np.repeat(np.arange(N_ITEMS, dtype=np.int32), rng.integers(1, 3, N_ITEMS))
    weights = rng.uniform(0.5, 2, len(users)).astype(np.float32)
    return users, items, weights, rows, biases, pool


def compiled(rows, biases):
    n = len(rows)
    memory = [np.zeros(n * WIDTH, np.float32) for _ in range(2)]
    bias_memory = [np.zeros(n, np.float32) for _ in range(2)]
    counts = np.zeros(n, np.int32)
    return Parameters(rows.copy().reshape(-1), biases.copy(), *memory, *bias_memory, counts, None, None)


def twins(rows, biases, optimizer, anchored=False):
    sides = [compiled(*side) for side in zip(rows, biases, strict=True)]
    references = [plain.Side(*side, optimizer, RATE, DECAY, BIAS_DECAY) for side in zip(rows, biases, strict=True)]
    if anchored:
        rng = np.random.default_rng(4)
        for place, reference in enumerate(references):
            anchors = [rng.normal(0, 0.5, array.shape) for array in (reference.rows, reference.biases)]
            reference.anchors = anchors
            flat = [array.astype(np.float32).reshape(-1) for array in anchors]
            sides[place] = sides[place]._replace(anchors=flat[0], bias_anchors=flat[1])
    return sides, references


def assert_alike(sides, references, tolerance=2e-4):
    for side, reference in zip(sides, references, strict=True):
        np.testing.assert_allclose(side.rows.reshape(-1, WIDTH), reference.rows, atol=tolerance, rtol=tolerance)
        np.testing.assert_allclose(side.biases, reference.biases, atol=tolerance, rtol=tolerance)


def static(optimizer):
    return Static(OPTIMIZERS[optimizer]), Static(WIDTH)


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
@pytest.mark.parametrize("anchored", [False, True])
def test_pairs_are_stepped_as_by_their_twin(optimizer, options, anchored):
    users, items, weights, rows, biases, pool = cell()
    shares = np.linspace(1, 2, options["draws"] + 1).astype(np.float32)
    sides, references = twins(rows, biases, optimizer, anchored)
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


@every_optimizer
def test_labels_are_stepped_as_by_their_twin(optimizer):
    users, items, weights, rows, biases, pool = cell(1)
    weights[::3] *= -1  # dislikes
    sides, references = twins(rows, biases, optimizer)
    marks = np.full(N_ITEMS, -1, np.int32)
    loss, _ = step_labels(
        Samples(users, items, weights), 0, len(users), pool, marks, Labels(3, np.float32(0.5), True), np.uint64(5),
        *sides, PACE, PACE, *static(optimizer),
    )  # fmt: skip
    expected = plain.step_labels(users, items, weights, pool, 5, *references, draws=3, weight=0.5)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert_alike(sides, references)


@every_optimizer
@pytest.mark.parametrize("softmax", [False, True])
def test_lists_are_stepped_as_by_their_twin(optimizer, softmax):
    users, items, weights, rows, biases, pool = cell(2, unit=True)
    sides, references = twins(rows, biases, optimizer)
    options = dict(softmax=softmax, margin=0.1, weight=3.0, temperature=0.5)
    contrast = Contrast(8, softmax, np.float32(0.1), np.float32(3), np.float32(0.5))
    marks, drawn, pulls = np.full(N_ITEMS, -1, np.int32), np.empty(8, np.int32), np.empty(8, np.float32)
    loss, _ = step_lists(
        Samples(users, items, weights), 0, len(users), pool, marks, contrast, np.uint64(5), *sides, PACE, PACE, drawn,
        pulls, *static(optimizer),
    )  # fmt: skip
    expected = plain.step_lists(users, items, weights, pool, 5, *references, draws=8, **options)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert_alike(sides, references)
    np.testing.assert_allclose(np.linalg.norm(sides[1].rows.reshape(-1, WIDTH), axis=1), 1, rtol=1e-5)


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


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_dealing_puts_every_entry_into_its_cell(data):
    n_users, n_items, blocks = (data.draw(st.integers(1, top)) for top in (8, 12, 4))
    taken = np.array(
        data.draw(st.lists(st.booleans(), min_size=n_users * n_items, max_size=n_users * n_items))
    ).reshape(n_users, n_items)
    indptr = np.concatenate([[0], np.cumsum(taken.sum(axis=1))]).astype(np.int64)
    indices = np.nonzero(taken)[1].astype(np.int32)
    values = np.arange(len(indices), dtype=np.float32)
    order = np.array(data.draw(st.permutations(range(n_users))), np.int32)
    block_of_item = np.array(data.draw(st.lists(st.integers(0, blocks - 1), min_size=n_items, max_size=n_items)), "u1")
    counts = np.zeros(blocks, np.int64)
    count_cells(indptr, indices, order, 0, n_users, block_of_item, counts)
    starts = np.concatenate([[0], np.cumsum(counts)])
    users, items, weights = np.empty(len(indices), "i4"), np.empty(len(indices), "i4"), np.empty(len(indices), "f4")
    deal_cells(indptr, indices, values, order, 0, n_users, block_of_item, starts[:-1].copy(), users, items, weights)
    assert sorted(zip(users, items, strict=True)) == list(zip(*np.nonzero(taken), strict=True))
    entries = {(u, i): k for k, (u, i) in enumerate(zip(*np.nonzero(taken), strict=True))}
    assert [entries[pair] for pair in zip(users, items, strict=True)] == weights.tolist()
    for block in range(blocks):
        part = slice(starts[block], starts[block + 1])
        assert (block_of_item[items[part]] == block).all()
        places = [list(order).index(user) for user in users[part]]
        assert places == sorted(places)  # a user's samples follow each other
