"""The events of a user since the model was made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.online import Event, Snapshot
from fastrec.online.training_data import interactions_of
from fastrec.online.user_state import UserState, UserStates, merge_into, no_totals
from tests.online.following import load_copy


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.floats(0.125, 100, width=32)), max_size=30), st.data()
)
def test_any_grouping_of_events_gives_the_same_histories(model, triples, draw):
    events = [Event(f"u{user}", f"i{item}", value, seq=seq) for seq, (user, item, value) in enumerate(triples, 1)]
    cut = draw.draw(st.integers(0, len(events)))
    one, two = Snapshot(model).after(events), Snapshot(model).after(events[:cut]).after(events[cut:])
    for user in range(6):
        first, second = one.history(f"u{user}"), two.history(f"u{user}")
        np.testing.assert_array_equal(first.codes, second.codes)
        np.testing.assert_array_equal(first.values, second.values)


@given(st.lists(st.dictionaries(st.integers(0, 40), st.integers(), max_size=5), max_size=12))
def test_states_of_users_stay_as_they_were_when_others_replace_some(steps):
    known, states = [{}], [UserStates()]
    for step in steps:
        changed = {user: UserState(base, no_totals(ordered=False)) for user, base in step.items()}
        known.append(known[-1] | changed)
        states.append(states[-1].replaced(changed))
    for found, expected in zip(states, known, strict=True):
        assert len(found) == len(expected)
        assert all(found.get(user) is expected.get(user) for user in range(41))


@pytest.mark.parametrize(("policy", "merge"), [("sum", np.sum), ("max", np.max), ("last", lambda values: values[-1])])
@given(given=st.data())
def test_merged_values_are_those_of_all_events_negative_ones_too(policy, merge, given):
    before = given.draw(st.dictionaries(st.integers(0, 9), st.integers(-5, 5)))
    events = given.draw(st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5)), max_size=12))
    codes = np.array(sorted(before), np.int32)
    new, added = (np.array([event[part] for event in events], kind) for part, kind in enumerate((np.int32, float)))
    merged, totals = merge_into(codes, np.array([float(before[code]) for code in codes]), new, added, policy)
    by_code = {code: [value] for code, value in before.items()}
    for code, value in events:
        by_code.setdefault(code, []).append(value)
    assert dict(zip(merged.tolist(), totals.tolist(), strict=True)) == {
        code: merge(values) for code, values in by_code.items()
    }
    assert merged.tolist() == sorted(by_code)


VALUES = st.floats(0.125, 3000, width=32)


@pytest.mark.parametrize("policy", ["sum", "last", "max"])
@settings(max_examples=30, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), VALUES), max_size=200),
    cuts=st.sets(st.integers(0, 200)),
)
def test_however_they_come_and_whoever_asks_meanwhile_histories_are_those_of_an_update(model, policy, events, cuts):
    events = [Event(f"u{user}", f"i{item}", value, seq=seq) for seq, (user, item, value) in enumerate(events, 1)]
    snapshot, start = Snapshot(model, policy=policy), 0
    for cut in [*sorted(cuts), len(events)]:
        snapshot = snapshot.after(events[start:cut])
        start = max(start, cut)
        if cut % 3 == 0:
            snapshot.history("u1")
    updated = load_copy(model).partial_fit(interactions_of(model, events, policy)) if events else model
    for user in range(3):
        row = updated.seen_[[user]]
        np.testing.assert_array_equal(snapshot.history(f"u{user}").codes, row.indices)
        np.testing.assert_array_equal(snapshot.history(f"u{user}").values, row.data)


def test_an_event_more_copies_no_more_of_a_long_history_than_of_a_short_one(model):
    def waiting(n):
        snapshot = Snapshot(model).after([Event("u1", f"i{j % 20}", seq=j + 1) for j in range(n)])
        return len(snapshot._states.get("u1")._state[1]), len(snapshot._states.get("u1")._state[0].codes)

    assert waiting(10) == (10, 0)
    assert waiting(100_000) == (0, 20)
