"""Histories fade in answers alone, and every way to ask gives the same answer."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.matrix.rows import with_data
from fastrec.matrix.sequences import fade_ones
from fastrec.models import (
    Blend,
    Item2Vec,
    Popularity,
    Reranked,
    SGDFactorization,
    UserKNN,
    compress,
    estimators,
    load,
)
from fastrec.models.base.fading import Fading
from fastrec.models.base.item_weights import ItemWeights
from fastrec.online import Event, Snapshot
from fastrec.retrieval.diversity import GroupCap
from tests.test_estimators import assert_same_learned, quick, same

KINDS = [kind for kind in estimators().values() if issubclass(kind, Fading)]
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
N_USERS, N_ITEMS = 24, 15


def events(seed=0, n=170, users=N_USERS, **options):
    """Returns events in an order of time that is not that of the items' codes, some of them repeated."""
    rng = np.random.default_rng(seed)
    who = np.concatenate([np.arange(users), rng.integers(0, users, n)])
    what = np.concatenate([rng.integers(0, N_ITEMS, users), np.floor(N_ITEMS * rng.random(n) ** 2).astype(int)])
    return Interactions(
        who, what, rng.integers(1, 4, len(who)), times=rng.permutation(len(who)), duplicates="sum",
        users=[f"u{code}" for code in range(users)], items=[f"i{code}" for code in range(N_ITEMS)], **options,
    )  # fmt: skip


def timeless(data):
    return Interactions(
        data.user_codes, data.item_codes, data.values, users=data.users, items=data.items, duplicates="sum"
    )


def faded(model, recency):
    """Returns the histories of the training data with faded values, as a plain matrix."""
    shares = fade_ones(model.seen_, model.order_, recency)
    return with_data(model.seen_, model.seen_.data * shares)


@pytest.fixture(scope="module")
def fitted():
    models = {}

    def get(kind):
        if kind not in models:
            models[kind] = quick(kind).fit(events())
        return models[kind]

    return get


def fading(model, recency=0.6):
    """Returns a copy that fades."""
    other = object.__new__(type(model))
    other.__dict__ = dict(model.__dict__)
    return other.set_params(recency=recency)


def test_the_families_that_fade():
    assert {kind.__name__ for kind in KINDS} == {
        "EASE", "GraphFilter", "ImplicitALS", "Item2Vec", "ItemKNN", "SGDFactorization", "SLIM", "UserKNN",
    }  # fmt: skip


@every
def test_learned_values_do_not_depend_on_recency_which_acts_at_once(kind, fitted):
    data = events()
    early = quick(kind, recency=0.6).fit(data)
    assert_same_learned(early, fitted(kind))
    late = fading(fitted(kind))
    same(late.recommend(data.users.ids, 5), early.recommend(data.users.ids, 5))
    assert not np.array_equal(
        late.recommend(data.users.ids, 5).scores, fitted(kind).recommend(data.users.ids, 5).scores
    )
    if "partial_fit" in kind.capabilities:
        day = events(3, 20, users=N_USERS + 2)
        assert_same_learned(load_copy(early).partial_fit(day), load_copy(fitted(kind)).partial_fit(day))


def load_copy(model):
    other = object.__new__(type(model))
    other.__dict__ = dict(model.__dict__)
    return other


