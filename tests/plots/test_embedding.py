"""A map of items."""

import numpy as np
import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")

from fastrec import plots  # noqa: E402


def test_a_map_colours_the_first_label_and_names_items(als):
    ax = fr.plots.embedding_map(als, color_by="genres", label=[100, 105])
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"Drama", "Comedy", "Crime"}
    assert [text.get_text() for text in ax.texts] == ["Film 0", "Film 5"]
    again = fr.plots.embedding_map(als, n=10)
    assert len(again.collections[0].get_offsets()) == 10
    with pytest.raises(ValueError, match="not a column of the model's item_info; there are 'title', 'genres'"):
        fr.plots.embedding_map(als, color_by="year")
    with pytest.raises(ValueError, match="one label for each of 30 items, got 2"):
        fr.plots.embedding_map(als, color_by=["a", "b"])
    with pytest.raises(ValueError, match="vectors of two factors or more"):
        fr.plots.embedding_map(np.ones((5, 1)))


def test_a_map_is_a_projection_that_keeps_what_differs_most():
    rng = np.random.default_rng(0)
    # Unit vectors about two orthogonal axes: the plane of the map must tell them apart.
    vectors = np.eye(6)[np.repeat([0, 3], 20)] + rng.normal(0, 0.05, (40, 6))
    points = fr.plots.embedding_map(vectors).collections[0].get_offsets()
    assert abs(points[:20, 0].mean() - points[20:, 0].mean()) > 5 * points[:20, 0].std()


def test_a_map_needs_factors():
    with pytest.raises(TypeError, match=r"embedding_map needs a fitted model with item_factors_, .* got Popularity"):
        plots.embedding_map(fr.Popularity().fit(np.eye(3)))
    with pytest.raises(ValueError, match="n must be an integer of at least 1"):
        plots.embedding_map(np.eye(3), n=0)
