"""The server itself asks a new model first."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.models import ItemKNN
from fastrec.online import Snapshot
from fastrec.serving.server import Server
from fastrec.serving.settings import Settings
from tests.serving.running import some_data


@pytest.mark.parametrize("ids", [int, str])
def test_a_new_model_is_asked_everything_once(ids):
    """Every kernel is compiled before the model answers."""
    asked = []

    class Asked(ItemKNN):
        def explain(self, *given):
            asked.append("explain")
            return super().explain(*given)

        def recommend(self, users, k=10, **options):
            asked.append(sorted(options))
            return super().recommend(users, k, **options)

    model = Asked(3).fit(some_data(ids))
    snapshot = Snapshot(model)
    Server(Settings(model="none"))._prepare(snapshot)
    assert "explain" in asked
    assert ["allow", "deny"] in asked
    assert ["exclude_seen"] in asked
    assert snapshot.changed_users == 0
