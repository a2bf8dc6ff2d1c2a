"""LinearSequence learns the next item, and nothing of the future."""

import numpy as np
import pytest

import fastrec as fr
from fastrec.matrix.sequences import read_sequences
from fastrec.models import EASE, LinearSequence, SequenceRules, load
from fastrec.solvers import elimination
from tests.reference import prefixes as reference
from tests.reference import supports


def walk(n_users=200, n_items=30, seed=0):
    """Returns users who go up the catalogue, by one to three items at a time."""
    rng = np.random.default_rng(seed)
    users, items, times = [], [], []
    for user in range(n_users):
        path = np.unique((rng.integers(n_items) + np.cumsum(rng.integers(1, 4, 6))) % n_items)
        start = rng.integers(len(path))
        for step, item in enumerate(np.roll(path, -start)):
            users.append(user), items.append(item), times.append(1000 * user + 10 * step)
    return fr.Interactions(users, items, times=times, time_unit="s", items=range(n_items))


@pytest.mark.parametrize("before", [0.0, 0.3])
def test_weights_are_those_of_the_plain_regression(before):
    data = walk(30, 12)
    options = {"memory": 0.7, "ahead": 0.4, "window": 3, "before": before, "power": 0.5, "n_jobs": 2}
    model = LinearSequence(2.0, **options).fit(data)
    sequences = read_sequences(model.seen_, model.order_)
    rows = [part.tolist() for part in np.split(sequences.items, sequences.starts[1:-1])]
    cross, gram = reference.sums(rows, 12, 0.7, 0.4, 3, 0.5)
    both = cross + before * cross.T
    np.testing.assert_allclose(model.weights_, np.linalg.solve(gram + 2 * np.eye(12), both), rtol=1e-3, atol=1e-5)


def test_rare_items_are_eliminated_first_and_the_weights_stay_the_same(monkeypatch):
    data = walk(300, 30)
    rare = data.select(np.flatnonzero((data.item_codes % 3 > 0) | (data.user_codes < 20)))  # each third item
    eliminated, whole = [], []
    for few, found in ((1.0, eliminated), (-1.0, whole)):
        monkeypatch.setattr(elimination, "FEW", few)
        found.extend(
            LinearSequence(2.0, source_exponent=0.5, target_exponent=0.2, n_jobs=jobs).fit(rare).weights_
            for jobs in (1, 2)
        )
    assert np.array_equal(*eliminated)
    assert not np.array_equal(eliminated[0], whole[0])
    np.testing.assert_allclose(eliminated[0], whole[0], atol=2e-6 * np.abs(whole[0]).max())


