"""The share of the catalogue that lists cover."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec import metrics
from fastrec.metrics.catalogue import count_listed
from tests.metrics.cases import reference


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_gini_is_half_the_relative_mean_difference(counts):
    ranking = np.repeat(np.arange(len(counts)), counts)[:, None]
    value = metrics.gini(ranking, n_items=len(counts))
    if sum(counts) == 0:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(reference.gini(counts), abs=1e-12)


def test_an_item_repeated_in_a_list_counts_once():
    assert count_listed(np.array([[0, 2, 0], [-1, 2, 2]], np.int32), 3).tolist() == [1, 0, 2]


def test_coverage_counts_distinct_items_within_k():
    ranking = np.array([[0, 1], [0, -1]])
    assert metrics.coverage(ranking, 5) == 0.4
    assert metrics.coverage(ranking, 5, k=1) == 0.2
    with pytest.raises(ValueError, match="beyond the 1 items"):
        metrics.coverage(ranking, 1)
