import copy
from typing import ClassVar

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression

from fastrec import Interactions, RollingTime, UserKFold, evaluate, split_time
from fastrec.matrix.rows import pick_rows
from fastrec.matrix.sequences import pick_order
from fastrec.models import EASE, Blend, ImplicitALS, ItemKNN, Popularity, PureSVD, load
from fastrec.models.base.audience import Audience
from fastrec.models.base.single import Single
from fastrec.models.ranking import CategoryCounts, Facts, Feature, Scores, TwoStage, two_stage
from fastrec.models.ranking.windows import Lists
from tests.models.ranking.data import movies


def members():
    return [EASE(), ItemKNN(), ImplicitALS(factors=8, random_state=0)]


@pytest.fixture(scope="module")
def parts():
    return split_time(movies(300), fraction=0.15)


@pytest.fixture(scope="module")
def model(parts):
    return TwoStage(members(), candidates=20, random_state=0).fit(parts[0])


def test_facts_and_times_lift_it_above_its_members_and_their_blend(model, parts):
    assert model.uses_ranker_
    assert model.ranker_scores_[-1] > model.ranker_scores_[:-1].max()
    blend = Blend(members(), validation=RollingTime(3, share=0.1), candidates=20).fit(parts[0])
    named = {"two": model, "blend": blend} | {type(member).__name__: member for member in model.members_}
    report = evaluate(named, parts[1], ["ndcg@10"])
    best = max(report.mean("ndcg@10", name) for name in named if name != "two")
    assert report.mean("ndcg@10", "two") > 1.1 * best
    assert model.feature_importances_.sum() == pytest.approx(1)
    assert len(model.feature_importances_) == len(model.feature_names_)


# -- nothing of later events


class Spy(Feature):
    """Keeps the data of each fit."""

    met: ClassVar[list] = []

    def fit(self, known):
        self.met.append(known)
        self.names_ = ["nothing"]
        return self

    def transform(self, pairs):
        return [np.zeros(len(pairs))]


def test_members_and_features_know_nothing_after_the_cut_of_each_window():
    data = movies()
    Spy.met.clear()
    TwoStage([EASE(), Popularity()], validation=RollingTime(2, window=100), features=[Scores(), Spy()]).fit(data)
    last = int(data.times.max())
    assert len(Spy.met) == 3
    for known, cut in zip(Spy.met, (last + 1 - 200, last + 1 - 100, last + 1), strict=True):
        before = data.select(data.times < cut)
        assert known.events.times.max() < cut
        np.testing.assert_array_equal(known.matrix.toarray(), before.matrix.toarray())
        for member in known.members:
            np.testing.assert_array_equal(member.item_counts_, np.bincount(before.item_codes, minlength=90))


def lists_of(data, monkeypatch, **options):
    """Returns the lists of each window, as the ranker learns from them."""
    found = []
    monkeypatch.setattr(two_stage.TwoStage, "_learn_to_rank", lambda self, windows: found.extend(windows))
    with pytest.raises(AttributeError, match="uses_ranker_"):  # since nothing was learned
        TwoStage(members(), random_state=0, **options).fit(data).recommend(0)
    return found


def test_a_poisoned_future_changes_nothing_of_the_windows_before_it(monkeypatch):
    data, rng = movies(), np.random.default_rng(1)
    last = int(data.times.max())
    cut = last + 1 - 100
    late = data.times >= cut
    items = np.where(late, rng.integers(0, 3, len(late)), data.item_codes)  # all that users take of late
    poisoned = Interactions(
        data.user_codes, items, times=data.times, users=data.users, items=data.items, item_info=data.item_info,
        duplicates="sum",
    )  # fmt: skip
    options = {"validation": RollingTime(2, window=100)}
    clean, spoilt = lists_of(data, monkeypatch, **options), lists_of(poisoned, monkeypatch, **options)
    assert len(clean) == len(spoilt) == 2
    for first, second in zip(flat(clean[0]), flat(spoilt[0]), strict=True):
        np.testing.assert_array_equal(first, second)
    # In the window whose labels are the poison, the candidates and their features are the same, too.
    columns, _, said, _, _ = flat(clean[1])
    others = flat(spoilt[1])
    asked = [set(map(tuple, part.T.tolist())) for part in (np.nan_to_num(columns), np.nan_to_num(others[0]))]
    assert len(asked[0] & asked[1]) > 0.9 * min(map(len, asked))
    assert said.shape[0] == others[2].shape[0]


def flat(lists: Lists):
    return lists.columns, lists.there, *lists.judged


def test_labels_are_not_among_what_members_were_fitted_with(monkeypatch):
    data = movies()
    for lists in lists_of(data, monkeypatch, validation=0.2):
        assert 0 < lists.labels.mean() < 0.5
        hits = lists.judged.hits.sum(axis=1)
        assert (hits <= 2).all()  # a fifth of 14 items


# -- answers


