"""A single user gets the same bits as among many, from every model and every wrapper of models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.arrays import readonly
from fastrec.matrix.sequences import HistoryRow
from fastrec.models import FixedFactors, ImplicitALS, ItemKNN, SequenceRules
from fastrec.models.base.audience import Audience
from fastrec.models.base.single import Single
from tests.models.composed.test_reranked import DATA, wrappers
from tests.test_estimators import KINDS, as_interactions, every, fit, fitted, in_order, quick, random_matrix  # noqa: F401


def assert_as_among_many(model, who, k, only=None):
    audience = who.audience(model)
    wanted = None if only is None else model.item_filter(audience).within(only)
    one, many = model.answer_one(who, k, only), model.answer(audience, k, wanted)
    np.testing.assert_array_equal(one.codes, many.codes[0], strict=True)
    np.testing.assert_array_equal(one.scores, many.scores[0], strict=True)
    assert one.fallback is bool(many.fallback[0])


def row_of(items, order=None):
    """Returns a history of items by their codes, whose values rise with the codes."""
    codes = np.unique(np.array(items, np.int32))
    values = np.arange(1, len(codes) + 1, dtype=np.float32)
    order = np.arange(len(codes), dtype=np.int32)[::-1] if order else None
    return HistoryRow(readonly(codes), readonly(values), order)


def ask_everything(model, items, k):
    """Asks for a known user, an unknown one, one without a history, and for a given history."""
    some = np.arange(model.n_features_in_) % 3 > 0
    for code in [-1, *range(model.seen_.shape[0])]:
        assert_as_among_many(model, Single(code), k)
        assert_as_among_many(model, Single(code), k, some if code % 2 else ~some)
    for order in (False, True) if model.reads_order else (False,):
        history = Single(history=row_of(items, order))
        assert_as_among_many(model, history, k)
        vectors = model.fold_in(history.audience(model))
        if vectors is not None:
            assert_as_among_many(model, history._replace(vectors=readonly(vectors)), k)


@every
@settings(max_examples=6, deadline=None)
@given(items=st.lists(st.integers(0, 19), max_size=12), k=st.integers(1, 30))
def test_every_model_answers_one_as_many(kind, fitted, items, k):  # noqa: F811
    ask_everything(fitted(kind), items, k)


@pytest.mark.parametrize("name", wrappers())
@settings(max_examples=3, deadline=None)
@given(items=st.lists(st.integers(0, 59), max_size=12), k=st.sampled_from([1, 5, 100]))
def test_wrappers_of_models_answer_one_user_as_many(name, made, items, k):
    ask_everything(made(name), items, k)


@pytest.fixture(scope="module")
def made():
    models, kinds = {}, wrappers()
    return lambda name: models.get(name) or models.setdefault(name, kinds[name]())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "recency" in kind().get_params()])
def test_those_that_fade_do_it_for_one_too(kind):
    data = as_interactions(random_matrix())
    data = in_order(kind, data)._replace(times=np.random.default_rng(1).permutation(data.n_interactions))
    model = fit(kind, data, recency=0.6)
    ask_everything(model, [3, 1, 8], 4)


def test_users_without_a_history_are_answered_by_what_else_is_known_of_them():
    features = np.kron(np.eye(3), np.ones((10, 1)))
    model = quick(ImplicitALS).fit(random_matrix(), user_features=features)
    assert not model.answer_one(Single(29), 3).fallback  # its row is empty
    ask_everything(model, [2], 3)
    given = np.random.default_rng(0)
    ask_everything(FixedFactors(given.normal(size=(30, 4)), given.normal(size=(20, 4))).fit(random_matrix()), [2], 3)


def test_events_of_value_0_were_had_and_are_no_history():
    data = DATA._replace(values=np.where(DATA.item_codes % 2, 1.0, 0.0))
    for model in (ImplicitALS(4, iterations=1, random_state=0), ItemKNN(5)):
        ask_everything(model.fit(data), [1, 2], 5)
    nothing = Single(history=HistoryRow(*map(readonly, (np.array([4], np.int32), np.zeros(1, np.float32))), None))
    assert_as_among_many(model, nothing, 5)
    assert model.answer_one(nothing, 5).fallback


def test_a_large_catalogue_with_cold_items_is_scanned_in_bytes():
    rng = np.random.default_rng(0)
    X = rng.random((40, 3000)) < 0.02
    model = ImplicitALS(32, iterations=1, random_state=0).fit(X)
    assert model.recommendable_items() is not None
    for k in (1, 10, 200, 1000):
        ask_everything(model, [5, 1000, 2999], k)


def test_an_approximate_index_is_asked_by_one_too():
    rng = np.random.default_rng(0)
    model = FixedFactors(rng.normal(size=(50, 8)), rng.normal(size=(3000, 8))).fit(rng.random((50, 3000)) < 0.01)
    ask_everything(model.build_index(), [7], 10)


def test_events_taken_in_place_count_at_once():
    data = DATA._replace(times=np.arange(DATA.n_interactions))
    model = SequenceRules().fit(data).partial_fit(DATA.select(np.array([0]))._replace(times=np.array([10**6])))
    ask_everything(model, [3, 4], 5)


def test_a_single_user_is_an_audience_of_one():
    model = ItemKNN(5).fit(DATA)
    known = Single(3).audience(model)
    assert (known.codes.tolist(), known.given) == ([3], None)
    given = Single(history=row_of([5, 2])).audience(model)
    assert isinstance(given, Audience)
    assert given.given.toarray()[0, [2, 5]].tolist() == [1, 2]
    assert Single(-1).row(model) is None
    assert Single(3).row(model).codes.tolist() == model.seen_[[3]].indices.tolist()
