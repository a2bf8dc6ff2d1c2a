"""The last baskets of each user split off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec.preprocessing.baskets import find_baskets

logs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 60)), min_size=1, max_size=25)


def baskets_by_hand(log, gap):
    """Returns the places of the events of each basket, the baskets of each user, the oldest first."""
    found = {}
    for time, place, user in sorted((time, place, user) for place, (user, _, time) in enumerate(log)):
        baskets = found.setdefault(user, [])
        if not baskets or time - log[baskets[-1][-1]][2] > gap:
            baskets.append([])
        baskets[-1].append(place)
    return found


def interactions(log, **options):
    users, items, times = (np.array(part) for part in zip(*log, strict=True))
    return fr.Interactions(users, items, times=times, **options)


@settings(deadline=None)
@given(logs, st.integers(1, 3), st.sampled_from([None, 1, 10]))
def test_the_last_baskets_are_those_found_by_hand(log, n, gap):
    found = baskets_by_hand(log, gap or 0)
    tested = [place for own in found.values() if len(own) > n for basket in own[-n:] for place in basket]
    data = interactions(log)
    if not tested:
        with pytest.raises(ValueError, match=f"no user has more baskets than {n}"):
            fr.split_last_baskets(data, n, gap)
        return
    train, test = fr.split_last_baskets(data, n, gap)
    kept = np.setdiff1d(np.arange(len(log)), tested)
    for part, places in ((test, np.sort(tested)), (train, kept)):
        assert part.shape == data.shape
        for name in ("user_codes", "item_codes", "times"):
            np.testing.assert_array_equal(getattr(part, name), getattr(data, name)[places])


@settings(deadline=None)
@given(logs, st.sampled_from([0, 5]))
def test_the_newest_basket_has_age_0(log, gap):
    users, _, times = (np.array(part) for part in zip(*log, strict=True))
    baskets = find_baskets(users.astype(np.int32), times, 5, gap)
    expected = baskets_by_hand(log, gap)
    assert baskets.counts.tolist() == [len(expected.get(user, ())) for user in range(5)]
    ages = dict(zip(baskets.order.tolist(), baskets.ages.tolist(), strict=True))
    for own in expected.values():
        for age, basket in enumerate(reversed(own)):
            assert {ages[place] for place in basket} == {age}


def test_a_gap_is_a_span_in_the_unit_of_the_times():
    data = interactions([(0, 0, 0), (0, 1, 86_400), (0, 2, 400_000)], time_unit="s")
    assert fr.split_last_baskets(data)[1].item_codes.tolist() == [2]
    assert fr.split_last_baskets(data, basket_gap="1d")[0].item_codes.tolist() == [0, 1]
    with pytest.raises(ValueError, match="no user has more baskets than 1"):
        fr.split_last_baskets(data, basket_gap="30d")
    with pytest.raises(ValueError, match="basket_gap must be a finite number above 0"):
        fr.split_last_baskets(data, basket_gap=0)
    with pytest.raises(ValueError, match="split_last_baskets needs times"):
        fr.split_last_baskets(fr.Interactions([0], [0]))


def test_baskets_of_one_event_each_are_warned_of():
    data = interactions([(user, item, 10 * user + item) for user in range(8) for item in range(4)])
    with pytest.warns(UserWarning, match=r"32 baskets hold 32 events.*basket_gap"):
        fr.split_last_baskets(data)
    fr.split_last_baskets(interactions([(user, item, item // 2) for user in range(8) for item in range(8)]))