def test_pairs_have_the_scores_of_lists_and_filters_hold(model):
    top = model.recommend(range(20), k=8)
    rows, places = np.nonzero(top.valid)
    pairs = model.predict_pairs(rows, top.codes[rows, places])
    np.testing.assert_allclose(pairs, top.scores[rows, places], rtol=1e-6)
    some = np.arange(0, 90, 2)
    assert np.isin(model.recommend(range(20), k=8, allow=some).codes, [-1, *some]).all()
    assert not np.isin(model.recommend(range(20), k=8, deny=some).codes, some).any()
    seen = model.recommend(range(20), k=90).codes
    assert not any(set(row) & set(model.seen_[[user]].indices) for user, row in enumerate(seen.tolist()))


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("k", [3, 40])
def test_one_user_is_answered_to_the_bit_as_many_are(model, given, k):
    users = np.arange(0, model.seen_.shape[0], 7, dtype=np.int32)
    audience = Audience.of_users(model, users)
    if given:
        order = pick_order(model.seen_, model.order_, users)
        audience = Audience.of_histories(model, pick_rows(model.seen_, users), order=order)
    some = np.arange(model.n_features_in_) % 3 > 0
    for only in (None, some, np.zeros_like(some)):
        top = model.answer(audience, k, model.item_filter(audience).within(only))
        for place, user in enumerate(users.tolist()):
            one = model.answer_one(Single(history=model.user_row(user)) if given else Single(user), k, only)
            np.testing.assert_array_equal(one.codes, top.codes[place])
            np.testing.assert_array_equal(one.scores, top.scores[place])


def test_histories_are_folded_in_without_what_is_known_of_a_user_alone(model, parts):
    train, _ = parts
    folded = model.recommend(train[np.arange(5)], k=10)
    known = model.recommend(range(5), k=10)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(folded.codes, known.codes, strict=True)]) > 6
    assert model.recommend([[0] * 90], k=3).fallback.all()


def test_the_order_of_a_history_counts_if_a_feature_reads_it(model, parts, tmp_path):
    matrix = parts[0].matrix
    items = matrix[[np.diff(matrix.indptr).argmax()]].indices.tolist()  # more than the latest ten
    model.save(tmp_path / "two.fastrec")
    for one in (model, load(tmp_path / "two.fastrec")):
        forwards, backwards = (one.recommend(one.histories([row])) for row in (items, items[::-1]))
        assert one.fades
        assert (forwards.scores != backwards.scores).any()
    sets = TwoStage(members(), candidates=20, features=[Scores(), Facts("year")], random_state=0).fit(parts[0])
    assert not sets.fades
    assert not TwoStage([Popularity()]).fades
    assert TwoStage([EASE(recency=0.5)]).fades


def test_reasons_add_up_to_the_score(model):
    reasons = model.explain_features(3, 7)
    assert reasons.score == pytest.approx(float(model.predict_pairs(3, 7)[0]), rel=1e-5)
    assert reasons.base + reasons.contributions.sum() == pytest.approx(reasons.score, rel=1e-5)
    assert sorted(reasons.features) == sorted(model.feature_names_)
    assert (np.diff(reasons.contributions) <= 0).all()
    assert model.explain_features(3, 7, k=2).features.tolist() == reasons.features[:2].tolist()
    with pytest.raises(ValueError, match="takes one user and one item"):
        model.explain_features([1, 2], 7)
    with pytest.raises(AttributeError, match="here it is called 'explain_features'"):
        model.explain(3, 7)


# -- which of them answers


def test_if_the_ranker_is_not_better_the_best_member_answers(monkeypatch):
    monkeypatch.setattr(TwoStage, "_ask_ranker", lambda self, columns: np.zeros(columns.shape[1]))
    X = movies().matrix
    model = TwoStage([PureSVD(factors=3, random_state=0), Popularity()], random_state=0).fit(X)
    assert not model.uses_ranker_
    assert model.ranker_scores_[-1] < model.ranker_scores_[:-1].max()
    if model.weights_.tolist() == [1, 0]:
        expected = PureSVD(factors=3, random_state=0).fit(X).recommend(range(9)).codes
        np.testing.assert_array_equal(model.recommend(range(9)).codes, expected)
    assert not model.feature_importances_.any()
    assert model.ranker_score_names_ == ["PureSVD", "Popularity", "Blend", "ranker"]
    best = model.ranker_score_names_[int(np.argmax(model.ranker_scores_))]
    assert model.choice_in_words().startswith(f"{best}; NDCG@20 on the hidden part: PureSVD 0.")
    reasons = model.explain_features(0, 5)
    assert reasons.contributions.sum() == pytest.approx(reasons.score, rel=1e-5)


def test_if_nothing_can_be_hidden_the_members_answer_alike():
    with pytest.warns(UserWarning, match="too few users with a label .* ranker_scores_ are NaN"):
        model = TwoStage([EASE(), Popularity()]).fit(np.eye(3))
    assert not model.uses_ranker_
    assert model.weights_.tolist() == [0.5, 0.5]
    assert np.isnan(model.ranker_scores_).all()
    assert model.choice_in_words().startswith("the members together")


