"""Events behind a history, against plain Python."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.history import History, append_events
from fastrec.kernels.splice import LAST, MAX, SUM
from fastrec.matrix.arrays import readonly
from tests.reference import history as reference

ITEMS = 8
entries = st.lists(st.tuples(st.integers(0, ITEMS - 1), st.integers(0, 3)), unique_by=lambda entry: entry[0])


def row_of(history):
    codes = sorted(history)
    arrays = [
        np.array(codes, np.int32),
        np.array([history[code][0] for code in codes], np.float32),
        np.array([history[code][1] for code in codes], np.int32),
    ]
    return History(*map(readonly, arrays))


def packed(row):
    return readonly(np.stack([row.codes, row.values.view(np.int32), row.order])), len(row.codes)


def appended(row, events, policy):
    most = len(row.codes) + len(events)
    found, lists = np.empty((3, most), np.int32), np.empty((3, most), np.int32)
    gained = np.empty(len(events), np.int64)
    codes = readonly(np.array([item for item, _ in events], np.int32))
    values = readonly(np.array([value for _, value in events], np.float32))
    size, had, has, finite = append_events(*packed(row), codes, values, policy, found, lists, gained)
    assert finite
    new = History(found[0, :size], found[1, :size].view(np.float32), found[2, :size])
    return new, lists[0, :had].tolist(), lists[1, :has].tolist(), gained.tolist()


@settings(deadline=None, max_examples=80)
@given(entries, entries, st.sampled_from(["sum", "last", "max"]))
def test_events_come_behind_a_history_as_in_plain_python(old, events, policy):
    history = {item: (value, place) for place, (item, value) in enumerate(old)}
    expected = reference.append(history, events, policy)
    kind = {"sum": SUM, "last": LAST, "max": MAX}[policy]
    row, before, after, gained = appended(row_of(history), events, kind)
    for part, wanted in zip(row, row_of(expected), strict=True):
        np.testing.assert_array_equal(part, wanted)
    assert before == reference.liked(history)
    assert after == reference.liked(expected)
    assert gained == [(item in after) - (item in before) for item, _ in events]


def test_a_sum_beyond_float32_is_told():
    row = row_of({0: (3e38, 0)})
    found, lists, gained = np.empty((3, 2), np.int32), np.empty((3, 2), np.int32), np.empty(1, np.int64)
    codes, values = readonly(np.zeros(1, np.int32)), readonly(np.array([3e38], np.float32))
    assert not append_events(*packed(row), codes, values, SUM, found, lists, gained)[3]
    assert append_events(*packed(row), codes, values, MAX, found, lists, gained)[3]
