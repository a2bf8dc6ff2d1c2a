"""The share of users that each model answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="needs fastrec[serve]")
from fastrec.serving.shares import Shares, parse_shares


def test_each_model_has_about_its_share_and_the_choice_is_known():
    shares = Shares([0.7, 0.2, 0.1])
    counts = [0, 0, 0]
    for user in range(20_000):
        counts[shares.find(user)] += 1
    assert counts == [14017, 3952, 2031]  # the same on every machine
    assert Shares([0.7, 0.2, 0.1], "another").find(0) == 0
    changed = sum(Shares([0.5, 0.5], "a").find(n) != Shares([0.5, 0.5], "b").find(n) for n in range(2000))
    assert 900 < changed < 1100


@given(st.one_of(st.text(), st.integers()), st.floats(0, 1), st.floats(0, 1))
def test_a_share_that_grows_keeps_its_users(user, one, other):
    small, large = sorted((one, other))
    if Shares([1 - small, small]).find(user) == 1:
        assert Shares([1 - large, large]).find(user) == 1


@pytest.mark.parametrize("text", ["", "x", "0.5", "0.5,0.4", "1.5,-0.5", "nan,1"])
def test_invalid_shares_are_refused(text):
    with pytest.raises(ValueError, match=r"shares must|could not convert"):
        parse_shares(text)
