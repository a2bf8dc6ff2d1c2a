"""Scenarios: a file of requests by name."""

import json

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("msgspec", reason="needs fastrec[serve]")
from fastrec.serving import messages as m
from fastrec.serving.refusal import Refusal
from fastrec.serving.scenarios import complete, read_scenarios
from tests.serving.asking import items_of
from tests.serving.running import InThread

TOML = """
[home]
k = 4
exclude_seen = false
where = { title = { not = "Film number 3 & <b>more</b>" } }
caps = { title = 1 }

[cart]
k = 2
boosts = [{ where = {}, factor = 2 }]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenarios") / "scenarios.toml"
    path.write_text(TOML)
    return path


def test_a_request_says_it_better_than_its_scenario(file):
    scenarios = read_scenarios(file)
    raw = json.dumps({"user": "a", "scenario": "home", "k": 7}).encode()
    asked = complete(scenarios, "home", raw, m.RecommendRequest)
    assert (asked.user, asked.k, asked.exclude_seen, asked.caps) == ("a", 7, False, {"title": 1})
    raw = json.dumps({"items": ["a"], "scenario": "home", "where": None}).encode()
    asked = complete(scenarios, "home", raw, m.SimilarRequest)
    assert (asked.k, asked.where) == (4, None), "null is said, too; and what it has no field for is left out"
    with pytest.raises(Refusal, match=r"no scenario 'x'; there are cart, home"):
        complete(scenarios, "x", b"{}", m.RecommendRequest)
    with pytest.raises(Refusal, match="give --scenarios"):
        complete({}, "x", b"{}", m.RecommendRequest)


def test_json_does_as_well(tmp_path):
    path = tmp_path / "scenarios.json"
    path.write_text('{"home": {"k": 3, "pins": [{"item": "1003", "position": 1}]}}')
    assert read_scenarios(path)["home"]["k"] == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[home", "cannot be read"),
        ("[home]\nkk = 3", "home: Object contains unknown field `kk`"),
        ("[home]\nk = 0", r"home: Expected `int` >= 1 - at `\$.k`"),
        ('["a b"]\nk = 1', "a name of a scenario must be of 1 to 64 letters"),
        ('[home]\nuser = "a"', "unknown field `user`"),
        ('[home]\nscenario = "b"', "cannot name another one"),
        ("home = 3", "home: Expected `object`"),
    ],
)
def test_a_wrong_file_is_refused_by_its_place(tmp_path, text, words):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_scenarios(path)


def test_a_server_answers_by_scenario_and_counts_what_follows(folder, file, model, tmp_path):
    options = (folder / "model.fastrec", "--journal", tmp_path / "events.db", "--scenarios", file)
    with InThread(*options) as server:
        order = model.recommend(["50"], 40, exclude_seen=False).items[0].tolist()
        status, answer, _ = server.post("/recommend", {"user": "50", "scenario": "home"})
        assert (status, items_of(answer)) == (200, [item for item in order if item != "1003"][:4])
        rows = server.post("/batch", {"users": ["50"], "scenario": "home", "k": 2})[1]["results"]
        assert rows[0]["items"] == items_of(answer)[:2]
        assert len(server.post("/similar", {"items": ["1003"], "scenario": "cart"})[1]["items"]) == 2
        cart = server.post("/recommend", {"user": "50", "history": ["1001"], "scenario": "cart"})[1]
        assert len(cart["items"]) == 2
        assert server.post("/recommend", {"user": "50", "scenario": "none"})[0] == 422
        plain = server.post("/recommend", {"user": "50"})[1]
        ids = [answer["recommendation"], answer["recommendation"], plain["recommendation"], "x.made-up.v1", "mine"]
        events = [{"user": "50", "item": "1001", "id": f"e{n}", "recommendation": one} for n, one in enumerate(ids)]
        assert server.post("/events", {"events": events})[1]["added"] == 5
        server.post("/events", {"events": events})
        told = server.get("/metrics")[1].decode()
        assert 'fastrec_events_recommended_total{scenario="home"} 2.0' in told, "sent again counts once"
        assert 'fastrec_events_recommended_total{scenario=""} 1.0' in told
        assert 'fastrec_events_recommended_total{scenario="other"} 2.0' in told
        assert 'fastrec_recommendations_total{scenario="home"} 2.0' in told
        assert 'fastrec_recommendations_total{scenario="cart"} 2.0' in told
