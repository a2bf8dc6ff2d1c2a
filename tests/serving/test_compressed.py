"""A compressed model behind the server: it answers as in process, events count at once."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from fastrec.models import ImplicitALS, compress, load
from tests.serving.running import InThread, some_data


def test_a_compressed_model_is_served(tmp_path):
    model = ImplicitALS(factors=16, iterations=4, random_state=0, n_jobs=1).fit(some_data())
    compress(model, "int8").save(tmp_path / "small.fastrec")
    small = load(tmp_path / "small.fastrec")
    with InThread(tmp_path / "small.fastrec", "--journal", tmp_path / "events.db") as server:
        status, answer, _ = server.post("/recommend", {"user": "7", "k": 5, "explain": True})
        assert status == 200
        best = [row["item"] for row in answer["items"]]
        assert best == small.recommend("7", 5).items[0].tolist()
        status, answer, _ = server.post("/recommend", {"history": ["1000", "1003"], "k": 4})
        assert [row["item"] for row in answer["items"]] == small.recommend(
            small.histories([["1000", "1003"]]), 4
        ).items[0].tolist()
        status, _, _ = server.post("/events", {"events": [{"user": "7", "item": best[0]}]})
        assert status in (200, 202)
        _, answer, _ = server.post("/recommend", {"user": "7", "k": 40})
        assert best[0] not in [row["item"] for row in answer["items"]]
