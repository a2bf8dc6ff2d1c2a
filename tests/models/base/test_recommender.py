import copy
import threading
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from fastrec.data import Interactions, Vocabulary
from fastrec.models import Popularity, Recommender, load
from fastrec.models.base import answering
from fastrec.models.base.derived import Derived


def random_matrix(n_users=40, n_items=30, seed=0):
    return sp.random_array((n_users, n_items), density=0.2, rng=seed, format="csr", dtype=np.float32)


class Taste(Recommender):
    """Scores by what is shared with others: dense, personal, and tiny."""

    takes_negatives = True
    keeps_zeros = True

    def __init__(self, power=1.0):
        self.power = power

    def _fit(self, matrix):
        self.weights = (matrix.T @ matrix).toarray().astype(np.float64)

    def _score_batch(self, histories, codes):
        # Row by row, since BLAS would sum in another order for another batch.
        rows = [histories[[row]] @ self.weights for row in range(histories.shape[0])]
        return np.vstack([np.zeros((0, self.weights.shape[1])), *rows]).astype(np.float32)


def test_batches_of_any_size_give_the_same(monkeypatch):
    model, X = Taste().fit(random_matrix()), random_matrix(seed=1)
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
    n_users, n_items = 4000, 5000  # 76 MiB of dense scores
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


def test_negatives_and_zeros_are_observations_where_a_family_says_so():
    X = Interactions([0, 0, 1], [0, 1, 2], [1.0, -1.0, 0.0])
    model = Taste().fit(X)
    assert model.seen_.nnz == 3
    assert model.recommend(1, 3).codes.tolist() == [[0, 1, -1]]
    assert model.recommend(0, 3, deny=[[2]]).codes.tolist() == [[-1, -1, -1]]
    assert not model.__sklearn_tags__().input_tags.positive_only


def test_works_in_scikit_learns_tools():
    X = random_matrix()
    data = Interactions.from_matrix(X.toarray())
    by_matrix = cross_val_score(Popularity(), X, cv=KFold(4))
    by_data = cross_val_score(Popularity(), data, cv=KFold(4))
    assert ((by_matrix >= 0) & (by_matrix <= 1)).all()
    np.testing.assert_array_equal(by_matrix, by_data)
    search = GridSearchCV(Popularity(), {"weighting": ["count", "value"]}, cv=2).fit(X)
    assert search.best_params_["weighting"] in ("count", "value")
    piped = make_pipeline(Binarizer(threshold=0.5), Popularity(weighting="value")).fit(X)
    assert piped.predict(X).shape == (40,)


def test_names_of_columns_are_remembered(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(random_matrix().toarray(), columns=[f"film {code}" for code in range(30)])
    model = Popularity().fit(frame)
    assert model.feature_names_in_[2] == "film 2"
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    for asked in (model, again):
        with pytest.raises(ValueError, match="feature names should match"):
            asked.predict(frame[frame.columns[::-1]])
        np.testing.assert_array_equal(asked.predict(frame), model.predict(frame))
    assert not hasattr(model.fit(random_matrix()), "feature_names_in_")


def test_interactions_are_kept_without_a_copy():
    data = Interactions([0, 1, 1], [0, 1, 2], [1.0, 2.0, 1.0])
    model = Popularity().fit(data)
    assert np.shares_memory(model.seen_.indices, data.matrix.indices)


def test_what_is_derived_is_made_once_by_whichever_thread_comes_first():
    derived, made, barrier = Derived(), [], threading.Barrier(8)

    def make():
        made.append(1)
        return object()

    def ask():
        barrier.wait()
        results.append(derived.get("x", make))

    results = []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(map(id, results))) == 1


def test_copies_work_on_their_own():
    model = Popularity().fit(random_matrix())
    model.similar_items(0)
    again = copy.deepcopy(model)
    assert again._derived is not model._derived
    np.testing.assert_array_equal(again.similar_items(0).codes, model.similar_items(0).codes)
    assert not again.seen_.data.flags.writeable
    assert not clone(model).__sklearn_is_fitted__()


