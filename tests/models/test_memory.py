"""The memory of a question stays within a budget, whichever side of the data is long."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

import fastrec as fr
from fastrec.models import estimators
from fastrec.models.base import answering

SHAPES = {"tall": (4000, 50), "wide": (40, 4000)}
QUICK = {"factors": 4, "iterations": 1, "random_state": 0, "n_jobs": 1, "neighbors": 50}
SCORES, WORK = 1 << 20, 4 << 20
USERS = 3000


def data(shape):
    rng = np.random.default_rng(0)
    cells = np.unique(rng.integers(0, shape[0] * shape[1], 10_000))
    return sp.csr_array((np.ones(len(cells), np.float32), (cells // shape[1], cells % shape[1])), shape=shape)


def fitted(name, X):
    model = estimators()[name]()
    if name == "Blend":
        return fr.Blend([fr.GraphFilter(4, random_state=0), fr.UserKNN(50)], weights=[1, 1], n_jobs=1).fit(X)
    model = model.set_params(**{key: one for key, one in QUICK.items() if key in model.get_params()}).fit(X)
    return model if model.keeps_users else model.with_users(X)


def peak_of(ask):
    tracemalloc.start()
    try:
        ask()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", estimators())
def test_a_question_about_many_takes_no_more_than_the_budget(name, shape, monkeypatch):
    if name == "EASE" and shape == "wide":
        pytest.skip("its weights are dense: items × items are what it has learned")
    monkeypatch.setattr(answering, "BATCH_BYTES", SCORES)
    monkeypatch.setattr(answering, "WORK_BYTES", WORK)
    X = data(SHAPES[shape])
    model = fitted(name, X)
    users = np.resize(np.arange(X.shape[0]), USERS)
    items = np.resize(np.arange(X.shape[1]), USERS)
    # For these users: ids, histories, their factors, and the result.
    given = (
        USERS * (64 + 12 * 10)
        + 16 * len(model.recommend(users[:1]).codes)
        + 40 * int(np.diff(model.seen_.indptr)[users].sum())
    )
    questions = {
        "recommend": lambda few=None: model.recommend(users[:few], 10),
        "similar_items": lambda few=None: model.similar_items(items[:few], 10),
        "predict_pairs": lambda few=None: model.predict_pairs(users[:few], items[:few]),
    }
    for question, ask in questions.items():
        ask(2)  # kernels are compiled, and kept arrays are made
        peak = peak_of(ask)
        assert peak < 3 * WORK + given, f"{question} takes {peak / 2**20:.1f} MB beside {given / 2**20:.1f}"
