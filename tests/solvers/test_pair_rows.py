"""Sums that are changed in place, with as many places as they need."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.arrays import starts_of
from fastrec.matrix.sequences import Sequences
from fastrec.solvers.follows import fades_of, sum_pairs
from fastrec.solvers.pair_rows import ChangingPairs

ITEMS = 30
changes = st.lists(st.lists(st.integers(0, ITEMS - 1), unique=True, max_size=12), max_size=8)


def summed(histories, fades):
    codes = np.array([item for items in histories for item in items], np.int32)
    return sum_pairs(Sequences(starts_of(np.array([len(items) for items in histories])), codes), ITEMS, fades)


@settings(deadline=None, max_examples=50)
@given(changes, changes, st.sampled_from([0.0, 0.3]))
def test_histories_that_become_others_leave_the_sums_of_these(first, later, half):
    fades = fades_of(4, 0.6, half)
    pairs = summed(first, fades)
    before = [part.copy() for part in pairs]
    changing, histories = ChangingPairs(pairs, fades), dict(enumerate(first))
    for user, items in enumerate(later):
        old = histories.get(user, [])
        histories[user] = [item for item in old if item not in items] + items
        changing.change(np.array(old, np.int32), np.array(histories[user], np.int32))
    for part, wanted in zip(changing.join(), summed(list(histories.values()), fades), strict=True):
        np.testing.assert_array_equal(part, wanted, strict=True)
    for part, was in zip(pairs, before, strict=True):  # others may read these
        np.testing.assert_array_equal(part, was)


def test_much_room_is_told():
    fades = fades_of(4, 0.6)
    changing = ChangingPairs(summed([[0, 1]], fades), fades)
    changing.change(np.empty(0, np.int32), np.arange(5, dtype=np.int32))
    assert not changing.is_large
    changing._used = 2 << 20
    assert changing.is_large
