"""The meaning of an update, for every model that can be updated: new data are taken in without a fit."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from fastrec.data import Interactions
from fastrec.fields import fields_of
from fastrec.matrix.code_matrix import check_matrix
from fastrec.models import (
    EASE,
    ImplicitALS,
    Item2Vec,
    ItemKNN,
    Popularity,
    SGDFactorization,
    Updating,
    UserKNN,
    estimators,
    load,
)
from fastrec.models.base.updating import splice
from fastrec.solvers.als import Side
from tests.choosing import choose
from tests.models.base.updates import matrix
from tests.reference import splice as reference
from tests.reference.csr import check_canonical
from tests.test_estimators import in_order

KINDS = [kind for kind in estimators().values() if issubclass(kind, Updating) and "partial_fit" in kind.capabilities]
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
QUICK = {"factors": 4, "iterations": 3, "random_state": 0, "n_jobs": 1}


def quick(kind, **options):
    return choose(kind(), {**QUICK, **options})


def events(cells, users=None, items=None, **options):
    """Returns interactions with string ids from rows (user, item, value)."""
    users = sorted({row[0] for row in cells}) if users is None else users
    items = sorted({row[1] for row in cells}) if items is None else items
    return Interactions(
        [users.index(row[0]) for row in cells],
        [items.index(row[1]) for row in cells],
        [row[2] for row in cells],
        users=users,
        items=items,
        **options,
    )


def learned(model):
    return {name: vars(model)[name] for name in fields_of(type(model)) if name in vars(model)}


def assert_same(first, second, but=()):
    first, second = learned(first), learned(second)
    assert first.keys() == second.keys()
    for name in first.keys() - set(but):
        one, two = first[name], second[name]
        if sp.issparse(one):
            assert one.shape == two.shape
            for part in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(getattr(one, part), getattr(two, part), strict=True, err_msg=name)
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two, strict=True, err_msg=name)
        elif name == "item_info_" and one is not None:
            assert {column: list(one[column]) for column in one} == {column: list(two[column]) for column in two}
        else:
            assert one == two, name


# -- for all of them


@every
def test_the_data_taken_in_is_that_of_a_refit(kind):
    old, new = matrix(0), matrix(1, density=0.05)
    model = quick(kind).fit(old).partial_fit(new)
    np.testing.assert_array_equal(model.seen_.toarray(), (old + new).toarray())
    np.testing.assert_array_equal(model.item_counts_, ((old + new).toarray() > 0).sum(axis=0))
    assert not model.seen_.data.flags.writeable


@every
def test_an_unfitted_model_is_fitted(kind):
    assert_same(quick(kind).partial_fit(matrix()), quick(kind).fit(matrix()))


@every
def test_the_same_updates_give_the_same_bits_for_any_number_of_threads(kind):
    models = [quick(kind, n_jobs=jobs).fit(matrix(0, 300, 60)) for jobs in (1, 2)]
    for model in models:
        model.partial_fit(matrix(1, 300, 60, 0.02)).update_users([5, 3], matrix(2, 2, 60)).update_items(
            [7], matrix(3, 1, 300)
        )
    assert_same(*models)


@every
def test_a_copy_made_before_answers_as_before_and_a_saved_model_goes_on(kind, tmp_path):
    model = quick(kind).fit(matrix())
    model.save(tmp_path / "model.fastrec")
    before, loaded = copy.copy(model), load(tmp_path / "model.fastrec")
    expected = model.recommend(range(30)).codes
    assert_same(loaded.partial_fit(matrix(1)), model.partial_fit(matrix(1)))
    np.testing.assert_array_equal(before.recommend(range(30)).codes, expected)
    assert_same(before, quick(kind).fit(matrix()))


@every
def test_new_users_and_items_come_with_interactions(kind):
    old = events([("a", "x", 1), ("b", "y", 2), ("a", "z", 1), ("b", "z", 1)], item_info={"title": ["X", "Y", "Z"]})
    new = events([("c", "w", 3), ("a", "x", 2), ("c", "x", 1)], item_info={"title": ["W", "other"]})
    model = quick(kind).fit(in_order(kind, old)).partial_fit(in_order(kind, new))
    assert model.users_.ids.tolist() == ["a", "b", "c"]
    assert model.items_.ids.tolist() == ["x", "y", "z", "w"]
    np.testing.assert_array_equal(model.seen_.toarray(), [[3, 0, 1, 0], [0, 2, 1, 0], [1, 0, 0, 3]])
    assert list(model.item_info_["title"]) == ["X", "Y", "Z", "W"]
    assert set(model.recommend("c", exclude_seen=True).items[0].tolist()) - {""} == {"y", "z"}
    assert "w" in model.recommend("a").items


@every
@pytest.mark.parametrize(("policy", "value"), [("sum", 7), ("last", 2), ("max", 5)])
def test_known_pairs_are_merged_by_the_policy_of_the_new_data(kind, policy, value):
    model = quick(kind).fit(in_order(kind, events([("a", "x", 5), ("b", "y", 1)])))
    model.partial_fit(in_order(kind, events([("a", "x", 2)], duplicates=policy)))
    assert model.seen_[0, 0] == value


@every
def test_update_users_appends_or_replaces(kind):
    old, rows = matrix(), matrix(5, 2)
    appended = quick(kind).fit(old).update_users([9, 4], rows).seen_.toarray()
    replaced = quick(kind).fit(old).update_users([9, 4], rows, how="replace").seen_.toarray()
    expected = old.toarray()
    expected[[9, 4]] += rows.toarray()
    np.testing.assert_array_equal(appended, expected)
    expected[[9, 4]] = rows.toarray()
    np.testing.assert_array_equal(replaced, expected)


@every
def test_update_items_appends_or_replaces(kind):
    old, rows = matrix(), matrix(5, 2, 30)
    appended = quick(kind).fit(old).update_items([9, 4], rows).seen_.toarray()
    replaced = quick(kind).fit(old).update_items([9, 4], rows, how="replace").seen_.toarray()
    expected = old.toarray()
    expected[:, [9, 4]] += rows.toarray().T
    np.testing.assert_array_equal(appended, expected)
    expected[:, [9, 4]] = rows.toarray().T
    np.testing.assert_array_equal(replaced, expected)


@every
def test_users_and_items_by_their_ids_new_ones_too(kind):
    data = events([("a", "x", 1), ("b", "y", 2)], item_info={"title": ["X", "Y"]})
    model = quick(kind).fit(in_order(kind, data))
    model.update_users(["c", "a"], [[0, 1], [0, 1]])
    assert model.users_.ids.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(model.seen_.toarray(), [[1, 1], [0, 2], [0, 1]])
    with pytest.raises(ValueError, match="users has an id twice: 'a' at positions 0 and 2"):
        model.update_users(["a", "c", "a"], np.eye(3, 2))
    model.update_items(["z"], [[0, 3, 0]])
    assert model.items_.ids.tolist() == ["x", "y", "z"]
    assert list(model.item_info_["title"]) == ["X", "Y", ""]
    np.testing.assert_array_equal(model.seen_.toarray(), [[1, 1, 0], [0, 2, 3], [0, 1, 0]])


BAD = [
    (lambda model: model.partial_fit(matrix(0, 30, 19)), "19 features, but"),
    (lambda model: model.partial_fit(matrix(0, 31)), "a row for each of the 30 users"),
    (lambda model: model.partial_fit(np.full((30, 20), np.nan)), "NaN in row 0, column 0"),
    (lambda model: model.partial_fit(Interactions([0], [0], users=["a"])), "strings as users, the model integers"),
    (lambda model: model.partial_fit(Interactions([0], [0], users=[10**7])), "below 1060"),
    (lambda model: model.partial_fit(Interactions([0], [0], items=[-3])), "items must be codes"),
    (lambda model: model.update_users([1, 1], matrix(0, 2)), "users has an id twice: 1 at positions 0 and 1"),
    (lambda model: model.update_users([10**9], matrix(0, 1)), "below 1060"),
    (lambda model: model.update_users([-1], matrix(0, 1)), "users must be codes"),
    (lambda model: model.update_users([1, 2], matrix(0, 3)), "a row for each of 2 users"),
    (lambda model: model.update_users([1], matrix(0, 1), how="add"), "how must be one of"),
    (lambda model: model.update_items([1], matrix(0, 1, 20)), r"of shape \(1, 30\)"),
    (lambda model: model.update_items([10**9], matrix(0, 1, 30)), "below 1040"),
]


@every
@pytest.mark.parametrize(("update", "words"), BAD, ids=[words for _, words in BAD])
def test_a_refused_update_leaves_the_model_as_it_was(kind, update, words):
    model = quick(kind).fit(matrix())
    before = dict(vars(model))
    with pytest.raises(ValueError, match=words):
        update(model)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


@every
def test_an_empty_update_changes_nothing(kind):
    model = quick(kind).fit(matrix())
    assert_same(copy.copy(model).partial_fit(matrix(density=0)), model)
    assert_same(copy.copy(model).update_users([], matrix(n_users=0)), model)


# -- Popularity: exact


@pytest.mark.parametrize("weighting", ["count", "value"])
def test_popularity_is_that_of_a_refit(weighting):
    old, new = matrix(), matrix(1)
    assert_same(
        Popularity(weighting=weighting).fit(old).partial_fit(new), Popularity(weighting=weighting).fit(old + new)
    )
    removed = old.tolil()
    removed[3] = 0
    model = Popularity(weighting=weighting).fit(old).update_users([3], matrix(n_users=1, density=0), how="replace")
    assert_same(model, Popularity(weighting=weighting).fit(removed))


def timed(cells, times, **options):
    data = events(cells, users=["a", "b", "c"], items=["x", "y", "z"])
    return Interactions(
        data.user_codes, data.item_codes, data.values, times, users=data.users, items=data.items, **options
    )


def test_a_half_life_works_online():
    cells = [("a", "x", 1), ("b", "y", 1), ("c", "x", 1), ("a", "z", 1), ("b", "x", 1)]
    times = [0, 40, 10, 100, 90]
    whole = Popularity(half_life=25).fit(timed(cells, times))
    model = Popularity(half_life=25).fit(timed(cells[:2], times[:2]))
    model.partial_fit(timed(cells[2:4], times[2:4])).partial_fit(timed(cells[4:], times[4:]))
    np.testing.assert_allclose(model.item_scores_, whole.item_scores_, rtol=1e-6)
    assert model.last_time_ == 100
    with pytest.raises(ValueError, match="needs Interactions with times"):
        model.update_users(["a"], [[1, 0, 0]])


def test_a_half_life_finds_items_by_their_ids():
    model = Popularity(half_life=10).fit(Interactions([0, 0], [0, 1], times=[0, 0], users=["a"], items=["x", "y"]))
    model.partial_fit(Interactions([0, 0], [0, 1], times=[10, 10], users=["b"], items=["new", "x"]))
    assert dict(zip(model.items_.ids, model.item_scores_, strict=True)) == {"x": 1.5, "y": 0.5, "new": 1}


def test_times_in_another_unit_are_converted():
    cells = [("a", "x", 1), ("b", "y", 1), ("c", "x", 1), ("a", "z", 1)]
    days = np.array([0, 30, 60, 60]) * 86400
    in_seconds = timed(cells, days, time_unit="s")
    whole = Popularity(half_life="30d").fit(in_seconds)
    np.testing.assert_allclose(whole.item_scores_, [1.25, 0.5, 1.0])
    for unit, factor in (("s", 1), ("ms", 1000), ("ns", 10**9)):
        model = Popularity(half_life="30d").fit(timed(cells[:2], days[:2], time_unit="s"))
        model.partial_fit(timed(cells[2:], days[2:] * factor, time_unit=unit))
        np.testing.assert_allclose(model.item_scores_, whole.item_scores_, rtol=1e-6)
        as_number = Popularity(half_life=30 * 86400).fit(timed(cells[:2], days[:2], time_unit="s"))
        as_number.partial_fit(timed(cells[2:], days[2:] * factor, time_unit=unit))
        np.testing.assert_array_equal(as_number.item_scores_, model.item_scores_)
    with pytest.raises(ValueError, match="those of the events have no unit"):
        whole.partial_fit(timed(cells, days))


def test_with_a_half_life_what_is_taken_away_is_left_to_fade():
    model = Popularity(half_life=10).fit(timed([("a", "x", 1), ("b", "y", 1)], [0, 0]))
    model.update_users(["a"], [[0, 0, 0]], how="replace")
    assert model.seen_.nnz == 1
    np.testing.assert_array_equal(model.item_scores_, [1, 1, 0])


# -- ItemKNN, EASE, UserKNN: those of a refit


@pytest.mark.parametrize(
    "model",
    [
        *(ItemKNN(4, similarity=name) for name in ("cosine", "jaccard", "tfidf", "bm25", "rp3beta", "sppmi")),
        EASE(20.0),
        EASE(20.0, dropout=0.3, relaxation=0.2),
        EASE(20.0, method="sparse", neighbors=6),
        UserKNN(5, similarity="tfidf"),
    ],
    ids=lambda model: f"{type(model).__name__}-{getattr(model, 'similarity', getattr(model, 'method', ''))}",
)
def test_updated_weights_are_those_of_a_refit_bit_for_bit(model):
    old, new, rows = matrix(0, 60, 25), matrix(1, 60, 25, 0.03), matrix(2, 2, 60)
    updated, whole = clone(model).fit(old), (old + new).tolil()
    updated.update_users([3], matrix(n_users=1, n_items=25, density=0), how="replace").partial_fit(new)
    whole[3] = new[[3]]
    assert_same(updated, clone(model).fit(whole.tocsr()))
    updated.update_items([2, 25], rows)
    whole.resize(60, 26)
    whole[:, [2, 25]] += rows.toarray().T
    assert_same(updated, clone(model).fit(whole.tocsr()))


@pytest.mark.parametrize("kind", [ItemKNN, EASE])
def test_weights_stay_where_only_users_are_updated(kind):
    model = quick(kind).fit(matrix())
    before = model.weights_
    model.update_users([3], matrix(7, 1))
    np.testing.assert_array_equal(as_dense(model.weights_), as_dense(before))
    expected = model.seen_[[3]].toarray() @ as_dense(before)
    np.testing.assert_allclose(model.predict_pairs(3, np.arange(20)), expected[0], rtol=1e-5)


def as_dense(weights):
    return weights.toarray() if sp.issparse(weights) else weights


# -- SGDFactorization and Item2Vec: steps over what is new


def groups(seed=0, n_users=160, n_items=40):
    """Returns users of four groups, each with ten items of their own."""
    rng = np.random.default_rng(seed)
    tastes = np.repeat(np.eye(4), n_items // 4, axis=1)[np.arange(n_users) % 4]
    return sp.csr_array((rng.random((n_users, n_items)) < 0.02 + 0.5 * tastes).astype("f4"))


STEPPED = [
    SGDFactorization(8, loss="bpr", iterations=20, random_state=0),
    SGDFactorization(8, loss="warp", iterations=20, random_state=0, optimizer="adagrad"),
    SGDFactorization(8, loss="logistic", iterations=20, random_state=0),
    SGDFactorization(8, loss="softmax", iterations=20, random_state=0),
    SGDFactorization(8, loss="squared", implicit_feedback=True, iterations=10, random_state=0),
    Item2Vec(8, iterations=20, learning_rate=0.1, subsample=0, random_state=0),
]
stepped = pytest.mark.parametrize("model", STEPPED, ids=lambda model: getattr(model, "loss", "item2vec"))


@stepped
def test_a_new_item_comes_to_lie_among_those_of_its_users(model):
    X = groups()
    model = clone(model).fit(X)
    if getattr(model, "loss", "") == "squared":
        pytest.skip("ratings of one value say nothing about likeness")
    takers = np.zeros((1, 160), "f4")
    takers[0, np.arange(160) % 4 == 2] = 1
    model.update_items([40], takers)
    near = model.similar_items(40, 5).codes[0]
    assert np.mean((near >= 20) & (near < 30)) >= 0.8, near


@stepped
def test_after_steps_users_are_folded_in_and_a_replay_gives_the_same_bits(model):
    X, new = groups(), groups(1).multiply(sp.random_array((160, 40), density=0.1, rng=0) > 0).tocsr()
    one, two = clone(model).fit(X), clone(model).fit(X)
    one.partial_fit(new).update_users([3, 160], groups(2, 2))
    two.partial_fit(new).update_users([3, 160], groups(2, 2))
    assert_same(one, two)
    np.testing.assert_array_equal(one.user_factors_, one.transform(one.seen_), strict=True)
    other = clone(model).set_params(random_state=None).fit(X)
    again = copy.copy(other).partial_fit(new)
    assert_same(other.partial_fit(new), again)


@stepped
def test_items_are_as_they_were_where_only_users_are_updated(model):
    model = clone(model).fit(groups())
    before = model.item_factors_
    model.update_users([3, 160], groups(2, 2))
    np.testing.assert_array_equal(model.item_factors_, before, strict=True)
    np.testing.assert_array_equal(model.user_factors_, model.transform(model.seen_), strict=True)


@pytest.mark.parametrize("model", STEPPED[:4], ids=lambda model: model.loss)
def test_steps_come_close_to_a_refit(model):
    X = groups(0, 400)
    late = np.random.default_rng(0).random(X.nnz) < 0.15
    old, new = X.copy(), X.copy()
    old.data[late], new.data[~late] = 0, 0
    old.eliminate_zeros()
    new.eliminate_zeros()
    updated = clone(model).fit(old).partial_fit(new)
    assert updated.score(X) > 0.95 * clone(model).fit(X).score(X)


def test_item2vec_takes_new_events_in_the_order_of_their_times():
    model = Item2Vec(8, iterations=3, window=1, subsample=0, random_state=0, n_jobs=1).fit(
        events([(f"u{user}", f"i{item}", 1) for user in range(40) for item in range(6)])
    )
    chain = [(f"n{user}", item, 1) for user in range(60) for item in ("a", "b", "i0", "i1", "i2", "i3", "c", "d")]
    users, items = sorted({row[0] for row in chain}), sorted({row[1] for row in chain})

    def updated(order, times):
        data = events([chain[place] for place in order], users, items)
        timed = Interactions(data.user_codes, data.item_codes, times=times, users=data.users, items=data.items)
        return copy.copy(model).partial_fit(timed)

    forward, shuffled = np.arange(len(chain)), np.random.default_rng(0).permutation(len(chain))
    one, two, three = updated(forward, forward), updated(shuffled, shuffled), updated(forward, shuffled)
    np.testing.assert_array_equal(one.item_factors_, two.item_factors_)
    assert np.abs(one.item_factors_ - three.item_factors_).max() > 1e-3


# -- ImplicitALS: items change in partial_fit and update_items


def test_updated_items_solve_their_equations():
    old, new = matrix(0, 200, 40), matrix(1, 200, 40, 0.004)
    model = ImplicitALS(factors=6, random_state=0, regularization=0.02, alpha=3.0).fit(old)
    before = copy.copy(model)
    model.partial_fit(new)
    changed_users = np.flatnonzero(np.diff(new.indptr))
    changed_items = np.unique(new.indices)
    assert 0 < len(changed_items) < 40
    seen = (old + new).toarray()
    users = before.user_factors_.astype(float)
    users[changed_users] = before.transform(seen[changed_users])
    expected = before.item_factors_.astype(float)
    for item in changed_items:
        extra = 3.0 * seen[:, item]
        penalty = 0.02 * (200 + extra.sum())
        system = users.T @ users + (users.T * extra) @ users + penalty * np.eye(6)
        expected[item] = np.linalg.solve(system, users.T @ ((1 + extra) * (seen[:, item] > 0)))
    # The basis may be another one: only what a rotation leaves unchanged is compared.
    np.testing.assert_allclose(model.item_factors_ @ model.item_factors_.T, expected @ expected.T, atol=2e-4)


def test_updates_come_close_to_a_refit():
    rng = np.random.default_rng(0)
    tastes = np.repeat(np.eye(4), 10, axis=1)[rng.integers(0, 4, 400)]
    whole = sp.csr_array((rng.random((400, 40)) < 0.05 + 0.4 * tastes).astype("f4"))
    late = rng.random(whole.nnz) < 0.1
    old, new = whole.copy(), whole.copy()
    old.data[late], new.data[~late] = 0, 0
    old.eliminate_zeros()
    new.eliminate_zeros()
    options = {"factors": 8, "random_state": 0, "iterations": 10}
    updated = ImplicitALS(**options).fit(old).partial_fit(new)
    refitted = ImplicitALS(**options).fit(whole)
    assert updated.score(whole) > 0.97 * refitted.score(whole)


def test_a_sum_of_zero_is_not_an_entry():
    A, B = np.array([[1, 0, 2], [0, 1, 1], [1, 1, 0]]), np.array([[-1, 0, 0], [0, 2, 0], [0, 0, 1]])
    assert_same(EASE(5.0).fit(A).partial_fit(B), EASE(5.0).fit(A + B))


def test_interactions_that_name_other_users_are_refused():
    old = events([("ann", "x", 1), ("bob", "y", 1)])
    model = Popularity().fit(old)
    new = events([("ann", "y", 1), ("bob", "x", 1)])
    with pytest.raises(ValueError, match="histories has the user 'ann' in row 0, users has 'bob' there"):
        model.update_users(["bob", "ann"], new, how="replace")
    model.update_users(["bob", "ann"], new[[1, 0]], how="replace")
    assert model.seen_.toarray().tolist() == [[0, 1], [1, 0]]
    numbered = Interactions([0, 1], [0, 1], items=["x", "y"])
    model.update_users(["bob", "ann"], numbered, how="replace")
    assert model.seen_.toarray().tolist() == [[0, 1], [1, 0]]


def test_a_day_without_events_changes_nothing():
    old = events([("ann", "x", 1), ("bob", "y", 1)])
    model = Popularity().fit(old)
    model.partial_fit(Interactions([], [])).partial_fit(old.select(np.zeros(2, bool)))
    assert_same(model, Popularity().fit(old))


def test_values_that_float32_barely_holds_are_solved():
    model = ImplicitALS(factors=4, random_state=0).fit(matrix())
    model.partial_fit(np.where(matrix().toarray() > 0, 3e38, 0))
    assert np.isfinite(model.user_factors_).all()


def test_factors_that_are_not_finite_are_told(monkeypatch):
    def diverged(side, fixed, n_jobs):
        return np.full((len(side.entries.indptr) - 1, len(fixed.squares)), np.nan, np.float32)

    model = ImplicitALS(factors=4, random_state=0).fit(matrix())
    before = copy.copy(model)
    monkeypatch.setattr(Side, "fold", diverged)
    with pytest.raises(FloatingPointError, match="not finite"):
        model.partial_fit(matrix())
    assert_same(model, before)


def test_a_change_names_all_that_has_changed(monkeypatch):
    changes, update = [], Popularity._update
    monkeypatch.setattr(Popularity, "_update", lambda model, change: (changes.append(change), update(model, change)))
    old = events([("ann", "x", 1), ("bob", "x", 1), ("bob", "y", 1), ("cid", "z", 1)])
    model = Popularity().fit(old)
    for change in (
        lambda: model.partial_fit(events([("cid", "x", 2), ("dan", "v", 1)], items=["x", "v", "nobody has it"])),
        lambda: model.update_users(["ann", "eve"], np.eye(2, 5), how="replace"),
        lambda: model.update_items(["x", "w"], np.eye(2, 5, 1), how="replace"),
    ):
        before, after = model.seen_.toarray(), change().seen_.toarray()
        rows, columns = np.subtract(after.shape, before.shape)
        grown = np.pad(before, ((0, rows), (0, columns)), constant_values=-1)
        assert set(np.flatnonzero((grown[:, : before.shape[1]] != after[:, : before.shape[1]]).any(axis=1))) <= set(
            changes[-1].users
        )
        assert set(range(before.shape[1], after.shape[1])) <= set(changes[-1].items)
        assert changes[-1].before.shape == after.shape


def test_facts_that_nobody_has_told_are_missing_and_not_zero():
    info = {"year": [1979, 1985], "seen": [True, False], "price": [1.5, 2.5], "title": ["X", "Y"]}
    model = Popularity().fit(events([("a", "x", 1), ("b", "y", 1)], item_info=info))
    grown = copy.copy(model).partial_fit(events([("a", "z", 1)]))
    for name in ("year", "seen", "price"):
        assert grown.item_info_[name][:2].tolist() == info[name]
        assert np.isnan(grown.item_info_[name][2])
    assert grown.item_info_["title"].tolist() == ["X", "Y", ""]
    told = {"year": [1900, 1990], "seen": [False, True]}
    grown = copy.copy(model).partial_fit(events([("a", "x", 1), ("a", "z", 1)], item_info=told))
    assert grown.item_info_["year"].dtype == np.int64
    assert grown.item_info_["year"].tolist() == [1979, 1985, 1990]
    assert grown.item_info_["seen"].tolist() == [True, False, True]


# -- the parts


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["sum", "last", "max", "replace"]), st.integers(1, 3))
def test_rows_are_spliced_as_the_plain_twin_does(seed, policy, jobs):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 9, 2)
    old = check_matrix((rng.random(shape) < 0.5) * rng.integers(1, 9, shape))
    rows = np.flatnonzero(rng.random(shape[0]) < 0.5).astype(np.int32)
    new = check_matrix((rng.random((len(rows), shape[1])) < 0.5) * rng.integers(1, 9, (len(rows), shape[1])))
    spliced = splice(old, rows, new, policy, jobs)
    assert as_dicts(spliced) == reference.splice(as_dicts(old), rows, as_dicts(new), policy)
    assert spliced.indptr.dtype == np.int64
    assert spliced.indices.dtype == np.int32
    check_canonical(spliced)


def as_dicts(matrix):
    bounds = matrix.indptr
    return [
        dict(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist(), strict=True)) for a, b in pairwise(bounds)
    ]


def test_many_rows_are_spliced_by_threads_as_by_one(monkeypatch):
    monkeypatch.setattr("fastrec.models.base.updating.PIECE", 10)
    old, new = check_matrix(matrix(0, 400, 60)), check_matrix(matrix(1, 130, 60))
    rows = np.sort(np.random.default_rng(0).permutation(400)[:130]).astype(np.int32)
    one, four = splice(old, rows, new, "sum"), splice(old, rows, new, "sum", 4)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one, part), getattr(four, part), strict=True)
    assert as_dicts(four) == reference.splice(as_dicts(old), rows, as_dicts(new), "sum")


def test_sums_that_float32_cannot_hold_and_pairs_that_may_not_repeat_are_refused():
    model = Popularity().fit([[3e38, 0], [1, 1]])
    with pytest.raises(ValueError, match="more than float32 holds"):
        model.update_users([0], [[3e38, 0]])
    strict = events([("a", "x", 1), ("b", "y", 1)], duplicates="error")
    model = Popularity().fit(strict)
    with pytest.raises(ValueError, match="known already"):
        model.update_users(["a"], strict[[0]])
    model.update_users(["a"], strict.matrix[[1]])
    assert model.seen_[[0]].toarray().tolist() == [[1, 1]]


@every
def test_an_item_that_loses_its_last_user_or_gets_its_first_is_answered_as_by_a_copy(kind):
    """Arrays derived of the items for an earlier question are not valid for these items any more."""
    X = matrix().toarray()
    X[:, 7] = 0
    X[4, 7] = 1  # the only user of this item
    X[:, 9] = 0
    model = quick(kind).fit(X)
    model.recommend(range(30), 20), model.similar_items(range(20), 19), model.recommend(X, 20)  # all is computed

    def answers(one):
        asked = (one.recommend(range(30), 20), one.recommend(X[:9], 20), one.similar_items(range(20), 19))
        return [part for top in asked for part in (top.codes, top.scores)]

    def agree():
        for own, copied in zip(answers(model), answers(pickle.loads(pickle.dumps(model))), strict=True):
            np.testing.assert_array_equal(own, copied)

    model.update_users([4], np.eye(1, 20, 3), how="replace")
    assert model.item_counts_[7] == 0
    agree()
    if not getattr(model, "item_features_", None) and kind.needs_history:
        assert 7 not in model.recommend(range(30), 20).codes
    if model.takes_new_items:
        model.update_users([5], np.eye(1, 20, 9), how="append")
        assert model.item_counts_[9] == 1
        agree()