def test_popular_items_are_set_back_in_the_history_and_as_what_is_recommended():
    data = walk(30, 12)
    options = {"regularization": 2.0, "window": 3, "n_jobs": 1}
    model = LinearSequence(**options, source_exponent=0.5, target_exponent=0.2).fit(data)
    sequences, counts = read_sequences(model.seen_, model.order_), model.item_counts_ + 1.0
    rows = [part.tolist() for part in np.split(sequences.items, sequences.starts[1:-1])]
    cross, gram = reference.sums(rows, 12, 0.8, 0.5, 3, 0.0)
    expected = np.linalg.solve(gram + 2 * np.diag(counts**0.5), cross) * counts**-0.2
    np.testing.assert_allclose(model.weights_, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("neighbors", [4, 11])
def test_sparse_weights_are_the_regression_on_their_supports(neighbors):
    data = walk(30, 12)
    options = {"window": 3, "before": 0.35, "source_exponent": 0.5, "target_exponent": 0.2, "threshold": 0.0}
    model = LinearSequence(2.0, method="sparse", neighbors=neighbors, **options).fit(data)
    sequences, counts = read_sequences(model.seen_, model.order_), model.item_counts_ + 1.0
    rows = [part.tolist() for part in np.split(sequences.items, sequences.starts[1:-1])]
    cross, gram = reference.sums(rows, 12, 0.8, 0.5, 3, 0.0)
    cross = cross + 0.35 * cross.T
    popular = np.argsort(-counts, kind="stable")  # the more popular of equal items
    system, right = (gram + 2 * np.diag(counts**0.5))[np.ix_(popular, popular)], cross[np.ix_(popular, popular)]
    chosen = supports.choose(right, system.diagonal() ** -0.5, neighbors)
    expected = np.zeros((12, 12))
    expected[np.ix_(popular, popular)] = supports.regress(system, right, chosen)
    expected *= counts**-0.2
    np.testing.assert_allclose(model.weights_.toarray(), expected, rtol=1e-3, atol=1e-5)


def test_sparse_answers_are_those_of_dense_where_all_may_predict(tmp_path):
    # Each pair of items occurs in some history, in both orders: all items are in the support of each.
    rng = np.random.default_rng(0)
    places = np.array([rng.permutation(15) + 1 for _ in range(120)])
    places[:, 9:] *= rng.random((120, 6)) < 0.5
    sparse, dense = (
        LinearSequence(5, method=method, neighbors=14, threshold=0.0).fit(places) for method in ("sparse", "dense")
    )
    np.testing.assert_allclose(sparse.weights_.toarray(), dense.weights_, rtol=1e-3, atol=1e-5)
    asked = places[:7] * (places[:7] > 8)
    np.testing.assert_array_equal(sparse.recommend(asked).codes, dense.recommend(asked).codes)
    reasons = [model.explain(asked[:1], 3).contributions for model in (sparse, dense)]
    np.testing.assert_allclose(*reasons, rtol=1e-3, atol=1e-5)
    sparse.save(tmp_path / "model.fastrec")
    assert np.array_equal(load(tmp_path / "model.fastrec").recommend(asked).scores, sparse.recommend(asked).scores)


def test_auto_is_dense_until_the_catalogue_is_large(monkeypatch):
    data = walk(20)
    assert isinstance(LinearSequence().fit(data).weights_, np.ndarray)
    monkeypatch.setattr("fastrec.models.base.item_weights.LARGEST_DENSE", 29)
    assert not isinstance(LinearSequence().fit(data).weights_, np.ndarray)
    assert isinstance(LinearSequence(method="dense").fit(data).weights_, np.ndarray)


def test_with_a_large_regularization_the_weights_are_those_of_rules():
    data = walk(60)
    options = {"window": 5, "before": 0.5, "source_exponent": 0.5, "target_exponent": 0.3}
    model = LinearSequence(1e7, memory=0.7, ahead=0.0, **options).fit(data)
    rules = SequenceRules(decay=0.7, **options).fit(data)
    np.testing.assert_allclose(1e7 * model.weights_, rules.weights_.toarray(), rtol=1e-2, atol=1e-4)


def test_the_next_item_is_found_that_a_model_without_order_cannot_tell():
    train, test = fr.split_last(walk(), 1)
    ranked = {}
    for model in (LinearSequence(regularization=5), EASE(regularization=5)):
        ranked[type(model).__name__] = fr.evaluate(model.fit(train), test, metrics=["ndcg@3"]).mean("ndcg@3")
    assert ranked["LinearSequence"] > 1.2 * ranked["EASE"]


def test_the_newest_event_counts_most_and_explains_most():
    model = LinearSequence(regularization=1).fit(walk())
    histories = fr.Interactions([0, 0], [5, 20], times=[1, 2], items=range(30))
    reasons = model.explain(histories, int(model.recommend(histories, k=1).codes[0, 0]))
    assert reasons.items.tolist()[0] == 20
    assert model.recommend(histories, k=1).items[0, 0] in {21, 22, 23}


def test_a_prefix_knows_nothing_of_what_comes_after_it():
    # The last item of each user is in the future of others, and in no user's past: its row of weights is zero.
    data = fr.Interactions([0, 0, 1, 1], [0, 2, 1, 2], times=[1, 2, 1, 2], items=range(3))
    model = LinearSequence(regularization=1).fit(data)
    assert not model.weights_[2].any()
    assert (model.weights_[[0, 1], 2] > 0).all()


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_updates_are_those_of_a_refit_and_new_events_count_at_once(method, tmp_path):
    data = walk(60)
    first, second = data.select(data.times < 40_000), data.select(data.times >= 40_000)
    options = {"method": method, "neighbors": 8}
    model = LinearSequence(n_jobs=1, **options).fit(first[:40]).partial_fit(second[40:])
    again = LinearSequence(n_jobs=2, **options).fit(data)
    assert (model.weights_ != again.weights_).sum() == 0
    before = model.recommend(0, k=1).items[0, 0]
    model.update_users([0], fr.Interactions([0], [(before + 10) % 30], times=[1], items=data.items))
    assert model.recommend(0, k=1).items[0, 0] != before
    model.save(tmp_path / "model.fastrec")
    assert np.array_equal(load(tmp_path / "model.fastrec").recommend(0).codes, model.recommend(0).codes)


@pytest.mark.parametrize("method", ["dense", "sparse"])
def test_a_system_that_float32_cannot_solve_is_refused(method):
    with pytest.raises(FloatingPointError, match=r"LinearSequence.regularization of 1e-60 is too small"):
        LinearSequence(regularization=1e-60, method=method).fit([[1, 2], [1, 2]])  # nothing comes after item 1
