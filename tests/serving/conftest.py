"""Provides a model, and a server of it."""

import pytest

from fastrec.models import ImplicitALS, load
from tests.serving.running import InThread, some_data


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(some_data()).save(folder / "model.fastrec")
    return folder


@pytest.fixture(scope="session")
def server(folder):
    with InThread(folder / "model.fastrec", "--journal", folder / "events.db") as server:
        yield server


@pytest.fixture(scope="session")
def model(folder):
    return load(folder / "model.fastrec")