@settings(deadline=None, max_examples=5)
@given(recency=st.floats(0.05, 1), seed=st.integers(0, 3))
@every
def test_all_doors_give_the_answer_to_faded_values(kind, recency, seed, tmp_path_factory):
    data = events(seed)
    plain = quick(kind).fit(data)
    model = quick(kind, recency=recency).fit(data)
    ids, items = data.users.ids.tolist(), data.items.ids.tolist()
    top = model.recommend(ids, 6, exclude_seen=False)
    if kind is not SGDFactorization:  # values have no weight for these models
        same(top, plain.recommend(faded(plain, recency), 6, exclude_seen=False))
    same(top, model.recommend(data, 6, exclude_seen=False))
    same(top.__class__(top.codes[3:4], top.scores[3:4]), model.recommend("u3", 6, exclude_seen=False))
    pairs = np.array([model.predict_pairs([user] * N_ITEMS, items) for user in ids])
    np.testing.assert_allclose(np.take_along_axis(pairs, top.codes, 1), top.scores, rtol=2e-5, atol=1e-6)
    if "transform" in kind.capabilities:
        np.testing.assert_allclose(model.transform(data) @ model.item_factors_.T, pairs, rtol=2e-4, atol=1e-5)
        np.testing.assert_array_equal(quick(kind, recency=recency).fit_transform(data), model.transform(data))
    if "explain" in kind.capabilities:
        for who in ("u2", data[[2]]):
            reasons = model.explain(who, "i1")
            np.testing.assert_allclose(reasons.score, pairs[2, 1], rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(reasons.contributions.sum(), reasons.score, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(model.predict(data), model.recommend(ids, 1).codes[:, 0])
    path = tmp_path_factory.mktemp("all") / "all.csv"
    model.recommend_to(path, ids, 6, batch_size=5, exclude_seen=False)
    with path.open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    np.testing.assert_array_equal(np.array(scores, np.float32), top.scores[top.valid])


@every
def test_the_number_of_threads_changes_no_bit(kind):
    data = events(n=900, users=120)
    one, two = (quick(kind, recency=0.7, n_jobs=jobs).fit(data) for jobs in (1, 2))
    same(one.recommend(data.users.ids, 5), two.recommend(data.users.ids, 5))
    same(one.recommend(data, 5), two.recommend(data, 5))


@every
def test_without_an_order_nothing_fades(kind, fitted):
    without = quick(kind).fit(timeless(events()))
    assert without.order_ is None
    users = events().users.ids
    same(fading(without).recommend(users, 5), without.recommend(users, 5))
    same(fading(fitted(kind)).recommend(timeless(events()), 5), fitted(kind).recommend(users, 5))
    if kind is not Item2Vec:  # it has learned from baskets by now
        same(fading(without).recommend(events(), 5), fading(fitted(kind)).recommend(users, 5))  # these have an order


@every
def test_a_list_of_items_is_an_order(kind, fitted):
    model = fading(fitted(kind), 0.5)
    lists = [["i3", "i0", "i9"], [], ["i9", "i0", "i3", "i9"], ["i9", "i0", "i3"]]
    codes = [[3, 0, 9], [], [0, 3, 9], [9, 0, 3]]
    weights = np.zeros((4, N_ITEMS), np.float32)
    for row, items in enumerate(codes):
        weights[row, items] = 0.5 ** np.arange(len(items))[::-1]
    histories = model.histories(lists)
    assert histories.shape == (4, N_ITEMS)
    top = model.recommend(histories, 5)
    assert not np.array_equal(top.scores[0], top.scores[3])
    if kind is not SGDFactorization:
        same(top, fitted(kind).recommend(weights, 5))
    assert model.histories([["gone", "i1"]], on_unknown="skip").shape == (1, N_ITEMS)
    assert isinstance(fitted(kind).histories(lists).data, np.ndarray)  # a plain matrix, in which nothing fades
    if "partial_fit" in kind.capabilities and kind is not UserKNN:  # the model is the data
        known = load_copy(model)
        known.update_users(["u1", "u3"], model.histories(lists[:1] + lists[3:]), how="replace")
        np.testing.assert_array_equal(known.recommend(["u1", "u3"], 5).codes, top.codes[[0, 3]])


@every
def test_a_snapshot_answers_as_an_updated_model(kind, fitted):
    if "partial_fit" not in kind.capabilities:
        pytest.skip("it takes no updates")
    model = fading(fitted(kind), 0.5)
    log = [("u3", "i7"), ("new", "i1"), ("u3", "i2"), ("new", "i4"), ("u3", "i7")]
    snapshot = Snapshot(model).after([Event(user, item, seq=n + 1) for n, (user, item) in enumerate(log)])
    users, items = (np.array(part) for part in zip(*log, strict=True))
    named = ["u3", "new"]
    day = Interactions(
        [named.index(user) for user in users], [model.items_.encode([item])[0] for item in items],
        times=np.arange(len(log)), users=named, items=model.items_, duplicates="sum",
    )  # fmt: skip
    updated = load_copy(model).update_users(named, day)
    for who in (["u3"], ["new", "u4", "u3"]) if kind is not UserKNN else (["u3"],):  # the model is the data
        same(snapshot.recommend(who, 5, on_unknown="popular"), updated.recommend(who, 5))
    if "explain" in kind.capabilities:
        assert snapshot.explain("u3", "i1").score == updated.explain("u3", "i1").score
    if kind is SGDFactorization:
        return
    timed = fading(quick(kind).fit(timeless(events())), 0.5)  # it keeps no order, so an update brings none
    after = Snapshot(timed).after([Event("u3", "i7", seq=1), Event("u3", "i2", seq=2)])
    rows = np.zeros((1, N_ITEMS))
    rows[0, [7, 2]] = 1
    same(after.recommend(["u3"], 5), load_copy(timed).update_users(["u3"], rows).recommend(["u3"], 5))


@every
def test_a_fit_without_times_says_that_nothing_fades(kind):
    with pytest.warns(UserWarning, match=r"recency is 0\.5, but X has no times"):
        quick(kind, recency=0.5).fit(timeless(events()))


@every
def test_files_keep_the_order(kind, tmp_path):
    model = quick(kind, recency=0.5).fit(events())
    model.save(tmp_path / "model.fastrec")
    again = load(tmp_path / "model.fastrec")
    np.testing.assert_array_equal(again.order_, model.order_)
    same(again.recommend(events().users.ids, 5), model.recommend(events().users.ids, 5))
    same(again.recommend(events(), 5), model.recommend(events(), 5))


@every
@pytest.mark.parametrize("user_codec", [None, "histories"])
def test_compressed_models_fade(kind, user_codec, tmp_path):
    data = events()
    model = quick(kind, recency=0.5).fit(data)
    factors = "transform" in kind.capabilities
    if not factors and not (issubclass(kind, ItemWeights) and isinstance(model.weights_, np.ndarray)):
        pytest.skip("it is not compressed")
    if not factors and user_codec:
        pytest.skip("it has no users' factors")
    small = compress(model, "float16", user_codec=user_codec)
    small.save(tmp_path / "small.fastrec")
    for one in (small, load(tmp_path / "small.fastrec")):
        for who in (data.users.ids, data):
            mine, theirs = one.recommend(who, 5), model.recommend(who, 5)
            np.testing.assert_allclose(mine.scores[mine.valid], theirs.scores[theirs.valid], rtol=0.02, atol=0.01)
    log = [Event("u3", "i7", seq=1), Event("u3", "i2", seq=2)]
    wanted = Snapshot(model).after(log).recommend(["u3"], 5).scores
    np.testing.assert_allclose(Snapshot(small).after(log).recommend(["u3"], 5).scores, wanted, rtol=0.02, atol=0.01)


@every
@pytest.mark.parametrize("wrong", [0, 1.5, -1, float("nan")])
def test_it_is_a_share(kind, wrong, fitted):
    with pytest.raises(ValueError, match=f"{kind.__name__}.recency must"):
        quick(kind, recency=wrong).fit(events())
    with pytest.raises(ValueError, match=f"{kind.__name__}.recency must"):
        fading(fitted(kind), wrong).recommend("u3")


def test_ratings_do_not_fade():
    model = SGDFactorization(4, loss="squared", recency=0.5, iterations=2, random_state=0)
    with pytest.raises(ValueError, match="recency must be 1 with loss='squared'"):
        model.fit(events())
    model.set_params(recency=1).fit(events())
    same(fading(model).recommend("u3"), model.recommend("u3"))


def test_weights_fade_and_so_do_events_that_weigh_alike():
    data = events()
    ones = Interactions(
        data.user_codes, data.item_codes, times=data.times, users=data.users, items=data.items, duplicates="max"
    )
    options = {"loss": "bpr", "iterations": 3, "random_state": 0, "recency": 0.6}
    plain, weighted = (SGDFactorization(4, weighted=flag, **options).fit(ones) for flag in (False, True))
    same(plain.recommend(data.users.ids, 5), weighted.recommend(data.users.ids, 5))
    rows = faded(weighted, 0.6)
    same(weighted.set_params(recency=1).recommend(rows, 5), plain.recommend(data.users.ids, 5))


def test_users_known_by_features_fade_too():
    data = events()
    features = np.kron(np.eye(4), np.ones((N_USERS // 4, 1)))
    for kind in (quick(SGDFactorization, loss="logistic"), quick(estimators()["ImplicitALS"])):
        model = kind.set_params(recency=0.5).fit(data, user_features=features)
        asked = model.transform(data, user_features=features)
        top = model.recommend(data.users.ids, 5)
        pairs = np.take_along_axis(asked @ model.item_factors_.T, top.codes, 1)
        np.testing.assert_allclose(pairs[top.valid], top.scores[top.valid], rtol=1e-4, atol=1e-5)


def test_others_do_not_fade():
    assert not Popularity().fades
    assert not quick(KINDS[0]).fades


def test_blends_and_reranked_models_fade_as_their_members_do():
    data = events()
    ids = data.users.ids.tolist()
    members = [quick(estimators()[name]) for name in ("ItemKNN", "ImplicitALS", "SequenceRules")]
    blend = Blend(members, weights=[1, 1, 1]).fit(data)
    assert not blend.fades
    plain = blend.recommend(ids, 5)
    for member in blend.members_[:2]:
        member.set_params(recency=0.5)
    assert blend.fades
    for member in members[:2]:
        member.set_params(recency=0.5)
    early = Blend(members, weights=[1, 1, 1]).fit(data)
    capped = Reranked(early, GroupCap(5, groups=["a"] * N_ITEMS), depth=5)
    top = blend.recommend(ids, 5)
    assert not np.array_equal(top.scores, plain.scores)
    for model in (early, capped):
        assert model.fades
        for who in (ids, data):
            same(model.recommend(who, 5), top)
        histories = model.histories([["i3", "i0"], ["i0", "i3"]])
        scores = model.recommend(histories, 5).scores
        assert not np.array_equal(scores[0], scores[1])
        assert model.explain("u2", "i1").score == pytest.approx(float(model.predict_pairs("u2", "i1")[0]), rel=1e-3)
