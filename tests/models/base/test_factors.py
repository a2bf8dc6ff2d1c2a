import pickle
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from fastrec.data import Interactions
from fastrec.models import FixedFactors, load
from fastrec.retrieval import IVFIndex
from tests.reference.tiny_factors import TinyFactors


def random_matrix(n_users=40, n_items=30, seed=0):
    return sp.random_array((n_users, n_items), density=0.2, rng=seed, format="csr", dtype=np.float32)


@pytest.fixture
def model():
    return TinyFactors(random_state=0).fit(random_matrix())


def test_factors_are_float32_and_those_of_transform(model):
    for factors, n in ((model.user_factors_, 40), (model.item_factors_, 30)):
        assert factors.dtype == np.float32
        assert factors.shape == (n, 4)
        assert factors.flags.c_contiguous
    np.testing.assert_array_equal(model.transform(random_matrix()), model.user_factors_)
    np.testing.assert_array_equal(TinyFactors(random_state=0).fit_transform(random_matrix()), model.user_factors_)


def test_scores_are_inner_products_rounded_once(model):
    users, items = np.repeat(np.arange(40), 30), np.tile(np.arange(30), 40)
    exact = np.einsum(
        "ij,ij->i", model.user_factors_[users].astype(np.float64), model.item_factors_[items].astype(np.float64)
    )
    np.testing.assert_array_equal(model.predict_pairs(users, items), exact.astype(np.float32))


@pytest.mark.parametrize("side", ["items", "users"])
def test_similar_are_the_nearest_by_cosine(model, side):
    if side == "items":
        factors, near = model.item_factors_, model.similar_items(range(30), 29)
        possible = np.flatnonzero(model.item_counts_)
    else:
        factors, near = model.user_factors_, model.similar_users(range(40), 39)
        possible = np.flatnonzero(factors.any(axis=1))
    unit = factors.astype(np.float64) / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    for row in range(len(factors)):
        others = [other for other in possible if other != row] if row in possible else []
        valid = near.valid[row]
        assert set(near.codes[row][valid]) == set(others)
        np.testing.assert_allclose(near.scores[row][valid], cosine[row, near.codes[row][valid]], rtol=1e-5, atol=1e-6)
        assert (near.scores[row][1:] <= near.scores[row][:-1]).all()


def test_similar_users_of_a_history_may_be_the_user_with_that_history(model):
    row = int(np.argmax(np.diff(random_matrix().indptr)))
    near = model.similar_users(random_matrix()[[row]], 1)
    assert near.codes.tolist() == [[row]]
    assert near.scores[0, 0] == pytest.approx(1, rel=1e-6)


def test_users_without_a_history_have_and_are_no_neighbours():
    X = random_matrix().toarray()
    X[3] = 0
    model = TinyFactors(random_state=0).fit(X)
    assert not model.similar_users(3).valid.any()
    assert 3 not in model.similar_users(range(40), 40).codes


def test_factors_that_are_not_finite_are_noticed():
    class Diverging(TinyFactors):
        def _fit(self, matrix):
            super()._fit(matrix)
            self.item_factors_[5, 1] = np.nan

    model = Diverging()
    with pytest.raises(FloatingPointError, match=r"Diverging.item_factors_ is not finite from row 5 on"):
        model.fit(random_matrix())
    assert not hasattr(model, "item_factors_")


def test_the_index_follows_a_new_fit_and_new_options(model):
    first = model.recommend(range(40)).codes
    model.fit(random_matrix(seed=1))
    assert (model.recommend(range(40)).codes != first).any()
    model.set_params(n_jobs=2).fit(random_matrix())
    np.testing.assert_array_equal(model.recommend(range(40)).codes, first)


def test_threads_that_ask_at_once_get_the_same():
    model = TinyFactors(random_state=0).fit(random_matrix())
    expected = TinyFactors(random_state=0).fit(random_matrix()).recommend(range(40)).codes
    answers, barrier = [], threading.Barrier(6)

    def ask():
        barrier.wait()
        answers.append(model.recommend(range(40)).codes)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert all(np.array_equal(answer, expected) for answer in answers)


