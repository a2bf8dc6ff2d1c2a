"""SequenceRules against plain Python, its updates against refits, and the effect of order."""

import copy
import pickle
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.fingerprint import fingerprint
from fastrec.matrix.sequences import read_sequences
from fastrec.models import SequenceRules, load, sequence_rules
from fastrec.solvers.follows import sum_pairs
from tests.reference import sequence_rules as reference

USERS, ITEMS = ["a", "b", "c"], 6
logs = st.lists(st.tuples(st.sampled_from(USERS), st.integers(0, ITEMS - 1)), min_size=1, max_size=20)


def interactions(log, start=0, items=range(ITEMS)):
    """Returns events one second apart."""
    users, codes = zip(*log, strict=True)
    times = start + np.arange(len(log))
    return Interactions(
        [USERS.index(u) for u in users], codes, times=times, users=USERS, items=items, duplicates="last"
    )


def random_log(n_users, n_items, n, seed=0):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, n_users, n), rng.integers(0, n_items, n)
    return Interactions(users, items, times=np.arange(n), users=range(n_users), items=range(n_items), duplicates="last")


def sequences_of(model):
    starts, items = read_sequences(model.seen_, model.order_)
    return [items[start:stop].tolist() for start, stop in pairwise(starts)]


def assert_same_weights(one, other):
    assert one.shape == other.shape
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part), strict=True)


@settings(deadline=None, max_examples=30)
@given(logs, st.integers(1, 5), st.floats(0.1, 1), st.floats(0.1, 1), st.floats(0, 1))
def test_weights_and_scores_are_those_of_plain_python(log, window, decay, recency, before):
    options = {"before": before, "source_exponent": 0.6, "target_exponent": 0.2}
    model = SequenceRules(window, decay=decay, recency=recency, **options)
    model.fit(interactions(log))
    histories = sequences_of(model)
    weights = reference.weights(histories, ITEMS, window, decay, 0.6, 0.2, before)
    np.testing.assert_allclose(model.weights_.toarray(), weights, rtol=1e-3, atol=1e-5)
    for user, history in zip(USERS, histories, strict=True):
        expected = reference.scores(history, model.weights_.toarray(), recency, ITEMS)
        np.testing.assert_allclose(model.predict_pairs(user, range(ITEMS)), expected, rtol=1e-5, atol=2e-6)


def test_the_order_of_users_and_the_number_of_threads_change_no_bit():
    data = random_log(300, 90, 20_000)
    model = SequenceRules(window=8, decay=0.7, n_jobs=1).fit(data)
    shuffled = data[np.random.default_rng(1).permutation(300)]
    for jobs, same in ((2, data), (1, shuffled)):
        assert_same_weights(SequenceRules(window=8, decay=0.7, n_jobs=jobs).fit(same).weights_, model.weights_)


@settings(deadline=None, max_examples=30)
@given(logs, logs, logs)
def test_updates_give_the_weights_of_a_refit_to_the_bit(first, second, third):
    model = SequenceRules(window=3, decay=0.7).fit(interactions(first))
    model.partial_fit(interactions(second, 100)).partial_fit(interactions(third, 200))
    whole = interactions([*first, *second, *third])
    assert_same_weights(model.weights_, SequenceRules(window=3, decay=0.7).fit(whole).weights_)


@settings(deadline=None, max_examples=30)
@given(logs, st.lists(logs, max_size=3), st.sampled_from(["fit", "exchange", "in place"]))
def test_exchanged_pairs_give_the_weights_of_a_refit_to_the_bit(first, later, way):
    model, log = SequenceRules(window=3, decay=0.7).fit(interactions(first)), list(first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_rules, "MOST_EXCHANGED", {"fit": 0}.get(way, 1e9))
        patch.setattr(sequence_rules, "FEW", {"in place": 1000}.get(way, 0))
        for number, more in enumerate(later, 1):
            log += more
            model.partial_fit(interactions(more, 100 * number))
    assert_same_weights(model.weights_, SequenceRules(window=3, decay=0.7).fit(interactions(log)).weights_)


