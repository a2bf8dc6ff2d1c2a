"""Errors name the wrong part of a request."""

import json

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")


BAD = [
    ("/recommend", b"", "body"),
    ("/recommend", b"{", "body"),
    ("/recommend", b"\xff\xfe", "body"),
    ("/recommend", b"[" * 5000, "body"),
    ("/recommend", [], "body"),
    ("/recommend", {}, "user"),
    ("/recommend", {"user": "1", "scenario": "none"}, "scenario"),
    ("/recommend", {"user": "1", "where": {"colour": "red"}}, "where.colour"),
    ("/recommend", {"user": "1", "where": {"title": 5}}, "where.title"),
    ("/recommend", {"user": "1", "where": {"title": {"near": "A"}}}, "where.title"),
    ("/recommend", {"user": "1", "where": []}, "where"),
    ("/recommend", {"user": "1", "boosts": [{"where": {"x": 1}, "factor": 2}]}, "boosts[0].where.x"),
    ("/recommend", {"user": "1", "boosts": [{"where": {}, "factor": 0}]}, "boosts[0].factor"),
    ("/recommend", {"user": "1", "caps": {"brand": 1}}, "caps.brand"),
    ("/recommend", {"user": "1", "caps": {"title": 0}}, "caps[...]"),
    ("/recommend", {"user": "1", "mmr": {"by": "brand"}}, "mmr.by"),
    ("/recommend", {"user": "1", "mmr": {"trade_off": 2}}, "mmr.trade_off"),
    ("/recommend", {"user": "1", "pins": [{"item": 1000, "position": 1}]}, "pins[0].item"),
    ("/recommend", {"user": "1", "k": 3, "pins": [{"item": "1000", "position": 4}]}, "pins[0].position"),
    ("/recommend", {"user": "1", "pins": [{"item": "1000", "position": n} for n in (1, 2)]}, "pins[1].item"),
    ("/recommend", {"user": "1", "pins": [{"item": n, "position": 1} for n in ("1000", "1001")]}, "pins[1].position"),
    ("/recommend", {"user": "1", "history": [1000]}, "history[0]"),
    ("/batch", {"users": ["1"], "where": {"colour": "red"}}, "where.colour"),
    ("/similar", {"items": []}, "items"),
    ("/similar", {"items": [1000]}, "items[0]"),
    ("/similar", {"items": ["1000"], "where": {"colour": "red"}}, "where.colour"),
    ("/recommend", {"user": 42}, "user"),
    ("/recommend", {"user": True}, "user"),
    ("/recommend", {"user": 1.5}, "user"),
    ("/recommend", {"user": "1", "k": 0}, "k"),
    ("/recommend", {"user": "1", "k": "3"}, "k"),
    ("/recommend", {"user": "1", "k": 10**9}, "k"),
    ("/recommend", {"user": "1", "top_n": 3}, "top_n"),
    ("/recommend", {"user": "1", "allow": [1000]}, "allow[0]"),
    ("/recommend", {"user": "1", "deny": "1000"}, "deny"),
    ("/recommend", {"history": [{"item": "1000", "value": -1}]}, "history[0].value"),
    ("/recommend", {"history": [{"item": "1000", "value": 1e-300}]}, "history[0].value"),
    ("/recommend", {"history": ["1000", {"item": "1001", "value": 1e29}]}, "history[1].value"),
    ("/recommend", {"history": [{"value": 1}]}, "history[0].item"),
    ("/recommend", {"history": [None]}, "history[0]"),
    ("/recommend", {"user": "1", "on_unknown": "guess"}, "on_unknown"),
    ("/batch", {"users": "1"}, "users"),
    ("/batch", {"users": ["1", 2]}, "users[1]"),
    ("/batch", {"users": ["1"] * 1001, "k": 1000}, "k"),
    ("/events", {"": None}, "body"),
    ("/events", {"events": []}, "events"),
    ("/events", {"events": [{"user": "1"}]}, "events[0].item"),
    ("/events", {"events": [{"user": "1", "item": "2"}, {"user": 1, "item": "2"}]}, "events[1].user"),
    ("/events", {"events": [{"user": "1", "item": 2**70}]}, "events[0].item"),
    ("/events", {"events": [{"user": "1", "item": "2", "value": -1}]}, "events[0].value"),
    ("/events", {"events": [{"user": "1", "item": "2", "value": "much"}]}, "events[0].value"),
    ("/events", {"events": [{"user": "1", "item": "2"}, {"user": "1", "item": "2", "value": 1e20}]}, "events[1].value"),
    ("/events", {"events": [{"user": "1", "item": "2", "time": 2**64}]}, "events[0].time"),
    ("/events", {"events": [{"user": "1", "item": "2", "id": 5}]}, "events[0].id"),
    ("/events", {"events": [{"user": "x" * 2000, "item": "2"}]}, "events[0].user"),
    ("/events", {"events": [{"user": "1", "item": "2", "recommendation": "x" * 1025}]}, "events[0].recommendation"),
    ("/items/1000", {"fact": {}}, "fact"),
    ("/items/1000", {"hidden": 1}, "hidden"),
    ("/items/1000", {"facts": {"price": {}}}, "facts[...]"),
    ("/items/1000", {"facts": {"price": 2**60}}, "facts"),
]


@pytest.mark.parametrize(
    ("path", "body", "field"), BAD, ids=[f"{path}-{field}-{n}" for n, (path, _, field) in enumerate(BAD)]
)
def test_malformed_requests_are_told_which_field(server, path, body, field):
    status, answer, _ = server.ask("PUT" if path.startswith("/items/") else "POST", path, body)
    assert status == 422, answer
    assert answer["error"]["field"].rstrip(".") == field, answer
    assert "Traceback" not in json.dumps(answer)
