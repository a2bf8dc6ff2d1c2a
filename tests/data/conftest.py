import pytest

from tests.data.tables import ENGINES, hide


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    """With libraries for frames, and without."""
    hide(monkeypatch, ENGINES[request.param])
    return request.param
