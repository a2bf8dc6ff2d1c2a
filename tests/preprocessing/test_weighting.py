import contextlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastrec import ImplicitALS, Interactions, MergedEventsWarning, Popularity
from fastrec.preprocessing import (
    BM25Weight,
    Cap,
    LogWeight,
    MergeDuplicates,
    Normalize,
    SampleNegatives,
    TfidfWeight,
    TimeDecay,
    weighting,
)
from fastrec.preprocessing.weighting import Weighting

DISCOVERED = [kind for kind in vars(weighting).values() if isinstance(kind, type) and issubclass(kind, Weighting)]
WEIGHTS = [
    TfidfWeight(),
    BM25Weight(),
    BM25Weight(rarity="implicit"),
    LogWeight(),
    Normalize(),
    Normalize("l1"),
    Normalize("max"),
]


@parametrize_with_checks(
    [*WEIGHTS, MergeDuplicates(), Cap(), Cap(user=2), Cap(item=3), Cap(1, 2), SampleNegatives(), SampleNegatives(0.5)]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def counts(seed=0, shape=(30, 12), density=0.4):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 9, shape).astype(np.float64)


def test_tfidf_is_scikit_learns():
    X = counts()
    expected = TfidfTransformer(norm=None).fit_transform(X).toarray()
    np.testing.assert_allclose(TfidfWeight().fit_transform(X), expected, rtol=1e-6)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalization_is_scikit_learns(norm):
    X = counts() - 2 * (counts(1) > 4)
    np.testing.assert_allclose(Normalize(norm).fit_transform(X), normalize(X, norm), rtol=1e-6)


def test_bm25_by_its_formula_cell_by_cell():
    X, k1, b = counts(2), 1.7, 0.4
    result = BM25Weight(k1, b).fit_transform(X)
    n, mean = len(X), X.sum() / len(X)
    for u, i in np.ndindex(*X.shape):
        users = (X[:, i] > 0).sum()
        rarity = np.log(1 + (n - users + 0.5) / (users + 0.5))
        value = X[u, i] * (k1 + 1) / (X[u, i] + k1 * (1 - b + b * X[u].sum() / mean)) if X[u, i] else 0
        assert result[u, i] == pytest.approx(rarity * value, rel=1e-5)


def test_log_weights_by_their_formula():
    X = counts()
    np.testing.assert_allclose(LogWeight(3, 0.5).fit_transform(X), 3 * np.log(1 + X / 0.5), rtol=1e-6)


@pytest.mark.parametrize("weight", WEIGHTS, ids=repr)
def test_all_kinds_of_x_give_the_same_cells(weight):
    X = counts()
    data = Interactions.from_matrix(X, users=[f"u{n}" for n in range(30)])
    expected = weight.fit_transform(X)
    for form in (sparse.csr_array(X), sparse.csc_matrix(X)):
        np.testing.assert_array_equal(weight.fit_transform(form).toarray(), expected)
    result = weight.fit_transform(data)
    np.testing.assert_array_equal(result.matrix.toarray(), expected)
    assert result.users is data.users
    # The learned statistics weight a new user's row as they would weight it among the others.
    np.testing.assert_array_equal(weight.transform(X[3:4]), expected[3:4])


@pytest.mark.parametrize(("k1", "b"), [(100.0, 0.8), (1.2, 0.75)])
def test_bm25_is_that_of_implicit_where_it_is_asked_for(k1, b):
    """The formula is that of implicit.nearest_neighbours.bm25_weight, written out."""
    X = np.array([[1.0, 0, 3], [2, 0, 1], [0, 5, 2], [0, 0, 4], [0, 1, 0]])
    idf = np.log(5) - np.log1p((X > 0).sum(axis=0))
    lengths = (1 - b) + b * X.sum(axis=1) / X.sum(axis=1).mean()
    wanted = X * (k1 + 1) / (k1 * lengths[:, None] + X) * idf
    wanted[:, 2] = np.where(X[:, 2] > 0, np.maximum(wanted[:, 2], 0), 0)
    np.testing.assert_allclose(BM25Weight(k1, b, "implicit").fit_transform(X), wanted, rtol=1e-5, atol=1e-30)
    everyone = BM25Weight(rarity="implicit").fit_transform(np.ones((3, 1)))
    assert (everyone > 0).all()
    assert (everyone < 1e-30).all()


@pytest.mark.parametrize("weight", [TfidfWeight(), BM25Weight(), LogWeight()], ids=repr)
def test_negative_values_are_refused_by_place(weight):
    with pytest.raises(ValueError, match="negative value in row 1, column 0"):
        weight.fit([[1.0, 0.0], [-1.0, 2.0]])


def test_repeated_interactions_are_weighted_as_their_cell():
    data = Interactions([0, 0, 1], [0, 0, 1], [1, 2, 4], times=[5, 3, 4], duplicates="sum")
    result = LogWeight().fit_transform(data)
    np.testing.assert_allclose(result.values, np.log([4, 5]), rtol=1e-6)
    assert result.times.tolist() == [5, 4]


