import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import threadpool_info, threadpool_limits

from fastrec.data import Interactions
from fastrec.models import FixedFactors, ImplicitALS, load

rng = np.random.default_rng(0)
X = sp.csr_array((rng.random((12, 8)) < 0.3).astype(np.float32))
USERS, ITEMS = rng.normal(size=(12, 3)), rng.normal(size=(8, 3))


def test_given_factors_are_taken_as_they_are():
    model = FixedFactors(USERS, ITEMS).fit(X)
    np.testing.assert_allclose(model.predict_pairs(range(8), range(8)), (USERS[:8] * ITEMS).sum(axis=1), rtol=1e-5)
    assert model.recommend(range(12), 8, exclude_seen=False).valid.all(), "items without an event have factors"


def test_users_without_a_history_are_known_by_their_factors():
    empty = X.toarray()
    empty[3] = 0
    top = FixedFactors(USERS, ITEMS).fit(empty).recommend([3], 8, on_empty="error")
    assert not top.fallback.any()
    assert top.codes[0].tolist() == np.argsort(-(ITEMS @ USERS[3]), kind="stable").tolist()
    users = USERS.copy()
    users[3] = 0
    model = FixedFactors(users, ITEMS).fit(empty)
    assert model.recommend([3]).fallback.all()
    with pytest.raises(ValueError, match="user 3 has no history"):
        model.recommend([2, 3], on_empty="error")


def test_fold_in_is_that_of_implicit_als():
    als = ImplicitALS(factors=3, alpha=40.0, regularization=0.01, regularization_exponent=0, random_state=0).fit(X)
    model = FixedFactors(None, als.item_factors_, alpha=als.alpha, regularization=0.01).fit(X)
    # Both keep the bounds of test_fold_in.py; the condition of these equations is below 1000.
    np.testing.assert_allclose(model.user_factors_, als.user_factors_, atol=2e-3 * np.abs(als.user_factors_).max())


def test_without_factors_it_is_popularity():
    model = FixedFactors().fit(X)
    rows = np.flatnonzero(np.diff(X.indptr))
    np.testing.assert_array_equal(
        model.recommend(rows, 8, exclude_seen=False).codes[0], np.argsort(-model.item_counts_, kind="stable")
    )


def test_equations_are_not_handed_to_threads_of_blas(monkeypatch):
    threads = []
    solve = np.linalg.solve

    def counted(matrix, right):
        threads.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return solve(matrix, right)

    monkeypatch.setattr(np.linalg, "solve", counted)
    with threadpool_limits(2, "blas"):
        FixedFactors(None, ITEMS).fit(X)
    assert set(threads) == {1}


def test_a_file_brings_the_factors_back(tmp_path):
    data = Interactions(X.tocoo().row, X.tocoo().col, users=[f"u{u}" for u in range(12)], items=list(range(8)))
    model = FixedFactors(USERS, ITEMS).fit(data)
    model.save(tmp_path / "model.fastrec")
    again = load(tmp_path / "model.fastrec")
    np.testing.assert_array_equal(again.item_factors, model.item_factors_)
    np.testing.assert_array_equal(again.fit(data).user_factors_, model.user_factors_)


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        (USERS[:5], ITEMS, "user_factors must have 12 rows, as X asks for, got 5"),
        (USERS, ITEMS[:, :2], "must have as many columns, got 3 and 2"),
        (USERS, np.where(np.eye(8, 3), np.nan, 1), "item_factors must be finite, got nan in row 0, column 0"),
        (USERS, ["a"] * 8, "item_factors must be a matrix of numbers"),
        (USERS, ITEMS[0], "item_factors must be a matrix of numbers"),
    ],
)
def test_bad_factors_are_named(users, items, message):
    with pytest.raises(ValueError, match=message):
        FixedFactors(users, items).fit(X)


def assert_same_lists(model, scores, k=10):
    """Checks that the model's lists are those of dense scores, seen items left out."""
    scores = np.where(model.seen_.toarray() > 0, -np.inf, scores)
    top = model.recommend(np.arange(len(scores)), k)
    np.testing.assert_allclose(top.scores, -np.sort(-scores, axis=1)[:, :k], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(scores, top.codes.astype(int), axis=1), top.scores, atol=1e-4)


def many_clicks():
    return sp.csr_array((np.random.default_rng(0).random((80, 60)) < 0.1).astype(np.float32))


def test_factors_of_implicit_answer_as_implicit_does():
    als = pytest.importorskip("implicit.als")
    clicks = many_clicks()
    with threadpool_limits(1, "blas"):
        peer = als.AlternatingLeastSquares(8, iterations=3, random_state=0, num_threads=1)
        peer.fit(sp.csr_matrix(clicks), show_progress=False)
    model = FixedFactors(peer.user_factors, peer.item_factors).fit(clicks)
    assert_same_lists(model, peer.user_factors @ peer.item_factors.T)
    ids, scores = peer.recommend(np.arange(80), sp.csr_matrix(clicks), N=5)
    ours = model.recommend(np.arange(80), 5)
    np.testing.assert_allclose(ours.scores, scores, rtol=1e-5)
    assert (ours.codes == ids).mean() > 0.99  # except for ties


def test_factors_and_biases_of_lightfm_answer_as_lightfm_does():
    lightfm = pytest.importorskip("lightfm")
    clicks = many_clicks()
    peer = lightfm.LightFM(no_components=8, loss="bpr", random_state=0)
    peer.fit(sp.coo_matrix(clicks), epochs=3, num_threads=1)
    user_bias, users = peer.get_user_representations()
    item_bias, items = peer.get_item_representations()
    left, right = np.column_stack([users, user_bias, np.ones(80)]), np.column_stack([items, np.ones(60), item_bias])
    pairs = np.repeat(np.arange(80), 60), np.tile(np.arange(60), 80)
    assert_same_lists(FixedFactors(left, right).fit(clicks), peer.predict(*pairs).reshape(80, 60))
