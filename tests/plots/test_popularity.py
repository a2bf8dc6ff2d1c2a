"""A picture of the long tail."""

import numpy as np
import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")

from fastrec import plots  # noqa: E402


def test_popularity_curve_takes_interactions_models_and_counts():
    data = fr.Interactions([0, 0, 1, 2], [0, 1, 0, 0])
    expected = [3, 1]
    for source in (data, fr.Popularity().fit(data), [1, 3, 0]):
        np.testing.assert_array_equal(plots.popularity_curve(source).lines[0].get_ydata(), expected)


def test_popularity_curve_states_the_share_of_the_head():
    ax = plots.popularity_curve([80, 10, 5, 3, 2])
    assert ax.texts[0].get_text() == "20 % of the items\nhave 80 % of the interactions"


@pytest.mark.parametrize("counts", [[0, 0], []])
def test_popularity_curve_needs_interactions(counts):
    with pytest.raises(ValueError, match="no item has an interaction"):
        plots.popularity_curve(counts)


@pytest.mark.parametrize("counts", [[-1, 2], [np.nan], [[1, 2]]])
def test_popularity_curve_refuses_what_are_no_counts(counts):
    with pytest.raises(ValueError, match="counts per item"):
        plots.popularity_curve(counts)


@pytest.mark.parametrize("head", [2, 0, "much"])
def test_popularity_curve_needs_a_share(head):
    with pytest.raises((ValueError, TypeError), match="head must be"):
        plots.popularity_curve([3, 2, 1], head=head)
