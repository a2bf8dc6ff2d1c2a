"""Models that can be evaluated together."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from fastrec.evaluation.models import check_models, recommender_of
from fastrec.models import Popularity
from fastrec.preprocessing import LogWeight

X = np.eye(3)


def test_one_model_is_called_by_its_class():
    model = Popularity().fit(X)
    assert check_models(model) == {"Popularity": model}
    piped = make_pipeline(LogWeight(), Popularity()).fit(X)
    assert recommender_of(piped) is piped[-1]
    assert check_models({"p": piped}) == {"p": piped}


@pytest.mark.parametrize(
    ("models", "kind", "said"),
    [
        ({}, ValueError, "models is empty"),
        ({1: Popularity()}, TypeError, "named by strings"),
        ({"a": Popularity}, TypeError, "the class Popularity: fit one first"),
        ({"a": object()}, TypeError, "must be a fitted recommender, got object"),
        ({"a": Popularity()}, NotFittedError, "not fitted yet"),
        ({"a": Popularity().fit(X), "b": Popularity().fit(np.eye(4))}, ValueError, "different users or items"),
    ],
)
def test_models_that_cannot_be_evaluated_are_named(models, kind, said):
    with pytest.raises(kind, match=said):
        check_models(models)
