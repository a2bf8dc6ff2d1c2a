"""Recommendations over HTTP."""

import numpy as np
import pytest
from sklearn.base import clone

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.data import Interactions
from fastrec.models import (
    EASE,
    TIFUKNN,
    ExplicitALS,
    ImplicitALS,
    ItemKNN,
    Popularity,
    SequenceRules,
    Slots,
    Switch,
    TwoStage,
)
from fastrec.online import Event, Snapshot
from tests.models.ranking.data import movies
from tests.serving.asking import items_of
from tests.serving.running import InThread, some_data


def test_a_known_user_gets_what_the_model_recommends(server, model):
    status, answer, headers = server.post("/recommend", {"user": "50", "k": 5})
    top = model.recommend("50", 5)
    assert status == 200
    assert items_of(answer) == top.items[0].tolist()
    np.testing.assert_array_equal([np.float32(row["score"]) for row in answer["items"]], top.scores[0])
    assert answer["items"][0]["title"].startswith("Film number")
    assert answer["version"] == headers["fastrec-version"]
    assert answer["fallback"] is False
    assert "server-timing" in headers


def test_a_history_in_the_request(server, model):
    history = ["1000", {"item": "1003", "value": 2.5}, "1000"]
    _, answer, _ = server.post("/recommend", {"history": history, "k": 4})
    row = np.zeros((1, 40))
    row[0, [0, 3]] = 2, 2.5
    assert items_of(answer) == model.recommend(row, 4).items[0].tolist()
    assert "user" not in answer


def test_filters_and_seen_items(server, model):
    some = ["1001", "1002", "1030"]
    _, answer, _ = server.post("/recommend", {"user": "7", "allow": some, "deny": ["1030"], "exclude_seen": False})
    assert sorted(items_of(answer)) == ["1001", "1002"]
    _, answer, _ = server.post("/recommend", {"user": "7", "k": 40})
    seen = model.items_.decode(model.seen_[[7]].indices).tolist()
    assert set(items_of(answer)).isdisjoint(seen)
    assert len(items_of(answer)) + len(seen) == 40


def test_reasons_are_those_of_the_model(server, model):
    _, answer, _ = server.post("/recommend", {"user": "7", "k": 1, "explain": True})
    reasons = model.explain("7", answer["items"][0]["item"], 3)
    assert [reason["item"] for reason in answer["items"][0]["why"]] == reasons.items.tolist()
    assert answer["items"][0]["why"][0]["title"].startswith("Film")


def test_of_two_stages_the_features_are_the_reasons_with_the_newest_events_too(tmp_path):
    data = some_data()
    times = np.random.default_rng(0).permutation(data.n_interactions)
    model = TwoStage([EASE(), ItemKNN()], candidates=20, random_state=0).fit(data._replace(times=times))
    model.save(tmp_path / "two.fastrec")
    with InThread(tmp_path / "two.fastrec", "--journal", tmp_path / "e.db") as server:
        for history in ([], ["1003"]):
            server.post("/events", {"events": [{"user": "7", "item": item} for item in history]})
            _, answer, _ = server.post("/recommend", {"user": "7", "k": 2, "explain": True})
            snapshot = Snapshot(model).after([Event("7", item, seq=1) for item in history])
            assert items_of(answer) == snapshot.recommend(["7"], 2).items[0].tolist()
            for row in answer["items"]:
                reasons = snapshot.explain_features("7", row["item"], 3)
                assert [reason["feature"] for reason in row["why"]] == reasons.features.tolist()
                np.testing.assert_allclose(
                    [reason["contribution"] for reason in row["why"]], reasons.contributions, rtol=1e-5
                )
        some = ["1003", "1007", "1011"]
        _, answer, _ = server.post("/recommend", {"user": "9", "allow": some, "deny": ["1007"], "explain": True})
        assert set(items_of(answer)) <= {"1003", "1011"}
        assert server.post("/recommend", {"history": ["1000"], "k": 1, "explain": True})[1]["items"][0]["why"]
        assert server.get("/model")[1]["explains"] is True


