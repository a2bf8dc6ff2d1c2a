"""`Pipeline`: one model with its steps inside."""

import json

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.pipeline
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer, Normalizer

import fastrec as fr
from fastrec.online import Event, Snapshot

USERS, ITEMS = [f"u{code}" for code in range(40)], [f"i{code}" for code in range(25)]


def events(seed=0, n=900, **options):
    """Returns events with values and times, some pairs twice; the last user has none."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 39, n), rng.integers(0, 25, n)
    chosen = {"times": 1_600_000_000 + 5000 * np.arange(n), "time_unit": "s", "duplicates": "sum", **options}
    return fr.Interactions(user, item, rng.integers(1, 9, n), users=USERS, items=ITEMS, **chosen)


def als(**options):
    return fr.ImplicitALS(
        **{"factors": 4, "iterations": 2, "weighting": "raw", "random_state": 0, "n_jobs": 1, **options}
    )


def pipeline(*steps, model=None):
    named = [(type(step).__name__.lower(), step) for step in steps]
    return fr.Pipeline([*named, ("model", als() if model is None else model)])


def same(one, other):
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.scores, other.scores)


STEPS = {
    "log": lambda: [fr.LogWeight()],
    "bm25": lambda: [fr.BM25Weight(b=0.3)],
    "tfidf": lambda: [fr.TfidfWeight(), fr.Normalize()],
    "liked": lambda: [fr.Binarize(at=9), fr.KCore(2, 3)],
    "decay": lambda: [fr.TimeDecay("10d"), fr.LogWeight(epsilon=0.1)],
    "cap": lambda: [fr.MergeDuplicates("max"), fr.Cap(user=7, item=20)],
    "drawn": lambda: [fr.SampleNegatives(0.5, value=0.5)],
}
every = pytest.mark.parametrize("name", STEPS)


@every
def test_it_answers_as_scikit_learns_pipeline_with_the_model_asked_by_hand(name):
    data = events()
    ours = pipeline(*STEPS[name]()).fit(data)
    plain = sklearn.pipeline.Pipeline(clone(ours).steps).fit(data)
    np.testing.assert_array_equal(ours.item_factors_, plain[-1].item_factors_)
    same(ours.recommend(USERS, 5, exclude_seen=False), plain[-1].recommend(USERS, 5, exclude_seen=False))
    other = events(seed=1)
    after = plain[:-1].transform(other)
    same(ours.recommend(other, 5, exclude_seen=False), plain[-1].recommend(after, 5, exclude_seen=False))
    np.testing.assert_array_equal(ours.transform(other), plain.transform(other))
    items = np.array(ITEMS)[np.arange(40) % 25]
    np.testing.assert_array_equal(ours.predict_pairs(other, items), plain[-1].predict_pairs(after, items))
    pairs = ours.explain("u3", "i4"), plain[-1].explain("u3", "i4")
    assert pairs[0].score == pairs[1].score
    same(ours.similar_items("i4", 3), plain[-1].similar_items("i4", 3))
    same(ours.similar_users("u4", 3), plain[-1].similar_users("u4", 3))


@every
def test_items_had_before_any_step_are_not_recommended_again(name):
    data = events()
    model = pipeline(*STEPS[name]()).fit(data)
    had = sp.csr_array((np.ones(data.n_interactions), (data.user_codes, data.item_codes)), shape=data.shape)
    for top in (model.recommend(USERS, 25), model.recommend(data, 25)):
        for row, codes in enumerate(top.codes):
            assert not set(codes[codes >= 0]) & set(np.flatnonzero(had[[row]].toarray()))
    assert model.recommend(["u39"], 3).fallback.all()


@every
@pytest.mark.parametrize("ids", [True, False])
def test_it_comes_back_from_a_file_with_its_steps(name, ids, tmp_path):
    if not ids and name == "decay":
        pytest.skip("a matrix has no times")
    data = events() if ids else events().matrix
    model = pipeline(*STEPS[name]()).fit(data)
    model.save(tmp_path / "m.fastrec")
    for verify in (True, "header"):
        again = fr.load(tmp_path / "m.fastrec", verify=verify)
        assert isinstance(again, fr.Pipeline)
        assert repr(again) == repr(model)
        users = USERS if ids else range(40)
        same(again.recommend(users, 5), model.recommend(users, 5))
        other = events(seed=1) if ids else events(seed=1).matrix
        same(again.recommend(other, 5), model.recommend(other, 5))
        assert again.steps_ == model.steps_
        assert again.inner_ == model.inner_
    again.fit(data)  # with what it was made of
    same(again.recommend(users, 5), model.recommend(users, 5))


def test_transformers_of_others_work_and_are_not_saved(tmp_path):
    X = events().matrix
    model = pipeline(Normalizer(), FunctionTransformer(), "passthrough").fit(X)
    plain = sklearn.pipeline.make_pipeline(Normalizer(), als()).fit(X)
    same(model.recommend(X, 5), plain[-1].recommend(plain[:-1].transform(X), 5))
    with pytest.raises(TypeError, match=r"steps_\['normalizer'\] is Normalizer\(\), which a model file cannot hold"):
        model.save(tmp_path / "m.fastrec")
    assert not (tmp_path / "m.fastrec").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda step: step.update({"class": "Popen"}), "'Popen' is not a transformer of fastrec"),
        (lambda step: step["options"].update(k1=-1), "BM25Weight.k1 must be a finite number above 0"),
        (
            lambda step: step["learned"]["mean_length_"].update(value=0.0),
            "mean_length_ must be above 0",
        ),
    ],
)
def test_a_file_with_other_steps_is_refused(tmp_path, change, message):
    from fastrec.storage import read_arrays, write_arrays

    pipeline(fr.BM25Weight()).fit(events()).save(tmp_path / "m.fastrec")
    arrays, record = read_arrays(tmp_path / "m.fastrec")
    record = json.loads(json.dumps(record))
    change(record["learned"]["steps_"]["steps"][0])
    write_arrays(tmp_path / "bad.fastrec", dict(arrays), record)
    with pytest.raises(ValueError, match=message):
        fr.load(tmp_path / "bad.fastrec")


# -- updates


@pytest.mark.parametrize("name", ["log", "bm25", "tfidf", "liked"])
def test_updates_pass_the_steps_as_they_were_fitted(name):
    data = events()
    model = pipeline(*STEPS[name]()).fit(data)
    more = events(seed=2, n=60, times=None, time_unit=None)
    whole = data.matrix + more.matrix
    taken = pipeline(*STEPS[name]()).fit(data).partial_fit(more)
    np.testing.assert_array_equal(taken.seen_.toarray(), whole.toarray())
    changed = np.unique(more.user_codes)
    expected = model[:-1].transform(sp.csr_array(whole)[changed])
    np.testing.assert_allclose(taken.inner_[0].seen_[changed].toarray(), expected.toarray(), rtol=1e-6)
    followed = pipeline(*STEPS[name]()).fit(data).update_users(["u3", "new"], whole[[3, 5]], how="replace")
    same(followed.recommend(["u3", "new"], 5), model.recommend(sp.csr_array(whole)[[3, 5]], 5))
    same(followed.recommend(["u7"], 5), model.recommend(["u7"], 5))
    assert followed[-1] is followed.inner_[0]


def test_new_items_come_where_no_step_knows_any():
    more = fr.Interactions([0, 0], [0, 1], [3.0, 1.0], users=["u1"], items=["i1", "new"])
    model = pipeline(fr.LogWeight(), fr.Normalize()).fit(events())
    model.partial_fit(more)
    assert model.n_features_in_ == model[0].n_features_in_ == 26
    assert model.recommend(model.histories([["new"]]), 3).codes.shape == (1, 3)
    knowing = pipeline(fr.TfidfWeight()).fit(events())
    before = knowing.recommend(USERS, 5)
    assert model.takes_new_items
    assert not knowing.takes_new_items
    with pytest.raises(ValueError, match="the step 'tfidfweight', TfidfWeight, does not know items that came after"):
        knowing.partial_fit(more)
    same(knowing.recommend(USERS, 5), before)


@pytest.mark.parametrize("name", ["decay", "cap", "drawn"])
def test_there_are_no_updates_where_they_would_not_be_right(name):
    for model in (pipeline(*STEPS[name]()), pipeline(*STEPS[name]()).fit(events())):
        assert "partial_fit" not in model.capabilities
        with pytest.raises(AttributeError, match=r"no attribute 'partial_fit': the step '\w+', \w+, makes other rows"):
            model.partial_fit(events())
    with pytest.raises(AttributeError, match="no attribute 'update_users': the step"):
        pipeline(fr.TimeDecay(), model=als()).update_users([0], events())


def test_a_server_answers_by_the_whole_history_after_the_steps():
    model = pipeline(fr.BM25Weight()).fit(events())
    after = Snapshot(model).after([Event("u3", "i7", 2.0, seq=1), Event("new", "i2", 4.0, seq=2)])
    rows = np.zeros((2, 25), np.float32)
    rows[0] = model.seen_[[3]].toarray()[0]
    rows[0, 7] += 2
    rows[1, 2] = 4
    for who in (["u3", "new"], ["u3"], ["new"]):
        same(after.recommend(who, 5), model.recommend(rows[[["u3", "new"].index(user) for user in who]], 5))
    same(after.recommend(["u5"], 5), model.recommend(["u5"], 5))


@pytest.mark.parametrize("steps", [(), (fr.LogWeight(),), (fr.BM25Weight(),)])
def test_a_server_answers_what_came_after_a_time_decay(steps, tmp_path):
    data = events()
    model = pipeline(fr.TimeDecay("10d"), *steps).fit(data)
    model.save(tmp_path / "m.fastrec")
    later = int(data.times.max()) + np.array([10, 20])
    after = Snapshot(fr.load(tmp_path / "m.fastrec")).after(
        [Event("u3", "i7", 2.0, seq=1), Event("new", "i2", 4.0, seq=2)]
    )
    for who, item, value, when in (("u3", 7, 2.0, later[0]), ("new", 2, 4.0, later[1])):
        mine = data.user_codes == (3 if who == "u3" else -1)
        columns = [np.append(part[mine], last) for part, last in ((data.item_codes, item), (data.values, value))]
        times = np.append(data.times[mine], when)
        kinds = {"users": [who], "items": ITEMS, "time_unit": "s", "duplicates": "sum"}
        history = fr.Interactions(np.zeros(len(times), int), *columns, times=times, **kinds)
        found, expected = after.recommend([who], 5), model.recommend(history, 5)
        np.testing.assert_array_equal(found.codes, expected.codes)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)
    same(after.recommend(["u5"], 5), model.recommend(["u5"], 5))
    assert model.seen_.nnz == pipeline(fr.LogWeight()).fit(data).seen_.nnz


def test_stripped_of_users_it_answers_histories_after_the_steps(tmp_path):
    model = pipeline(fr.BM25Weight()).fit(events())
    shipped = fr.strip(model)
    for part in (shipped, shipped[-1], shipped.inner_[0]):
        assert part.seen_.shape == (0, 25)
        assert len(part.users_) == 0
    shipped.save(tmp_path / "m.fastrec")
    histories = events(seed=1)
    for one in (shipped, fr.load(tmp_path / "m.fastrec")):
        same(one.recommend(histories, 5), model.recommend(histories, 5))
    assert b"u17" not in (tmp_path / "m.fastrec").read_bytes()
    assert len(model.users_) == 40
    with pytest.raises(TypeError, match="Pipeline cannot be stripped"):
        fr.strip(pipeline(fr.LogWeight(), model=fr.UserKNN()).fit(events()))


# -- with what else there is


def test_evaluation_search_and_rules_take_it_as_a_model():
    train, test = fr.split_random(events(), 0.3)
    ours = pipeline(fr.Binarize(at=6)).fit(train)
    plain = sklearn.pipeline.Pipeline(clone(ours).steps).fit(train)
    report = fr.evaluate({"ours": ours}, test, "ndcg@5")
    assert report.mean("ndcg@5") == fr.evaluate({"plain": plain}, test, "ndcg@5", seen=train).mean("ndcg@5")
    over_users = fr.cross_validate({"ours": clone(ours), "plain": clone(plain)}, events(), fr.UserKFold(2), "ndcg@5")
    assert over_users.mean("ndcg@5", "ours") == over_users.mean("ndcg@5", "plain")
    found = fr.search(clone(ours), {"model__factors": [2, 4], "binarize__at": [3, 6]}, train, method="grid", cv=0.2)
    assert isinstance(found.model, fr.Pipeline)
    assert len(found.trials) == 4
    scorer = fr.metrics.make_scorer("recall@5")
    assert 0 < scorer(ours, events(seed=1)) == ours.score(events(seed=1), metric="recall@5")
    ranked = fr.Reranked(ours, fr.MMR(0.0))
    same(ranked.recommend(USERS, 3), ours.recommend(USERS, 3))
    blend = fr.Blend([clone(ours), fr.ItemKNN()], weights=[1, 1]).fit(train)
    assert blend.recommend(USERS[:5], 3).codes.shape == (5, 3)


def test_a_model_of_order_gets_the_order_of_what_the_steps_leave():
    data = events()
    ours = pipeline(fr.Binarize(at=6), model=fr.SequenceRules()).fit(data)
    plain = sklearn.pipeline.Pipeline(clone(ours).steps).fit(data)
    other = events(seed=3)
    after = plain[:-1].transform(other)
    same(ours.recommend(other, 5, exclude_seen=False), plain[-1].recommend(after, 5, exclude_seen=False))
    assert ours.needs_order
    with pytest.raises(ValueError, match="has no times"):
        clone(ours).fit(events(times=None, time_unit=None))


def test_steps_are_fitted_in_place_and_a_later_fit_changes_no_copy():
    import copy

    model = pipeline(fr.BM25Weight())
    weight, last = model[0], model[-1]
    model.fit(events())
    assert model[0] is weight
    assert model[-1] is last
    twin = copy.copy(model)
    before = twin.recommend(events(seed=1), 5)
    model.fit(events(seed=4))
    same(twin.recommend(events(seed=1), 5), before)
    bad = events().matrix.astype(np.float32)
    bad.data[5] = -1
    after = model.recommend(events(seed=1), 5)
    with pytest.raises(ValueError, match="Negative"):
        model.fit(bad)
    same(model.recommend(events(seed=1), 5), after)


def test_values_below_zero_pass_where_a_step_takes_them_away():
    data = events().matrix.astype(np.float32)
    data.data[::5] = -1
    model = pipeline(fr.Binarize(at=1)).fit(data)
    assert model.takes_negatives
    assert not pipeline(fr.LogWeight()).takes_negatives
    assert model.seen_.data.min() == -1
    assert model.recommend(data, 3).valid.any()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([("a", fr.LogWeight())], "Pipeline.steps must end in a recommender of fastrec, got LogWeight()"),
        ([], "must end in a recommender of fastrec, got None"),
        ([fr.LogWeight(), als()], "must be pairs of a name and an estimator"),
        ([("p", fr.PrivatePopularity(epsilon=1.0))], "must not end in a PrivatePopularity: it keeps no users"),
    ],
)
def test_steps_that_make_no_recommender_are_refused(steps, message):
    with pytest.raises((TypeError, ValueError), match=message.replace("(", r"\(").replace(")", r"\)")):
        fr.Pipeline(steps).fit(events())
