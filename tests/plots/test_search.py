"""A picture of a search."""

import numpy as np
import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")


def test_a_slice_shows_every_trial_and_marks_the_best(small):
    model = fr.ImplicitALS(2, iterations=1, random_state=0)
    space = {"dtype": ["float16", "float32"], "factors": [1, 2, 16]}
    found = fr.search(model, space, small, method="grid", cv=0.2, refit=False)
    ax = found.plot("factors")
    assert ax.get_xscale() == "log"
    dots, ring = ax.collections
    np.testing.assert_allclose(dots.get_offsets()[:, 1], [trial.score for trial in found.trials])
    np.testing.assert_allclose(ring.get_offsets()[0], [found.best_options["factors"], found.best_score])
    assert [label.get_text() for label in found.plot().get_xticklabels()] == ["float16", "float32"]
    with pytest.raises(ValueError, match="option must be one of 'dtype', 'factors', got 'alpha'"):
        found.plot("alpha")
