"""Means of the weights of listed items."""

import numpy as np
import pytest

from fastrec import metrics


def test_weights_are_averaged_over_what_is_listed():
    ranking, counts = np.array([[0, 2, -1], [-1, -1, -1]]), [16, 4, 0]
    np.testing.assert_allclose(metrics.novelty(ranking, counts, n_users=16), [2.0, np.nan])
    np.testing.assert_allclose(metrics.novelty(ranking, counts, n_users=16, k=1), [0.0, np.nan])
    np.testing.assert_allclose(metrics.average_popularity(ranking, counts), [8.0, np.nan])


def test_the_tail_holds_at_most_a_fifth_of_the_events():
    counts = [50, 30, 10, 6, 4]
    np.testing.assert_allclose(metrics.tail_share(np.arange(5)[:, None], counts), [0, 0, 1, 1, 1])
    assert metrics.tail_share([[0]], [0]) == [1.0]
    with pytest.raises(ValueError, match="not negative"):
        metrics.tail_share([[0]], [-1])
