import numpy as np
import pytest

from fastrec.data import Interactions
from fastrec.models import Popularity
from fastrec.models.popularity import parse_half_life

X = np.array([[3, 0, 1, 0], [0, 9, 1, 0], [1, 0, 1, 0]], np.float32)


def test_counts_are_of_users_and_values_are_summed():
    assert Popularity().fit(X).item_scores_.tolist() == [2, 1, 3, 0]
    assert Popularity(weighting="value").fit(X).item_scores_.tolist() == [4, 9, 3, 0]


def test_everybody_gets_the_same_but_what_they_have():
    top = Popularity().fit(X).recommend([0, 1, 2], k=3)
    assert top.codes.tolist() == [[1, -1, -1], [0, -1, -1], [1, -1, -1]]
    assert Popularity().fit(X).recommend([0, 1], k=3, exclude_seen=False).codes.tolist() == [[2, 0, 1]] * 2


def events(**options):
    day = 86400
    return Interactions([0, 1, 2, 0], [0, 0, 1, 2], [2, 2, 5, 1], [0, 0, 30 * day, 60 * day], **options)


def test_events_count_half_for_every_half_life():
    expected = [0.5, 0.5, 1.0]
    for half_life, unit in (("30d", "s"), (30 * 86400, "s"), (30 * 86400.0, None), ("720h", "s")):
        model = Popularity(half_life=half_life).fit(events(time_unit=unit))
        np.testing.assert_allclose(model.item_scores_, expected, rtol=1e-6)
    model = Popularity(weighting="value", half_life="30d").fit(events(time_unit="s"))
    np.testing.assert_allclose(model.item_scores_, [1, 2.5, 1], rtol=1e-6)


@pytest.mark.parametrize("half_life", [None, "30d"])
def test_zeros_are_no_feedback(half_life):
    data = Interactions([0, 1, 1], [0, 0, 1], [1.0, 0.0, 0.0], [0, 0, 0], time_unit="s")
    assert Popularity(half_life=half_life).fit(data).item_scores_.tolist() == [1, 0]


def test_negative_events_are_refused_even_where_their_sum_is_not():
    data = Interactions([0, 0], [0, 0], [3.0, -1.0], [0, 1])
    with pytest.raises(ValueError, match="no negative values, got an event with one"):
        Popularity(half_life=1).fit(data)


@pytest.mark.parametrize("half_life", [None, 1])
def test_sums_beyond_float32_are_named(half_life):
    data = Interactions([0, 1], [0, 0], [3e38, 3e38], [0, 0])
    with pytest.raises(FloatingPointError, match="too large for float32"):
        Popularity(weighting="value", half_life=half_life).fit(data)


def test_unknown_users_are_answered_as_all_others_are():
    data = Interactions([0, 1, 2], [0, 0, 1], times=[0, 0, 100], users=["a", "b", "c"], items=["old", "new"])
    model = Popularity(half_life=10).fit(data)
    top = model.recommend("nobody", 2, on_unknown="popular")
    assert (top.items.tolist(), top.fallback.tolist()) == ([["new", "old"]], [True])
    np.testing.assert_array_equal(top.scores, model.recommend(model.histories([[]]), 2).scores)


def test_time_stamps_beyond_float64_keep_their_differences():
    start = 1_700_000_000_000_000_000
    data = Interactions([0, 1], [0, 1], times=[start, start + 100], time_unit="ns")
    np.testing.assert_allclose(Popularity(half_life=100).fit(data).item_scores_, [0.5, 1.0])


def test_times_farther_apart_than_int64_holds():
    data = Interactions([0, 1], [0, 1], times=[-(2**63) + 1, 2**63 - 1], time_unit="ns")
    assert Popularity(half_life="1d").fit(data).item_scores_.tolist() == [0, 1]


def test_half_lives_in_other_units():
    assert parse_half_life("1.5 h", "us") == 5400e6
    assert parse_half_life("2w", "s") == 14 * 86400
    assert parse_half_life(3, None) == 3.0


@pytest.mark.parametrize(
    ("options", "data", "reason"),
    [
        ({"weighting": "sum"}, X, "weighting must be one of 'count', 'value'"),
        ({"half_life": 0}, X, "half_life must be a finite number above 0"),
        ({"half_life": "0d"}, X, "half_life must be a finite number above 0"),
        ({"half_life": "soon"}, X, "must be a number, or a string such as '30d'"),
        ({"half_life": "1.2.3d"}, X, "must be a number, or a string such as '30d'"),
        ({"half_life": "30d"}, X, "needs Interactions with times"),
        ({"half_life": 3}, Interactions([0], [0]), "needs Interactions with times"),
        ({"half_life": "30d"}, events(), "times have no unit"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, data, reason):
    with pytest.raises(ValueError, match=reason):
        Popularity(**options).fit(data)


def test_no_events_at_all():
    data = Interactions(np.empty(0, int), np.empty(0, int), times=np.empty(0, int), users=[1], items=[1, 2])
    assert Popularity(half_life=1.0).fit(data).item_scores_.tolist() == [0, 0]