def test_pairs_are_exchanged_where_few_users_have_changed_and_only_there(monkeypatch):
    data, day = random_log(300, 90, 20_000), random_log(300, 90, 5, seed=3)
    calls = []
    monkeypatch.setattr(sequence_rules, "FEW", 4)
    for name in ("sum_pairs", "exchange"):
        plain = getattr(sequence_rules, name)
        monkeypatch.setattr(sequence_rules, name, lambda *args, plain=plain, n=name: calls.append(n) or plain(*args))
    model = SequenceRules(n_jobs=1).fit(data).partial_fit(day).partial_fit(day)
    model.set_params(window=5).partial_fit(day)
    model.update_users([0], day[[0]]).partial_fit(day)
    assert calls == ["sum_pairs", "exchange", "exchange", "sum_pairs", "sum_pairs"]
    expected = sum_pairs(read_sequences(model.seen_, model.order_), 90, model._fades())
    np.testing.assert_array_equal(model.weights_.indices, expected.codes)


def assert_same_model(one, other):
    for name in ("seen_", "weights_"):
        assert_same_weights(getattr(one, name), getattr(other, name))
    for name in ("order_", "item_counts_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)
    assert one.users_ == other.users_


def assert_same_answers(one, other, users):
    for user in users:
        top, expected = one.recommend([user], k=ITEMS), other.recommend([user], k=ITEMS)
        np.testing.assert_array_equal(top.codes, expected.codes)
        np.testing.assert_array_equal(top.scores, expected.scores)


valued = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, ITEMS - 1), st.integers(0, 2)), min_size=1)


