import pytest

from tests.data.tables import ENGINES, hide


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    """Runs a test with the libraries for frames, and without."""
    hide(monkeypatch, ENGINES[request.param])
    return request.param
