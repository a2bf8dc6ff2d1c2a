"""Errors of predictions."""

import math

import numpy as np
import pytest

from fastrec import metrics


def test_errors_of_predictions():
    assert metrics.rmse([1, 2, 3], [1, 2, 6]) == pytest.approx(math.sqrt(3))
    assert metrics.mae([1, 2, 3], [1, 2, 6]) == pytest.approx(1)
    for function in (metrics.rmse, metrics.mae):
        with pytest.raises(ValueError, match="predictions has nan at position 1"):
            function([1, 2], [1, np.nan])
        with pytest.raises(ValueError, match="alike"):
            function([1, 2], [1])
        with pytest.raises(ValueError, match="empty"):
            function([], [])
