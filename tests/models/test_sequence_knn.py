"""SequenceKNN: against plain Python, exact under updates, and the effect of order and recency."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec.data import Interactions
from fastrec.kernels.session_neighbors import Shares
from fastrec.matrix.sequences import read_sequences
from fastrec.models import SequenceKNN
from tests.reference import session_neighbors as reference

USERS, ITEMS = ["a", "b", "c", "d"], 6
logs = st.lists(st.tuples(st.sampled_from(USERS), st.integers(0, ITEMS - 1)), min_size=1, max_size=25)


def interactions(log, start=0):
    """Returns events one second apart."""
    users, codes = zip(*log, strict=True)
    return Interactions(
        [USERS.index(user) for user in users], codes, times=start + np.arange(len(log)), users=USERS,
        items=range(ITEMS), duplicates="last",
    )  # fmt: skip


def sessions_of(model):
    """Returns the items of each user, the oldest first."""
    sequences = read_sequences(model.seen_, model.order_)
    return [part.tolist() for part in np.split(sequences.items, sequences.starts[1:-1])]


def last_places(log):
    return [max((place for place, (user, _) in enumerate(log) if user == name), default=-1) for name in USERS]


@settings(deadline=None, max_examples=40)
@given(logs, st.integers(1, 4), st.integers(1, 4), st.floats(0.1, 1), st.floats(0.1, 1), st.sampled_from([0, 0.3, 1]))
def test_scores_are_those_of_plain_python(log, neighbors, candidates, recency, decay, before):
    model = SequenceKNN(neighbors, candidates=candidates, recency=recency, decay=decay, before=before)
    model.fit(interactions(log))
    histories, counts = sessions_of(model), model.item_counts_ + 1.0
    latest_first = np.argsort([-place for place in last_places(log)], kind="stable")
    sessions = [histories[user] for user in latest_first]
    powers, fades = recency ** np.arange(ITEMS), decay ** np.arange(ITEMS)
    shares = Shares(
        powers[powers >= 1e-3], counts**-0.5, np.array([max(len(session), 1) ** -0.5 for session in sessions]),
        fades, before * fades, counts**-0.2,
    )  # fmt: skip
    shares = Shares(*(part.astype(np.float32) for part in shares))
    for user, history in zip(USERS, histories, strict=True):
        if history:
            expected = reference.scores(history, sessions, shares, candidates, neighbors)
            np.testing.assert_allclose(model.predict_pairs(user, range(ITEMS)), expected, rtol=1e-4, atol=1e-19)


@settings(deadline=None, max_examples=30)
@given(logs, logs, logs)
def test_updates_answer_as_a_refit_does_to_the_bit(first, second, third):
    model = SequenceKNN(2, candidates=2).fit(interactions(first))
    model.partial_fit(interactions(second, 100)).partial_fit(interactions(third, 200))
    whole = [*first, *second, *third]
    again = SequenceKNN(2, candidates=2).fit(interactions(whole))
    known = [user for user, history in zip(USERS, sessions_of(again), strict=True) if history]
    for user in known:
        scores = [one.predict_pairs(user, range(ITEMS)) for one in (model, again)]
        np.testing.assert_array_equal(*scores)


def test_one_new_event_of_a_neighbour_changes_the_next_answer():
    model = SequenceKNN().fit(interactions([("a", 0), ("b", 0), ("b", 3), ("c", 4), ("c", 5)]))
    assert model.recommend("a", k=1).codes.tolist() == [[3]]
    assert model.predict_pairs("a", 4)[0] < 1e-15
    model.update_users(["b"], interactions([("b", 4)], 50)[[1]])
    assert 0.01 < model.predict_pairs("a", 4)[0] < model.predict_pairs("a", 3)[0]


def test_of_popular_items_the_sessions_active_last_are_looked_at():
    log = [("a", 0), ("a", 1), ("b", 0), ("b", 2), ("c", 0), ("c", 3)]
    model = SequenceKNN(candidates=1).fit(interactions(log))
    assert model.recommend([[1, 0, 0, 0, 0, 0]], k=1).codes.tolist() == [[3]]
    model.partial_fit(interactions([("a", 4)], 50))
    assert model.recommend([[1, 0, 0, 0, 0, 0]], k=1).codes.tolist() == [[1]]
    model.update_users(["b"], interactions([("b", 5)], 60)[[1]])
    assert model.recommend([[1, 0, 0, 0, 0, 0]], k=1).codes.tolist() == [[2]]


def test_a_user_who_loses_an_item_is_not_active_for_that():
    model = SequenceKNN().fit(interactions([("a", 0), ("a", 1), ("b", 0), ("b", 2), ("c", 3)]))
    before = model.active_.tolist()
    model.update_items([1], [[0, 0, 0, 0]], how="replace")
    assert model.active_.tolist() == before
    assert not model.predict_pairs([[1, 0, 0, 0, 0, 0]], 1).any()


def test_items_after_the_common_one_count_more_than_those_before():
    model = SequenceKNN(before=0.2).fit(interactions([("a", 1), ("a", 0), ("a", 2), ("a", 3)]))
    top = model.recommend([[1, 0, 0, 0, 0, 0]], k=3)
    assert top.codes.tolist() == [[2, 3, 1]]
    assert top.scores[0, 1] == pytest.approx(0.75 * top.scores[0, 0])
    assert top.scores[0, 2] == pytest.approx(0.2 * top.scores[0, 0])
    alone = SequenceKNN(before=0).fit(interactions([("a", 1), ("a", 0), ("a", 2)]))
    assert alone.predict_pairs([[1, 0, 0, 0, 0, 0]], 1)[0] == np.float32(1e-20)


def test_the_newest_common_item_decides_and_reasons_add_up():
    log = [("a", 0), ("a", 1), ("b", 2), ("b", 3), ("c", 0), ("c", 2), ("c", 4)]
    model = SequenceKNN(recency=0.5).fit(interactions(log))
    assert model.recommend([[1, 0, 2, 0, 0, 0]], k=2).codes.tolist() == [[4, 3]]
    for item in range(ITEMS):
        reasons = model.explain([[1, 0, 2, 0, 0, 0]], item)
        assert reasons.contributions.sum() == pytest.approx(reasons.score)
        assert reasons.score == pytest.approx(model.predict_pairs([[1, 0, 2, 0, 0, 0]], item)[0], rel=1e-5, abs=1e-19)
    assert model.explain([[1, 0, 2, 0, 0, 0]], 4).items.tolist() == [2, 0]


def test_options_act_at_once_and_threads_change_no_bit():
    rng = np.random.default_rng(0)
    events = rng.integers(0, 60, 4000), rng.integers(0, 80, 4000)
    data = Interactions(*events, times=np.arange(4000), duplicates="last")
    model = SequenceKNN(n_jobs=1).fit(data)
    asked = model.recommend(range(60), k=5)
    for jobs in (2, 3):
        again = model.set_params(n_jobs=jobs).recommend(range(60), k=5)
        np.testing.assert_array_equal(again.scores, asked.scores)
        np.testing.assert_array_equal(again.codes, asked.codes)
    model.set_params(decay=0.3, recency=0.5, neighbors=20)
    fresh = SequenceKNN(20, decay=0.3, recency=0.5).fit(data)
    np.testing.assert_array_equal(model.recommend(range(60)).scores, fresh.recommend(range(60)).scores)


def test_a_saved_model_answers_as_before_and_so_do_its_updates(tmp_path):
    model = SequenceKNN().fit(interactions([("a", 0), ("a", 1), ("b", 0), ("b", 2), ("c", 0)]))
    model.save(tmp_path / "model.fastrec")
    again = fr.load(tmp_path / "model.fastrec")
    for one in (model, again):
        one.partial_fit(interactions([("a", 4)], 50))
    np.testing.assert_array_equal(again.active_, model.active_)
    np.testing.assert_array_equal(again.recommend("c").scores, model.recommend("c").scores)


def test_times_are_needed():
    with pytest.raises(ValueError, match="SequenceKNN learns from the order of events, but X has no times"):
        SequenceKNN().fit(Interactions([0], [0]))
