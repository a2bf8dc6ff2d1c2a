"""The facts that a server states about itself."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")


def test_the_facts(server):
    _, facts, _ = server.get("/model")
    assert facts["model"] == "ImplicitALS"
    assert (facts["users"], facts["items"], facts["user_ids"]) == (60, 40, "str")
    assert facts["titles"]
    assert facts["explains"]
    assert facts["options"]["factors"] == 4
    assert server.get("/healthz")[1]["status"] == "alive"
    assert server.get("/readyz")[1]["status"] == "ready"


def test_metrics_count(server):
    server.post("/recommend", {"user": "20", "k": 1})
    server.get("/nowhere/at/all")
    server.get("/users/a-secret-name")
    text = server.get("/metrics")[1].decode()
    assert 'fastrec_requests_total{path="/recommend",status="200"}' in text
    assert 'fastrec_requests_total{path="other",status="404"}' in text
    assert "a-secret-name" not in text
    assert "fastrec_model_problem 0.0" in text
