"""Items over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from tests.serving.asking import items_of
from tests.serving.running import InThread, Running

ITEMS = [f"{1000 + n}" for n in range(40)]


@pytest.fixture(scope="module")
def shop(folder, tmp_path_factory):
    """Starts a server whose items are changed."""
    with InThread(folder / "model.fastrec", "--journal", tmp_path_factory.mktemp("shop") / "events.db") as server:
        yield server


def test_similar_items_and_searches(server, model):
    _, answer, _ = server.get("/similar?item=1005&k=3")
    assert items_of(answer) == model.similar_items("1005", 3).items[0].tolist()
    assert server.get("/similar?item=none")[0] == 404
    assert server.get("/similar")[1]["error"]["field"] == "item"
    assert server.get("/similar?item=1005&k=0")[1]["error"]["field"] == "k"
    _, answer, _ = server.get("/items?search=number+12&limit=5")
    assert answer["items"][0]["item"] == "1012"
    assert items_of(server.get("/items?search=1007")[1]) == ["1007"]
    counts = [row["users"] for row in server.get("/items?limit=200")[1]["items"]]
    assert len(counts) == 40
    assert counts == sorted(counts, reverse=True)
    assert server.get("/users?search=1&limit=3")[1]["users"] == ["1", "10", "11"]


def test_a_query_with_a_name_that_nobody_knows_is_refused(server):
    for path, known in (
        ("/items?q=x", "limit, search"),
        ("/similar?item=1005&n=3", "item, k"),
        ("/users?q=1", "limit, search"),
    ):
        status, answer, _ = server.get(path)
        assert (status, known in answer["error"]["message"]) == (422, True), path
        assert answer["error"]["field"] in ("q", "n")
    status, answer, _ = server.post("/recommend?k=3", {"user": "1"})
    assert (status, answer["error"]["field"]) == (422, "k")
    assert server.get("/healthz?probe=1")[0] == 200, "a probe may say more than it asks"


def test_items_like_several_together(server, model):
    status, answer, _ = server.post("/similar", {"items": ["1005", "1009"], "k": 5})
    assert (status, "item" in answer) == (200, False)
    assert answer["items"] == server.get("/similar?item=1005&item=1009&k=5")[1]["items"]
    assert {"1005", "1009"}.isdisjoint(items_of(answer))
    _, answer, _ = server.post("/similar", {"items": ["1005", "none"], "k": 5})
    assert (answer["item"], answer["unknown"]) == ("1005", ["none"])
    assert items_of(answer) == model.similar_items("1005", 5).items[0].tolist()
    for body in ({"items": ["none"]}, {"items": ["1005", "none"], "on_unknown": "error"}):
        status, answer, _ = server.post("/similar", body)
        assert (status, answer["error"]["field"]) == (404, "items")
    assert server.get("/similar?item=1005&item=none")[0] == 404
    assert server.get("/similar?" + "&".join(["item=1005"] * 101))[0] == 422


def test_an_item_is_hidden_shown_and_removed(shop):
    path, question = "/items/1003", {"user": "50", "k": 40, "exclude_seen": False}

    def is_listed():
        return "1003" in items_of(shop.post("/recommend", question)[1])

    status, answer, _ = shop.ask("PUT", path, {"hidden": True})
    assert (status, answer["hidden"], answer["known"]) == (200, True, True)
    assert answer["facts"] == {"title": "Film number 3 & <b>more</b>"}
    assert not is_listed()
    status, answer, _ = shop.ask("PUT", path, {"facts": {"title": "Film 3", "price": 9.5, "tags": ["a", "b"]}})
    assert (status, answer["hidden"]) == (200, True), "what is not said stays"
    assert shop.get("/similar?item=1003")[0] == 200, "what is like a hidden item can be asked"
    shop.ask("PUT", path, {"hidden": False})
    assert is_listed()
    status, answer, _ = shop.get(path)
    assert (status, answer["hidden"]) == (200, False)
    assert answer["facts"] == {"title": "Film 3", "price": 9.5, "tags": ["a", "b"]}
    listed = shop.post("/recommend", question)[1]["items"]
    assert [row["title"] for row in listed if row["item"] == "1003"] == ["Film 3"]
    assert shop.ask("DELETE", path)[0] == 200
    assert shop.ask("DELETE", path)[0] == shop.get(path)[0] == shop.get("/similar?item=1003")[0] == 404
    assert not is_listed()
    shop.ask("PUT", path, {})
    assert is_listed()
    assert "price" not in shop.get(path)[1]["facts"]


def test_a_new_item_waits_with_its_facts_for_the_model(shop):
    status, answer, _ = shop.ask("PUT", "/items/brand%20new", {"facts": {"title": "Brand new"}})
    assert (status, answer["item"], answer["known"]) == (200, "brand new", False)
    assert shop.get("/items?search=brand")[1]["items"] == [{"item": "brand new", "users": 0, "title": "Brand new"}]
    assert shop.ask("DELETE", "/items/brand%20new")[0] == 200
    assert shop.get("/items?search=brand")[1]["items"] == []
    assert shop.get("/items/never")[0] == shop.ask("DELETE", "/items/never")[0] == 404


def test_reasons_name_no_hidden_item(shop):
    question = {"user": "7", "k": 1, "explain": True}
    reasons = [why["item"] for why in shop.post("/recommend", question)[1]["items"][0]["why"]]
    shop.ask("PUT", f"/items/{reasons[0]}", {"hidden": True})
    told = shop.post("/recommend", question)[1]["items"][0]["why"]
    assert [why["item"] for why in told][:2] == reasons[1:]
    assert len(told) == 3
    shop.ask("PUT", f"/items/{reasons[0]}", {"hidden": False})


changes = st.tuples(st.sampled_from(ITEMS[:6]), st.sampled_from(["hide", "show", "remove", "put"]))


@given(st.lists(changes, min_size=1, max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_hidden_or_removed_items_are_in_no_answer_after_any_changes(shop, model, changes):
    states = dict.fromkeys(ITEMS[:6], "show")
    for item in ITEMS[:6]:
        shop.ask("PUT", f"/items/{item}", {"hidden": False})
    history = ["1010", "1021"]
    orders = {
        "user": model.recommend(["50"], 40, exclude_seen=False),
        "history": model.recommend(model.histories([history]), 40),
        "similar": model.similar_items(["1020"], 40),
    }
    orders = {name: [item for item in top.items[0].tolist() if item] for name, top in orders.items()}
    for item, change in changes:
        body = {"hide": {"hidden": True}, "show": {"hidden": False}, "put": {"facts": {"price": 5}}}.get(change)
        shop.ask("DELETE" if body is None else "PUT", f"/items/{item}", body)
        if change != "put":
            states[item] = change
        elif states[item] == "remove":
            states[item] = "show"
        gone = {item for item, state in states.items() if state != "show"}
        left = {name: [item for item in order if item not in gone] for name, order in orders.items()}
        options = {"k": 40, "exclude_seen": False}
        assert items_of(shop.post("/recommend", {"user": "50", **options})[1]) == left["user"]
        assert shop.post("/batch", {"users": ["50"], **options})[1]["results"][0]["items"] == left["user"]
        assert items_of(shop.post("/recommend", {"history": history, "k": 40})[1]) == left["history"]
        assert items_of(shop.post("/recommend", {"user": "nobody", **options})[1]).count("") == 0
        assert gone.isdisjoint(items_of(shop.post("/recommend", {"user": "nobody", **options})[1]))
        assert items_of(shop.get("/similar?item=1020&k=40")[1]) == left["similar"]
        assert set(items_of(shop.get("/items?limit=200")[1])) == set(ITEMS) - gone


def test_changes_are_in_every_worker_at_once_and_outlive_a_kill_and_a_checkpoint(folder, tmp_path):
    options = (folder / "model.fastrec", "--journal", tmp_path / "events.db", "--versions", tmp_path / "models")

    def look(server, gone):
        def ask(_):
            return items_of(server.post("/recommend", {"user": "50", "k": 40, "exclude_seen": False})[1])

        with ThreadPoolExecutor(4) as pool:  # of several connections at once, each worker gets some
            for listed in pool.map(ask, range(8)):
                assert set(ITEMS) - set(listed) == gone

    with Running(*options, "--workers", "2") as server:
        for number in range(5):
            server.ask("PUT", f"/items/{ITEMS[number]}", {"hidden": True, "facts": {"n": number}})
            look(server, set(ITEMS[: number + 1]))
        server.kill()
    with InThread(*options, "--checkpoint-every", "0.2") as server:
        look(server, set(ITEMS[:5]))
        server.post("/events", {"events": [{"user": "1", "item": "1001"}]})
        server.wait_until(
            lambda: "+" in server.get("/model")[1]["version"] or server.get("/model")[1]["model_seq"] >= 6
        )
        server.ask("DELETE", "/items/1001")
        look(server, set(ITEMS[:5]))
        assert server.get("/items/1002")[1]["facts"]["n"] == 2
    with InThread(*options) as server:
        look(server, set(ITEMS[:5]))
        assert server.get("/items/1001")[0] == 404


def test_a_client_that_may_not_write_changes_no_item(folder, tmp_path):
    tokens = {"FASTREC_READ_TOKEN": "token-of-readers", "FASTREC_WRITE_TOKEN": "token-of-writers"}
    with InThread(folder / "model.fastrec", "--journal", tmp_path / "events.db", environment=tokens) as server:
        for token, status in ((None, 401), ("token-of-readers", 403), ("token-of-writers", 200)):
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            assert server.ask("PUT", "/items/1001", {"hidden": True}, **headers)[0] == status
            assert server.get("/items/1001", **headers)[0] == status
    with InThread(folder / "model.fastrec") as server:
        assert server.ask("PUT", "/items/1001", {"hidden": True})[0] == 409
        assert server.ask("DELETE", "/items/1001")[0] == 409
