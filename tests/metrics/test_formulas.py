"""Formulas beside their definitions."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings

from fastrec import metrics
from tests.metrics.cases import NAMES, cases, reference


@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_metric_agrees_with_its_definition(case):
    ranking, truth, k = case
    for function in reference.PER_USER:
        values = getattr(metrics, function.__name__)(ranking, sp.csr_array(truth), k)
        np.testing.assert_allclose(values, reference.per_user(function, ranking, truth, k), atol=1e-12, rtol=0)


@settings(max_examples=80, deadline=None)
@given(cases())
def test_auc_counts_pairs(case):
    ranking, truth, k = case
    n_items = truth.shape[1]
    expected = reference.per_user(lambda row, rel, k: reference.auc(row, rel, k, n_items), ranking, truth, k)
    np.testing.assert_allclose(metrics.auc(ranking, truth, k), expected, atol=1e-12, rtol=0)


@settings(max_examples=80, deadline=None)
@given(cases())
def test_no_metric_leaves_its_range(case):
    ranking, truth, k = case
    for name in [*NAMES, "auc"]:
        values = getattr(metrics, name)(ranking, truth, k)
        values = values[~np.isnan(values)]
        assert np.all((values >= 0) & (values <= 1 + 1e-12)), name


def test_auc_needs_enough_candidates():
    with pytest.raises(ValueError, match="row 0"):
        metrics.auc([[0, 1]], np.array([[0, 0, 1]]), n_candidates=2)
    np.testing.assert_array_equal(metrics.auc([[1, 2]], np.array([[0, 0, 1, 0]]), n_candidates=[3]), [0.5])
