"""Random items fill the last places of some lists, and each of these lists states its probability."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.online import Journal
from fastrec.serving.exploring import CANDIDATES, Exploration, count_places, draw_places, mark_item
from fastrec.serving.recommendation import make_recommendation, parse_exploration, parse_recommendation
from tests.serving.asking import items_of
from tests.serving.running import InThread


@given(found=st.integers(0, 150), k=st.integers(0, 120), seed=st.integers(0, 9))
def test_the_first_places_stay_and_the_last_are_drawn_from_the_next_best(found, k, seed):
    codes = np.concatenate([np.arange(found), np.full(130 + k - min(found, 130 + k), -1)]).astype(np.int32)
    scores = np.where(codes >= 0, 1000.0 - codes, -np.inf).astype(np.float32)
    chosen, own, exploration = draw_places(codes, scores, k, random.Random(seed))
    assert len(chosen) == len(own) == k
    if exploration is None:
        assert chosen.tolist() == codes[:k].tolist()
        assert k == 0 or found - (k - count_places(k)) <= count_places(k)
        return
    kept = k - exploration.places
    drawn = chosen[kept:].tolist()
    assert exploration.places == count_places(k)
    assert exploration.candidates == min(CANDIDATES, found - kept)
    assert chosen[:kept].tolist() == codes[:kept].tolist()
    assert drawn == sorted(set(drawn))
    assert drawn[0] >= kept
    assert drawn[-1] < kept + exploration.candidates
    assert own.tolist() == (1000.0 - chosen).tolist()


def test_each_candidate_is_drawn_as_often_as_its_propensity_says():
    codes, scores, chance = np.arange(60, dtype=np.int32), np.zeros(60, np.float32), random.Random(0)
    counts, times = np.zeros(60), 4000
    for _ in range(times):
        chosen, _, exploration = draw_places(codes, scores, 10, chance)
        counts[chosen] += 1
    assert exploration == Exploration(2, 52)
    assert (counts[:8] == times).all()
    expected = times * exploration.propensity
    assert np.abs(counts[8:] - expected).max() < 5 * np.sqrt(expected)


@given(st.lists(st.one_of(st.integers(), st.text()), min_size=1, max_size=20), st.text("abc-_", max_size=9))
def test_an_id_tells_which_items_chance_has_chosen(items, scenario):
    drawn = Exploration(len(items), 100, tuple(map(mark_item, items)))
    one = make_recommendation(scenario, "v1.2+3", "als.v2", drawn)
    assert parse_exploration(one) == drawn
    assert parse_recommendation(one) == (scenario, "v1.2+3")
    assert all(drawn.find_propensity(item) == len(items) / 100 for item in items)


def test_a_number_and_its_text_are_two_items():
    drawn = parse_exploration(make_recommendation(None, "v1", exploration=Exploration(1, 50, (mark_item(42),))))
    assert (drawn.find_propensity(42), drawn.find_propensity("42")) == (0.02, None)


@pytest.mark.parametrize("text", ["", "a.b.c", "a~x.b.c", "a~x0-9-abcd.b.c", "a~x1-9-abc.b.c", "a~x1-9-ABCD.b.c"])
def test_no_exploration_is_read_out_of_other_texts(text):
    assert parse_exploration(text) is None


@pytest.fixture(scope="module")
def exploring(folder, tmp_path_factory):
    journal = tmp_path_factory.mktemp("exploring") / "events.db"
    with InThread(folder / "model.fastrec", "--journal", journal, "--explore", "1") as server:
        yield server, journal


def test_a_served_list_has_explored_places_that_say_so(exploring):
    server, _ = exploring
    lists = [server.post("/recommend", {"user": "5", "k": 10})[1] for _ in range(20)]
    firsts = {tuple(items_of(answer)[:8]) for answer in lists}
    assert len(firsts) == 1
    assert len({tuple(items_of(answer)[8:]) for answer in lists}) > 1
    for answer in lists:
        told = [row.get("propensity") for row in answer["items"]]
        exploration = parse_exploration(answer["recommendation"])
        assert told == [None] * 8 + [exploration.propensity] * 2
        assert exploration.marks == tuple(map(mark_item, items_of(answer)[8:]))
        assert len(set(items_of(answer))) == 10


def test_wishes_hold_for_explored_places_too(exploring):
    server, _ = exploring
    denied = [f"{1000 + n}" for n in range(10)]
    wishes = {
        "user": "5", "k": 8, "deny": denied, "exclude_seen": False, "explain": True,
        "pins": [{"item": "1005", "position": 2}], "boosts": [{"where": {"title": "nothing"}, "factor": 2}],
    }  # fmt: skip
    for _ in range(10):
        items = server.post("/recommend", wishes)[1]["items"]
        assert len(items) == 8
        assert (items[1]["item"], items[1]["pinned"], "propensity" in items[1]) == ("1005", True, False)
        assert not {row["item"] for row in items if not row.get("pinned")} & set(denied)
        assert ["propensity" in row for row in items] == [False] * 7 + [True]
    pins = [{"item": f"{1000 + n}", "position": n + 1} for n in range(3)]
    answer = server.post("/recommend", {"user": "5", "k": 3, "pins": pins})[1]
    assert items_of(answer) == ["1000", "1001", "1002"]
    assert parse_exploration(answer["recommendation"]) is None


def test_conversions_are_counted_apart_and_the_journal_has_the_propensity(exploring):
    server, path = exploring
    before = counts_of(server)
    answer = server.post("/recommend", {"user": "7", "k": 10})[1]
    items, name = items_of(answer), answer["recommendation"]
    events = [{"user": "7", "item": item, "recommendation": name} for item in (items[0], items[1], items[9])]
    server.post("/events", {"events": [*events, {"user": "7", "item": items[2], "recommendation": "foreign"}]})
    after = counts_of(server)
    assert {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)} == {
        ("recommendations", "model", "true"): 1,
        ("events_recommended", "model", "false"): 2,
        ("events_recommended", "model", "true"): 1,
        ("events_recommended", "other", "false"): 1,
    }
    with Journal(path) as journal:
        followed = journal.history("7")[-4:]
    exploration = parse_exploration(name)
    told = [exploration.find_propensity(event.item) for event in followed if event.recommendation == name]
    assert told == [None, None, exploration.propensity]


def counts_of(server):
    """Returns the counters by model, from the metrics."""
    counts = {}
    for line in server.get("/metrics")[1].decode().splitlines():
        for kind in ("recommendations", "events_recommended"):
            if line.startswith(f"fastrec_model_{kind}_total{{"):
                labels, _, value = line.partition("{")[2].partition("} ")
                explored, model = (part.partition("=")[2].strip('"') for part in labels.split(","))
                counts[kind, model, explored] = float(value)
    return counts


def test_nothing_is_explored_unless_it_is_asked_for(folder):
    with InThread(folder / "model.fastrec") as server:
        lists = [server.post("/recommend", {"user": "5", "k": 10})[1] for _ in range(5)]
        assert len({tuple(items_of(answer)) for answer in lists}) == 1
        assert all(parse_exploration(answer["recommendation"]) is None for answer in lists)
