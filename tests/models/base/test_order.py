"""Order reaches a model and stays with it through fit, files, questions and every kind of update."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.matrix.sequences import is_order, read_sequences
from fastrec.models import Popularity, load
from fastrec.models.base import registry
from fastrec.models.base.audience import find_audience
from fastrec.storage import FileError, read_arrays, write_arrays
from tests.reference.last_item import LastItem, StrictlyLastItem

USERS, ITEMS = ["a", "b", "c"], list(range(6))
logs = st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS)), min_size=1, max_size=15)


def interactions(log, start=0):
    """Returns events one second apart."""
    users, items = zip(*log, strict=True)
    times = start + np.arange(len(log))
    return Interactions(
        [USERS.index(u) for u in users], items, times=times, time_unit="s", users=USERS, items=ITEMS, duplicates="sum"
    )


def sequence_of(model, user):
    order = read_sequences(model.seen_, model.order_)
    row = model.user_vocabulary.encode([user])[0]
    return model.item_vocabulary.decode(order.items[order.starts[row] : order.starts[row + 1]]).tolist()


def latest_first_met(log, user):
    """Returns items by the time of their last event, the oldest first."""
    items = [item for who, item in log if who == user]
    return sorted(set(items), key=lambda item: len(items) - items[::-1].index(item))


@settings(deadline=None, max_examples=50)
@given(logs, logs)
def test_a_model_keeps_the_order_of_its_data_and_appends_to_it(first, second):
    model = LastItem().fit(interactions(first))
    for user in USERS:
        assert sequence_of(model, user) == latest_first_met(first, user)
    model.partial_fit(interactions(second, start=100))
    for user in USERS:
        old, new = latest_first_met(first, user), latest_first_met(second, user)
        assert sequence_of(model, user) == [item for item in old if item not in new] + new
    assert is_order(model.seen_, model.order_)


@settings(deadline=None, max_examples=50)
@given(logs, logs, st.sampled_from(["append", "replace"]), st.permutations(USERS))
def test_update_users_appends_or_replaces(first, second, how, users):
    model = LastItem().fit(interactions(first))
    data = interactions(second, start=100)
    model.update_users(users, data[[USERS.index(user) for user in users]], how)
    for user in USERS:
        old, new = latest_first_met(first, user), latest_first_met(second, user)
        kept = [] if how == "replace" else [item for item in old if item not in new]
        assert sequence_of(model, user) == kept + new


def test_new_users_and_items_have_an_order_too():
    model = LastItem().fit(interactions([("a", 3), ("a", 1)]))
    day = Interactions([1, 1, 0], [0, 1, 1], times=[7, 5, 6], time_unit="s", users=["a", "z"], items=[9, 2])
    model.partial_fit(day)
    assert sequence_of(model, "z") == [2, 9]
    assert sequence_of(model, "a") == [3, 1, 2]


def test_update_items_takes_entries_away_and_adds_the_newest():
    model = LastItem().fit(interactions([("a", 3), ("a", 1), ("a", 2), ("b", 1)]))
    model.update_items([1], [[0, 0, 1]], how="replace")
    assert [sequence_of(model, user) for user in USERS] == [[3, 2], [], [1]]
    model.update_items([0, 4], [[1, 0, 0], [1, 0, 0]])
    assert sequence_of(model, "a") == [3, 2, 0, 4]


def test_questions_are_answered_by_the_order_of_whom_they_are_about():
    log = [("a", 0), ("a", 5), ("b", 5), ("b", 0)]
    model = LastItem().fit(interactions([*log, *(("c", item) for item in ITEMS)]))
    top = model.recommend(["a", "b", "a"], k=1)
    assert top.items.tolist() == [[4], [1], [4]]
    histories = interactions([*log, *(("c", item) for item in ITEMS)])
    assert np.array_equal(model.recommend(histories[[0, 1]], k=1).codes, top.codes[:2])
    alone = model.recommend(histories[[1]], k=1)
    assert np.array_equal(alone.codes, top.codes[1:2])


def test_histories_fade():
    data = interactions([("a", 4), ("a", 2), ("a", 0), *(("c", item) for item in ITEMS)])
    model = LastItem().fit(data)
    expected = np.zeros((1, 6), np.float32)
    expected[0, [4, 2, 0]] = 0.25, 0.5, 1
    for users in ("a", data[[0]]):
        audience, _ = find_audience(model, users, "error")
        assert np.array_equal(audience.faded(0.5).toarray(), expected)
    # Values of a plain matrix are places for a model that needs an order: they have no weight.
    audience, _ = find_audience(StrictlyLastItem().fit(data), np.array([[9, 0, 7, 0, 2, 0]]), "error")
    assert np.array_equal(audience.faded(0.5).toarray(), expected)


def test_a_plain_matrix_has_no_order_but_for_models_that_need_one():
    X = np.array([[3, 0, 1], [0, 2, 2]])
    assert LastItem().fit(X).order_ is None
    assert LastItem().fit(X).recommend([[1, 0, 1]], k=1, exclude_seen=False).codes[0, 0] == 2
    strict = StrictlyLastItem().fit(X)
    assert strict.order_.tolist() == [1, 0, 0, 1]
    assert strict.recommend([[2, 0, 1]], k=1, exclude_seen=False).codes[0, 0] == 0


def test_missing_times_are_reported():
    data = Interactions([0, 1], [1, 0])
    with pytest.raises(ValueError, match="StrictlyLastItem learns from the order of events, but X has no times"):
        StrictlyLastItem().fit(data)
    assert LastItem().fit(data).order_ is None


def test_other_models_keep_no_order():
    model = Popularity().fit(interactions([("a", 0), ("a", 1)]))
    assert model.order_ is None
    assert "order_" not in vars(model)


def test_zeros_are_had_but_are_no_part_of_a_sequence():
    # The newest event of the first user, of item 5, has the value 0: the last item that was learned from is item 1.
    users, items, values = [0, 0, 0, 1, 1], [3, 1, 5, 2, 4], [1, 1, 0, 1, 1]
    data = Interactions(users, items, values, times=[1, 2, 3, 4, 5], items=ITEMS)
    model = LastItem().fit(data)
    assert model.order_.tolist() == [1, 0, 2, 0, 1]
    assert model.recommend([0], k=1).codes[0, 0] == 2
    assert model.recommend(data, k=1).codes[0, 0] == 2


def test_order_is_saved_and_a_wrong_one_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(registry._CLASSES, "LastItem", LastItem)
    model = LastItem().fit(interactions([("a", 3), ("a", 1), ("b", 2)]))
    path = tmp_path / "model.fastrec"
    model.save(path)
    again = load(path)
    assert np.array_equal(again.order_, model.order_)
    assert np.array_equal(again.recommend(["a", "b"], k=2).codes, model.recommend(["a", "b"], k=2).codes)
    arrays, record = read_arrays(path)
    for wrong in ([1, 1, 0], [0, 2, 0], [0, 1, 1]):
        write_arrays(path, {**arrays, "order": np.array(wrong, np.int32)}, record)
        with pytest.raises(FileError, match="order_"):
            load(path)


def test_a_list_of_items_is_an_order():
    model = StrictlyLastItem().fit(interactions([(user, item) for user in USERS for item in ITEMS]))
    histories = model.histories([[0, 5], [5, 0, 2, 0], []])
    assert histories.toarray().tolist() == [[1, 0, 0, 0, 0, 2], [4, 0, 3, 0, 0, 1], [0] * 6]
    audience, _ = find_audience(model, histories, "error")
    sequences = audience.sequences()
    assert sequences.items.tolist() == [0, 5, 5, 2, 0]
    assert model.recommend(histories[[0]], k=1).codes[0, 0] == 4
    assert LastItem().fit(interactions([("a", 1)])).histories([[1, 0]]).data.tolist() == [1, 1]
