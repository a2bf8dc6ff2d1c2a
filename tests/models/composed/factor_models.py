"""Provides models of factors, and of weights, that are compressed in tests."""

import numpy as np
import pytest

import fastrec as fr
from tests import test_estimators as shared

QUICK = {"factors": 16, "iterations": 3, "random_state": 0, "n_jobs": 1}
FACTOR_MODELS = {
    "ImplicitALS": fr.ImplicitALS(**QUICK),
    "ExplicitALS": fr.ExplicitALS(**QUICK),
    "bpr": fr.SGDFactorization(**QUICK),
    "svd++": fr.SGDFactorization(**QUICK, loss="squared", implicit_feedback=True),
    "softmax": fr.SGDFactorization(**QUICK, loss="softmax"),
    "Item2Vec": fr.Item2Vec(**QUICK),
    "PureSVD": fr.PureSVD(16, item_exponent=0.3, random_state=0, n_jobs=1),
    "TwoTower": fr.TwoTowerRecommender(16, iterations=2, random_state=0, n_jobs=1),
    "FixedFactors": fr.FixedFactors(n_jobs=1),
    "EASE": fr.EASE(n_jobs=1),
}
RATINGS = ("ExplicitALS", "svd++")
models = pytest.mark.parametrize("name", FACTOR_MODELS)


def random_matrix(n_users=60, n_items=40, seed=0, density=0.2):
    return shared.random_matrix(n_users, n_items, seed, density)


def overlap(first, second):
    return np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(first.codes, second.codes, strict=True)])