def test_an_interaction_counts_half_for_every_half_life():
    data = Interactions([0, 0, 1], [0, 0, 1], [8, 8, 1], times=[0, 20, 30], time_unit="s")
    decay = TimeDecay(10).fit(data)
    np.testing.assert_array_equal(decay.transform(data).values, [1, 4, 1])
    assert decay.transform(data).matrix.toarray().tolist() == [[5, 0], [0, 1]]
    later = Interactions([0], [1], times=[1000], users=[9], items=data.items)
    assert decay.transform(later).values.tolist() == [1]
    week = Interactions([0, 0], [0, 1], times=[0, 7 * 86400], time_unit="s")
    assert TimeDecay("1w").fit_transform(week).values.tolist() == [0.5, 1]


def test_decay_over_times_farther_apart_than_int64_holds():
    data = Interactions([0, 1, 1], [0, 1, 0], times=[-(2**63) + 1, 2**63 - 1, 0])
    assert TimeDecay(2.0**63).fit_transform(data).values.tolist() == [0.25, 1, 0.5]


def test_decay_needs_times():
    with pytest.raises(TypeError, match="TimeDecay needs Interactions with times, got ndarray"):
        TimeDecay().fit(np.ones((2, 2)))
    with pytest.raises(ValueError, match="TimeDecay needs times"):
        TimeDecay().fit(Interactions([0], [0]))
    with pytest.raises(ValueError, match="times have no unit"):
        TimeDecay("3d").fit(Interactions([0], [0], times=[1]))


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (BM25Weight(k1=0), "BM25Weight.k1 must be a finite number above 0"),
        (BM25Weight(b=1.5), "BM25Weight.b must be a finite number from 0 to 1, got 1.5"),
        (LogWeight(epsilon=-1), "LogWeight.epsilon must be"),
        (Normalize("l3"), "Normalize.norm must be one of 'l2', 'l1', 'max', got 'l3'"),
        (MergeDuplicates("mean"), "MergeDuplicates.policy must be one of"),
        (Cap(user=0), "Cap.user must be an integer of at least 1, got 0"),
        (SampleNegatives(ratio=0), "SampleNegatives.ratio must be a finite number above 0"),
    ],
)
def test_bad_options_are_named(transformer, message):
    with pytest.raises(ValueError, match=message):
        transformer.fit(np.ones((2, 2)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20), st.booleans())
def test_duplicates_merge_as_the_matrix_does(pairs, valued):
    users, items = zip(*pairs, strict=True)
    times = [(7 * n) % 5 for n in range(len(pairs))]
    values = range(1, len(pairs) + 1) if valued else None
    for policy in ("sum", "last", "max"):
        data = Interactions(users, items, values, times, users=range(4), items=range(4), duplicates=policy)
        merged = MergeDuplicates().fit_transform(data)
        assert merged.n_interactions == data.matrix.nnz
        np.testing.assert_array_equal(merged.matrix.toarray(), data.matrix.toarray())
        other = MergeDuplicates(policy).fit_transform(data._replace(duplicates="sum"))
        np.testing.assert_array_equal(other.matrix.toarray(), data.matrix.toarray())


# -- caps


def test_a_user_keeps_the_latest_where_there_are_times():
    data = Interactions([0] * 4, [0, 1, 2, 0], [9, 8, 1, 1], times=[1, 2, 3, 4])
    capped = Cap(user=2).fit_transform(data)
    assert capped.item_codes.tolist() == [0, 2, 0]  # both interactions with item 0 stay
    assert Cap(user=2).fit_transform(data.matrix).toarray().tolist() == [[10, 8, 0]]


def test_an_item_keeps_about_as_many_users_as_allowed_and_nobody_is_emptied():
    rng = np.random.default_rng(0)
    X = sparse.csr_array((rng.random((4000, 30)) < 0.2).astype(np.float32))
    X = sparse.csr_array(sparse.hstack([np.ones((4000, 1)), X]))
    capped = Cap(item=200).fit_transform(X)
    used = np.diff(capped.tocsc().indptr)
    assert abs(used[0] - 200) < 60
    assert (np.abs(used[1:] - 200) < 60).all()
    assert (np.diff(capped.indptr) > 0).all()
    alone = Cap(item=200).fit(X).transform(X[17:18])
    np.testing.assert_array_equal(alone.toarray(), capped[17:18].toarray())


# -- negatives


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.05, 1),
    st.floats(0.1, 30),
    st.integers(0, 5),
)
def test_negatives_are_items_not_had_as_many_as_asked(seed, density, ratio, state):
    rng = np.random.default_rng(seed)
    X = (rng.random((8, rng.integers(1, 60))) < density).astype(np.float32)
    result = SampleNegatives(ratio, random_state=state).fit_transform(X)
    np.testing.assert_array_equal(np.where(result > 0, result, 0), X)
    had = (X > 0).sum(axis=1)
    wanted = np.minimum(np.round(ratio * had), X.shape[1] - had)
    np.testing.assert_array_equal((result < 0).sum(axis=1), wanted)
    alone = SampleNegatives(ratio, random_state=state).fit_transform(X[3:4])
    np.testing.assert_array_equal(alone, result[3:4])