def test_of_two_stages_the_order_of_a_history_counts_if_the_ranker_reads_it(tmp_path):
    model = TwoStage([EASE(), ItemKNN()], candidates=20, random_state=0).fit(movies())
    model.save(tmp_path / "two.fastrec")
    with InThread(tmp_path / "two.fastrec") as server:
        assert model.uses_ranker_
        assert server.get("/model")[1]["reads_order"] is True
        history = list(range(0, 80, 5))
        for given in (history, history[::-1]):
            _, answer, _ = server.post("/recommend", {"history": given, "k": 5})
            assert items_of(answer) == model.recommend(model.histories([given]), 5).items[0].tolist()


def test_switches_and_slots_are_served(tmp_path):
    data = some_data()
    routed = Switch([EASE(), Popularity()], [["7", "8"]])
    model = Slots([EASE(), Popularity()], [(1, 1)]).fit(data)
    for name, made in (("routed", routed.fit(data)), ("slots", model)):
        made.save(tmp_path / f"{name}.fastrec")
        snapshot = Snapshot(made).after([Event("7", "1003", seq=1)])
        with InThread(tmp_path / f"{name}.fastrec", "--journal", tmp_path / f"{name}.db") as server:
            server.post("/events", {"events": [{"user": "7", "item": "1003"}]})
            for user in ("7", "9"):
                _, answer, _ = server.post("/recommend", {"user": user, "k": 4})
                assert items_of(answer) == snapshot.recommend([user], 4).items[0].tolist()


def test_unknown_ids_by_the_stated_policy(server):
    status, answer, _ = server.post("/recommend", {"user": "nobody"})
    assert (status, answer["fallback"]) == (200, True)
    status, answer, _ = server.post("/recommend", {"user": "nobody", "on_unknown": "error"})
    assert (status, answer["error"]["field"]) == (404, "user")
    status, answer, _ = server.post("/recommend", {"history": ["1000", "none"]})
    assert (status, answer["unknown"]) == (200, ["none"])
    status, answer, _ = server.post("/recommend", {"history": ["1000", "none"], "on_unknown": "error"})
    assert (status, answer["error"]["field"]) == (422, "history[1]")


def test_a_batch_is_its_users_one_by_one(server):
    users = ["5", "nobody", "9", "5"]
    status, answer, _ = server.post("/batch", {"users": users, "k": 3})
    assert status == 200
    for row, user in zip(answer["results"], users, strict=True):
        _, single, _ = server.post("/recommend", {"user": user, "k": 3})
        assert row["items"] == items_of(single)
        assert row["scores"] == [item["score"] for item in single["items"]]
        assert (row["user"], row["fallback"]) == (user, single["fallback"])
    assert server.post("/batch", {"users": []})[1]["results"] == []
    assert server.post("/batch", {"users": users, "deny": ["1000", "none"]})[1]["unknown"] == ["none"]


