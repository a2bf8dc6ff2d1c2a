import copy
import functools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import KFold

from fastrec import InteractionKFold, RollingTime, UserKFold, split_last, split_time
from fastrec.data import Interactions
from fastrec.matrix.rows import hide_part
from fastrec.models import (
    EASE,
    Blend,
    ContentRecommender,
    ExplicitALS,
    GraphFilter,
    ImplicitALS,
    ItemKNN,
    LinearSequence,
    Popularity,
    PureSVD,
    Reranked,
    SequenceAttention,
    SequenceKNN,
    SequenceRules,
    load,
)
from fastrec.models.base import registry
from fastrec.online import Event, Snapshot
from fastrec.retrieval.diversity import GroupCap
from tests.reference.last_item import LastItem


def groups(n=120, m=40, seed=0):
    """Returns users of four groups, each with items of its own, and some noise."""
    rng = np.random.default_rng(seed)
    likes = np.where(np.arange(n)[:, None] % 4 == np.arange(m) % 4, 0.5, 0.03)
    return sp.csr_array((rng.random((n, m)) < likes).astype(np.float32))


def members():
    return [PureSVD(factors=4, random_state=0), GraphFilter(factors=4, random_state=0)]


def test_a_blend_explains_itself_where_all_members_with_a_weight_can():
    members = [PureSVD(factors=2, random_state=0), Popularity()]
    X = np.kron(np.eye(2), np.ones((6, 3)))
    assert "explain" not in Blend(members, weights=[1, 1]).fit(X).capabilities
    assert "explain" in Blend(members, weights=[1, 0]).fit(X).capabilities


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


