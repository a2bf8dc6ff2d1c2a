"""The table of losses: each defines all that the model asks of it."""

import inspect

import pytest

from fastrec.models import SGDFactorization
from fastrec.solvers.losses import LOSSES


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_all_that_the_model_asks_of_it(name):
    loss, model = LOSSES[name], SGDFactorization(loss=name)
    assert not inspect.isabstract(loss)
    assert model.takes_negatives == loss.takes_negatives
    assert model.keeps_zeros == loss.keeps_zeros
    assert 1 <= loss.defaults.n_negatives <= loss.most_negatives
    assert loss.measure in ("NDCG@10", "RMSE")
    made = loss(model._loss_options(), 10)
    assert made.fold_rate() > 0


def test_a_loss_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"SGDFactorization\.loss must be one of 'squared', 'logistic', 'bpr'"):
        SGDFactorization(loss="hinge").fit([[1, 0], [0, 1]])
    with pytest.raises((TypeError, ValueError), match=r"SGDFactorization\.loss"):
        SGDFactorization(loss=["bpr"]).fit([[1, 0], [0, 1]])