def test_integers_as_ids_stay_integers(tmp_path):
    Popularity().fit(some_data(int)).save(tmp_path / "m.fastrec")
    with InThread(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:
        assert server.post("/recommend", {"user": 5})[1]["user"] == 5
        status, answer, _ = server.post("/recommend", {"user": "5"})
        assert (status, answer["error"]["field"]) == (422, "user")
        assert "a string: '5'" in answer["error"]["message"]
        assert (
            server.post("/events", {"events": [{"user": 5, "item": "1001"}]})[1]["error"]["field"] == "events[0].item"
        )
        assert server.get("/similar?item=1001")[1]["item"] == 1001
        assert server.get("/similar?item=x")[0] == 422
        assert server.ask("DELETE", "/users/5")[0] == 200
        assert server.ask("DELETE", "/users/five")[0] == 422
        assert "why" not in server.post("/recommend", {"user": 7, "explain": True})[1]["items"][0]


def test_ratings_of_a_history(tmp_path):
    """A 0 is a rating, and of two ratings of one item the last counts, as in events."""
    data = some_data()
    ExplicitALS(factors=4, iterations=3, random_state=0, n_jobs=1).fit(data).save(tmp_path / "m.fastrec")
    with InThread(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:
        _, answer, _ = server.post("/recommend", {"history": [{"item": "1000", "value": 0}], "k": 40})
        assert not answer["fallback"]
        assert "1000" not in items_of(answer)
        ratings = [{"item": "1000", "value": value} for value in (5, 1)]
        server.post("/events", {"events": [{"user": "new", **rating} for rating in ratings]})
        assert server.get("/users/new")[1]["items"][0]["value"] == 1
        _, by_user, _ = server.post("/recommend", {"user": "new"})
        _, by_history, _ = server.post("/recommend", {"history": ratings})
        assert items_of(by_user) == items_of(by_history)


def test_a_model_of_a_matrix_knows_codes_alone(tmp_path):
    ItemKNN(2).fit(some_data().matrix).save(tmp_path / "m.fastrec")
    with InThread(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:
        for asked in ({"deny": [1]}, {"exclude_seen": False}, {"allow": [3, 4]}, {}):
            for user in (5000, -1):
                assert server.post("/recommend", {"user": user, **asked})[1]["fallback"]
            results = server.post("/batch", {"users": [1, 5000], **asked})[1]["results"]
            assert [row["fallback"] for row in results] == [False, True]
        for user, item, field in ((-7, 1, "user"), (10**9, 1, "user"), (1, -1, "item"), (1, 10**9, "item")):
            events = {"events": [{"user": 1, "item": 1}, {"user": user, "item": item}]}
            status, answer, _ = server.post("/events", events)
            assert (status, answer["error"]["field"]) == (422, f"events[1].{field}")
        assert server.post("/events", {"events": [{"user": 61, "item": 41}]})[0] == 200


@pytest.mark.parametrize(
    "model", [SequenceRules(), ItemKNN(recency=0.6), ImplicitALS(4, recency=0.6, random_state=0)], ids=repr
)
def test_a_history_in_the_request_is_an_order_to_a_model_that_reads_one(model, tmp_path):
    data = some_data()
    times = np.random.default_rng(0).permutation(data.n_interactions)
    timed = Interactions(data.user_codes, data.item_codes, times=times, users=data.users, items=data.items)
    model = clone(model).fit(timed)
    model.save(tmp_path / "model.fastrec")
    with InThread(tmp_path / "model.fastrec", "--journal", tmp_path / "events.db") as server:
        for history in (["1000", "1003", "1007"], ["1007", "1003", "1000"]):
            _, answer, _ = server.post("/recommend", {"history": history, "k": 4, "explain": True})
            top = model.recommend(model.histories([history]), 4)
            assert items_of(answer) == top.items[0].tolist()
            np.testing.assert_array_equal([np.float32(row["score"]) for row in answer["items"]], top.scores[0])
            for row in answer["items"]:
                reasons = model.explain(model.histories([history]), row["item"])
                assert {reason["item"] for reason in row["why"]} == set(reasons.items.tolist())
        _, before, _ = server.post("/recommend", {"user": "7", "k": 4})
        server.post("/events", {"events": [{"user": "7", "item": items_of(before)[0]}]})
        _, after, _ = server.post("/recommend", {"user": "7", "k": 4, "explain": True})
        assert items_of(after)[0] != items_of(before)[0]
        reasons = [reason["item"] for item in after["items"] for reason in item.get("why", [])]
        assert items_of(before)[0] in reasons


def test_a_user_with_a_cart_is_answered_as_if_the_cart_were_events(tmp_path):
    for number, model in enumerate((ImplicitALS(4, iterations=4, random_state=0, n_jobs=1), SequenceRules())):
        data = some_data()
        times = np.random.default_rng(0).permutation(data.n_interactions)
        timed = Interactions(data.user_codes, data.item_codes, times=times, users=data.users, items=data.items)
        folder = tmp_path / str(number)
        folder.mkdir()
        model.fit(timed).save(folder / "m.fastrec")
        with InThread(folder / "m.fastrec", "--journal", folder / "e.db") as server:
            server.post("/events", {"events": [{"user": "7", "item": "1004"}]})
            cart = ["1030", {"item": "1002", "value": 3}, "none"]
            for user in ("7", "9", "born today"):
                before = server.post("/recommend", {"user": user, "k": 40})[1]
                told = server.post("/recommend", {"user": user, "history": cart, "k": 40})[1]
                assert told["unknown"] == ["none"]
                assert not told["fallback"]
                assert {"1030", "1002"}.isdisjoint(items_of(told))
                again = server.post("/recommend", {"user": user, "k": 40})[1]
                assert items_of(again) == items_of(before), "nothing of it is kept"
                assert again["seq"] == told["seq"]
                events = [{"user": user, "item": "1030"}, {"user": user, "item": "1002", "value": 3}]
                server.post("/events", {"events": events})
                after = server.post("/recommend", {"user": user, "k": 40})[1]
                assert after["items"] == told["items"]
            empty = server.post("/recommend", {"user": "7", "history": [], "k": 40})[1]
            assert empty["items"] == server.post("/recommend", {"user": "7", "k": 40})[1]["items"]


def test_facts_of_the_model_and_of_items_put_since_filter_all_lists(tmp_path):
    data = some_data()
    info = {
        **data.item_info,
        "year": np.arange(40.0),
        "genres": np.array(["Drama|War", "War", "", "Noir"] * 10, object),
    }
    model = ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(data._replace(item_info=info))
    model.save(tmp_path / "m.fastrec")
    order = model.recommend(["50"], 40, exclude_seen=False).items[0].tolist()
    with InThread(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:

        def check(where, chosen):
            wanted = [item for item in order if chosen(int(item) - 1000)]
            options = {"where": where, "k": 40, "exclude_seen": False}
            assert items_of(server.post("/recommend", {"user": "50", **options})[1]) == wanted
            assert server.post("/batch", {"users": ["50", "50"], **options})[1]["results"][1]["items"] == wanted
            history = items_of(server.post("/recommend", {"history": ["1001"], **options})[1])
            assert set(history) == set(wanted)
            del options["exclude_seen"]
            similar = items_of(server.post("/similar", {"items": ["1001", "1002"], **options})[1])
            assert set(similar) == set(wanted) - {"1001", "1002"}

        check({"genres": "War", "year": {"<": 9}}, lambda n: n % 4 < 2 and n < 9)
        check({"genres": None}, lambda n: n % 4 == 2)
        server.ask("PUT", "/items/1006", {"facts": {"genres": ["War"], "price": 5}})
        check({"genres": "War", "year": {"<": 9}}, lambda n: (n % 4 < 2 or n == 6) and n < 9)
        check({"price": {"not": None}}, lambda n: n == 6)
        deny = server.post("/similar", {"items": ["1001"], "deny": ["1003"], "allow": ["1003", "1004"], "k": 9})[1]
        assert items_of(deny) == ["1004"]
        status, answer, _ = server.post("/recommend", {"user": "50", "where": {"colour": "red"}})
        assert (status, answer["error"]["field"]) == (422, "where.colour")
        assert "there are 'genres', 'price', 'title', 'year'" in answer["error"]["message"]


def test_pins_are_marked_and_batches_have_them_too(server):
    body = {"k": 3, "pins": [{"item": "1030", "position": 2}], "exclude_seen": False, "deny": ["1030"]}
    _, answer, _ = server.post("/recommend", {"user": "50", "explain": True, **body})
    assert [row.get("pinned", False) for row in answer["items"]] == [False, True, False]
    assert answer["items"][1] == {"item": "1030", "score": 0.0, "title": "Film number 30 & <b>more</b>", "pinned": True}
    _, rows, _ = server.post("/batch", {"users": ["50", "7"], **body})
    assert rows["results"][0]["items"] == items_of(answer)
    assert [row["items"][1] for row in rows["results"]] == ["1030", "1030"]
    assert [len(row["scores"]) for row in rows["results"]] == [3, 3]


def test_a_model_of_baskets_recommends_what_was_had_unless_told_otherwise(tmp_path):
    data = some_data()._replace(times=np.zeros(some_data().n_interactions, np.int64), time_unit="s")
    model = TIFUKNN(alpha=1.0).fit(data)
    model.save(tmp_path / "m.fastrec")
    had = set(data[[7]].items.decode(data[[7]].item_codes).tolist())
    with InThread(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:
        for path, asked in (("/recommend", {"user": "7"}), ("/batch", {"users": ["7"]})):
            for said, expected in (({}, True), ({"exclude_seen": None}, True), ({"exclude_seen": True}, False)):
                _, answer, _ = server.post(path, {**asked, "k": 3, **said})
                items = items_of(answer) if path == "/recommend" else answer["results"][0]["items"]
                assert (set(items) <= had, bool(set(items) & had)) == (expected, expected)
        server.post("/events", {"events": [{"user": "7", "item": "1039", "time": 9}]})
        assert items_of(server.post("/recommend", {"user": "7", "k": 1})[1]) == ["1039"]
