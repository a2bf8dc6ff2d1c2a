"""Provides a model, and a journal that it follows."""

import pytest

from fastrec.models import (
    ImplicitALS,
)
from fastrec.online import Journal
from tests.online.following import data


@pytest.fixture(scope="module")
def model():
    return ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(data())


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        yield journal
