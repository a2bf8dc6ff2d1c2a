"""Personal frequencies and their nearest rows, against dense arrays."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.personal_frequencies import (
    Decays,
    Events,
    index_frequencies,
    mix_frequencies,
    nearest_users,
    sum_frequencies,
    weigh_baskets,
)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 8))
def test_without_fading_baskets_weigh_alike_whatever_the_groups(n, size):
    weights = weigh_baskets(np.arange(n), np.full(n, n), Decays(0, size, 1.0, 1.0))
    np.testing.assert_allclose(weights, 1 / n)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 8), st.sampled_from([0.5, 1.0]), st.sampled_from([0.25, 1.0]))
def test_full_groups_weigh_as_in_the_paper(n_groups, size, within, across):
    n = n_groups * size
    weights = weigh_baskets(np.arange(n), np.full(n, n), Decays(0, size, within, across))
    groups = across ** np.arange(n_groups)[:, None] / n_groups
    np.testing.assert_allclose(weights.reshape(n_groups, size), groups * within ** np.arange(size) / size)


def test_an_item_bought_long_ago_stays_an_entry():
    times = np.arange(2000)
    items = np.where(times == 0, 1, 0).astype(np.int32)
    found = sum_frequencies(Events(np.zeros(2000, np.int32), items, times), (1, 2), Decays(0, 1, 1.0, 0.1))
    assert found.nnz == 2
    assert found.data.min() > 0


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([0.0, 0.4]))
def test_neighbours_are_the_nearest_rows_that_are_not_empty(seed, k, alpha):
    rng = np.random.default_rng(seed)
    dense = (rng.integers(0, 4, (7, 5)) * (rng.random((7, 5)) < 0.5)).astype(np.float32)
    known = index_frequencies(check_matrix(dense), 1)
    near = nearest_users(check_matrix(dense), known, k, 2)
    full = np.flatnonzero(dense.any(axis=1))
    distances = ((dense[:, None] - dense[None]) ** 2).sum(axis=2)
    for row in range(7):
        expected = sorted(full, key=lambda other: (distances[row, other], other))[:k]
        assert near[row][near[row] >= 0].tolist() == expected
        mean = dense[expected].mean(axis=0) if len(expected) else np.zeros(5)
        scores = mix_frequencies(check_matrix(dense[[row]]), known, near[[row]], alpha, 5, 1)[0]
        np.testing.assert_allclose(scores, alpha * dense[row] + (1 - alpha) * mean, rtol=1e-5, atol=1e-6)
