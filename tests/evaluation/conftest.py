"""A report."""

import numpy as np
import pytest

import fastrec as fr
from tests.evaluation.parts import random_parts


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(7)
    cells = np.kron(np.eye(2), np.ones((40, 20))) * (rng.random((80, 40)) < 0.6)
    cells[:5] = 0
    hidden = cells * (rng.random((80, 40)) < 0.3)
    hidden[:5, 3] = 1
    models = {"als": fr.ImplicitALS(factors=4, random_state=0), "popular": fr.Popularity()}
    fitted = {name: model.fit(cells - hidden * (cells > 0)) for name, model in models.items()}
    return fr.evaluate(fitted, hidden, ["ndcg@5", "recall@10", "coverage@5"])


@pytest.fixture
def parts():
    return random_parts()


@pytest.fixture
def model(parts):
    return fr.Popularity().fit(parts[0])