def test_negatives_are_spread_evenly_over_the_items():
    rng = np.random.default_rng(0)
    rows = np.argpartition(rng.random((5000, 200)), 5, axis=1)[:, :5]  # all alike: each item is drawn equally often
    X = sparse.csr_array((np.ones(25_000), (np.repeat(np.arange(5000), 5), rows.ravel())), shape=(5000, 200))
    drawn = SampleNegatives(8).fit_transform(X)
    times = np.asarray((drawn < 0).sum(axis=0)).ravel()
    # 200 000 draws over 200 items: 1000 each, with a standard deviation of about 31.
    assert (np.abs(times - 1000) < 5 * 31).all()


def test_negatives_of_interactions_stand_beside_them_and_only_in_training():
    data = Interactions([0, 1], [0, 1], times=[5, 9], items=range(5))
    sampler = SampleNegatives(2, 0.0)
    result = sampler.fit_transform(data)
    assert result.n_interactions == 6
    assert result.values.tolist() == [1, 1, 0, 0, 0, 0]
    assert result.times[2:].tolist() == [5, 5, 9, 9]
    assert sampler.transform(data) is data


def test_transformers_work_in_a_pipeline():
    X = counts(4)
    pipeline = make_pipeline(
        MergeDuplicates(), Cap(user=8), BM25Weight(), Normalize("max"), ImplicitALS(2, iterations=1, random_state=0)
    )
    assert pipeline.fit(X).predict(X).shape == (30,)
    assert 0 <= pipeline.score(X) <= 1


SIZES = st.floats(0, float(np.float32(3e38)), width=32, exclude_min=True, allow_subnormal=True)


@pytest.mark.parametrize("kind", [kind for kind in DISCOVERED if kind is not Weighting], ids=lambda kind: kind.__name__)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), SIZES), min_size=1, unique_by=lambda cell: cell[:2]))
@example([(0, 0, 1e-45), (0, 1, 3e38)])
def test_no_weighting_takes_an_entry_away(kind, cells):
    """However small or large the values are, each has a weight, in every form of the data."""
    rows, columns, values = (np.array(part) for part in zip(*cells, strict=True))
    matrix = sparse.csr_array((values.astype(np.float32), (rows, columns)), shape=(4, 5))
    data = Interactions(rows, columns, values, users=np.arange(4), items=np.arange(5))
    if kind in (TfidfWeight, LogWeight) and values.max() > 1e38:
        with contextlib.suppress(ValueError):
            kind().fit_transform(matrix)
        return
    weighted = kind().fit_transform(matrix)
    np.testing.assert_array_equal(weighted.toarray() != 0, matrix.toarray() != 0)
    np.testing.assert_array_equal(kind().fit_transform(matrix.toarray()), weighted.toarray())
    np.testing.assert_array_equal(kind().fit_transform(data).matrix.toarray(), weighted.toarray())


@given(st.lists(st.tuples(SIZES, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=10), st.floats(1e-300, 1e300))
def test_decay_takes_nothing_away_however_old_it_is(events, life):
    values, times = zip(*events, strict=True)
    data = Interactions(np.zeros(len(events), int), np.arange(len(events)), values, times=np.array(times, np.int64))
    decayed = TimeDecay(life).fit_transform(data)
    assert (decayed.values > 0).all()
    assert Popularity().fit(decayed).seen_.nnz == len(events)


def test_decay_knows_the_unit_that_it_was_fitted_in():
    seconds = Interactions([0, 0], [0, 1], times=[1_600_000_000, 1_600_000_100], time_unit="s")
    decay = TimeDecay(half_life=100).fit(seconds)
    later = Interactions([0, 0], [0, 1], times=np.array([1_600_000_000_000, 1_600_000_100_000]), time_unit="ms")
    np.testing.assert_array_equal(decay.transform(later).values, decay.transform(seconds).values)


@pytest.mark.parametrize("kind", [kind for kind in DISCOVERED if kind is not Weighting], ids=lambda kind: kind.__name__)
def test_a_weighting_that_merges_events_warns(kind):
    raw = Interactions([0, 0, 1], [0, 0, 1], [4, 5, 1])
    with pytest.warns(MergedEventsWarning, match=f"1 pair of a user and an item .* {kind.__name__} takes the sum"):
        found = kind().fit(raw).transform(raw)
    said = kind().fit_transform(Interactions([0, 0, 1], [0, 0, 1], [4, 5, 1], duplicates="sum"))
    np.testing.assert_array_equal(found.values, said.values)
