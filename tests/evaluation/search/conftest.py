"""Data to search on."""

import numpy as np
import pytest

import fastrec as fr


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    taste = rng.integers(0, 2, 60)
    user = rng.integers(0, 60, 1200)
    item = (rng.integers(0, 25, 1200) // 2 * 2 + taste[user]) % 25
    return fr.Interactions(user, item, users=range(60), items=range(25), duplicates="sum")


@pytest.fixture(scope="module")
def timed(data):
    times = np.random.default_rng(1).permutation(data.n_interactions)
    return fr.Interactions(
        data.user_codes, data.item_codes, times=times, users=range(60), items=range(25), duplicates="sum"
    )
