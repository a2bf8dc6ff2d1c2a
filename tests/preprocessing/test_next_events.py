"""Every event after a moment is asked about, with all events of its user before it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrec as fr

USERS = ["a", "b", "c"]
logs = st.lists(st.tuples(st.sampled_from(USERS), st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=20)


def interactions(log):
    users, items, times = zip(*log, strict=True)
    return fr.Interactions(
        [USERS.index(user) for user in users], items, range(len(log)), times, users=USERS, items=range(5)
    )


def questions(log, after, limit):
    """Returns the questions as lists: the user, the numbers of the events before, the number of the event to find."""
    found = []
    for user in USERS:
        events = sorted((time, row) for row, (who, _, time) in enumerate(log) if who == user)
        late = [place for place, (time, _) in enumerate(events) if time >= after][:limit]
        found += [(user, [row for _, row in events[:place]], events[place][1]) for place in late]
    return found


@given(logs, st.integers(0, 9), st.none() | st.integers(1, 3))
def test_each_event_after_the_moment_has_the_events_before_it_as_history(log, after, limit):
    data, expected = interactions(log), questions(log, after, limit)
    if not expected:
        with pytest.raises(ValueError, match="no event lies after the moment"):
            fr.next_events(data, after=after, limit=limit)
        return
    events = fr.next_events(data, after=after, limit=limit)
    assert events.users.tolist() == [user for user, _, _ in expected]
    assert len(events.histories) == len(events.truth) == len(expected)
    assert events.truth.values.tolist() == [row for _, _, row in expected]
    assert events.truth.user_codes.tolist() == list(range(len(expected)))
    for code, (_, before, _) in enumerate(expected):
        assert events.histories.values[events.histories.user_codes == code].tolist() == before
    for part in (events.histories, events.truth):
        rows = part.values.astype(int)
        assert part.items is data.items
        assert part.item_codes.tolist() == data.item_codes[rows].tolist()
        assert part.times.tolist() == data.times[rows].tolist()


def test_moments_may_be_dates():
    times = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[s]")
    data = fr.Interactions([0, 0, 0], [0, 1, 2], times=times)
    assert fr.next_events(data, after="2024-01-02").truth.item_codes.tolist() == [1, 2]


def test_missing_or_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="next_events needs times"):
        fr.next_events(fr.Interactions([0], [0]), after=1)
    with pytest.raises(ValueError, match="limit must be an integer of at least 1, got 0"):
        fr.next_events(interactions([("a", 1, 2)]), after=1, limit=0)
    with pytest.raises(TypeError, match="next_events needs Interactions"):
        fr.next_events(np.eye(3), after=1)
