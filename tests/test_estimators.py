"""Checks that every estimator of fastrec.models must pass; they find the estimators themselves."""

import importlib
import inspect
import mmap
import pickle
import pkgutil
import sys
from collections.abc import Mapping

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.pipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastrec.models
from fastrec.data import Interactions
from fastrec.fields import fields_of
from fastrec.models import Recommender, estimators, load
from tests.choosing import choose
from tests.reference import tiny_factors  # the module registers its class

# Options that make an estimator quick and repeatable; each estimator gets those that it has.
QUICK = {
    "factors": 4, "iterations": 2, "random_state": 0, "n_jobs": 1, "epsilon": 100.0, "delta": 1e-3, "noise_seed": 0,
}  # fmt: skip
# Capabilities that are methods: a class claims those that it has, and no others.
METHODS = ("transform", "similar_users", "explain", "partial_fit")


def discovered():
    """Returns all public estimators, by a walk over the package's files."""
    found = {}
    for info in pkgutil.walk_packages(fastrec.models.__path__, "fastrec.models."):
        module = importlib.import_module(info.name)
        found |= {kind.__name__: kind for _, kind in inspect.getmembers(module, inspect.isclass)}
    concrete = {name: kind for name, kind in found.items() if not name.startswith("_") and not inspect.isabstract(kind)}
    return {name: kind for name, kind in concrete.items() if issubclass(kind, Recommender) and learns(kind)}


def learns(kind):
    """Tells whether the estimator is fitted; wrappers of a fitted model have tests of their own."""
    return getattr(kind, "learns", True)


def quick(kind, **options):
    return choose(kind(), {**QUICK, **options})


def fit(kind, X, **options):
    """Returns a fitted model that knows the users of X."""
    return knowing(quick(kind, **options).fit(X), X)


def knowing(model, X):
    """Returns the model, which gets the users of X if it keeps none."""
    return model if model.keeps_users else model.with_users(X)


def popularity(model):
    """Returns the values by which items are ranked for users whom the model cannot answer."""
    return model.item_counts_ if model.keeps_users else model.item_scores_


KINDS = list(estimators().values())
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


# Checks that scikit-learn's own Pipeline does not pass either, since its steps are fitted in place; and None for steps.
OF_PIPELINES = dict.fromkeys(
    ("check_dont_overwrite_parameters", "check_estimators_overwrite_params", "check_parameters_default_constructible"),
    "as scikit-learn's Pipeline",
)  # fmt: skip


