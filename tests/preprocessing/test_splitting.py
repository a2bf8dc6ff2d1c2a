import datetime as dt
import importlib.util
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st

import fastrec as fr
from fastrec import Interactions, split_last, split_random, split_time, split_users
from fastrec.data.durations import as_count


def _load_reference():
    path = Path(__file__).parents[1] / "reference" / "interactions.py"
    spec = importlib.util.spec_from_file_location("reference_interactions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load_reference()


@st.composite
def interactions(draw, min_size=2):
    n = draw(st.integers(min_size, 40))
    column = lambda top: draw(st.lists(st.integers(0, top), min_size=n, max_size=n))
    # The value is the number of the event, so that a part tells which events it holds.
    return Interactions(
        column(6), column(8), range(n), column(12), users=[f"u{u}" for u in range(7)], items=range(9), time_unit="s"
    )


def numbers(part):
    return set(part.values.astype(int).tolist())


def check_parts(data, train, test):
    """Checks that every event is in one of the parts, unchanged, and that codes mean the same in all three."""
    assert not numbers(train) & numbers(test)
    assert numbers(train) | numbers(test) == numbers(data)
    for part in (train, test):
        assert part.n_interactions > 0
        assert part.users is data.users
        assert part.items is data.items
        assert part.duplicates == data.duplicates
        assert part.time_unit == data.time_unit
        events = part.values.astype(int)
        for name in ("user_codes", "item_codes", "times"):
            np.testing.assert_array_equal(getattr(part, name), getattr(data, name)[events])


@given(interactions(), st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_random_split_keeps_pairs_together_and_its_share(data, share, seed):
    n_pairs = data.matrix.nnz
    assume(0 < round(share * n_pairs) < n_pairs)
    train, test = split_random(data, share, random_state=seed)
    check_parts(data, train, test)
    assert test.matrix.nnz == round(share * n_pairs)
    assert train.matrix.nnz == n_pairs - test.matrix.nnz  # no pair is on both sides


def test_a_random_split_follows_its_seed():
    data = Interactions(np.arange(500) // 10, np.arange(500) % 10, np.arange(500))
    first, second, other = (split_random(data, 0.3, random_state=seed)[1] for seed in (1, 1, 2))
    assert numbers(first) == numbers(second) != numbers(other)
    assert len(numbers(split_random(data, 7, random_state=np.random.default_rng(0))[1])) == 7
    assert len(numbers(split_random(data, 0.3, random_state=np.random.RandomState(0))[1])) == 150


@pytest.mark.parametrize("share", [0, 1.0, 0.0, -0.1, 2, 1.5, True, "half", float("nan"), 1e-9])
def test_a_share_that_leaves_a_part_empty_is_refused(share):
    with pytest.raises((ValueError, TypeError), match=r"test|each part"):
        split_random(Interactions([0, 1], [0, 1]), share)


@given(interactions(), st.integers(1, 4))
def test_the_last_interactions_of_each_user_are_tested(data, n):
    expected = reference.last(data.user_codes.tolist(), data.times.tolist(), n)
    assume(expected)
    train, test = split_last(data, n)
    check_parts(data, train, test)
    assert numbers(test) == expected


@given(interactions(), st.integers(1, 4))
def test_nobody_is_tested_who_was_not_trained_on(data, n):
    assume((np.bincount(data.user_codes) > n).any())
    train, test = split_last(data, n)
    assert set(test.user_codes.tolist()) <= set(train.user_codes.tolist())


@given(interactions(), st.sampled_from([0.2, 0.5, 0.7]))
def test_a_share_of_each_users_last_interactions_is_tested(data, share):
    counts = np.bincount(data.user_codes)
    wanted = (counts * round(10 * share)) // 10
    assume(wanted.any())
    train, test = split_last(data, share)
    check_parts(data, train, test)
    assert np.bincount(test.user_codes, minlength=len(counts)).tolist() == wanted.tolist()
    for user in np.flatnonzero(wanted):
        assert train.times[train.user_codes == user].max() <= test.times[test.user_codes == user].min()


def test_of_equal_times_the_later_row_is_the_last():
    data = Interactions([0, 0, 0], [0, 1, 2], times=[5, 5, 5])
    assert split_last(data)[1].item_codes.tolist() == [2]


@pytest.mark.parametrize("split", [split_last, lambda data: split_time(data, fraction=0.5)])
def test_splits_by_time_need_times(split):
    with pytest.raises(ValueError, match="needs times"):
        split(Interactions([0, 0], [0, 1]))
    with pytest.raises(ValueError, match="at least one interaction"):
        split(Interactions([], [], times=[]))


def test_users_with_too_few_interactions_leave_nothing_to_test():
    with pytest.raises(ValueError, match="no user has more than 2"):
        split_last(Interactions([0, 0, 1], [0, 1, 0], times=[1, 2, 3]), 2)
    with pytest.raises(ValueError, match=r"no user has so many interactions that a share of 0\.2 is one"):
        split_last(Interactions([0, 0, 1], [0, 1, 0], times=[1, 2, 3]), 0.2)
    for n in (0, -1, 1.5, True, "1"):
        with pytest.raises((ValueError, TypeError), match="n must be an integer"):
            split_last(Interactions([0, 0], [0, 1], times=[1, 2]), n)


@given(interactions(), st.integers(-1, 14))
def test_a_cut_in_time_divides_before_from_after(data, at):
    late = data.times >= at
    if late.all() or not late.any():
        with pytest.raises(ValueError, match="part would be empty"):
            split_time(data, at=at)
        return
    train, test = split_time(data, at=at)
    check_parts(data, train, test)
    assert train.times.max() < at <= test.times.min()


@given(interactions(), st.floats(0.01, 0.99))
def test_a_share_in_time_is_at_least_reached_and_nothing_tested_is_older_than_training(data, share):
    wanted = max(1, round(share * data.n_interactions))
    if np.sort(data.times)[-wanted] == data.times.min():  # a tie that reaches back to the first interaction
        with pytest.raises(ValueError, match="training part would be empty"):
            split_time(data, fraction=share)
        return
    train, test = split_time(data, fraction=share)
    check_parts(data, train, test)
    assert train.times.max() < test.times.min()
    # A later cut would not have been enough.
    assert (data.times > test.times.min()).sum() < wanted <= test.n_interactions


HOUR = 1_577_840_400  # 2020-01-01 01:00 UTC


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    "at",
    [
        "2020-01-01T01:00:00", "2020-01-01T01:00:00Z", "2020-01-01T02:00:00+01:00", dt.datetime(2020, 1, 1, 1),
        dt.datetime(2020, 1, 1, 1, tzinfo=dt.UTC), np.datetime64("2020-01-01T01"), np.datetime64("2020-01-01T01", "ns"),
    ],
)  # fmt: skip
def test_a_cut_may_be_a_date(unit, at):
    times = np.array([HOUR - 1, HOUR], "M8[s]").astype(f"M8[{unit}]")
    train, test = split_time(Interactions([0, 0], [0, 1], times=times), at=at)
    assert (train.item_codes.tolist(), test.item_codes.tolist()) == ([0], [1])


def test_a_cut_within_a_unit_leaves_what_came_before_it_in_training():
    data = Interactions([0, 0], [0, 1], times=[HOUR, HOUR + 1], time_unit="s")
    train, _ = split_time(data, at="2020-01-01T01:00:00.5")
    assert train.times.tolist() == [HOUR]


def test_a_cut_may_be_a_date_object():
    data = Interactions([0, 0], [0, 1], times=[HOUR - 7200, HOUR], time_unit="s")
    assert split_time(data, at=dt.date(2020, 1, 1))[1].times.tolist() == [HOUR]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "either a moment"),
        ({"at": 1, "fraction": 0.5}, ValueError, "either a moment"),
        ({"at": "soon"}, ValueError, "a string such as 2020-01-31 or 31.01.2020 12:00, got 'soon'"),
        ({"at": 1.5}, TypeError, "at must be"),
        ({"at": True}, TypeError, "at must be"),
        ({"at": np.datetime64("NaT", "s")}, TypeError, "at must be"),
        ({"fraction": 0}, ValueError, "fraction must be"),
        ({"fraction": 1.5}, ValueError, "fraction must be"),
        ({"at": "2020-01-01"}, ValueError, "the unit of the times is unknown"),
    ],
)
def test_a_cut_that_cannot_be_made_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        split_time(Interactions([0, 0], [0, 1], times=[1, 2]), **options)


