"""Answers by dense scores, a batch of users at a time."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import Popularity
from fastrec.models.base import answering
from tests.models.base.co_occurrence import CoOccurrence


def random_matrix(n_users=40, n_items=30, seed=0):
    return sp.random_array((n_users, n_items), density=0.2, rng=seed, format="csr", dtype=np.float32)


def test_batches_of_any_size_give_the_same(monkeypatch):
    model, X = CoOccurrence().fit(random_matrix()), random_matrix(seed=1)
    deny = [[row % 30] for row in range(40)]
    for ask in (
        lambda: model.recommend(X, 7, deny=deny),
        lambda: model.recommend(range(40), 7, allow=deny),
        lambda: model.similar_items(range(30), 7),
    ):
        monkeypatch.setattr(answering, "BATCH_BYTES", 32 << 20)
        whole = ask()
        monkeypatch.setattr(answering, "BATCH_BYTES", 4 * 30 * 3)
        parts = ask()
        np.testing.assert_array_equal(whole.codes, parts.codes)
        np.testing.assert_array_equal(whole.scores, parts.scores)
    pairs = model.predict_pairs(np.arange(40), np.arange(40) % 30)
    monkeypatch.setattr(answering, "BATCH_BYTES", 32 << 20)
    np.testing.assert_array_equal(pairs, model.predict_pairs(np.arange(40), np.arange(40) % 30))


def test_memory_is_that_of_a_batch_never_users_times_items(monkeypatch):
    n_users, n_items = 4000, 5000  # dense scores of 76 MiB
    rng = np.random.default_rng(0)
    X = sp.coo_array((np.ones(20000), (rng.integers(0, n_users, 20000), rng.integers(0, n_items, 20000)))).tocsr()
    model = Popularity().fit(X)
    model.recommend(0)
    monkeypatch.setattr(answering, "BATCH_BYTES", 1 << 20)
    tracemalloc.start()
    model.recommend(range(X.shape[0]), 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_similar_items_are_the_cosine_of_the_columns():
    X = random_matrix()
    ones = (X.toarray() > 0).astype(float)
    norms = np.maximum(np.linalg.norm(ones, axis=0), 1e-9)
    cosine = ones.T @ ones / norms / norms[:, None]
    np.fill_diagonal(cosine, 0)
    near = Popularity().fit(X).similar_items(range(30), 29)
    for item in range(30):
        shared = np.flatnonzero(cosine[item])
        best = sorted(shared, key=lambda other: (-np.float32(cosine[item, other]), other))
        valid = near.valid[item]
        np.testing.assert_allclose(near.scores[item][valid], cosine[item, best], rtol=1e-6)
        assert set(near.codes[item][valid]) == set(best)


def test_a_user_whom_nobody_knows_has_had_nothing():
    data = Interactions([0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 1, 2], users=["a", "b", "c"], items=range(3))
    top = Popularity().fit(data).recommend(["b", "nobody"], 3, on_unknown="popular")
    assert top.codes.tolist() == [[0, -1, -1], [1, 2, 0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_told(bad):
    answering.check_scores(np.array([1, -np.inf, 0]))
    with pytest.raises(FloatingPointError, match="beyond float32"):
        answering.check_scores(np.array([1, bad, 0]))
