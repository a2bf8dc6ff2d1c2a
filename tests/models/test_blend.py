import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import (
    Blend,
    ContentRecommender,
    GraphFilter,
    ImplicitALS,
    Popularity,
    PureSVD,
    load,
)
from fastrec.models.blend import _best, _each_once


def groups(n=120, m=40, seed=0):
    """Users of four groups, each with items of its own, and some noise."""
    rng = np.random.default_rng(seed)
    likes = np.where(np.arange(n)[:, None] % 4 == np.arange(m) % 4, 0.5, 0.03)
    return sp.csr_array((rng.random((n, m)) < likes).astype(np.float32))


def members():
    return [PureSVD(factors=4, random_state=0), GraphFilter(factors=4, random_state=0)]


def test_scores_are_weighted_sums_in_units_of_the_lists_range():
    X = groups()
    model = Blend(members(), weights=[3, 1], candidates=10).fit(X)
    expected = np.zeros(40)
    for member, weight in zip(members(), (0.75, 0.25), strict=True):
        member.fit(X)
        scores = member.recommend(5, 10).scores[0]
        expected += weight * member.predict_pairs(5, range(40)) / (scores[0] - scores[-1])
    np.testing.assert_allclose(model.predict_pairs(5, range(40)), expected, rtol=1e-4, atol=1e-5)


def test_ranks_are_fused_by_their_reciprocals():
    X = groups()
    model = Blend(members(), weights=[1, 1], candidates=30, fusion="rank").fit(X)
    expected = {}
    for member in members():
        for place, code in enumerate(member.fit(X).recommend(7, 30).codes[0]):
            expected[int(code)] = expected.get(int(code), 0) + 0.5 / (61 + place)
    top = model.recommend(7, 5)
    best = sorted(expected, key=lambda code: (-round(expected[code], 7), code))[:5]
    assert set(top.codes[0].tolist()) == set(best)
    np.testing.assert_allclose(top.scores[0], [expected[code] for code in top.codes[0].tolist()], rtol=1e-5)


def test_one_proposes_and_the_others_rank_again():
    X = groups()
    model = Blend([Popularity(), PureSVD(factors=4, random_state=0)], weights=[0, 1], candidates=6, candidates_from=0)
    top = model.fit(X).recommend(range(120), 6)
    popular = Popularity().fit(X).recommend(range(120), 6)
    np.testing.assert_array_equal(np.sort(top.codes, axis=1), np.sort(popular.codes, axis=1))
    scores = PureSVD(factors=4, random_state=0).fit(X).predict_pairs(0, top.codes[0])
    assert (np.diff(scores) <= 0).all()


def test_weights_are_found_on_hidden_training_data_and_prefer_the_better():
    X = groups()
    model = Blend([PureSVD(factors=4), Popularity()], random_state=0).fit(X)
    assert model.weights_[0] > model.weights_[1]
    assert model.weights_.sum() == pytest.approx(1)
    assert model.validation_scores_[-1] >= model.validation_scores_[:-1].max() - 1e-6
    np.testing.assert_array_equal(model.members_[0].seen_.toarray(), X.toarray())


def test_members_are_copied_and_seeded():
    given = [PureSVD(factors=2), ImplicitALS(factors=2, iterations=2)]
    first, second = (Blend(given, random_state=3, weights=[1, 1]).fit(groups()) for _ in range(2))
    assert not hasattr(given[0], "seen_")
    assert first.members_ == second.members_
    assert first.members_[1].random_state is not None


def test_members_get_times_and_facts_about_items(tmp_path):
    cells = groups().tocoo()
    info = {"group": [f"g{code % 4}" for code in range(40)]}
    ids = [f"i{code}" for code in range(40)]
    data = Interactions(cells.row, cells.col, times=np.arange(len(cells.row)), items=ids, item_info=info)
    model = Blend([ContentRecommender(), Popularity(half_life=500)], random_state=0).fit(data)
    assert model.members_[0].item_features_.shape == (40, 4)
    model.save(tmp_path / "blend.fastrec")
    again = load(tmp_path / "blend.fastrec")
    top, same = model.recommend(data[:9], 5), again.recommend(data[:9], 5)
    np.testing.assert_array_equal(top.scores, same.scores)
    assert [type(member) for member in again.models] == [ContentRecommender, Popularity]
    assert again.models[1].half_life == 500


def test_explanation_needs_members_that_explain():
    model = Blend([PureSVD(factors=2, random_state=0), Popularity()], weights=[1, 1]).fit(groups())
    with pytest.raises(TypeError, match="Popularity, a member of the Blend, cannot explain"):
        model.explain(0, 1)


def test_helpers():
    assert _each_once(np.array([[3, 1, 3, -1]], np.int32)).tolist() == [[-1, 1, 3, -1]]
    codes, scores = _best(np.array([[-1, 1, 2, 5]], np.int32), np.array([[9.0, 1.0, 4.0, 4.0]]), 5)
    assert codes.tolist() == [[2, 5, 1, -1, -1]]
    assert scores[0, :3].tolist() == [4, 4, 1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"models": []}, ValueError, "at least one recommender"),
        ({"models": [3]}, TypeError, "must be recommenders of fastrec, got 3"),
        ({"weights": [1]}, ValueError, "must be 2 numbers"),
        ({"weights": [0, 0]}, ValueError, "one above 0 among them"),
        ({"weights": [1, -1]}, ValueError, "at least 0"),
        ({"fusion": "median"}, ValueError, "Blend.fusion must be one of"),
        ({"candidates_from": 2}, ValueError, "Blend.candidates_from must be an integer from 0 to 1"),
    ],
)
def test_bad_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        Blend(**options).fit(np.eye(3))
