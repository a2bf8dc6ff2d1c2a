"""Histories cut into sessions."""

import datetime
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr

logs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 60)), min_size=1, max_size=25)


def cut_by_hand(log, gap):
    """Returns the events of each session, the sessions of a user one after the other."""
    sessions = {}
    for user in sorted({user for user, _, _ in log}):
        own = sorted(((time, place) for place, (who, _, time) in enumerate(log) if who == user))
        parts = [[own[0]]]
        for before, event in itertools.pairwise(own):
            parts.append([event]) if event[0] - before[0] > gap else parts[-1].append(event)
        sessions[user] = [[place for _, place in part] for part in parts]
    return sessions


@settings(deadline=None)
@given(logs, st.integers(1, 20), st.sampled_from([int, str]))
def test_sessions_are_those_of_a_cut_by_hand(log, gap, kind):
    users, items, times = (list(column) for column in zip(*log, strict=True))
    ids = [kind(10 + n) for n in range(4)]
    data = fr.Interactions(users, items, times=times, users=ids)
    sessions = fr.cut_sessions(data, gap)
    assert sessions.data.users.ids[:4].tolist() == ids
    assert len(set(sessions.data.users.ids.tolist())) == len(sessions.users)
    found = {row: np.flatnonzero(sessions.data.user_codes == row).tolist() for row in range(len(sessions.users))}
    earlier = iter(range(4, len(sessions.users)))
    for user, parts in cut_by_hand(log, gap).items():
        rows = [next(earlier) for _ in parts[:-1]] + [user]
        assert [sorted(part) for part in parts] == [found[row] for row in rows]
        assert {sessions.users[row] for row in rows} == {ids[user]}
        if kind is str:
            assert [sessions.data.users.ids[row] for row in rows[:-1]] == [
                f"{ids[user]}#{n + 1}" for n in range(len(parts) - 1)
            ]
    assert sessions.data.times.tolist() == times
    assert sessions.data.item_codes.tolist() == items


def test_a_model_learns_within_sessions_and_answers_by_the_newest():
    hour = 3600
    users, items = [0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 0, 1]
    data = fr.Interactions(
        users, items, times=[0, 60, 9 * hour, 9 * hour + 60, 5, 9], users=["ann", "bob"], time_unit="s"
    )
    whole, model = fr.SequenceRules().fit(data), fr.SequenceRules().fit(fr.cut_sessions(data, "30min").data)
    assert whole.weights_[1, 2] > 0
    assert model.weights_[1, 2] == 0
    assert model.weights_[2, 3] > 0
    assert model.weights_[0, 1] > 0
    seen = model.explain("ann", 1).items.tolist()
    assert sorted(seen) == [2, 3], "what came before the gap is no reason"
    assert model.recommend("ann#1", k=1, exclude_seen=False).items[0, 0] == 1


@pytest.mark.parametrize("gap", ["30min", datetime.timedelta(minutes=30), np.timedelta64(30, "m"), 1800])
def test_the_gap_is_a_span_of_time_like_all_others(gap):
    data = fr.Interactions([0, 0, 0], [0, 1, 2], times=[0, 1800, 3601], time_unit="s")
    assert fr.cut_sessions(data, gap).data.user_codes.tolist() == [1, 1, 0]


def test_data_that_cannot_be_cut_are_refused():
    data = fr.Interactions([0, 0], [0, 1], times=[0, 50], users=["ann", "ann#1"])
    with pytest.raises(ValueError, match="ids such as 'ann#1', and the data has users of such names"):
        fr.cut_sessions(data, 10)
    with pytest.raises(ValueError, match="cut_sessions needs times: make the data"):
        fr.cut_sessions(fr.Interactions([0], [0]), 10)
    with pytest.raises(ValueError, match="session_gap"):
        fr.cut_sessions(data, 0)
    with pytest.raises(ValueError, match="session_gap"):
        fr.cut_sessions(data, "30min")
    far = fr.Interactions([0, 0], [0, 1], times=[-(2**62), 2**62])
    assert fr.cut_sessions(far, 10).data.user_codes.tolist() == [1, 0]
