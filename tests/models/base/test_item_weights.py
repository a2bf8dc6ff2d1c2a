"""Models of weights between items: sparse and dense ones answer alike, as NumPy does."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models.base import item_weights
from fastrec.models.base.item_weights import ItemWeights, is_finite

RNG = np.random.default_rng(0)
WEIGHTS = ((RNG.random((30, 30)) < 0.3) * RNG.normal(size=(30, 30))).astype(np.float32)
X = (RNG.random((40, 30)) < 0.2) * RNG.integers(1, 5, (40, 30)).astype(np.float32)
both = pytest.mark.parametrize("kind", ["dense", "sparse"])


class GivenWeights(ItemWeights):
    """A model of given weights."""

    def __init__(self, weights=None, n_jobs=None):
        self.weights = weights
        self.n_jobs = n_jobs

    def _fit(self, matrix):
        self.weights_ = self.weights


def model_of(kind, n_jobs=1):
    weights = WEIGHTS if kind == "dense" else check_matrix(WEIGHTS, negative="accept")
    return GivenWeights(weights, n_jobs).fit(X)


@both
def test_scores_are_histories_times_weights(kind):
    model, expected = model_of(kind), X.astype(np.float64) @ WEIGHTS
    users, items = np.divmod(np.arange(40 * 30), 30)
    pairs = model.predict_pairs(users, items).reshape(40, 30)
    np.testing.assert_allclose(pairs, expected, rtol=1e-5, atol=1e-5)
    top = model.recommend(range(40), 30, exclude_seen=False)
    np.testing.assert_array_equal(top.scores[top.valid], pairs[np.nonzero(top.valid)[0], top.codes[top.valid]])


@both
def test_threads_change_nothing(kind, monkeypatch):
    monkeypatch.setattr(item_weights, "WORTH_THREADS", 0)
    one, three = (model_of(kind, n_jobs).recommend(X, 9) for n_jobs in (1, 3))
    np.testing.assert_array_equal(one.codes, three.codes)
    np.testing.assert_array_equal(one.scores, three.scores)


@pytest.mark.parametrize("limit", ["COPY_BYTES", "CROWDED"])
def test_dense_rows_of_sparse_weights_answer_to_the_bit_as_they_do(limit, monkeypatch):
    copied = model_of("sparse").recommend(X, 30, exclude_seen=False)
    monkeypatch.setattr(item_weights, limit, {"COPY_BYTES": 0, "CROWDED": 0.5}[limit])
    model = model_of("sparse")
    assert model._rows_and_weights(check_matrix(X))[1] is model._kernel_weights()
    np.testing.assert_array_equal(model.recommend(X, 30, exclude_seen=False).scores, copied.scores)


@pytest.mark.parametrize("k", [1, 4, 30])
def test_lists_of_few_items_have_the_bits_of_all_scores(k, monkeypatch):
    monkeypatch.setattr(item_weights, "FEW_MET", np.inf)
    model = model_of("sparse", 2)
    asked = ({}, {"exclude_seen": False}, {"deny": [2, 3, 5]}, {"allow": [[1, 7, 9]] * 40}, {"allow": range(20)})
    found = [model.recommend(range(40), k, **filters) for filters in asked]
    monkeypatch.setattr(item_weights, "USERS_AT_ONCE", 7)
    found.append(model.recommend(range(40), k))
    monkeypatch.setattr(item_weights, "FEW_MET", 0)
    for top, filters in zip(found, (*asked, {}), strict=True):
        expected = model.recommend(range(40), k, **filters)
        np.testing.assert_array_equal(top.codes, expected.codes)
        np.testing.assert_array_equal(top.scores, expected.scores)


@both
def test_one_history_is_answered_as_among_others(kind):
    model, all_scores = model_of(kind), model_of(kind).recommend(X, 30).scores
    for row in range(3):
        np.testing.assert_array_equal(model.recommend(X[[row]], 30).scores[0], all_scores[row])
        np.testing.assert_array_equal(model.recommend([row], 30).scores[0], all_scores[row])


@both
def test_contributions_are_values_times_weights(kind):
    reasons = model_of(kind).explain(3, 7)
    parts = {item: X[3, item] * WEIGHTS[item, 7] for item in np.flatnonzero(X[3])}
    assert reasons.items.tolist() == sorted(parts, key=lambda item: (-parts[item], item))
    np.testing.assert_allclose(reasons.contributions, sorted(parts.values(), reverse=True), rtol=1e-6, atol=1e-7)


@both
def test_similar_items_are_the_largest_weights_above_zero(kind):
    near = model_of(kind).similar_items(range(30), 30)
    for item in range(30):
        row = WEIGHTS[item].copy()
        row[item] = 0
        wanted = [int(code) for code in np.lexsort((np.arange(30), -row)) if row[code] > 0]
        assert near.codes[item][near.valid[item]].tolist() == wanted
        np.testing.assert_array_equal(near.scores[item][near.valid[item]], row[wanted])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_noticed(bad):
    assert is_finite(np.empty((0, 3), np.float32))
    assert is_finite(WEIGHTS)
    spoiled = WEIGHTS.copy()
    spoiled[4, 5] = bad
    assert not is_finite(spoiled)


@both
@pytest.mark.parametrize("users", [1, 40])
def test_pairs_have_the_same_bits_found_alone_and_in_whole_rows(kind, users, monkeypatch):
    model, found = model_of(kind), []
    codes, items = np.divmod(np.arange(users * 30), 30)
    for cost in (0, 1 << 20):
        monkeypatch.setattr(item_weights, "FOUND_ALONE", cost)
        found.append(model.predict_pairs(codes, items))
    np.testing.assert_array_equal(*found)