@parametrize_with_checks(
    [quick(kind) for kind in KINDS],
    expected_failed_checks=lambda model: OF_PIPELINES if isinstance(model, sklearn.pipeline.Pipeline) else {},
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_no_estimator_escapes():
    found = discovered()
    assert found
    assert found.items() <= estimators().items()
    assert set(found) <= set(fastrec.models.__all__), "a public estimator is missing in fastrec.models"


# -- data


def random_matrix(n_users=30, n_items=20, seed=0, density=0.2):
    """Returns a matrix with counts, with an empty user, and one item without users."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((n_users, n_items)) < density) * rng.integers(1, 5, (n_users, n_items))
    dense[0, :3] = 1
    dense[np.arange(n_users), np.arange(n_users) % n_items] = 2
    dense[-1] = 0
    dense[:, -1] = 0
    dense[n_items - 1 :: n_items, 0] = 1
    dense[-1] = 0
    return sp.csr_array(dense.astype(np.float32))


def as_interactions(matrix, ids=str, **options):
    cells = matrix.tocoo()
    users = [ids(1000 + code) for code in range(matrix.shape[0])]
    items = [ids(10 + code) for code in range(matrix.shape[1])]
    return Interactions(cells.row, cells.col, cells.data, users=users, items=items, **options)


def in_order(kind, data):
    """Returns interactions with times, by their values, if the model needs an order: as it reads a plain matrix."""
    if not (kind.needs_order and isinstance(data, Interactions)) or data.times is not None:
        return data
    return Interactions(
        data.user_codes, data.item_codes, data.values, times=data.values.astype(np.int64), users=data.users,
        items=data.items, item_info=data.item_info, duplicates=data.duplicates,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    """Returns one fitted model of each kind, for tests that only ask."""
    models = {}

    def get(kind):
        if kind not in models:
            models[kind] = fit(kind, random_matrix())
        return models[kind]

    return get


@pytest.fixture(scope="module")
def fitted_with_ids():
    models = {}

    def get(kind, ids=str):
        if (kind, ids) not in models:
            models[kind, ids] = fit(kind, in_order(kind, as_interactions(random_matrix(), ids)))
        return models[kind, ids]

    return get


def same(a, b):
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.fallback, b.fallback)


def learned(model):
    return {name: vars(model)[name] for name in fields_of(type(model)) if name in vars(model)}


def options_of(model):
    """Returns the options of a model; those of the steps of a Pipeline by their names, in place of the steps."""
    return {
        name: value
        for name, value in model.get_params().items()
        if name != "steps" and not hasattr(value, "get_params")
    }


def assert_same_learned(first, second):
    first, second = learned(first), learned(second)
    assert first.keys() == second.keys()
    for name, value in first.items():
        other = second[name]
        if sp.issparse(value):
            assert value.shape == other.shape, name
            for part in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(getattr(value, part), getattr(other, part), strict=True)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, other, strict=True, err_msg=name)
        elif isinstance(value, Mapping):  # of columns, or arrays
            assert list(value) == list(other)
            for column, values in value.items():
                np.testing.assert_array_equal(values, other[column], err_msg=f"{name} {column}")
        else:
            assert value == other, name


# -- learning


@every
def test_capabilities_are_what_there_is(kind):
    assert kind.capabilities == {name for name in METHODS if hasattr(kind(), name)}


@every
def test_refit_is_identical_bit_for_bit(kind):
    X = random_matrix()
    model = quick(kind).fit(X)
    assert_same_learned(model, quick(kind).fit(X))
    assert_same_learned(model, clone(model).fit(X))
    before = learned(model)
    model.fit(random_matrix(seed=1)).fit(X)
    assert_same_learned(model, quick(kind).fit(X))
    assert before.keys() == learned(model).keys()


@every
def test_number_of_threads_changes_nothing(kind):
    X = random_matrix(200, 50)
    one, two = fit(kind, X, n_jobs=1), fit(kind, X, n_jobs=2)
    assert_same_learned(one, two)
    same(one.recommend(range(200)), two.recommend(range(200)))


@every
def test_inputs_are_not_changed_nor_kept(kind):
    X = random_matrix()
    before = X.copy()
    model = fit(kind, X)
    expected = model.recommend(range(30))
    model.recommend(X), model.predict(X), model.score(X), model.predict_pairs(X[:2], [0, 1])
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(X, part), getattr(before, part), strict=True)
        getattr(X, part)[:] = 0
    same(model.recommend(range(30)), expected)


@every
def test_learned_arrays_cannot_be_written_to(kind, fitted):
    for value in learned(pickle.loads(pickle.dumps(fitted(kind)))).values():
        for array in (value.data, value.indices, value.indptr) if sp.issparse(value) else (value,):
            if isinstance(array, np.ndarray):
                assert not array.flags.writeable
                assert array.flags.c_contiguous
                assert array.flags.aligned


@every
@pytest.mark.parametrize(
    "form",
    [
        sp.coo_array,
        sp.csc_array,
        sp.csr_matrix,
        sp.lil_array,
        lambda X: X.toarray(),
        lambda X: np.asfortranarray(X.toarray()),
        lambda X: X.toarray().tolist(),
        lambda X: X.astype(np.float64),
        lambda X: X.astype(np.int64),
        lambda X: np.repeat(X.toarray(), 2, axis=1)[:, ::2],
        lambda X: with_long_indices(X),
        lambda X: without_writing(X),
        lambda X: with_rows_in_disorder(X),
        lambda X: with_split_entries(X),
        lambda X: as_interactions(X, int),
    ],
    ids=[
        *("coo", "csc", "csr_matrix", "lil", "dense", "fortran", "lists", "float64", "int64", "strided", "longs"),
        *("readonly", "disorder", "split", "data"),
    ],
)
def test_every_form_of_a_matrix_is_the_same(kind, form, fitted):
    model = fit(kind, in_order(kind, form(random_matrix())))
    expected = fitted(kind)
    for name in ("seen_", "item_counts_"):
        value, other = getattr(expected, name), getattr(model, name)
        assert (abs(value - other)).sum() == 0
    users = range(30) if model.users_ is None else model.users_.ids
    same(model.recommend(users), expected.recommend(range(30)))


def with_long_indices(X):
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def without_writing(X):
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    return X


def with_rows_in_disorder(X):
    X = X.copy()
    for start, stop in zip(X.indptr, X.indptr[1:], strict=False):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    X.has_sorted_indices = True  # it is not
    return X


def with_split_entries(X):
    X = X.tocoo()
    rows, columns, values = (np.concatenate([part, part]) for part in (X.row, X.col, X.data / 2))
    return sp.coo_array((values, (rows, columns)), shape=X.shape)


@every
def test_failed_fit_leaves_the_model_as_it_was(kind):
    bad = random_matrix().toarray()
    bad[3, 4] = np.nan
    model = quick(kind)
    with pytest.raises(ValueError, match="NaN in row 3, column 4"):
        model.fit(bad)
    with pytest.raises(NotFittedError):
        model.recommend(0)
    model.fit(random_matrix())
    state = dict(vars(model))
    with pytest.raises(ValueError, match="row 3, column 4"):
        model.fit(bad)
    assert vars(model).keys() == state.keys()
    assert all(vars(model)[name] is value for name, value in state.items())


# -- asking


@every
def test_batch_equals_its_rows_one_by_one(kind, fitted):
    model, X = fitted(kind), random_matrix()
    batch, folded = model.recommend(range(30), 7), model.recommend(X, 7)
    near = model.similar_items(range(20), 5)
    pairs = model.predict_pairs(np.repeat(np.arange(30), 20), np.tile(np.arange(20), 30)).reshape(30, 20)
    for row in range(30):
        same(model.recommend(row, 7), batch[row])
        same(model.recommend(X[[row]], 7), folded[row])
        np.testing.assert_array_equal(model.predict_pairs(row, range(20)), pairs[row])
    for row in range(20):
        same(model.similar_items(row, 5), near[row])
    if "transform" in kind.capabilities:
        vectors = model.transform(X)
        for row in range(30):
            np.testing.assert_array_equal(model.transform(X[[row]])[0], vectors[row])


@every
def test_histories_of_training_users_are_answered_as_they_are(kind, fitted):
    same(fitted(kind).recommend(random_matrix()), fitted(kind).recommend(range(30)))


@every
def test_scores_are_those_of_the_pairs(kind, fitted):
    model = fitted(kind)
    top = model.recommend(range(29), 5)
    rows, places = np.nonzero(top.valid & ~top.fallback[:, None])
    pairs = model.predict_pairs(rows, top.codes[rows, places])
    np.testing.assert_allclose(pairs, top.scores[rows, places], rtol=2e-7)


@every
def test_recommendations_are_the_best_that_are_left(kind, fitted):
    model, X = fitted(kind), random_matrix().toarray()
    top = model.recommend(range(29), 20, exclude_seen=True)
    for user in range(29):
        scores = model.predict_pairs(user, range(20))
        open_items = [item for item in range(19) if not X[user, item]]  # item 19 has no event
        best = sorted(open_items, key=lambda item: (-scores[item], item))
        assert top.codes[user][top.valid[user]].tolist() == best


@every
def test_predict_is_the_best_item_outside_the_row(kind, fitted):
    model, X = fitted(kind), random_matrix()
    np.testing.assert_array_equal(model.predict(X), model.recommend(X, 1).codes[:, 0])


@every
@pytest.mark.parametrize("ids", [int, str])
def test_ids_go_in_and_come_out(kind, ids, fitted, fitted_with_ids):
    coded, model = fitted(kind), fitted_with_ids(kind, ids)
    expected = coded.recommend([4, 2], 30)
    top = model.recommend([ids(1004), ids(1002)], 30)
    same(top, expected)
    assert top.users.tolist() == [ids(1004), ids(1002)]
    for row in range(2):
        valid = top.valid[row]
        assert top.items[row][valid].tolist() == [ids(10 + code) for code in top.codes[row][valid]]
    assert model.recommend(ids(1004)).users.tolist() == [ids(1004)]
    np.testing.assert_array_equal(
        model.predict_pairs([ids(1004)], [ids(10), ids(11)]), coded.predict_pairs([4], [0, 1])
    )
    near = model.similar_items(ids(12), 3)
    same(near, coded.similar_items(2, 3))
    assert near.users.tolist() == [ids(12)]
    if "similar_users" in kind.capabilities:
        near = model.similar_users(ids(1004), 3)
        same(near, coded.similar_users(4, 3))
        assert near.items.tolist() == [[ids(1000 + code) for code in near.codes[0]]]


@every
def test_cold_items_are_never_recommended(kind, fitted):
    model = fitted(kind)
    assert 19 not in model.recommend(range(30), 20).codes
    assert 19 not in model.recommend(range(30), 20, exclude_seen=False, allow=[19, 3]).codes
    assert 19 not in model.similar_items(range(20), 20).codes
    assert not model.similar_items(19, 3).valid.any()


@every
def test_similar_items_leave_the_item_itself_out(kind, fitted):
    near = fitted(kind).similar_items(range(19), 18)
    assert not (near.codes == np.arange(19)[:, None]).any()
    assert (near.scores[:, 1:] <= near.scores[:, :-1]).all()


@every
def test_empty_history_is_answered_by_popularity_or_refused(kind, fitted, fitted_with_ids):
    model, X = fitted(kind), random_matrix()
    popular = np.argsort(-popularity(model), kind="stable")[:5]
    top = model.recommend([29, 0], 5)
    folded = model.recommend(sp.csr_array((1, 20), dtype=np.float32), 5)
    assert model.predict(X)[29] == top.codes[0, 0]
    if not kind.needs_history:
        assert not top.fallback.any()
        return
    assert top.fallback.tolist() == [True, False]
    assert folded.fallback.tolist() == [True]
    assert top.codes[0].tolist() == folded.codes[0].tolist() == popular.tolist()
    assert top.scores[0].tolist() == popularity(model)[popular].tolist()
    with pytest.raises(ValueError, match="user 29 has no history"):
        model.recommend([0, 29], on_empty="error")
    with pytest.raises(ValueError, match="user '1029' has no history"):
        fitted_with_ids(kind).recommend(["1000", "1029"], on_empty="error")


@every
def test_unknown_users_are_refused_left_out_or_shown_what_is_popular(kind, fitted_with_ids):
    model = fitted_with_ids(kind)
    with pytest.raises(ValueError, match="nobody"):
        model.recommend(["1004", "nobody"])
    skipped = model.recommend(["nobody", "1004", "1002"], 4, on_unknown="skip", deny=[["10"], ["13"], ["14"]])
    assert skipped.users.tolist() == ["1004", "1002"]
    same(skipped, model.recommend(["1004", "1002"], 4, deny=[["13"], ["14"]]))
    popular = np.argsort(-popularity(model), kind="stable")
    top = model.recommend(["nobody", "1004"], 4, on_unknown="popular", on_empty="error")
    assert top.fallback.tolist() == [True, False]
    assert top.users.tolist() == ["nobody", "1004"]
    assert top.codes[0].tolist() == popular[:4].tolist()
    same(top[1:], model.recommend("1004", 4))
    denied = model.recommend("nobody", 4, on_unknown="popular", deny=[model.items_.ids[popular[0]]])
    assert denied.codes[0].tolist() == popular[1:5].tolist()
    assert len(model.recommend("nobody", on_unknown="skip")) == 0


@every
def test_unknown_items_in_filters(kind, fitted_with_ids):
    model = fitted_with_ids(kind)
    with pytest.raises(ValueError, match=r"deny: .*gone"):
        model.recommend("1004", deny=["10", "gone"])
    same(model.recommend("1004", deny=["10", "gone"], on_unknown="skip"), model.recommend("1004", deny=["10"]))


@every
def test_filters_in_all_their_forms(kind, fitted, fitted_with_ids):
    model, ids = fitted(kind), fitted_with_ids(kind)
    lists = [[1, 5, 5, 9], [], [0]]
    matrix = sp.csr_array(([1.0] * 4, ([0, 0, 0, 2], [1, 5, 9, 0])), shape=(3, 20))
    for option in ("allow", "deny"):
        expected = model.recommend([4, 2, 3], 20, **{option: lists})
        same(expected, model.recommend([4, 2, 3], 20, **{option: matrix}))
        same(expected, model.recommend([4, 2, 3], 20, **{option: [np.array(row, int) for row in lists]}))
        named = [[str(10 + item) for item in row] for row in lists]
        same(expected, ids.recommend(["1004", "1002", "1003"], 20, **{option: named}))
        for row, user in enumerate([4, 2, 3]):
            same(expected[row], model.recommend(user, 20, **{option: lists[row]}))
            same(expected[row], model.recommend(user, 20, **{option: set(lists[row])}))
        same(model.recommend([4, 2], **{option: 3}), model.recommend([4, 2], **{option: [3]}))
    with pytest.raises(ValueError, match="one list of items for each of 2 users, got 3"):
        model.recommend([4, 2], deny=lists)
    with pytest.raises(ValueError, match="row for each user"):
        model.recommend([4, 2], allow=matrix)


@every
def test_nothing_left_gives_rows_of_nothing(kind, fitted):
    model = fitted(kind)
    for options in ({"allow": []}, {"deny": range(20)}, {"allow": [3], "deny": [3]}, {"allow": [[], []]}):
        top = model.recommend([0, 29], 5, **options)
        assert (top.codes == -1).all()
        assert np.isneginf(top.scores).all()


@every
def test_k_beyond_the_items_pads(kind, fitted):
    top = fitted(kind).recommend([0, 29], 50, exclude_seen=True)
    assert top.codes.shape == (2, 50)
    assert top.valid[0].sum() == 19 - fitted(kind).seen_[[0]].nnz
    assert (top.codes[~top.valid] == -1).all()
    assert np.isneginf(top.scores[~top.valid]).all()


@every
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_recommendations_are_never_seen_denied_repeated_or_made_up(kind, data, fitted):
    model, X = fitted(kind), random_matrix().toarray()
    users = data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=6))
    items = st.lists(st.integers(0, 19), max_size=12)
    filters = st.none() | items | st.lists(items, min_size=len(users), max_size=len(users))
    allow, deny = data.draw(filters), data.draw(filters)
    k, exclude_seen = data.draw(st.integers(1, 25)), data.draw(st.booleans())
    by_history = data.draw(st.booleans())
    asked = sp.csr_array(X[users]) if by_history else users
    top = model.recommend(asked, k, exclude_seen=exclude_seen, allow=allow, deny=deny)
    assert top.codes.shape == (len(users), k)
    for row, user in enumerate(users):
        codes = top.codes[row][top.valid[row]].tolist()
        only = of_row(allow, row, range(20))
        never = set(of_row(deny, row, [])) | ({i for i in range(20) if X[user, i]} if exclude_seen else set())
        possible = set(only) - never - {19}
        assert set(codes) <= possible
        assert len(codes) == len(set(codes)) == min(k, len(possible))
        assert (top.codes[row][len(codes) :] == -1).all()


def of_row(filters, row, otherwise):
    if filters is None:
        return otherwise
    return filters[row] if filters and isinstance(filters[0], list) else filters


# -- bad input


@every
def test_not_fitted(kind):
    model = quick(kind)
    asks = [
        lambda: model.recommend(0),
        lambda: model.recommend(random_matrix()),
        lambda: model.predict(random_matrix()),
        lambda: model.predict_pairs(0, 0),
        lambda: model.similar_items(0),
        lambda: model.score(random_matrix()),
        lambda: model.save("nowhere"),
    ]
    for ask in (
        asks
        + [lambda name=name: getattr(model, name)(random_matrix()) for name in ("transform",)][
            : "transform" in kind.capabilities
        ]
    ):
        with pytest.raises(NotFittedError):
            ask()


@every
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_with_their_place(kind, value, fitted):
    X = random_matrix()
    row = int(np.searchsorted(X.indptr, 40, side="right")) - 1
    column = int(X.indices[40])
    X.data[40] = value
    for ask in (quick(kind).fit, fitted(kind).recommend, fitted(kind).predict, fitted(kind).score):
        with pytest.raises(ValueError, match=f"row {row}, column {column}"):
            ask(X)


@every
def test_negative_values_are_refused_or_data(kind):
    X = random_matrix().toarray()
    X[2, 6] = -1
    if quick(kind).takes_negatives:
        assert fit(kind, X).seen_[2, 6] == -1
    else:
        with pytest.raises(ValueError, match="row 2, column 6"):
            quick(kind).fit(X)


@every
def test_stored_zeros_of_a_matrix_are_no_entries(kind):
    X = random_matrix()
    X.data[7] = 0
    assert fit(kind, X).seen_.nnz == X.nnz - 1


@every
@pytest.mark.parametrize("code", [-1, 30, 2**40])
def test_codes_out_of_range_are_refused(kind, code, fitted):
    model = fitted(kind)
    asks = [
        lambda: model.recommend(code),
        lambda: model.recommend([0, code], on_unknown="popular"),
        lambda: model.recommend(0, deny=[code]),
        lambda: model.recommend(0, allow=[[0, code]]),
        lambda: model.predict_pairs([0], [code]),
        lambda: model.predict_pairs([code], [0]),
        lambda: model.similar_items(code),
    ]
    for ask in asks:
        with pytest.raises(ValueError, match=f"must be codes from 0 to .*got {code}"):
            ask()


@every
def test_wrong_kinds_of_ids_are_refused(kind, fitted, fitted_with_ids):
    for bad in ("u1", 1.0, [0.5], [True]):
        with pytest.raises((TypeError, ValueError)):
            fitted(kind).recommend(bad)
    for bad in (1000, [1000], [1.0], [None]):
        with pytest.raises((TypeError, ValueError)):
            fitted_with_ids(kind).recommend(bad)


@every
def test_k_below_one_is_refused(kind, fitted):
    for ask in (fitted(kind).recommend, fitted(kind).similar_items):
        with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
            ask(0, 0)
        with pytest.raises(TypeError, match="k must be an integer"):
            ask(0, 1.5)


@every
def test_another_width_is_refused_and_a_transposed_matrix_named(kind, fitted):
    model = fitted(kind)
    for ask in (model.recommend, model.predict, model.score):
        with pytest.raises(ValueError, match=f"X has 21 features, but {kind.__name__} is expecting 20"):
            ask(random_matrix(5, 21))
        with pytest.raises(ValueError, match="looks transposed"):
            ask(random_matrix().T)


@every
def test_other_vocabularies_are_refused_and_transposed_ones_named(kind, fitted_with_ids):
    model = fitted_with_ids(kind)
    data = as_interactions(random_matrix())
    turned = Interactions(data.item_codes, data.user_codes, data.values, users=data.items, items=data.users)
    other = Interactions(data.user_codes, data.item_codes, users=data.users, items=[f"x{i}" for i in range(20)])
    for ask in (model.recommend, model.predict, model.score):
        with pytest.raises(ValueError, match="looks transposed"):
            ask(turned)
        with pytest.raises(ValueError, match="another item vocabulary"):
            ask(other)


@every
def test_wrong_choices_are_refused(kind, fitted):
    for options in ({"on_unknown": "ignore"}, {"on_empty": "skip"}):
        with pytest.raises(ValueError, match="must be one of"):
            fitted(kind).recommend(0, **options)
    with pytest.raises(TypeError, match="exclude_seen must be True or False"):
        fitted(kind).recommend(0, exclude_seen="yes")


@every
def test_options_of_other_libraries_are_named_as_here(kind, fitted):
    model = fitted(kind)
    for wrong, right in (("N", "k"), ("filter_already_liked_items", "exclude_seen"), ("filter_items", "deny")):
        with pytest.raises(TypeError, match=f"has no option '{wrong}'; here it is called '{right}'"):
            model.recommend(0, **{wrong: 3})
    with pytest.raises(TypeError, match=f"{kind.__name__}.* has no option 'nothing_like_it'"):
        kind(nothing_like_it=1)
    for wrong, right in (("n_factors", "factors"), ("num_threads", "n_jobs"), ("seed", "random_state")):
        if right in model.get_params():
            with pytest.raises(TypeError, match=f"has no option '{wrong}'; here it is called '{right}'"):
                kind(**{wrong: 3})


@every
def test_calls_and_attributes_of_other_libraries_are_named_as_here(kind, fitted):
    model = fitted(kind)
    with pytest.raises(TypeError, match=r"recommend\(\) cannot be called so: call recommend\(users, k=10\)"):
        model.recommend([0], sp.csr_array((1, 20), dtype=np.float32))
    with pytest.raises(TypeError, match=r"predict\(\) cannot be called so: call predict_pairs"):
        model.predict([0], [1])
    with pytest.raises(AttributeError, match="no attribute 'most_similar'; here it is called 'similar_items'"):
        model.most_similar  # noqa: B018
    if hasattr(model, "user_factors_") and "user_factors" not in model.get_params():
        with pytest.raises(AttributeError, match="no attribute 'user_factors'; here it is called 'user_factors_'"):
            model.user_factors  # noqa: B018
    if "random_state" in model.get_params():
        with pytest.raises(TypeError, match=rf"fit\(\) has no option 'seed'; .* {kind.__name__}\(random_state=…\)"):
            model.fit(np.ones((3, 4)), seed=3)
    with pytest.raises(AttributeError, match=r"no attribute 'nothing_like_it'$"):
        model.nothing_like_it  # noqa: B018


@every
def test_nobody_asked_is_nobody_answered(kind, fitted):
    model = fitted(kind)
    for nobody in ([], np.empty(0, int), sp.csr_array((0, 20), dtype=np.float32)):
        assert model.recommend(nobody, 3).codes.shape == (0, 3)
    assert model.predict_pairs([], []).shape == (0,)
    assert model.similar_items([], 3).codes.shape == (0, 3)


FEW_LABELS = pytest.mark.filterwarnings("ignore:TwoStage found too few users with a label")


@every
@FEW_LABELS
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 3)])
def test_smallest_data(kind, shape):
    model = fit(kind, np.ones(shape, np.float32))
    assert (model.recommend(range(shape[0]), 3, exclude_seen=True).codes == -1).all()
    if kind.keeps_users:  # otherwise one user's items need not stand out of the noise
        assert model.recommend([0], 3, exclude_seen=False).valid.sum() == min(3, shape[1])


@every
@FEW_LABELS
def test_data_without_any_entry(kind):
    model = fit(kind, sp.csr_array((3, 4), dtype=np.float32))
    assert not model.recommend([0, 1, 2], 2).valid.any()
    assert np.isnan(model.score(sp.csr_array((3, 4), dtype=np.float32)))
    histories = np.eye(2, 4, dtype=np.float32)  # of users whom the model has never seen
    assert model.recommend(histories, k=2).codes.shape == (2, 2)


@every
def test_values_at_the_end_of_float32_are_answered_or_named(kind):
    if kind is tiny_factors.TinyFactors:
        pytest.skip("it is written for clarity alone")
    X = random_matrix()
    X.data[:] = 3e38
    try:
        model = fit(kind, X)
        scores = [model.recommend(range(29)).scores, model.predict_pairs(0, range(19))]
        if "explain" in kind.capabilities:
            scores.append(np.array(model.explain(0, 7).score))
    except FloatingPointError:
        return
    assert all((part < np.inf).all() for part in scores)


# -- score and explain


@every
def test_score_hides_the_same_part_in_any_order_of_rows(kind, fitted):
    model, X = fitted(kind), random_matrix()
    score = model.score(X)
    assert 0 <= score <= 1
    assert model.score(X[np.random.default_rng(0).permutation(30)]) == pytest.approx(score, rel=1e-12)
    assert model.score(in_order(kind, as_interactions(X, int))) == score


@every
def test_score_against_given_truth(kind, fitted, fitted_with_ids):
    model, X = fitted(kind), random_matrix()
    best = model.predict(X)
    assert model.score(X, best) == 1.0
    truth = sp.csr_array((np.ones(30), (np.arange(30), best)), shape=X.shape)
    assert model.score(X, truth) == 1.0
    worst = model.recommend(X, 20)
    last = np.array([codes[valid][-1] for codes, valid in zip(worst.codes, worst.valid, strict=True)])
    assert model.score(X, last) < 0.5
    with pytest.raises(ValueError, match="y must have 30 rows"):
        model.score(X, best[:3])
    named = fitted_with_ids(kind)
    assert named.score(in_order(kind, as_interactions(X)), named.items_.decode(best)) == 1.0


@every
def test_explanations_sum_up_to_the_score(kind, fitted, fitted_with_ids):
    if "explain" not in kind.capabilities:
        pytest.skip("it explains nothing")
    model = fitted(kind)
    reasons = model.explain(4, 7)
    assert sorted(reasons.items.tolist()) == model.seen_[[4]].indices.tolist()
    assert reasons.score == pytest.approx(float(model.predict_pairs(4, 7)[0]), rel=1e-3, abs=1e-5)
    assert reasons.contributions.sum() == pytest.approx(reasons.score, rel=1e-3, abs=1e-5)
    assert (np.diff(reasons.contributions) <= 0).all()
    assert model.explain(4, 7, k=1).items.tolist() == reasons.items[:1].tolist()
    assert model.explain(random_matrix()[[4]], 7).score == reasons.score
    named = fitted_with_ids(kind).explain("1004", "17")
    assert named.items.tolist() == [str(10 + code) for code in reasons.items]
    with pytest.raises(ValueError, match="takes one user and one item"):
        model.explain([1, 2], 3)


# -- copies and files


@every
def test_pickle_and_clone(kind, fitted):
    model = fitted(kind)
    model.recommend(0)  # derived arrays are not copied
    again = pickle.loads(pickle.dumps(model))
    assert_same_learned(again, model)
    same(again.recommend(range(30)), model.recommend(range(30)))
    assert options_of(clone(model)) == options_of(model)
    assert not learned(clone(model))


@every
@pytest.mark.parametrize("verify", [True, "header"])
@pytest.mark.parametrize("ids", [None, int, str])
def test_save_and_load_are_exact(kind, verify, ids, tmp_path):
    X = random_matrix()
    info = {
        "title": [f"Títle {item}" for item in range(20)],
        "year": np.arange(20) + 1990,
        "genres": np.array([["a"], None] * 10, object),
        "out": np.arange(20).astype("datetime64[D]"),
    }
    data = X if ids is None else in_order(kind, as_interactions(X, ids, item_info=info))
    model = quick(kind, noise_seed=None).fit(data)
    model.save(tmp_path / "model.fastrec")
    again = load(tmp_path / "model.fastrec", verify=verify)
    assert type(again) is kind
    assert options_of(again) == options_of(model)
    assert_same_learned(again, model)
    saved, model, again = again, knowing(model, data), knowing(again, data)
    users = range(30) if ids is None else model.users_.ids
    top = again.recommend(users)
    same(top, model.recommend(users))
    if ids is not None:
        assert top.to_frame().equals(model.recommend(users).to_frame())
    same(again.recommend(X), model.recommend(X))
    same(
        again.similar_items(model.items_.ids[:3] if ids else [0, 1, 2]),
        model.similar_items(model.items_.ids[:3] if ids else [0, 1, 2]),
    )
    if sys.platform == "win32":  # on systems where a mapped file cannot be replaced
        with pytest.raises(PermissionError, match="cannot be replaced while"):
            saved.save(tmp_path / "model.fastrec")
    else:
        saved.save(tmp_path / "model.fastrec")
        assert_same_learned(load(tmp_path / "model.fastrec"), saved)
    assert knowing(saved.fit(random_matrix(seed=1)), random_matrix(seed=1)).recommend(0).valid.any()


@every
def test_loaded_arrays_are_memory_mapped_and_aligned(kind, fitted, tmp_path):
    model = fitted(kind) if kind.keeps_users else quick(kind, noise_seed=None).fit(random_matrix())
    model.save(tmp_path / "model.fastrec")
    for value in learned(load(tmp_path / "model.fastrec")).values():
        for array in (value.data, value.indices, value.indptr) if sp.issparse(value) else (value,):
            if isinstance(array, np.ndarray) and array.size:
                owner = array
                while isinstance(owner, np.ndarray):
                    owner = owner.base
                assert isinstance(owner.obj if isinstance(owner, memoryview) else owner, mmap.mmap)
                assert array.ctypes.data % 64 == 0
                assert not array.flags.writeable