def timed(seed=0):
    """Returns users who took items of the first half once, and of the second half lately."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(60), 10)
    late = np.tile(np.arange(10) >= 7, 60)
    items = np.where(late, 20 + rng.integers(0, 12, 600), rng.integers(0, 20, 600))
    times = np.tile(np.arange(10), 60) * 100 + rng.integers(0, 90, 600)
    return Interactions(users, items, times=times, duplicates="sum")


def test_weights_are_for_what_the_validation_hides():
    rivals = [Popularity(), Popularity(half_life=50)]
    at_random = Blend(rivals).fit(timed())
    lately = Blend(rivals, validation=functools.partial(split_last, n=0.2)).fit(timed())
    assert at_random.validation_scores_[0] > at_random.validation_scores_[1]
    assert lately.validation_scores_[0] < lately.validation_scores_[1]
    assert lately.weights_[1] > at_random.weights_[1]


@pytest.mark.parametrize(
    "validation",
    [
        0.1,
        split_last,
        functools.partial(split_time, fraction=0.2),
        lambda data: split_last(data, 2),
        RollingTime(2, window=150),
        InteractionKFold(2),
        UserKFold(2),
        KFold(2),
    ],
    ids=["share", "function", "partial", "lambda", "windows", "folds", "users", "scikit-learn"],
)
def test_every_kind_of_validation_finds_weights_and_trains_with_all(validation):
    data = timed()
    model = clone(Blend([PureSVD(2, random_state=0), Popularity()], validation=validation)).fit(data)
    assert model.weights_.sum() == pytest.approx(1)
    assert model.validation_scores_[-1] >= model.validation_scores_[:-1].max() > 0
    assert model.members_[0] == PureSVD(2, random_state=0).fit(data) or model.members_[0].seen_.nnz == data.matrix.nnz


def test_a_function_is_given_the_training_data_and_its_hidden_part_is_not_trained_on():
    data, met = timed(), []

    class Watching(Popularity):
        def fit(self, X, y=None):
            met.append(X)
            return super().fit(X, y)

    def hide(X):
        assert X is data
        return split_last(X, 2)

    Blend([Watching()], validation=hide).fit(data)
    assert [X.n_interactions for X in met] == [480, 600]
    given = []
    X = groups()
    Blend([Popularity()], validation=lambda matrix: given.append(matrix) or hide_part(matrix)).fit(X)
    np.testing.assert_array_equal(given[0].toarray(), X.toarray())


@pytest.mark.parametrize(
    ("validation", "error", "message"),
    [
        (0, ValueError, "Blend.validation must be a finite number above 0 and at most 0.5, got 0"),
        (0.7, ValueError, "above 0 and at most 0.5"),
        (True, TypeError, "Blend.validation must be a share"),
        (None, TypeError, "Blend.validation must be a share"),
        ("last", TypeError, "Blend.validation must be a share"),
        (lambda X: X, TypeError, r"must give a pair \(train, hidden\)"),
        (lambda X: (X, X[:3]), ValueError, r"parts of the data's shape, \(60, 32\), got"),
        (RollingTime(1), ValueError, "needs times"),
    ],
)
def test_bad_validations_are_named(validation, error, message):
    X = timed().matrix if isinstance(validation, RollingTime) else timed()
    with pytest.raises(error, match=message):
        Blend([Popularity()], validation=validation).fit(X)


def test_nothing_to_hide_leaves_equal_weights():
    model = Blend([Popularity(), ItemKNN()]).fit(np.eye(3))
    assert model.weights_.tolist() == [0.5, 0.5]
    assert np.isnan(model.validation_scores_).all()


@pytest.mark.parametrize(
    "validation", [0.3, split_last, functools.partial(split_last, n=0.2), RollingTime(2), UserKFold(3)]
)
def test_validation_is_kept_in_files(validation, tmp_path):
    model = Blend([Popularity(), ItemKNN()], validation=validation).fit(timed())
    model.save(tmp_path / "model")
    again = load(tmp_path / "model").validation
    assert type(again) is type(validation)
    assert repr(getattr(again, "keywords", again)) == repr(getattr(validation, "keywords", validation))
    np.testing.assert_array_equal(load(tmp_path / "model").fit(timed()).weights_, model.weights_)


def test_functions_of_ones_own_are_asked_for_again(tmp_path):
    Blend([Popularity()], validation=lambda data: split_last(data)).fit(timed()).save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.recommend(0).valid.any()
    with pytest.raises(TypeError, match=r"got None .your own functions are not kept in files"):
        again.fit(timed())


def test_members_without_a_weight_are_not_asked(monkeypatch):
    model = Blend([PureSVD(4, random_state=0), ItemKNN()], weights=[1, 0]).fit(groups())
    monkeypatch.setattr(ItemKNN, "_score_batch", None)
    scores = PureSVD(4, random_state=0).fit(groups()).recommend(range(9), 5)
    np.testing.assert_array_equal(model.recommend(range(9), 5).codes, scores.codes)


def test_a_blend_of_blends_is_a_blend(tmp_path):
    X = groups()
    inner = Blend(members(), weights=[3, 1], candidates=10)
    model = Blend([inner, Popularity()], weights=[1, 1], candidates=10).fit(X)
    inner.fit(X)
    best = inner.recommend(5, 10).scores[0]
    popular = Popularity().fit(X).recommend(5, 10).scores[0]
    expected = inner.predict_pairs(5, range(40)) / (best[0] - best[-1])
    expected = 0.5 * expected + 0.5 * np.asarray(X.sum(axis=0)) / (popular[0] - popular[-1])
    np.testing.assert_allclose(model.predict_pairs(5, range(40)), expected, rtol=1e-5)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.recommend(range(120), 5).scores, model.recommend(range(120), 5).scores)
    assert [type(one) for one in again.models[0].models] == [PureSVD, GraphFilter]


def test_items_that_nobody_has_had_are_ranked_where_a_member_knows_them():
    data = Interactions(
        [0, 0, 1, 1, 2],
        [0, 1, 2, 3, 2],
        items=list("abcdef"),
        item_info={"genre": ["war", "war", "fun", "fun", "war", "fun"]},
    )
    known = Blend([ContentRecommender(), ItemKNN()], weights=[1, 1]).fit(data)
    assert known.recommend([0, 1], 1).items.tolist() == [["e"], ["f"]]
    assert not {4, 5} & set(
        Blend([ItemKNN(), Popularity()], weights=[1, 1]).fit(data).recommend(0, 9).codes[0].tolist()
    )


def test_zeros_are_no_feedback_for_any_member():
    data = Interactions([0, 0, 1, 1], [0, 1, 1, 2], [5.0, 0.0, 3.0, 4.0])
    model = Blend([ExplicitALS(1), Popularity()], weights=[1, 1]).fit(data)
    assert [member.seen_.nnz for member in model.members_] == [3, 3]


def test_a_member_whose_list_is_all_ties_says_nothing():
    X = np.kron(np.eye(2), np.full((4, 6), 5000.0))
    X[np.arange(8), np.arange(8)] = 0
    rivals = [PureSVD(2, random_state=0), Popularity(weighting="value")]
    model = Blend(rivals, weights=[1, 1], candidates=4).fit(X)
    assert rivals[1].fit(X).recommend(0, 4).scores.tolist() == [[20000] * 4]
    np.testing.assert_array_equal(model.recommend(0, 12).codes, rivals[0].fit(X).recommend(0, 12).codes)


def test_items_of_one_score_share_a_rank():
    X = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [1, 0, 1, 1, 1]], np.float32)
    model = Blend([Popularity()], weights=[1], fusion="rank").fit(X)
    np.testing.assert_allclose(model.recommend(0, 3).scores[0], [1 / 61, 1 / 61, 1 / 63])


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


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"models": []}, ValueError, "at least one recommender"),
        (
            {"models": GraphFilter()},
            TypeError,
            r"Blend.models must be a sequence of recommenders, .*got GraphFilter\(\)",
        ),
        ({"weights": None}, TypeError, 'Blend.weights must be "auto" or 2 numbers, got None'),
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


@pytest.mark.parametrize("seed", range(6))
def test_auto_is_never_below_its_best_member(seed, monkeypatch):
    """If the search finds nothing better, one member alone is taken."""
    monkeypatch.setattr("fastrec.models.composed.weighing.FACTORS", ())
    X = groups(seed=seed)
    model = Blend([PureSVD(factors=4, random_state=0), Popularity()]).fit(X)
    assert model.validation_scores_[-1] >= model.validation_scores_[:-1].max()


# -- members that read the order of events

USERS, ITEMS = [f"u{n}" for n in range(12)], [f"i{n}" for n in range(20)]
ORDERED = [
    SequenceRules(n_jobs=1),
    LinearSequence(regularization=1, n_jobs=1),
    LastItem(),
    EASE(10, n_jobs=1),
    EASE(10, recency=0.5, n_jobs=1),
    SequenceKNN(n_jobs=1),
    SequenceAttention(4, iterations=1, n_jobs=1, random_state=0),
]
kinds = pytest.mark.parametrize(
    "member", ORDERED, ids=["rules", "linear", "last item", "EASE", "EASE that fades", "sequences", "attention"]
)


def events(log, start=0, users=USERS):
    """Returns events one second apart; each item has the value of its number, from 1 on."""
    who, what = zip(*log, strict=True)
    codes = [users.index(user) for user in who], [ITEMS.index(item) for item in what]
    values, times = np.array(codes[1]) + 1, start + np.arange(len(log))
    return Interactions(*codes, values, times=times, time_unit="s", users=users, items=ITEMS, duplicates="sum")


def some_log(seed=0, n=60):
    rng = np.random.default_rng(seed)
    return [(f"u{user}", f"i{item}") for user, item in zip(rng.integers(0, 11, n), rng.integers(0, 18, n), strict=True)]


def answers(model, users, items):
    """Returns the codes of lists, from a blend of one member those of the member."""
    return [
        model.recommend(users, 5).codes,
        model.recommend(users, 3, exclude_seen=False, deny=items[:2]).codes,
        model.recommend(users, 3, allow=items).codes,
    ]


def alike(blend, model, users, items=("i1", "i4", "i6")):
    for one, other in zip(answers(blend, users, items), answers(model, users, items), strict=True):
        np.testing.assert_array_equal(one, other)


logs = st.lists(st.tuples(st.sampled_from([*USERS, "new"]), st.sampled_from(ITEMS)), min_size=1, max_size=15)


@kinds
@settings(max_examples=8, deadline=None)
@given(later=logs, asked=st.lists(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=6), min_size=1, max_size=3))
def test_a_blend_of_one_member_answers_as_the_member(member, later, asked):
    data = events(some_log())
    model, blend = clone(member).fit(data), Blend([member], weights=[1]).fit(data)
    alike(blend, model, USERS)
    histories = model.histories(asked)
    assert type(blend.histories(asked)) is type(histories)
    for history in (histories, events([(USERS[n], item) for n, row in enumerate(asked) for item in row])):
        for row in range(len(asked)):
            alike(blend, model, history[[row]])
    np.testing.assert_array_equal(blend.predict(histories), model.predict(histories))
    assert blend.score(data) == model.score(data)
    more = events(later, start=1000, users=[*USERS, "new"])
    since = [Event(user, item, seq=place + 1) for place, (user, item) in enumerate(later)]
    for user in ("u0", later[0][0]):
        one, other = (
            Snapshot(known).after(since).recommend([user], 5, on_unknown="popular") for known in (blend, model)
        )
        np.testing.assert_array_equal(one.codes, other.codes)
    days = more[np.unique(more.user_codes)]
    for update in (
        lambda known: known.partial_fit(more),
        lambda known: known.update_users(days.users.ids.tolist(), days),
        lambda known: known.update_users(["u3"], known.histories([["i2", "i0"]]), how="replace"),
    ):
        one, other = update(copy.copy(blend)), update(copy.copy(model))
        alike(one, other, other.user_vocabulary.ids)
        np.testing.assert_array_equal(one.seen_.toarray(), other.seen_.toarray())
    alike(blend, model, USERS)  # copies were updated


@kinds
def test_a_blend_of_one_member_writes_explains_and_is_kept_as_the_member(member, tmp_path, monkeypatch):
    monkeypatch.setitem(registry._CLASSES, "LastItem", LastItem)
    data = events(some_log())
    model, blend = clone(member).fit(data), Blend([member], weights=[1]).fit(data)
    written = [known.recommend_to(tmp_path / f"{n}.csv", k=3) for n, known in enumerate((model, blend))]
    assert written[0] == written[1]
    rows = [(tmp_path / name).read_text().split() for name in ("0.csv", "1.csv")]
    assert [row.split(",")[:2] for row in rows[0]] == [row.split(",")[:2] for row in rows[1]]
    if "explain" in model.capabilities:
        for users in ("u3", model.histories([["i2", "i5", "i1"]])):
            one, other = blend.explain(users, "i6"), model.explain(users, "i6")
            assert one.items.tolist() == other.items.tolist()
            scale = one.score / other.score
            np.testing.assert_allclose(one.contributions, other.contributions * scale, rtol=1e-4)
    capped = Reranked(blend, GroupCap(1, groups=list("aabbccddeabcdefghijk")))
    for known in (blend, capped):
        known.save(tmp_path / "blend.fastrec")
        again = load(tmp_path / "blend.fastrec")
        assert (again.reads_order, again.needs_order) == (model.reads_order, model.needs_order)
        for users in (USERS, model.histories([["i2", "i5", "i1"], ["i0"]]), data[[4, 1]]):
            np.testing.assert_array_equal(again.recommend(users, 4).codes, known.recommend(users, 4).codes)
        more = events(some_log(seed=1), start=1000)
        np.testing.assert_array_equal(
            again.partial_fit(more).recommend(USERS, 4).codes,
            copy.copy(known).partial_fit(more).recommend(USERS, 4).codes,
        )


def test_members_with_and_without_order_each_get_what_they_read():
    data = events(some_log())
    blend = Blend([SequenceRules(), EASE(10), LastItem()], weights=[1, 1, 1]).fit(data)
    rules, ease, last = SequenceRules().fit(data), EASE(10).fit(data), LastItem().fit(data)
    assert blend.needs_order
    assert blend.members_[0].order_ is not None
    np.testing.assert_array_equal(blend.members_[1].weights_, ease.weights_)
    histories = blend.histories([["i3", "i0"], ["i0", "i3"]])
    assert histories.toarray()[0].tolist()[:4] == [2, 0, 0, 1]
    expected = np.zeros((2, 20))
    for member, asked in (
        (rules, histories),
        (ease, histories.sign()),
        (last, events([("a", "i3"), ("a", "i0"), ("b", "i0"), ("b", "i3")], users=["a", "b"])),
    ):
        for row in range(2):
            scores = np.sort(member.recommend(asked[[row]], 20).scores[0])
            scores = scores[np.isfinite(scores)]
            expected[row] += member.predict_pairs(asked[[row]], ITEMS) / (scores[-1] - scores[0]) / 3
    for row in range(2):
        np.testing.assert_allclose(blend.predict_pairs(histories[[row]], ITEMS), expected[row], rtol=1e-4, atol=1e-5)


def test_a_plain_matrix_of_places_is_ones_to_members_without_order():
    places = np.array([[1, 3, 2, 0], [2, 1, 0, 0], [0, 0, 1, 2], [3, 0, 2, 1]] * 3)
    blend = Blend([SequenceRules(), EASE(1), LastItem()], weights=[1, 1, 1]).fit(places)
    np.testing.assert_array_equal(blend.members_[1].weights_, EASE(1).fit(places > 0).weights_)
    np.testing.assert_array_equal(blend.members_[2].order_, SequenceRules().fit(places).order_)
    assert [member.users_ for member in blend.members_] == [None] * 3
    np.testing.assert_array_equal(blend.recommend([0, 3]).codes, blend.recommend(places[[0, 3]]).codes)
    blend.partial_fit(np.eye(12, 4))
    np.testing.assert_array_equal(blend.members_[1].seen_.data, 1)


def test_weights_are_found_with_the_order_of_what_is_left():
    data = timed()
    validations = 0.2, split_last, UserKFold(2), RollingTime(2, window=150)
    for validation in validations:
        model = Blend([SequenceRules(), Popularity()], validation=validation).fit(data)
        assert model.validation_scores_[-1] >= model.validation_scores_[:-1].max() > 0
    cells = np.array([(u, (u + step) % 12, step + 1) for u in range(60) for step in range(6)])
    X = sp.csr_array((cells[:, 2], (cells[:, 0], cells[:, 1])), shape=(60, 12))  # what follows an item is known
    model = Blend([SequenceRules(), Popularity()], validation=split_last).fit(X)
    assert model.validation_scores_[0] > 0.9 > model.validation_scores_[1]


def test_the_properties_of_a_blend_follow_from_its_members():
    data = events(some_log())
    with pytest.raises(ValueError, match="Blend learns from the order of events, but X has no times"):
        Blend([SequenceRules(), EASE()], weights=[1, 1]).fit(data._replace(times=None))
    model = Blend([Popularity(), Popularity(weighting="value")], weights=[1, 1]).fit(data)
    assert (model.reads_order, model.needs_order, model.order_) == (False, False, None)
    assert "partial_fit" in model.capabilities
    model.set_params(models=[SequenceRules(), GraphFilter()]).fit(data)
    assert (model.reads_order, model.needs_order) == (True, True)
    assert "partial_fit" not in model.capabilities
    with pytest.raises(AttributeError, match="partial_fit"):
        model.partial_fit(data)
    nested = Blend([model, EASE()], weights=[1, 1]).fit(data)
    np.testing.assert_array_equal(nested.members_[0].members_[0].order_, nested.order_)


def test_a_member_that_cannot_follow_leaves_the_blend_as_it_was():
    data = events(some_log())
    model = Blend([Popularity(half_life=50), SequenceRules()], weights=[1, 1]).fit(data)
    assert model.needs_times
    before = model.recommend(USERS, 4).codes
    with pytest.raises(ValueError, match="half_life"):
        model.partial_fit(model.histories([["i1"]] * 12))
    np.testing.assert_array_equal(model.recommend(USERS, 4).codes, before)
    assert model.seen_.nnz == data.matrix.nnz
