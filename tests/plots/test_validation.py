"""A picture of several splits."""

import numpy as np
import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")


def test_splits_are_dots(small):
    found = fr.cross_validate({"a": fr.Popularity(), "b": fr.Popularity()}, small, 3)
    ax = found.plot()
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 0], found.scores("ndcg@10", "a"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