@pytest.mark.parametrize("split", [split_random, split_last, split_time, split_users])
def test_other_things_than_interactions_are_refused_with_the_way_to_make_them(split):
    with pytest.raises(TypeError, match=r"needs Interactions, got csr_array: make them by Interactions.from_matrix"):
        split(sp.csr_array(np.eye(3)))


MOMENTS = {  # the moment 1 600 000 000 seconds after 1970, or the first one that comes at or after it
    "int": 1_600_000_000,
    "float": 1_600_000_000.0,
    "float64": np.float64(1_600_000_000),
    "float32": np.float32(1_600_000_000),
    "uint64": np.uint64(1_600_000_000),
    "0-d": np.array(1_600_000_000),
    "decimal": Decimal(1_600_000_000),
    "string": "2020-09-13T12:26:40",
    "string with UTC": "2020-09-13 12:26:40 UTC",
    "string with zone": "2020-09-13 13:26:40 +0100",
    "string with dots": "13.09.2020 12:26:40",
    "datetime": dt.datetime(2020, 9, 13, 12, 26, 40),
    "datetime with zone": dt.datetime(2020, 9, 13, 14, 26, 40, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    "pandas": pd.Timestamp("2020-09-13 12:26:40"),
    "pandas nanoseconds": pd.Timestamp("2020-09-13 12:26:39.000000001"),
    **{f"datetime64[{unit}]": np.datetime64("2020-09-13T12:26:40", unit) for unit in ("s", "ms", "us", "ns")},
    "datetime64[10s]": np.datetime64(160_000_000, "10s"),
}


@pytest.mark.parametrize("at", MOMENTS.values(), ids=MOMENTS)
def test_a_moment_of_any_make_cuts_at_the_same_place(at):
    seconds = [1_599_999_999, 1_600_000_000, 1_600_000_001]
    data = fr.Interactions([0, 0, 1], [0, 1, 1], times=seconds, time_unit="s")
    train, test = fr.split_time(data, at=at)
    assert (train.times.tolist(), test.times.tolist()) == (seconds[:1], seconds[1:])


@given(
    st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from(["datetime", "string", "us", "s", "D", "M", "Y"]),
)
def test_no_moment_wraps_around(moment, unit, make):
    if make in ("us", "s", "D", "M", "Y"):
        at = np.datetime64(moment, make) if make in ("us", "s") else np.datetime64(moment, "us").astype(f"M8[{make}]")
        moment = at.astype("M8[us]").item()
    else:
        at = moment if make == "datetime" else moment.isoformat()
    exact = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
    assert as_count("at", at, unit) == -(-exact * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit] // 10**6)
    data = fr.Interactions([0, 0], [0, 1], times=[-(2**62), 2**62], time_unit=unit)
    if -(2**62) < as_count("at", at, unit) <= 2**62:
        assert fr.split_time(data, at=at)[1].times.tolist() == [2**62]
        return
    side = "test" if exact > 0 else "training"
    with pytest.raises(ValueError, match=f"the {side} part would be empty"):
        fr.split_time(data, at=at)


@pytest.mark.parametrize("at", [float("nan"), np.inf, -np.inf, Decimal("nan"), "soon", "2020-13-01"])
def test_an_invalid_moment_is_a_value_error(at):
    data = fr.Interactions([0, 0], [0, 1], times=[1, 2], time_unit="s")
    with pytest.raises(ValueError, match="at must be"):
        fr.split_time(data, at=at)


@pytest.mark.parametrize(
    "at", [True, np.timedelta64(1, "s"), dt.timedelta(1), [1], b"2020", 1j, pd.NaT, np.float64(1.5)]
)
def test_a_value_of_another_type_is_a_type_error(at):
    data = fr.Interactions([0, 0], [0, 1], times=[1, 2], time_unit="s")
    with pytest.raises(TypeError, match=r"at must be a (whole )?number, a date"):
        fr.split_time(data, at=at)
