"""A trained network's answers are its outputs."""

import numpy as np
import pytest

from fastrec.solvers.network_layout import NetworkLayout
from fastrec.solvers.network_scoring import Scorer
from tests.reference import network as reference

LAYOUTS = [("dot", ()), ("gmf", ()), ("mlp", (20, 7)), ("neumf", (33,))]


@pytest.mark.parametrize(("architecture", "layers"), LAYOUTS)
@pytest.mark.parametrize("normalization", [None, "layer"])
def test_scores_are_what_the_network_puts_out(architecture, layers, normalization):
    layout = NetworkLayout(architecture, 10, layers, normalization)
    rng = np.random.default_rng(0)
    own = rng.normal(size=len(layout.places)).astype("f4") * 0.5
    users, items = (rng.normal(size=(n, len(layout.columns))).astype("f4") for n in (5, 300))
    scorer = Scorer(layout, layout.pad(own), None, items, "squared")
    scores = scorer.score_all(users, 2)
    rows, codes = np.repeat(np.arange(5, dtype="i4"), 300), np.tile(np.arange(300, dtype="i4"), 5)
    point = [part.astype("f8") for part in (own, users, items)]
    expected = reference.logits(layout, layout.named(point[0]), point[1][rows], point[2][codes]).reshape(5, 300)
    np.testing.assert_allclose(scores, expected, atol=2e-5 * np.abs(expected).max())
    order = rng.permutation(1500)
    np.testing.assert_array_equal(scorer.score_pairs(users, rows[order], codes[order], 1), scores.reshape(-1)[order])
    np.testing.assert_array_equal(scorer.score_all(users[3:4], 1)[0], scores[3])