@pytest.mark.parametrize("validation", [0.3, UserKFold(2), RollingTime(1, share=0.2)], ids=str)
def test_labels_come_from_any_validation(validation):
    model = TwoStage([EASE(), Popularity()], validation=validation, random_state=0).fit(movies())
    assert np.isfinite(model.ranker_scores_).all()


# -- files and updates


def test_files_hold_trees_and_no_ranker(model, tmp_path, parts):
    model.save(tmp_path / "two.fastrec")
    again = load(tmp_path / "two.fastrec")
    for users in (range(30), parts[0][np.arange(7)]):
        same(again.recommend(users), model.recommend(users))
    assert again.ranker == "boosting"
    assert again.features == "auto"
    same(again.fit(parts[0]).recommend(range(9)), model.recommend(range(9)))


def same(first, second):
    np.testing.assert_array_equal(first.codes, second.codes)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_counts_of_categories_are_kept_in_files_and_lift_what_knows_no_categories(tmp_path, parts):
    features = [Scores(), CategoryCounts("genres")]
    model = TwoStage([Popularity()], features=features, candidates=60, random_state=0).fit(parts[0])
    assert model.uses_ranker_
    assert model.ranker_scores_[-1] > 1.2 * model.ranker_scores_[0]
    model.save(tmp_path / "two.fastrec")
    again = load(tmp_path / "two.fastrec")
    for users in (range(30), 3):
        same(again.recommend(users), model.recommend(users))


def test_a_ranker_of_another_library_is_kept_as_its_trees(tmp_path, parts):
    ranker = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=8)
    model = TwoStage(members(), ranker=ranker, candidates=20, random_state=0).fit(parts[0])
    assert model.uses_ranker_
    model.save(tmp_path / "two.fastrec")
    again = load(tmp_path / "two.fastrec")
    same(again.recommend(range(30)), model.recommend(range(30)))
    with pytest.raises(ValueError, match="holds only the trees of its ranker: give ranker="):
        again.fit(parts[0])
    assert again.set_params(ranker="boosting").fit(parts[0]).uses_ranker_


@pytest.mark.parametrize(("library", "kind"), [("lightgbm", "LGBMRanker"), ("xgboost", "XGBRanker")])
def test_rankers_of_other_libraries_learn_from_lists_and_are_saved_without_them(library, kind, tmp_path, parts):
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    quiet = {"verbose": -1} if library == "lightgbm" else {}
    ranker = getattr(module, kind)(n_estimators=40, max_depth=3, n_jobs=1, **quiet)
    model = TwoStage(members(), ranker=ranker, candidates=20, random_state=0).fit(parts[0])
    assert model.uses_ranker_
    model.save(tmp_path / "two.fastrec")
    same(load(tmp_path / "two.fastrec").recommend(range(30)), model.recommend(range(30)))


def test_a_ranker_without_trees_answers_and_save_refuses_it_with_the_reason(tmp_path, monkeypatch, parts):
    monkeypatch.setattr(two_stage, "ask_ranker", lambda ranker, columns: columns[0].astype(float) * 1e3 + columns[-1])
    monkeypatch.setattr(Lists, "quality", lambda self, scores: float(np.abs(scores).max()))
    model = TwoStage([Popularity()], ranker=LinearRegression(), features=[Scores()], random_state=0).fit(parts[0])
    assert model.uses_ranker_
    assert model.recommend(range(5)).valid.all()
    with pytest.raises(ValueError, match="cannot be saved, since a file holds no code: LinearRegression has no trees"):
        model.save(tmp_path / "two.fastrec")
    assert not list(tmp_path.iterdir())
    with pytest.raises(TypeError, match="cannot explain its ranker: LinearRegression"):
        model.explain_features(0, 1)


def test_members_follow_new_events_and_the_ranker_stays(parts):
    later = Interactions([0, 1, 1], [0, 1, 2], times=[2000, 2001, 2002], users=[500, 5], items=[3, 4, 999])
    model = TwoStage([EASE(), ItemKNN()], candidates=20, random_state=0).fit(parts[0])
    before, top = copy.copy(model), model.recommend(range(9))
    model.partial_fit(later)
    assert model.n_features_in_ == 91
    assert model.members_[0].seen_.shape == model.seen_.shape
    assert not set(model.recommend(5, k=50).items.ravel().tolist()) & {4, 999}
    assert model.recommend(500, k=5).valid.all()
    np.testing.assert_array_equal(model.tree_values_, before.tree_values_)
    same(before.recommend(range(9)), top)


def test_an_unknown_option_is_refused(parts):
    for options, words in (
        ({"features": []}, "features"), ({"features": [3]}, "must be features of"), ({"ranker": 3}, "ranker"),
        ({"candidates": 1}, "candidates"), ({"models": []}, "at least one recommender"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=words):
            TwoStage(**options).fit(parts[0])
