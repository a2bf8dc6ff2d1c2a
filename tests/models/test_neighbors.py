"""ItemKNN and UserKNN against plain NumPy, and the options of each alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models import ItemKNN, UserKNN
from fastrec.solvers.neighbors import matrix_of_lists
from tests.reference import neighbors as reference
from tests.reference.neighbors import assert_same_kept, random_matrix

SIMILARITIES = ("cosine", "jaccard", "tfidf", "bm25")

seeds = st.integers(0, 2**32 - 1)


# -- ItemKNN


@settings(max_examples=40, deadline=None)
@given(
    seeds, st.sampled_from(SIMILARITIES), st.sampled_from([0.0, 3.0]), st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.integers(1, 30),
)  # fmt: skip
def test_items_are_compared_as_the_equations_say(seed, similarity, shrinkage, asymmetry, neighbors):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, int(rng.integers(1, 40)), int(rng.integers(1, 25)), rng.choice([0.05, 0.3, 1.0]))
    model = ItemKNN(neighbors, similarity=similarity, shrinkage=shrinkage, asymmetry=asymmetry, n_jobs=1).fit(X)
    # The exponent's share is on the side of the scored item: rows here.
    full = reference.similarities(X.T, X.T, similarity, shrinkage, 1 - asymmetry)
    assert_same_kept(model.weights_.toarray().T, reference.keep_best(full, neighbors), full)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.8, 1.3]), st.sampled_from([0.0, 0.2, 1.0]), st.integers(1, 30))
def test_walks_reach_what_the_equations_say(seed, alpha, beta, neighbors):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, int(rng.integers(1, 40)), int(rng.integers(1, 25)), rng.choice([0.05, 0.3, 1.0]))
    model = ItemKNN(neighbors, similarity="rp3beta", alpha=alpha, beta=beta, n_jobs=1).fit(X)
    full = reference.walks(X, alpha, beta)
    assert_same_kept(model.weights_.toarray(), reference.keep_best(full, neighbors), full)


@pytest.mark.parametrize(("alpha", "beta"), [(10, 0.2), (25, 3), (60, 0), (0.8, 12), (30, 20)])
@pytest.mark.parametrize("largest", [1, 4])
def test_walks_of_any_exponents_keep_their_order(alpha, beta, largest):
    X = random_matrix(np.random.default_rng(2), 400, 20, 0.3, largest)
    X[:, 5] *= 1e-4
    X[:7, 0], X[8:200, 1] = 1, 1
    full = reference.walks(X, alpha, beta)
    np.fill_diagonal(full, 0)
    kept = reference.keep_best(full / full.max(), 19)
    found = ItemKNN(19, similarity="rp3beta", alpha=alpha, beta=beta).fit(X).weights_.toarray().astype(float)
    assert found.max() > 0
    assert np.isfinite(found).all()
    clear = kept > 1e-20
    assert clear.sum() > 5
    np.testing.assert_allclose((found / found.max())[clear], kept[clear], rtol=1e-4)


@pytest.mark.parametrize("options", [{"similarity": "jaccard"}, {"similarity": "cosine"}, {"similarity": "tfidf"}])
def test_any_shrinkage_keeps_the_order_of_what_is_in_common(options):
    X = random_matrix(np.random.default_rng(2), 60, 20, 0.3, 1)
    huge, large = (ItemKNN(5, shrinkage=size, **options).fit(X).weights_ for size in (1e300, 1e30))
    assert huge.nnz > 0
    np.testing.assert_array_equal(huge.toarray(), large.toarray())


@pytest.mark.parametrize("value", [1e-45, 3e-30, 3e38])
@pytest.mark.parametrize("alpha", [0.8, 20])
def test_walks_over_values_at_the_ends_of_float32(value, alpha):
    X = random_matrix(np.random.default_rng(2), 60, 20, 0.3, 1)
    plain, extreme = (ItemKNN(5, similarity="rp3beta", alpha=alpha).fit(one).weights_ for one in (X, X * value))
    np.testing.assert_allclose(extreme.toarray(), plain.toarray(), rtol=1e-5)


def test_bm25_options():
    X = random_matrix(np.random.default_rng(3), 30, 12)
    model = ItemKNN(12, similarity="bm25", k1=2.0, b=0.2).fit(X)
    full = reference.similarities(X.T, X.T, "bm25", k1=2.0, b=0.2)
    assert_same_kept(model.weights_.toarray().T, reference.keep_best(full, 12), full)


def test_scores_are_the_history_times_the_weights():
    X = random_matrix(np.random.default_rng(1), 40, 15)
    model = ItemKNN(5, similarity="tfidf").fit(X)
    expected = X @ model.weights_.toarray()
    pairs = model.predict_pairs(np.repeat(np.arange(40), 15), np.tile(np.arange(15), 40))
    np.testing.assert_allclose(pairs.reshape(40, 15), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("similarity", [*SIMILARITIES, "rp3beta", "sppmi"])
def test_two_groups_of_items_stay_apart(similarity):
    X = np.kron(np.eye(2), np.ones((8, 5)))
    X[0, 0] = X[8, 9] = 0
    model = ItemKNN(4, similarity=similarity).fit(X)
    assert model.recommend([0, 8], k=1).codes.tolist() == [[0], [9]]
    assert set(model.similar_items(0, k=3).codes[0]) <= {1, 2, 3, 4}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([1, 3, 14]), st.sampled_from([0.0, 0.3]))
def test_information_is_kept_for_the_items_that_one_of_the_history_speaks_for_most(seed, k, shift):
    X = random_matrix(np.random.default_rng(seed), 40, 15)
    X[0] = 0
    model = ItemKNN(k, similarity="sppmi", shift=shift, n_jobs=1).fit(X)
    own, lengths = X > 0, (X > 0).sum(axis=1)
    shares = np.where(lengths > 1, 1 / np.maximum(lengths - 1, 1), 0)
    counts = (own * shares[:, None]).T @ own.astype(float)
    np.fill_diagonal(counts, 0)
    totals = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(counts * np.sqrt(totals).sum() / (totals[:, None] * np.sqrt(totals))) - shift
    information = np.where(information > 1e-5, information, 0)
    kept = reference.keep_best(information, k)
    np.testing.assert_allclose(np.sort(model.weights_.toarray()), np.sort(kept), rtol=1e-4, atol=2e-5)
    near = model.similar_items(range(15), k).scores
    np.testing.assert_allclose(np.maximum(near, 0), np.sort(kept)[:, ::-1][:, :k], rtol=1e-4, atol=2e-5)


def test_values_say_nothing_of_information():
    X = random_matrix(np.random.default_rng(3), 40, 15)
    one, other = (ItemKNN(5, similarity="sppmi").fit(data).weights_ for data in (X, X > 0))
    np.testing.assert_array_equal(one.toarray(), other.toarray())
    for option in ("smoothing", "shift"):
        with pytest.raises(ValueError, match=f"ItemKNN.{option} must"):
            ItemKNN(similarity="sppmi", **{option: -1}).fit(X)
    with pytest.raises(ValueError, match=r"UserKNN\.similarity must be"):
        UserKNN(similarity="sppmi").fit(X)


def test_similar_items_are_the_neighbors_of_each():
    X = random_matrix(np.random.default_rng(2), 60, 20)
    model = ItemKNN(4).fit(X)
    full = reference.similarities(X.T, X.T, "cosine")
    top = model.similar_items(range(20), 4)
    assert top.valid.all()
    np.testing.assert_allclose(top.scores, np.sort(reference.keep_best(full, 4), axis=1)[:, :-5:-1], rtol=1e-5)


def test_weights_outside_the_data_are_refused_by_load(tmp_path):
    from fastrec.models import load
    from fastrec.models.base.persistence import describe
    from fastrec.storage import write_arrays

    arrays, record = describe(ItemKNN(2).fit(random_matrix(np.random.default_rng(0), 9, 6)))
    for change in (
        {"weights/indices": arrays["weights/indices"] + 6},
        {"weights/data": arrays["weights/data"] * np.nan},
    ):
        write_arrays(tmp_path / "model", arrays | change, record)
        with pytest.raises(ValueError, match="holds no model"):
            load(tmp_path / "model")


@pytest.mark.parametrize("kind", [ItemKNN, UserKNN])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbors": 0}, "neighbors must be an integer of at least 1, got 0"),
        ({"similarity": "pearson"}, "similarity must be one of 'cosine', 'jaccard', 'tfidf', 'bm25'"),
        ({"shrinkage": -1}, "shrinkage must be a finite number of at least 0"),
        ({"asymmetry": 1.5}, "asymmetry must be a finite number"),
        ({"k1": -0.1}, "k1 must be a finite number of at least 0"),
        ({"b": 2}, "b must be a finite number"),
    ],
)
def test_wrong_options_are_named(kind, options, message):
    with pytest.raises(ValueError, match=f"{kind.__name__}.{message}"):
        kind(**options).fit(np.eye(3))


@pytest.mark.parametrize("option", ["alpha", "beta"])
def test_wrong_exponents_are_named(option):
    with pytest.raises(ValueError, match=f"ItemKNN.{option} must be a finite number of at least 0"):
        ItemKNN(similarity="rp3beta", **{option: -1}).fit(np.eye(3))


@pytest.mark.parametrize("kind", [ItemKNN, UserKNN])
def test_negative_values_are_refused(kind):
    with pytest.raises(ValueError, match="negative value"):
        kind().fit([[1, -1], [1, 1]])


@pytest.mark.parametrize("kind", [ItemKNN, UserKNN])
def test_threads_change_nothing_on_data_that_is_worth_them(kind):
    X = check_matrix(random_matrix(np.random.default_rng(0), 400, 300, 0.2))
    one, two = (kind(20, similarity="tfidf", n_jobs=jobs).fit(X) for jobs in (1, 3))
    a, b = one.recommend(range(400)), two.recommend(range(400))
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_array_equal(a.scores, b.scores)


# -- UserKNN


@settings(max_examples=40, deadline=None)
@given(
    seeds, st.sampled_from(SIMILARITIES), st.sampled_from([0.0, 3.0]), st.sampled_from([0.3, 0.5]), st.integers(1, 9)
)
def test_users_are_compared_as_the_equations_say(seed, similarity, shrinkage, asymmetry, neighbors):
    rng = np.random.default_rng(seed)
    n_items = int(rng.integers(1, 20))
    X = random_matrix(rng, int(rng.integers(2, 30)), n_items, rng.choice([0.1, 0.4]), 40)
    new = random_matrix(rng, 5, n_items, 0.4, 40)
    X[0], new[0] = 1, 1
    model = UserKNN(neighbors, similarity=similarity, shrinkage=shrinkage, asymmetry=asymmetry, n_jobs=1).fit(X)
    full = reference.similarities(new, X, similarity, shrinkage, asymmetry)
    expected = reference.keep_best(full, neighbors, itself=False)
    near, similarities = model._nearest(check_matrix(new), neighbors)
    found = matrix_of_lists(near, similarities, len(X)).toarray()
    assert_same_kept(found, expected, full)
    scores = model.predict_pairs(new, np.zeros(5, int))
    np.testing.assert_allclose(scores, found.astype(float) @ X[:, 0], rtol=1e-4, atol=1e-6)


def test_similar_users_leave_the_user_out_and_order_by_similarity():
    X = random_matrix(np.random.default_rng(5), 30, 12)
    model = UserKNN(similarity="jaccard").fit(X)
    full = reference.similarities(X, X, "jaccard")
    top = model.similar_users(range(30), 6)
    assert not (top.codes == np.arange(30)[:, None]).any()
    best = np.sort(reference.keep_best(full, 6), axis=1)[:, :-7:-1]
    np.testing.assert_allclose(np.where(top.valid, top.scores, 0), best, rtol=1e-5)
    assert (model.similar_users(X[:3], 1).codes[:, 0] == [0, 1, 2]).all()  # a history has no code to leave out


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_explanations_deal_the_score_to_the_items_in_common(similarity):
    X = random_matrix(np.random.default_rng(6), 30, 12)
    model = UserKNN(7, similarity=similarity, shrinkage=2.0).fit(X)
    for user in range(30):
        for item in range(12):
            reasons = model.explain(user, item)
            assert reasons.score == pytest.approx(float(model.predict_pairs(user, item)[0]), rel=1e-5)
            assert (reasons.contributions >= 0).all()


def test_options_set_on_a_fitted_model_act_at_once_and_all_together():
    X = random_matrix(np.random.default_rng(7), 30, 12)
    model = UserKNN(5).fit(X)
    model.recommend(0)
    changed = {"similarity": "tfidf", "shrinkage": 3.0, "asymmetry": 0.2}
    expected = UserKNN(5, **changed).fit(X).recommend(range(30), 12)
    np.testing.assert_array_equal(model.set_params(**changed).recommend(range(30), 12).scores, expected.scores)


def test_a_new_user_is_answered_as_one_of_the_training_data_is():
    X = random_matrix(np.random.default_rng(7), 30, 12)
    model = UserKNN(5, similarity="bm25").fit(X)
    known, new = model.recommend(range(30), 4), model.recommend(X, 4)
    np.testing.assert_array_equal(known.codes, new.codes)
    np.testing.assert_array_equal(known.scores, new.scores)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e12, 1e19, 1e34])
@pytest.mark.parametrize(
    ("similarity", "shrinkage", "asymmetry"),
    [("cosine", 0, 0.5), ("cosine", 3, 0.2), ("tfidf", 3, 0.2), ("rp3beta", 0, 0)],
)
def test_the_size_of_values_does_not_matter(scale, similarity, shrinkage, asymmetry):
    X = random_matrix(np.random.default_rng(7), 40, 20)
    scaled = shrinkage * scale ** (2.0 if similarity == "cosine" else 1.0)
    options = {"similarity": similarity, "asymmetry": asymmetry}
    models = [
        ItemKNN(19, shrinkage=shrinkage, **options).fit(X),
        ItemKNN(19, shrinkage=scaled, **options).fit(X * scale),
    ]
    expected, found = (model.weights_.toarray() for model in models)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    if similarity != "rp3beta":
        near = [
            UserKNN(39, shrinkage=size, **options).fit(data).similar_users([3], 39).scores
            for size, data in ((shrinkage, X), (scaled, X * scale))
        ]
        np.testing.assert_allclose(near[1], near[0], rtol=1e-4)


@pytest.mark.parametrize("value", [1e-45, 1e-30, 1e38])
def test_values_at_the_ends_of_float32_have_neighbors(value):
    X = np.where(random_matrix(np.random.default_rng(8), 40, 20) > 0, value, 0)
    for similarity in ("cosine", "jaccard", "tfidf"):
        model = ItemKNN(3, similarity=similarity, shrinkage=1).fit(X)
        assert model.weights_.nnz == 60
        assert np.isfinite(model.weights_.data).all()