def chunk_of(log, first, policy, users="abcdef"):
    """Returns a chunk of events (user, item, value), with the ids of its own users alone unless ids are given."""
    met = sorted({user for user, _, _ in log})
    vocabulary = list(users) if users else met
    return Interactions(
        [vocabulary.index(user) for user, _, _ in log], [item for _, item, _ in log], [value for *_, value in log],
        times=first + np.arange(len(log)), users=vocabulary, items=range(ITEMS), duplicates=policy,
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(valued, valued, st.lists(st.integers(1, 5)), st.sampled_from(["sum", "last", "max"]), st.booleans())
def test_events_in_any_chunks_are_one_fit_to_the_bit(first, later, sizes, policy, asked):
    model = SequenceRules(window=3, decay=0.7).fit(chunk_of(first, 0, policy))
    start = 0
    for size in [*sizes, len(later)]:
        log = later[start : start + size]
        if log:
            model.partial_fit(chunk_of(log, len(first) + start, policy, users=""))
        if asked:
            model.recommend(["a"])
        start += size
    whole = SequenceRules(window=3, decay=0.7).fit(chunk_of([*first, *later], 0, policy))
    assert vars(model)["_growing"] is not None
    assert_same_answers(model, whole, "abcdef")
    assert vars(model)["_growing"] is not None
    assert_same_model(model, whole)


def test_events_in_place_of_new_users_and_what_changes_the_rest_are_one_truth(tmp_path):
    data, one = random_log(40, 30, 900), lambda n: random_log(40, 30, 900, seed=1).select(np.array([n]))
    model, whole = SequenceRules(window=4).fit(data), SequenceRules(window=4).fit(data)
    new = Interactions([0, 0], [3, 7], times=[5000, 5001], users=[999], items=range(30), duplicates="last")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_rules, "FEW", 0)
        for more in (one(3), new, one(4)):
            whole.partial_fit(more)
    for more in (one(3), new, one(4)):
        model.partial_fit(more)
    copied, explained = copy.copy(model), whole.explain(999, 5)
    model.save(tmp_path / "model")
    assert "_growing" not in vars(copied)
    for other in (model, copied, load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert_same_model(other, whole)
        np.testing.assert_array_equal(other.explain(999, 5).contributions, explained.contributions)
    model.partial_fit(one(5))
    assert_same_model(copied, whole)
    before = fingerprint(model)
    assert (
        before != fingerprint(model.partial_fit(one(6))) == fingerprint(whole.partial_fit(one(5)).partial_fit(one(6)))
    )
    for change in (
        lambda it: it.update_users([5], data[[5]]),
        lambda it: it.update_items([2], np.zeros((1, it.seen_.shape[0])), how="replace"),
        lambda it: it.set_params(target_exponent=0.9),
        lambda it: it.set_params(window=2),
        lambda it: it.set_params(decay=0.5),
        lambda it: it.partial_fit(Interactions([0], [0], times=[9000], users=[3], items=[77])),
        lambda it: it.fit(data),
    ):
        for it in (model, whole):
            change(it.partial_fit(one(7))).partial_fit(one(9))
        assert_same_model(model, whole)


def test_sparse_data_has_rules_both_ways_until_events_make_it_dense(monkeypatch):
    monkeypatch.setattr(sequence_rules, "SPARSE", 10)  # 300 events of 30 items
    log = random_log(40, 30, 900)
    data, later = log.select(np.arange(310)), [log.select(np.array([number])) for number in range(310, 400)]
    model = SequenceRules(window=4).fit(data)
    assert model._surplus() < -10
    assert_same_weights(model.weights_, SequenceRules(window=4, before=0.35, target_exponent=0.2).fit(data).weights_)
    for more in later:
        model.partial_fit(more)
    assert model._surplus() > 10
    whole = log.select(np.arange(400))
    assert_same_model(model, SequenceRules(window=4).fit(whole))
    assert_same_weights(model.weights_, SequenceRules(window=4, before=0, target_exponent=0.3).fit(whole).weights_)


def test_values_read_while_events_arrive_stay_unchanged():
    data, later = random_log(40, 30, 900), random_log(40, 30, 900, seed=1)
    model = SequenceRules(window=4).fit(data)
    before = [copy.deepcopy(part) for part in (model.weights_, model.seen_)]
    kept = model.weights_, model.seen_
    counts = model.item_counts_
    model.partial_fit(later.select(np.arange(50)))
    for part, was in zip(kept, before, strict=True):
        assert_same_weights(part, was)
    assert counts is not model.item_counts_
    assert model.item_counts_.sum() == model.seen_.nnz


def test_threads_that_read_see_a_model_of_some_of_the_events():
    data, later = random_log(40, 30, 300), random_log(40, 30, 600, seed=1)
    chunks = [later.select(np.array([number])) for number in range(200)]
    model, twin, over = SequenceRules(window=4).fit(data), SequenceRules(window=4).fit(data), threading.Event()
    history, found = model.histories([[3, 5]]), []
    scores = lambda of: of.recommend(history, k=5).scores[0]

    def read(settling):
        while not over.is_set():
            found.append(scores(model))
            if settling:
                _ = model.weights_

    threads = [threading.Thread(target=read, args=(settling,)) for settling in (False, True)]
    for thread in threads:
        thread.start()
    known = [scores(twin)]
    for chunk in chunks:
        model.partial_fit(chunk)
        known.append(scores(twin.partial_fit(chunk)))
    over.set()
    for thread in threads:
        thread.join()
    assert found
    distances = np.abs(np.array(found)[:, None] - np.array(known)).max(axis=2).min(axis=1)
    assert distances.max() < 3e-6  # popularity, which is of another moment, counts at most so much
    assert_same_model(model, twin)


def test_events_that_cannot_be_taken_in_place_are_refused_as_ever():
    model = SequenceRules().fit(interactions([("a", 0), ("a", 1)])).partial_fit(interactions([("b", 2)], 9))
    wrong = interactions([("a", 0)], 10)._replace(duplicates="error")
    with pytest.raises(ValueError, match="known already"):
        model.partial_fit(wrong)
    with pytest.raises(ValueError, match="Negative values"):
        model.partial_fit(Interactions([0], [0], [-1.0], times=[11], users=USERS, items=range(ITEMS)))
    with pytest.raises(ValueError, match="integers as users"):
        model.partial_fit(Interactions([0], [0], times=[11], users=[1], items=range(ITEMS)))
    with pytest.raises(ValueError, match="no times"):
        model.partial_fit(Interactions([0], [0], users=USERS, items=range(ITEMS)))
    whole = SequenceRules().fit(interactions([("a", 0), ("a", 1), ("b", 2)]))
    assert_same_model(model, whole)


def test_an_item_taken_away_leaves_no_trace():
    log = [("a", 0), ("a", 1), ("a", 2), ("b", 1), ("b", 3)]
    model = SequenceRules().fit(interactions(log)).update_items([1], [[0, 0, 0]], how="replace")
    without = [(user, item) for user, item in log if item != 1]
    assert_same_weights(model.weights_, SequenceRules().fit(interactions(without)).weights_)


def test_a_user_s_new_event_counts_at_once_and_the_rules_stay():
    model = SequenceRules().fit(interactions([("a", 0), ("a", 1), ("b", 2), ("b", 3), ("c", 2), ("c", 5)]))
    before = copy.copy(model)
    assert model.recommend("a", k=1).scores[0, 0] < 1e-5  # nothing follows 1
    model.update_users(["a"], interactions([("a", 2)], 50)[[0]])
    assert model.recommend("a", k=2).codes.tolist() == [[3, 5]]
    assert_same_weights(model.weights_, before.weights_)


def test_the_newest_item_decides_and_order_is_read_from_times_or_places():
    log = [("a", 0), ("a", 1), ("b", 2), ("b", 3), ("c", 0), ("c", 1)]
    model = SequenceRules(recency=0.3).fit(interactions(log))
    asked = interactions([("a", 0), ("a", 2), ("b", 2), ("b", 0)])[[0, 1]]
    assert model.recommend(asked, k=1).codes.tolist() == [[3], [1]]
    places = [[1, 0, 2, 0, 0, 0], [2, 0, 1, 0, 0, 0]]
    assert model.recommend(places, k=1).codes.tolist() == [[3], [1]]
    assert model.predict(places).tolist() == [3, 1]
    reasons = model.explain(places[:1], 3)
    assert reasons.items.tolist() == [2, 0]
    assert reasons.contributions[1] == 0


def test_recency_acts_at_once():
    model = SequenceRules(recency=1.0).fit(interactions([("a", 0), ("a", 1), ("b", 0), ("b", 1), ("c", 2), ("c", 3)]))
    assert model.recommend([[1, 0, 2, 0, 0, 0]], k=1).codes.tolist() == [[1]]
    assert model.set_params(recency=0.1).recommend([[1, 0, 2, 0, 0, 0]], k=1).codes.tolist() == [[3]]


def test_items_that_no_rule_leads_to_come_by_popularity():
    model = SequenceRules().fit(interactions([("a", 0), ("b", 5), ("c", 5), ("c", 4), ("b", 3)]))
    top = model.recommend("a", k=5)
    assert top.codes.tolist() == [[5, 3, 4, -1, -1]]
    assert top.scores[0, 0] == np.float32(1e-6)


def test_times_are_needed_and_wrong_options_refused():
    with pytest.raises(ValueError, match="SequenceRules learns from the order of events, but X has no times"):
        SequenceRules().fit(Interactions([0], [0]))
    for option, wrong in (("window", 0), ("decay", 0), ("recency", 1.5), ("source_exponent", -1)):
        with pytest.raises(ValueError, match=f"SequenceRules.{option} must be"):
            SequenceRules(**{option: wrong}).fit(interactions([("a", 0)]))
