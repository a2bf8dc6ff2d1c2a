import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.models import PureSVD


def sparse(n, m, density, seed=0, negative=False):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, m)) < density) * rng.integers(1, 6, (n, m))
    if negative:
        dense = dense * rng.choice([-1, 1], (n, m))
    return sp.csr_array(dense.astype(np.float32))


def test_scores_are_the_projection_on_the_leading_singular_vectors():
    X = sparse(60, 40, 0.2, negative=True)
    model = PureSVD(factors=7, random_state=0).fit(X)
    _, values, right = np.linalg.svd(X.toarray().astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(model.singular_values_, values[:7], rtol=1e-6)
    expected = X @ right[:7].T @ right[:7]
    np.testing.assert_allclose(model.user_factors_ @ model.item_factors_.T, expected, atol=1e-4)


def test_missing_vectors_are_zeros():
    X = np.outer(np.arange(1, 6), [1.0, 0, 2, 0])
    model = PureSVD(factors=9, random_state=0).fit(X)
    assert model.item_factors_.shape == (4, 9)
    assert (model.singular_values_[1:] == 0).all()
    assert not model.item_factors_[:, 1:].any()
    np.testing.assert_allclose(model.user_factors_ @ model.item_factors_.T, X, rtol=1e-5, atol=1e-5)


def test_dislikes_push_what_is_alike_down():
    X = np.kron(np.eye(2), np.ones((8, 4)))
    model = PureSVD(factors=2, random_state=0).fit(X)
    likes, dislikes = (model.predict_pairs([[value, 0, 0, 0, 0, 0, 0, 0]], [1])[0] for value in (1, -1))
    assert likes > 0 > dislikes
    assert likes == -dislikes


def test_item_exponent_weighs_the_columns_down():
    X = sparse(60, 40, 0.2)
    model = PureSVD(factors=5, item_exponent=0.5, random_state=0).fit(X)
    scaled = X.toarray() / np.sqrt(np.maximum(np.square(X.toarray()).sum(axis=0), 1e-9))
    _, values, right = np.linalg.svd(scaled, full_matrices=False)
    np.testing.assert_allclose(model.singular_values_, values[:5], rtol=1e-5)
    np.testing.assert_allclose(model.user_factors_ @ model.item_factors_.T, scaled @ right[:5].T @ right[:5], atol=1e-5)


@pytest.mark.parametrize(("value", "exponent"), [(3e38, 0.0), (1e-42, 0.5)])
def test_values_beyond_float32_are_named(value, exponent):
    with pytest.raises(FloatingPointError, match="too large, or too small, for float32"):
        PureSVD(2, item_exponent=exponent).fit(np.full((4, 3), value))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": 0}, r"PureSVD.factors \(if not \"auto\"\) must be an integer of at least 1, got 0"),
        ({"item_exponent": 2}, r"PureSVD.item_exponent must be a finite number from 0 to 1, got 2"),
        ({"tol": 0}, r"PureSVD.tol must be a finite number above 0, got 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PureSVD(**options).fit(np.eye(3))


def test_as_many_factors_as_find_what_is_hidden():
    rng = np.random.default_rng(0)
    own = rng.integers(0, 6, (400, 1)) == np.arange(60) % 6
    X = sp.csr_array((rng.random(own.shape) < np.where(own, 0.4, 0.05)).astype(np.float32))
    model = PureSVD(random_state=0).fit(X)
    assert model.factors_ in (4, 6, 8)  # the groups are six
    assert model.item_factors_.shape == (60, model.factors_)
    same = PureSVD(model.factors_, random_state=0).fit(X)
    np.testing.assert_array_equal(model.item_factors_, same.item_factors_)


def test_noise_and_popularity_alone_get_one_factor():
    rng = np.random.default_rng(0)
    X = sp.csr_array((rng.random((300, 50)) < np.linspace(0.01, 0.5, 50)).astype(np.float32))
    assert PureSVD(random_state=0).fit(X).factors_ == 1


@pytest.mark.parametrize("X", [np.eye(3), -np.ones((4, 5)), np.zeros((3, 3)), np.ones((1, 2)), np.diag([1.0, -2, 3])])
def test_data_with_nothing_to_find_has_factors_all_the_same(X):
    model = PureSVD(random_state=0).fit(X)
    assert 1 <= model.factors_ <= min(X.shape)
