"""Provides the data of pictures, and closes all figures after a test."""

import os

import numpy as np
import pytest

import fastrec as fr

os.environ["MPLBACKEND"] = "Agg"  # before matplotlib is imported: there may be no screen


@pytest.fixture(autouse=True)
def _leave_nothing_open():
    matplotlib, plt = pytest.importorskip("matplotlib"), pytest.importorskip("matplotlib.pyplot")
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before, "rcParams were changed"


@pytest.fixture
def report():
    rng = np.random.default_rng(0)
    train, test = rng.random((40, 12)) < 0.3, rng.random((40, 12)) < 0.3
    first, second = fr.Popularity().fit(train), fr.Popularity().fit(train[::-1])
    second.fit(train)
    return fr.evaluate({"one": first, "two": second}, test, ["ndcg@5", "recall@5", "coverage@5", "novelty@5"])


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    titles = [f"Film {n}" for n in range(30)]
    genres = np.array(["Drama|War", "Comedy", "Crime"])[np.arange(30) % 3]
    return fr.Interactions(
        rng.integers(0, 40, 600),
        rng.integers(0, 30, 600),
        users=[f"u{n}" for n in range(40)],
        items=range(100, 130),
        item_info={"title": titles, "genres": genres},
        duplicates="sum",
    )


@pytest.fixture(scope="module")
def als(small):
    return fr.ImplicitALS(4, iterations=2, random_state=0).fit(small)
