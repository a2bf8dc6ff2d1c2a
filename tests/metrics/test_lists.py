"""Lists as wholes."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec import metrics
from tests.metrics.cases import cases, reference


@settings(max_examples=80, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_metrics_of_whole_lists_agree_with_their_definitions(case, seed):
    ranking, truth, k = case
    rng = np.random.default_rng(seed)
    n_items = truth.shape[1]
    vectors = (rng.random((n_items, 3)) * (rng.random((n_items, 3)) < 0.5)).astype(np.float32).astype(float)
    history = (rng.random(truth.shape) < 0.4).astype(float)
    expected = rng.permuted(np.tile(np.arange(n_items), (len(truth), 1)), axis=1)
    pairs = [
        (metrics.diversity(ranking, vectors, k), [reference.diversity(row, vectors, k) for row in ranking]),
        (
            metrics.calibration(ranking, history, sp.csr_array(vectors), k),
            [reference.calibration(row, had, vectors, k) for row, had in zip(ranking, history, strict=True)],
        ),
        (
            metrics.serendipity(ranking, truth, expected, k),
            [
                reference.serendipity(row.tolist(), np.flatnonzero(rel > 0).tolist(), e.tolist(), k)
                if (rel > 0).any()
                else math.nan
                for row, rel, e in zip(ranking, truth, expected, strict=True)
            ],
        ),
    ]
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, atol=1e-9, rtol=0)


def test_metrics_of_whole_lists_check_what_they_get():
    with pytest.raises(ValueError, match="beyond the 2 items"):
        metrics.diversity([[0, 2]], np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        metrics.calibration([[0]], np.ones((1, 2)), [[1.0], [-1.0]])
    with pytest.raises(ValueError, match="history must have the shape"):
        metrics.calibration([[0]], np.ones((2, 2)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="got 1 and 2 rows"):
        metrics.serendipity([[0]], np.ones((1, 2)), [[0], [1]])
    with pytest.raises(ValueError, match="beyond the 2 items"):
        metrics.serendipity([[0]], np.ones((1, 2)), [[5]])
