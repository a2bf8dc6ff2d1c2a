import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import ContentRecommender, load

rng = np.random.default_rng(0)
X = sp.csr_array(((rng.random((15, 9)) < 0.3) * rng.integers(1, 4, (15, 9))).astype(np.float32))
FEATURES = rng.normal(size=(9, 5)) * (rng.random((9, 5)) < 0.7)


@pytest.mark.parametrize("make", [np.array, sp.csr_array, sp.coo_matrix])
def test_scores_are_cosines_of_profile_and_item(make):
    model = ContentRecommender().fit(X, item_features=make(FEATURES))
    unit = FEATURES / np.maximum(np.linalg.norm(FEATURES, axis=1), 1e-9)[:, None]
    profiles = X @ unit
    expected = profiles / np.maximum(np.linalg.norm(profiles, axis=1), 1e-9)[:, None] @ unit.T
    scores = np.stack([model.predict_pairs(user, range(9)) for user in range(15)])
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("make", [np.array, sp.csr_array])
def test_explanations_rows_and_files(make, tmp_path):
    model = ContentRecommender().fit(X, item_features=make(FEATURES))
    user = int(np.diff(X.indptr).argmax())
    assert model.explain(user, 3).score == pytest.approx(float(model.predict_pairs(user, 3)[0]), abs=1e-5)
    whole = model.recommend(X, 4)
    for row in range(15):
        np.testing.assert_array_equal(model.recommend(X[[row]], 4).scores[0], whole.scores[row])
    model.save(tmp_path / "model.fastrec")
    np.testing.assert_array_equal(load(tmp_path / "model.fastrec").recommend(X, 4).scores, whole.scores)


def test_items_that_nobody_took_are_recommended_by_their_features():
    seen = np.array([[1, 0, 0, 0], [0, 0, 1, 0]])
    films = {"genres": ["war", "war|drama", "comedy", "comedy"]}
    model = ContentRecommender().fit(seen, item_features=films)
    assert model.recommend([0, 1], k=1).codes[:, 0].tolist() == [1, 3]
    assert model.similar_items(0, k=1).codes.tolist() == [[1]]


@pytest.mark.parametrize("make", [np.array, sp.csr_array])
@pytest.mark.parametrize("scale", [1e-38, 1e30, 3e38])
def test_the_size_of_values_does_not_matter(make, scale):
    model = ContentRecommender().fit(X, item_features=make(FEATURES))
    ones = (X > 0).astype(np.float32)
    sized = sp.csr_array((np.full(ones.nnz, scale, np.float32), ones.indices, ones.indptr), shape=ones.shape)
    np.testing.assert_allclose(model.recommend(sized, 4).scores, model.recommend(ones, 4).scores, rtol=1e-5)
    assert ContentRecommender().fit(sized, item_features=make(FEATURES)).explain(0, 3).score < 1.001


def test_dislikes_push_what_is_alike_away():
    films = {"genres": ["war", "war", "comedy", "comedy"]}
    model = ContentRecommender().fit(np.eye(4), item_features=films)
    assert model.recommend([[-1, 0, 0, 0]], k=3).codes[0].tolist() == [2, 3, 1]


def test_facts_come_with_the_interactions():
    info = {"genre": ["war", "war", "comedy"], "year": [1950, 1951, 2000]}
    data = Interactions([0, 1], [0, 2], users=["a", "b"], items=[10, 20, 30], item_info=info)
    assert ContentRecommender().fit(data).recommend("a", k=1).items.tolist() == [[20]]
    by_year = ContentRecommender({"year": "number"}).fit(data)
    assert by_year.item_features_.shape == (3, 1)


def test_rows_are_matched_by_id():
    frame = {"film": [30, 10, 20, 99], "genre": ["comedy", "war", "war", "comedy"]}
    data = Interactions([0, 1], [0, 2], users=["a", "b"], items=[10, 20, 30])
    model = ContentRecommender().fit(data, item_features=frame, item="film")
    assert model.recommend("a", k=1).items.tolist() == [[20]]
    with pytest.raises(ValueError, match="needs a column of that name"):
        ContentRecommender().fit(data, item_features=frame, item="movie")


def test_a_column_of_ids_is_no_feature():
    data = Interactions([0, 1], [0, 2], users=["a", "b"], items=[10, 20, 30])
    frame = {"film": [30, 10, 20], "genre": ["comedy", "war", "war"]}
    with pytest.raises(ValueError, match="the column 'film' has the items' ids: give item='film'"):
        ContentRecommender().fit(data, item_features=frame)
    info = Interactions([0, 1], [0, 2], items=[10, 20, 30], item_info={"film": [10, 20, 30]})
    assert ContentRecommender().fit(info).item_features_.shape == (3, 1)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (FEATURES[:4], "item_features must have 9 rows, one for each item, got 4"),
        (np.where(np.eye(9, 2), np.inf, 1), "item_features must be finite, got inf in row 0, column 0"),
        (np.where(np.eye(9, 2), 1e200, 1), r"must be numbers that float32 holds, got 1e\+200 in row 0, column 0"),
        (np.ones(9), "item_features must be a matrix of numbers"),
        ([[1.0, 2.0]] * 4, "item_features must have 9 rows"),
        ([["a"]] * 9, "item_features must be a matrix of numbers"),
    ],
)
def test_bad_features_are_named(features, message):
    with pytest.raises(ValueError, match=message):
        ContentRecommender().fit(X, item_features=features)
