"""Ids of answers, which events name."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("msgspec", reason="needs fastrec[serve]")
from fastrec.online import Journal
from fastrec.serving.recommendation import make_recommendation, parse_model, parse_recommendation
from tests.serving.running import InThread


def test_ids_are_each_their_own_and_tell_their_origin():
    ids = [make_recommendation(scenario, "v1.2+3") for scenario in (None, "home") for _ in range(50)]
    assert len(set(ids)) == 100
    assert {parse_recommendation(one) for one in ids} == {("", "v1.2+3"), ("home", "v1.2+3")}
    assert parse_recommendation("a.b") is None


def test_an_answer_is_that_of_the_model_that_it_names_and_of_the_only_one_without_a_name():
    named, unnamed = make_recommendation(None, "v1", "als"), make_recommendation(None, "v1")
    for names, of_named, of_unnamed in (
        (["als", "ease"], "als", None),
        (["ease", "top"], None, None),
        (["als"], None, "als"),
    ):
        assert (parse_model(named, names), parse_model(unnamed, names)) == (of_named, of_unnamed)


def test_every_answer_has_one_and_the_journal_keeps_what_events_name(folder, tmp_path):
    path = tmp_path / "events.db"
    with InThread(folder / "model.fastrec", "--journal", path) as server:
        answers = [
            server.post("/recommend", {"user": "5"})[1],
            server.post("/recommend", {"history": ["1000"]})[1],
            server.post("/batch", {"users": ["5"]})[1],
            server.get("/similar?item=1000")[1],
            server.post("/similar", {"items": ["1000", "1001"]})[1],
        ]
        ids = [answer["recommendation"] for answer in answers]
        assert len(set(ids)) == 5
        events = [{"user": "5", "item": "1000", "recommendation": one} for one in ids]
        server.post("/events", {"events": [*events, {"user": "5", "item": "1001"}]})
    with Journal(path) as journal:
        assert [event.recommendation for event in journal.read(0)] == [*ids, None]
    assert {parse_recommendation(one).version for one in ids} == {answers[0]["version"]}