def test_single_ids_of_all_kinds_are_one_user():
    coded = Popularity().fit(random_matrix())
    for user in (3, np.int32(3), [3], (3,), range(3, 4), np.array(3), np.array([3], np.uint8)):
        assert coded.recommend(user).users.tolist() == [3]
    named = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=[5, 6]))
    for user in ("b", np.str_("b"), ["b"], ("b",), np.array(["b"]), np.array(["b"], object)):
        top = named.recommend(user)
        assert top.users.tolist() == ["b"]
        assert top.items[0, 0] == 5


def test_frames_columns_are_ids():
    pandas = pytest.importorskip("pandas")
    named = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=[5, 6]))
    column = pandas.Series(["b", "a"], index=[7, 9])
    assert named.recommend(column).users.tolist() == ["b", "a"]
    assert named.predict_pairs(column, pandas.Series([5, 6])).tolist() == [1, 1]


def test_pairs_may_be_one_against_many():
    model = Popularity().fit(random_matrix())
    many = model.predict_pairs([3, 3, 3], [1, 2, 4])
    np.testing.assert_array_equal(model.predict_pairs(3, [1, 2, 4]), many)
    np.testing.assert_array_equal(model.predict_pairs([0, 1], 4), [many[2]] * 2)
    np.testing.assert_array_equal(model.predict_pairs(random_matrix()[:3], [1, 2, 4]), many)
    with pytest.raises(ValueError, match="users and items must be of one length, got 2 and 3"):
        model.predict_pairs([0, 1], [1, 2, 3])


def test_histories_by_interactions_are_of_anybody():
    model = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=["x", "y"]))
    new = Interactions([0], [1], users=["stranger"], items=model.items_)
    top = model.recommend(new)
    assert top.users.tolist() == ["stranger"]
    assert top.items[0, 0] == "x"


def test_a_model_fitted_with_codes_takes_interactions_of_its_width():
    model = Popularity().fit(np.ones((3, 2)))
    data = Interactions([0], [1], users=["u"], items=["x", "y"])
    assert model.recommend(data, 1).codes.tolist() == [[0]]
    with pytest.raises(ValueError, match="X has 1 features"):
        model.recommend(Interactions([0], [0]))


def test_options_are_shown_by_their_signatures():
    assert list(Popularity().get_params()) == ["half_life", "weighting"]
    with pytest.raises(TypeError, match=r"Popularity\(\) has no option 'factors'; it has weighting, half_life"):
        Popularity(factors=3)
    with pytest.raises(TypeError, match="here it is called 'X'"):
        Popularity().fit(user_items=random_matrix())


def test_filters_that_mix_ids_and_lists_are_refused():
    model = Popularity().fit(Interactions([0, 1], [0, 1], users=["a", "b"], items=["x", "yz"]))
    with pytest.raises(TypeError, match="deny must be ids of items for all users, or a list of them for each user"):
        model.recommend(["a", "b"], deny=[["x"], "yz"])


def test_sets_and_generators_are_lists():
    model = Popularity().fit(random_matrix())
    assert model.recommend({3}).users.tolist() == [3]
    assert model.recommend(user for user in (3, 5)).users.tolist() == [3, 5]
    expected = model.recommend([3, 5], deny=[[1, 2], [4]]).codes
    np.testing.assert_array_equal(model.recommend([3, 5], deny=({1, 2}, (4,))).codes, expected)


def test_histories_by_ids():
    data = Interactions([0, 0, 1], [0, 1, 1], users=Vocabulary(["a", "b"]), items=Vocabulary(["x", "y"]))
    model = Popularity().fit(data)
    assert model.histories([["y", "y"], [], ["x", "y"]]).toarray().tolist() == [[0, 1], [0, 0], [1, 1]]
    assert model.histories([["z", "x"]], on_unknown="skip").toarray().tolist() == [[1, 0]]
    assert model.recommend(model.histories([["x"]]), k=1).items.tolist() == [["y"]]
    with pytest.raises(ValueError, match="'z'"):
        model.histories([["z"]])


@pytest.mark.parametrize("items", [["i01", "i02"], [1, 2]])
def test_histories_are_a_list_for_each_user(items):
    model = Popularity().fit(Interactions([0, 1], [0, 1], items=["i01", "i02"]))
    with pytest.raises(TypeError, match=r"items must be a list of items for each user, .* in place of a list"):
        model.histories(items)
