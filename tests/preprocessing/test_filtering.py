import importlib.util
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastrec import Binarize, Cap, Interactions, KCore


def _load_reference():
    path = Path(__file__).parents[1] / "reference" / "interactions.py"
    spec = importlib.util.spec_from_file_location("reference_interactions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load_reference()


@parametrize_with_checks([KCore(), KCore(user=1, item=1), KCore(user=2, item=3), Binarize(), Binarize(at=0.5)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60)


def interactions(pairs):
    users, items = zip(*pairs, strict=True) if pairs else ((), ())
    return Interactions(users, items, range(1, len(pairs) + 1), users=range(10), items=range(10))


@given(PAIRS, st.integers(1, 4), st.integers(1, 4))
def test_the_core_is_what_taking_away_leaves(pairs, user, item):
    data = interactions(pairs)
    core = reference.core(pairs, user, item)
    filtered = KCore(user, item).fit_transform(data)
    assert set(zip(filtered.user_codes.tolist(), filtered.item_codes.tolist(), strict=True)) == core
    # Every interaction of a pair in the core stays with its value, repeated ones included.
    assert filtered.values.tolist() == [n for n, pair in enumerate(pairs, 1) if pair in core]
    assert filtered.shape == data.shape
    assert filtered.items is data.items


def test_a_long_chain_is_taken_away_to_its_end():
    # Each user holds the next item by two threads, the last one by one: all fall, one after the other.
    n = 3000
    users = np.repeat(np.arange(n), 2)
    items = np.column_stack([np.arange(n), np.arange(n) + 1]).ravel()
    data = Interactions(users, items)
    assert KCore(user=2, item=2).fit_transform(data).n_interactions == 0
    ring = Interactions(users, items % n)
    assert KCore(user=2, item=2).fit_transform(ring).n_interactions == 2 * n


@given(PAIRS, st.integers(1, 4), st.integers(1, 4))
def test_all_kinds_of_x_give_the_same_cells(pairs, user, item):
    data = interactions(pairs)
    expected = KCore(user, item).fit_transform(data).matrix.toarray()
    dense = data.matrix.toarray()
    for X in (dense, dense.astype(np.float64, order="F"), sparse.csr_matrix(dense), sparse.coo_array(dense)):
        result = KCore(user, item).fit_transform(X)
        assert sparse.issparse(result) == sparse.issparse(X)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result.toarray() if sparse.issparse(result) else result, expected)


def test_new_users_keep_the_items_of_the_core_however_few():
    train = Interactions([0, 0, 1, 1, 2], [0, 1, 0, 1, 2], users=["a", "b", "c"], items=[5, 6, 7])
    core = KCore(user=2, item=2).fit(train)
    assert core.item_mask_.tolist() == [True, True, False]
    new = Interactions([0, 0, 0, 1, 1], [0, 1, 2, 0, 2], users=["x", "y"], items=[5, 6, 7])
    assert core.transform(new).matrix.toarray().tolist() == [[1, 1, 0], [1, 0, 0]]


def test_a_filter_fitted_on_other_items_refuses():
    core = KCore(1, 1).fit(Interactions([0], [0], items=["a"]))
    with pytest.raises(ValueError, match="fitted on other items"):
        core.transform(Interactions([0], [0], items=["b"]))
    with pytest.raises(ValueError, match="features"):
        core.transform(np.ones((1, 2)))


@pytest.mark.parametrize("filter", [KCore(), Binarize()])
def test_unfitted_filters_say_so(filter):
    with pytest.raises(NotFittedError):
        filter.transform(np.ones((1, 1)))


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        (KCore(user=0), "KCore.user must be an integer of at least 1, got 0"),
        (KCore(item=1.5), "KCore.item must be an integer of at least 1, got 1.5"),
        (Binarize(at="four"), "Binarize.at must be a finite number, got 'four'"),
        (Binarize(at=float("nan")), "Binarize.at must be a finite number, got nan"),
    ],
)
def test_bad_options_are_named(filter, message):
    with pytest.raises((ValueError, TypeError), match=message):
        filter.fit(np.ones((2, 2)))


@pytest.mark.parametrize("filter", [KCore(1, 1), Binarize()])
@pytest.mark.parametrize("make", [np.asarray, sparse.csc_array])
def test_nan_is_named_by_row_and_column(filter, make):
    with pytest.raises(ValueError, match="NaN in row 1, column 2"):
        filter.fit(make([[1.0, 0, 0], [0, 0, np.nan]]))


@given(PAIRS, st.integers(-2, 70), st.sampled_from(["sum", "max", "last"]), st.booleans())
def test_binary_interactions_are_the_cells_that_reach_the_threshold(pairs, at, policy, timed):
    users, items = zip(*pairs, strict=True) if pairs else ((), ())
    times = [n * 7 % 5 for n in range(len(pairs))] if timed else None
    data = Interactions(users, items, range(len(pairs)), times, users=range(10), items=range(10), duplicates=policy)
    binary = Binarize(at).fit_transform(data)
    stored = np.zeros(data.shape, bool)
    cells = data.matrix.tocoo()
    stored[cells.coords] = True
    np.testing.assert_array_equal(binary.matrix.toarray(), stored & (data.matrix.toarray() >= at))
    assert binary.n_interactions == binary.matrix.nnz
    assert binary.values is None
    if timed:  # the time of a cell is that of its last interaction
        for user, item, time in zip(binary.user_codes, binary.item_codes, binary.times, strict=True):
            assert time == data.times[(data.user_codes == user) & (data.item_codes == item)].max()


def test_binary_matrices_stay_what_they_are():
    X = np.array([[5.0, 0, 3], [0, 4, 0]])
    for make in (np.asarray, sparse.csr_array, sparse.csc_matrix):
        result = Binarize(at=4).fit_transform(make(X))
        assert sparse.issparse(result) == sparse.issparse(make(X))
        dense = result.toarray() if sparse.issparse(result) else result
        assert dense.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_filters_work_in_a_pipeline_and_come_back_from_a_file(tmp_path):
    data = interactions([(u, i) for u in range(6) for i in range(6) if (u + i) % 3])
    pipeline = make_pipeline(Binarize(at=4), KCore(user=2, item=2))
    expected = pipeline.fit(data).transform(data).matrix.toarray()
    joblib.dump(pipeline, tmp_path / "pipeline")
    np.testing.assert_array_equal(joblib.load(tmp_path / "pipeline").transform(data).matrix.toarray(), expected)
    assert clone(pipeline).get_params()["kcore__user"] == 2


def test_a_cap_keeps_the_latest_items_or_those_of_the_greatest_values():
    data = Interactions([0, 0, 0, 0], range(4), [1, 2, 9, 3], times=[3, 9, 1, 5])
    assert sorted(Cap(user=2).fit_transform(data).item_codes.tolist()) == [1, 3]
    assert Cap(user=2).fit_transform(np.array([[1.0, 2, 9, 3]])).tolist() == [[0, 0, 9, 3]]


def test_a_user_with_items_keeps_one_below_a_cap_of_items():
    assert Cap(item=1).fit_transform(np.ones((50, 1))).sum() == 50
    capped = Cap(item=5).fit_transform(np.ones((50, 2)))
    assert (capped.sum(axis=1) > 0).all()
    assert capped.sum() < 80
