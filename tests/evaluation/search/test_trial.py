"""The choice of the best trial."""

import numpy as np
import pytest

import fastrec as fr
from tests.evaluation.search.models import als


@pytest.mark.parametrize("metric", ["rmse", "gini@5", "average_popularity@5", "calibration@5"])
def test_if_less_is_better_the_lowest_wins(data, metric):
    groups = np.array(["a", "b", "c"], object)[np.arange(25) % 3]
    told = fr.Interactions(
        data.user_codes, data.item_codes, items=range(25), item_info={"genres": groups}, duplicates="sum"
    )
    options = {"item_features": "genres"} if metric.startswith("calibration") else {}
    found = fr.search(als(), {"factors": [1, 8]}, told, method="grid", metric=metric, cv=0.2, refit=False, **options)
    assert found.best_score == min(trial.score for trial in found.trials)
    assert found.trials[0].score != found.trials[1].score
