"""Names of metrics."""

import numpy as np
import pytest

from fastrec import metrics


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("ndgc@10", "unknown metric 'ndgc@10'; known are"),
        ("ndcg", "needs a cut-off, as in 'ndcg@10'"),
        ("ndcg@0", "at least 1"),
        ("ndcg@1.5", "at least 1"),
        ("ndcg@100000000000", "an integer of at least 1, with at most 9 digits"),
        ("coverage@10", "use fastrec.metrics.coverage"),
    ],
)
def test_a_wrong_metric_name_is_explained(label, message):
    with pytest.raises(ValueError, match=message):
        metrics.measure([[0]], np.ones((1, 3)), [label])
