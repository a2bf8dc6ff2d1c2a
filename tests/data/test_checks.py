"""The parts of Interactions checked one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastrec.data.checks import as_datetimes, check_duplicates, check_item_info, check_times, check_values


@given(arrays.arrays(np.float64, st.integers(0, 9), elements=st.floats(width=32)))
def test_values_are_finite_float32_or_refused_by_row(values):
    if np.isfinite(values).all():
        assert check_values(values, len(values)).tolist() == values.tolist()
        return
    with pytest.raises(ValueError, match=f"in row {np.argmin(np.isfinite(values))}"):
        check_values(values, len(values))


@given(arrays.arrays(st.sampled_from([np.int64, np.int32, np.uint32]), st.integers(0, 9)))
def test_times_stay_what_they_are(times):
    checked, unit = check_times(times, "s", len(times))
    assert (checked.tolist(), checked.dtype, unit, checked.flags.writeable) == (times.tolist(), np.int64, "s", False)


def test_dates_have_their_own_unit():
    dates = np.array(["2020-01-01T00:00:00.5", "1969-12-31T23:59:59"], "datetime64[ms]")
    checked, unit = check_times(dates, None, 2)
    assert (checked.tolist(), unit) == (dates.astype(np.int64).tolist(), "ms")
    np.testing.assert_array_equal(as_datetimes(checked, unit), dates)
    assert as_datetimes(checked, None) is checked


@pytest.mark.parametrize(
    ("times", "error", "said"),
    [
        ([1.5, 2.0], TypeError, "integers or datetime64"),
        ([1.0, np.inf], ValueError, "in row 1"),
        (np.array([1, 2**63], np.uint64), ValueError, "in row 1"),
        ([1, 2, 3], ValueError, "shape"),
    ],
)
def test_a_value_that_is_not_a_time_is_refused(times, error, said):
    with pytest.raises(error, match=said):
        check_times(times, None, 2)


def test_a_flag_is_no_time():
    with pytest.raises(ValueError, match="two values only, 0 and 1, in 20 interactions"):
        check_times(np.arange(20) % 2, None, 20)
    assert check_times(np.arange(19) % 2, None, 19)[0].max() == 1


def test_facts_are_one_for_each_item():
    assert check_item_info({"title": ["a", "b"]}, 2)["title"].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="must have one entry for each of 3 items"):
        check_item_info({"title": ["a", "b"]}, 3)


def test_a_policy_is_a_known_one_or_none():
    assert check_duplicates(None) is None
    assert check_duplicates("last") == "last"
    with pytest.raises(ValueError, match="duplicates"):
        check_duplicates("first")
