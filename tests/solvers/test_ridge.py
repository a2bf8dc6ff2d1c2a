"""The regression of vectors on features: its equations, its vectors of unseen rows, its strength."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.ridge import FeatureRidge, map_features


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 18), st.floats(0.01, 10), st.integers(0, 99))
def test_the_map_solves_the_normal_equations(n, m, d, strength, seed):
    rng = np.random.default_rng(seed)
    features = check_matrix((rng.random((n, m)) < 0.5) * rng.normal(size=(n, m)) + 0.0, negative="accept", zeros="drop")
    counts, vectors = rng.integers(0, 30, n), rng.normal(size=(n, d)).astype(np.float32)
    ridge = FeatureRidge(features, counts, strength, 1)
    mapping = ridge.fit(vectors)
    A = np.hstack([features.toarray(), np.ones((n, 1))]).astype(float)
    weights = (counts / (counts + 10))[:, None]
    known = max(1, np.count_nonzero(counts))
    mu = strength * max((weights * A**2).sum() / known, 1e-30)
    expected = np.linalg.solve(A.T @ (weights * A) + mu * np.eye(m + 1), A.T @ (weights * vectors))
    np.testing.assert_allclose(mapping, expected, atol=3e-3)
    np.testing.assert_allclose(ridge.spread(mapping), A @ mapping, atol=1e-4)


def test_rows_are_predicted_by_maps_that_have_not_seen_them():
    rng = np.random.default_rng(0)
    features = check_matrix(rng.random((60, 5)))
    vectors = rng.normal(size=(60, 3)).astype(np.float32)
    counts = np.full(60, 10)
    counts[7] = 0
    ridge = FeatureRidge(features, counts, 0.1, 1)
    found, maps = ridge.predict_apart(vectors, None, 100)
    row = 11
    changed = vectors.copy()
    changed[row] += 100
    again, _ = ridge.predict_apart(changed, None, 100)
    np.testing.assert_array_equal(again[row], found[row])
    assert not np.allclose(again, found)
    assert maps.shape == (6, 15)
    whole = ridge.spread(ridge.fit(vectors))
    assert np.corrcoef(found[7], whole[7])[0, 1] > 0.9


def test_the_strength_is_what_predicts_hidden_rows():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(300, 40))
    truth = A @ rng.normal(size=(40, 8))
    noisy = rng.normal(size=(300, 8))
    strengths = []
    for vectors in (truth, noisy):
        ridge = FeatureRidge(check_matrix(A, negative="accept"), np.full(300, 99), "auto", 1)
        ridge.fit(vectors.astype(np.float32))
        strengths.append(ridge.chosen)
    assert strengths[0] < 0.1 < 1 < strengths[1]


def test_mapped_rows_do_not_hang_on_each_other():
    rng = np.random.default_rng(0)
    features = check_matrix(rng.random((50, 9)))
    mapping = rng.normal(size=(10, 5)).astype(np.float32)
    whole = map_features(features, mapping, 2)
    one = map_features(check_matrix(features.toarray()[[7]]), mapping, 1)
    np.testing.assert_array_equal(whole[[7]], one)
