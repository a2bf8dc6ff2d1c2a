"""Events over HTTP."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from tests.serving.asking import items_of
from tests.serving.running import Running


def test_events_are_seen_by_the_next_recommendation(server):
    for step in range(5):
        best = items_of(server.post("/recommend", {"user": "20", "k": 1})[1])[0]
        status, answer, _ = server.post("/events", {"events": [{"user": "20", "item": best}]})
        assert (status, answer["added"]) == (200, 1)
        _, after, _ = server.post("/recommend", {"user": "20", "k": 40})
        assert best not in items_of(after)
        assert after["seq"] >= answer["seq"]
        assert best in items_of(server.get("/users/20")[1]), step
    _, new, _ = server.post("/recommend", {"user": "born today"})
    assert new["fallback"]
    server.post("/events", {"events": [{"user": "born today", "item": "1000"}]})
    assert not server.post("/recommend", {"user": "born today"})[1]["fallback"]


def test_an_event_sent_twice_counts_once(server):
    event = {"user": "21", "item": "1003", "value": 2.0, "id": "the same"}
    first, again = (server.post("/events", {"events": [event]})[1] for _ in range(2))
    assert (first["added"], again["added"], again["known"]) == (1, 0, 1)
    assert again["seq"] == first["seq"]


def test_without_a_journal_nothing_is_written(folder):
    with Running(folder / "model.fastrec") as server:
        assert server.post("/recommend", {"user": "1"})[0] == 200
        assert server.post("/events", {"events": [{"user": "1", "item": "1000"}]})[0] == 409
        assert server.get("/model")[1]["takes_events"] is False
