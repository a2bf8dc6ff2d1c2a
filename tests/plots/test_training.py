"""A picture of a training."""

import numpy as np
import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")

from fastrec import plots  # noqa: E402


def test_learning_curve_shows_the_losses_of_a_model():
    class Fitted:
        loss_curve_ = np.array([4.0, 2.0, 1.0])

    ax = plots.learning_curve(Fitted())
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [4.0, 2.0, 1.0])
    assert ax.get_legend() is None


def test_learning_curve_names_several_models():
    ax = plots.learning_curve({"ALS": [3, 2], "BPR": [5, 4, 3]})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ALS", "BPR"]
    assert len(ax.lines) == 2


def test_learning_curve_of_a_single_epoch_is_a_point():
    plots.learning_curve([1.0]).figure.canvas.draw()


@pytest.mark.parametrize("nothing", [[], 3, fr])
def test_learning_curve_needs_losses(nothing):
    with pytest.raises(ValueError, match="loss_curve_"):
        plots.learning_curve(nothing)
