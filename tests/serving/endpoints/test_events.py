"""Events over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.data import Interactions
from fastrec.models import EASE, Blend, SequenceRules
from fastrec.online import Event, Snapshot
from tests.serving.asking import items_of
from tests.serving.running import InThread, Running, some_data


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


def test_items_of_events_that_the_model_does_not_know_are_listed(server):
    events = [{"user": "22", "item": item} for item in ("1000", "mistyped", "1001", "mistyped", "newer")]
    assert server.post("/events", {"events": events})[1]["unknown"] == ["mistyped", "newer"]
    assert "unknown" not in server.post("/events", {"events": events[:1]})[1]


def test_without_a_journal_nothing_is_written(folder):
    with InThread(folder / "model.fastrec") as server:
        assert server.post("/recommend", {"user": "1"})[0] == 200
        assert server.post("/events", {"events": [{"user": "1", "item": "1000"}]})[0] == 409
        assert server.get("/model")[1]["takes_events"] is False


def test_events_count_at_once_in_every_worker_in_the_order_in_which_they_came(tmp_path):
    data = some_data()
    times = np.random.default_rng(0).permutation(data.n_interactions)
    timed = Interactions(data.user_codes, data.item_codes, times=times, users=data.users, items=data.items)
    model = Blend([SequenceRules(), EASE()], weights=[0.7, 0.3]).fit(timed)
    model.save(tmp_path / "model.fastrec")
    log = [("7", "1003"), ("7", "1009"), ("born today", "1001"), ("7", "1003"), ("born today", "1012")]
    snapshot = Snapshot(model)
    with Running(tmp_path / "model.fastrec", "--journal", tmp_path / "events.db", "--workers", "2") as server:

        def ask(_):
            one = items_of(server.post("/recommend", {"user": user, "k": 6})[1])
            rows = server.post("/batch", {"users": [user, "9"], "k": 6})[1]["results"]
            return one, [row["items"] for row in rows]

        for place, (user, item) in enumerate(log):
            server.post("/events", {"events": [{"user": user, "item": item}]})
            snapshot = snapshot.after([Event(user, item, seq=place + 1)])
            expected = snapshot.recommend([user, "9"], 6).items.tolist()
            with ThreadPoolExecutor(4) as pool:  # of several connections at once, each worker gets some
                for one, rows in pool.map(ask, range(8)):
                    assert one == expected[0]
                    assert rows == expected
        _, seen, _ = server.get("/users/7")
        assert [row["item"] for row in seen["items"][:2]] == ["1003", "1009"], "the newest first"
        assert server.get("/model")[1]["reads_order"] is True
        history = ["1000", {"item": "1003", "value": 1.0}, "1007"]
        answer = server.post("/recommend", {"history": history, "k": 4})[1]
        assert items_of(answer) == model.recommend(model.histories([["1000", "1003", "1007"]]), 4).items[0].tolist()
