"""Checks that every estimator passes: the effect of events of value 0, repeated events and zeros of a matrix."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

import fastrec as fr
from fastrec.data import FarTimesWarning, Interactions, MergedEventsWarning
from fastrec.models import load
from tests.test_estimators import assert_same_learned, every, fit, in_order, learned, quick, random_matrix


def as_events(matrix, extra=(), **options):
    """Returns the entries of a matrix as events with ids, and other events (user, item, value) after them."""
    cells = matrix.tocoo()
    users, items, values = (
        (np.array(part) for part in zip(*extra, strict=True)) if len(extra) else (np.empty(0, int),) * 3
    )
    return Interactions(
        np.r_[cells.row, users],
        np.r_[cells.col, items],
        np.r_[cells.data, values],
        users=[f"u{n}" for n in range(matrix.shape[0])],
        items=[f"i{n}" for n in range(matrix.shape[1])],
        **options,
    )


def events_for(kind, *arguments, **options):
    """Returns the same with times, if the model needs an order."""
    return in_order(kind, as_events(*arguments, **options))


def zeros_beside(matrix, seed=1):
    """Returns events of value 0 in some empty cells of the matrix, those of its empty user among them."""
    rows, columns = np.nonzero((matrix.toarray() == 0) & (np.random.default_rng(seed).random(matrix.shape) < 0.3))
    return [(row, column, 0.0) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)]


@every
def test_events_of_value_zero_are_had_and_not_learned_from(kind, tmp_path):
    X = random_matrix()
    zeros = zeros_beside(X)
    with_zeros, without = events_for(kind, X, zeros), events_for(kind, X)
    model, plain = fit(kind, with_zeros), fit(kind, without)
    assert model.seen_.nnz == X.nnz + len(zeros)
    if model.keeps_zeros:
        assert model.item_counts_.sum() == X.nnz + len(zeros)
    else:
        mine, other = learned(model), learned(plain)
        for name in mine.keys() - {"seen_", "members_", "origin_", "order_"}:
            if isinstance(mine[name], np.ndarray):
                np.testing.assert_array_equal(mine[name], other[name], err_msg=name)
        users = with_zeros.users.ids[:29]
        np.testing.assert_array_equal(model.predict_pairs(users, ["i4"] * 29), plain.predict_pairs(users, ["i4"] * 29))
    had = {(user, item) for user, item, _ in zeros}
    if kind.keeps_users:
        model.save(tmp_path / "model.fastrec")
    for asked in (model, load(tmp_path / "model.fastrec")) if kind.keeps_users else (model,):
        for users in (with_zeros.users.ids, with_zeros):
            codes = asked.recommend(users, k=20, exclude_seen=True).codes
            again = [(u, i) for u, row in enumerate(codes.tolist()) for i in row if (u, i) in had]
            assert not again, again
        assert 0 <= asked.score(with_zeros) <= 1


@every
def test_updates_keep_events_of_value_zero(kind):
    if "partial_fit" not in kind.capabilities:
        pytest.skip("it takes no updates")
    X = random_matrix()
    zeros = zeros_beside(X)
    model = quick(kind).fit(events_for(kind, X)).partial_fit(events_for(kind, sp.csr_array(X.shape, dtype="f4"), zeros))
    assert model.seen_.nnz == X.nnz + len(zeros)
    codes = model.recommend([f"u{n}" for n in range(30)], k=20, exclude_seen=True).codes
    had = {(user, item) for user, item, _ in zeros}
    assert not [(u, i) for u, row in enumerate(codes.tolist()) for i in row if (u, i) in had]
    history = events_for(kind, sp.csr_array((1, 20), dtype="f4"), [(0, 5, 0.0)])
    model.update_users(["u0"], history, how="replace")
    assert model.seen_[[0]].indices.tolist() == [5]
    assert 5 not in model.recommend(["u0"], k=20, exclude_seen=True).codes


@every
def test_sparse_and_dense_forms_of_a_matrix_are_one(kind):
    """Stored zeros and entries stored in parts belong to the form alone."""
    X = random_matrix()
    zeros = sp.coo_array(([0.0] * 3, ([1, 2, 3], [7, 8, 9])), shape=X.shape)
    cells = [X.tocoo(), zeros]
    parts = tuple(np.concatenate([cell.coords[axis] for cell in cells]) for axis in (0, 1))
    stored = sp.csr_array(sp.coo_array((np.concatenate([cell.data for cell in cells]), parts), shape=X.shape))
    halves = sp.coo_array(
        (np.tile(X.tocoo().data / 2, 2), tuple(np.tile(c, 2) for c in X.tocoo().coords)), shape=X.shape
    )
    dense = quick(kind).fit(X.toarray())
    for form in (stored, halves):
        model = quick(kind).fit(form)
        assert_same_learned(model, dense)
        np.testing.assert_array_equal(model.recommend(form, 5).scores, dense.recommend(X.toarray(), 5).scores)


@every
@pytest.mark.parametrize("timed", [False, True])
def test_repeated_events_come_to_what_the_model_says(kind, timed):
    """Their value is the sum, and for ratings the last by time, as if merged before; one warning says so."""
    if kind.needs_order and not timed:
        pytest.skip("it needs times")
    if kind.reads_baskets:
        pytest.skip("it counts each event by itself, and merges none")
    rng = np.random.default_rng(3)
    X = random_matrix()
    cells = X.tocoo()
    again = rng.choice(X.nnz, 60)
    extra = [(cells.row[n], cells.col[n], float(rng.integers(1, 5))) for n in again]
    times = rng.integers(0, 40, X.nnz + len(extra)) if timed else None
    raw = events_for(kind, X, extra, times=times)
    rule = "last" if quick(kind).keeps_zeros else "sum"
    teller = "LogWeight" if kind is fr.Pipeline else kind.__name__  # its first step
    with pytest.warns(MergedEventsWarning, match=f"{len(set(again))} pairs .* {teller} takes .*{rule}") as told:
        model = fit(kind, raw)
    assert len([one for one in told if one.category is MergedEventsWarning]) == 1
    assert model.duplicates_ == rule
    merged = fr.MergeDuplicates(rule).fit_transform(raw)
    np.testing.assert_array_equal(model.seen_.toarray(), merged.matrix.toarray())
    explicit = fit(kind, events_for(kind, X, extra, times=times, duplicates=rule))  # and no warning is given
    assert_same_learned(model, explicit)
    if not timed:
        assert_same_learned(model, fit(kind, merged))


@every
def test_updates_follow_the_rule_of_the_fit(kind):
    if "partial_fit" not in kind.capabilities:
        pytest.skip("it takes no updates")
    X = random_matrix()
    user, item = int(X.tocoo().row[0]), int(X.tocoo().col[0])
    again = events_for(kind, sp.csr_array(X.shape, dtype="f4"), [(user, item, 7.0)])
    first = float(X[user, item])
    rule = "last" if quick(kind).keeps_zeros else "sum"
    model = quick(kind).fit(events_for(kind, X)).partial_fit(again)
    assert model.seen_[user, item] == (7.0 if rule == "last" else first + 7)
    model = quick(kind).fit(events_for(kind, X, duplicates="max")).partial_fit(again)
    assert model.seen_[user, item] == 7.0


def test_parts_of_one_data_set_say_it_once_for_each_kind_of_model():
    rng = np.random.default_rng(0)
    data = Interactions(rng.integers(0, 30, 600), rng.integers(0, 20, 600), rng.integers(1, 6, 600))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        models = {"popular": fr.Popularity(), "ratings": fr.ExplicitALS(2, iterations=2, random_state=0)}
        fr.cross_validate(models, data, cv=4, metrics=["ndcg@5"])
    said = [str(one.message) for one in told if one.category is MergedEventsWarning]
    assert len(said) == 2
    assert ["Popularity takes the sum" in said[0], "ExplicitALS takes the value of the last" in said[1]] == [True] * 2


def test_a_pair_of_a_test_set_is_predicted_as_the_model_merges_it():
    data = Interactions([0, 0, 1, 1], [0, 1, 0, 1], [4.0, 2.0, 4.0, 2.0])
    model = fr.ExplicitALS(1, iterations=3, random_state=0).fit(data)
    raw = Interactions([0, 0], [1, 1], [9.0, 3.0], users=data.users, items=data.items)
    said = Interactions([0, 0], [1, 1], [9.0, 3.0], users=data.users, items=data.items, duplicates="last")
    with pytest.warns(MergedEventsWarning, match="evaluate takes the value of the last one"):
        found = fr.evaluate(model, raw, ["rmse"], exclude_seen=False)
    assert found.mean("rmse") == fr.evaluate(model, said, ["rmse"], exclude_seen=False).mean("rmse")


@pytest.mark.parametrize(
    "reader",
    [fr.TimeDecay(100), fr.Popularity(half_life=100), fr.Item2Vec(2, iterations=1), fr.Cap(user=3)],
    ids=lambda reader: type(reader).__name__,
)
def test_times_far_from_the_rest_are_told_with_their_row(reader):
    rng = np.random.default_rng(0)
    times = rng.integers(1_500_000_000, 1_500_900_000, 2000)
    cells = rng.permutation(100 * 50)[:2000]
    even = Interactions(cells // 50, cells % 50, times=times, time_unit="s")
    reader.fit(even)
    times[[17, 400]] *= 1000  # milliseconds
    odd = Interactions(cells // 50, cells % 50, times=times, time_unit="s")
    with pytest.warns(FarTimesWarning, match=r"2 times are, the first in row 17 \(counted from 0\), .* 2017-"):
        reader.fit(odd)
