"""Several cut-offs from one pass."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec import metrics
from tests.metrics.cases import NAMES, cases


@settings(max_examples=80, deadline=None)
@given(cases(), st.sets(st.integers(1, 14), min_size=1))
def test_several_cutoffs_in_one_pass_equal_one_at_a_time(case, ks):
    ranking, truth, _ = case
    labels = [f"{name}@{k}" for name in NAMES for k in ks]
    values = metrics.measure(ranking, truth, labels)
    assert list(values) == labels
    for label in labels:
        name, k = label.split("@")
        np.testing.assert_array_equal(values[label], getattr(metrics, name)(ranking, truth, int(k)))
