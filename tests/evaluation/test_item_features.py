"""Features of items."""

import numpy as np
import pytest

from fastrec.evaluation import evaluate


def test_item_features_are_checked(parts, model):
    with pytest.raises(ValueError, match="'diversity@5' needs item_features"):
        evaluate(model, parts[1], "diversity@5")
    with pytest.raises(ValueError, match="'genres', which is not a column"):
        evaluate(model, parts[1], "diversity@5", item_features="genres")
    with pytest.raises(ValueError, match="a row for each of 25 items"):
        evaluate(model, parts[1], "diversity@5", item_features=np.ones((3, 2)))