def test_transform_gives_frames_where_asked(model):
    pandas = pytest.importorskip("pandas")
    assert model.get_feature_names_out().tolist() == [f"tinyfactors{number}" for number in range(4)]
    frame = TinyFactors(random_state=0).set_output(transform="pandas").fit_transform(random_matrix())
    assert isinstance(frame, pandas.DataFrame)
    np.testing.assert_array_equal(frame.to_numpy(), model.user_factors_)


def test_titles_of_similar_users_are_not_those_of_items():
    data = Interactions([0, 1, 1], [0, 0, 1], users=["a", "b"], items=["x", "y"], item_info={"title": ["X", "Y"]})
    model = TinyFactors(random_state=0).fit(data)
    assert "title" in model.recommend("a").to_frame().columns
    assert "title" not in model.similar_users("a").to_frame().columns


# -- an approximate index


def large_model(seed=0, **options):
    """Returns a model of 3000 items in groups, each of which 300 users like."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(30, 40))
    items = centers[random.integers(30, size=3000)] + 0.4 * random.normal(size=(3000, 40))
    users = centers[random.integers(30, size=300)] + 0.4 * random.normal(size=(300, 40))
    seen = sp.random_array((300, 3000), density=0.01, rng=seed, format="csr", dtype=np.float32)
    return FixedFactors(users, items, **options).fit(seen)


def test_an_index_finds_nearly_all_and_exact_finds_all():
    model = large_model()
    exact = model.recommend(range(300), 10)
    assert model.build_index(IVFIndex(recall_target=0.9, random_state=0)) is model
    found = model.recommend(range(300), 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.codes, found.codes, strict=True)])
    assert 0.85 < recall < 1
    assert model.index_.recall_ >= 0.9
    assert not model.seen_.toarray()[np.arange(300)[:, None], found.codes].any()
    again = model.recommend(range(300), 10, exact=True)
    np.testing.assert_array_equal(again.codes, exact.codes)
    np.testing.assert_array_equal(again.scores, exact.scores)
    np.testing.assert_array_equal(found.scores[:, 0], model.predict_pairs(range(300), found.codes[:, 0]))


def test_exact_is_taken_by_models_without_an_index(model):
    np.testing.assert_array_equal(model.recommend([1], 5, exact=True).codes, model.recommend([1], 5).codes)
    with pytest.raises(TypeError, match="exact"):
        model.recommend([1], 5, exact=1)


def test_an_index_is_saved_with_the_model_and_pickled(tmp_path):
    model = large_model().build_index()
    found = model.recommend(range(300), 10)
    model.save(tmp_path / "model")
    for other in (
        load(tmp_path / "model"),
        load(tmp_path / "model", verify="header"),
        pickle.loads(pickle.dumps(model)),
    ):
        assert other.index_.n_probe_ == model.index_.n_probe_
        np.testing.assert_array_equal(other.recommend(range(300), 10).codes, found.codes)


def test_other_factors_take_the_index_away():
    model = large_model().build_index()
    model.fit(model.seen_)
    assert not hasattr(model, "index_")


def test_an_index_that_does_not_fit_is_refused(model):
    with pytest.raises(TypeError, match="IVFIndex"):
        model.build_index("hnsw")
    with pytest.raises(ValueError, match="metric='ip'"):
        model.build_index(IVFIndex("cosine"))
    with pytest.raises(NotFittedError):
        TinyFactors().build_index()


def test_a_scan_of_bytes_answers_to_the_bit(monkeypatch):
    answers = []
    for start in (10**9, 1):
        monkeypatch.setattr("fastrec.models.base.factors.BYTES_FROM_VECTORS", start)
        model = large_model()
        answers.append(
            [model.recommend(range(300), 10), model.similar_items(range(50), 7), model.similar_users([3], 5)]
        )
        assert model._index("item_factors_", "ip").storage == ("int8" if start == 1 else "float32")
    for plain, bytes_ in zip(*answers, strict=True):
        np.testing.assert_array_equal(plain.codes, bytes_.codes)
        np.testing.assert_array_equal(plain.scores, bytes_.scores)
