"""The server as its clients meet it: a process of its own, real requests."""

import asyncio
import json
import os
import re
import signal
import socket
import threading
import time
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from starlette.responses import Response

from fastrec.models import ExplicitALS, ImplicitALS, ItemKNN, Popularity, load
from fastrec.online import Journal, Snapshot, Versions
from fastrec.serving.answers import make_answer
from fastrec.serving.app import Guard
from fastrec.serving.messages import StateAnswer
from fastrec.serving.run import publish_first
from fastrec.serving.server import Server
from fastrec.serving.settings import Settings
from tests.serving.running import Running, some_data

TOKEN = "a-token-for-tests"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving")
    ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(some_data()).save(folder / "model.fastrec")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Running(folder / "model.fastrec", "--journal", folder / "events.db") as server:
        yield server


@pytest.fixture(scope="module")
def model(folder):
    return load(folder / "model.fastrec")


def items_of(answer):
    return [row["item"] for row in answer["items"]]


# -- asking


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
    server.get("/nowhere/at/all")
    server.get("/users/a-secret-name")
    text = server.get("/metrics")[1].decode()
    assert 'fastrec_requests_total{path="/recommend",status="200"}' in text
    assert 'fastrec_requests_total{path="other",status="404"}' in text
    assert "a-secret-name" not in text
    assert "fastrec_model_problem 0.0" in text


# -- events


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


def test_a_deleted_user_is_forgotten(server, folder):
    server.post("/events", {"events": [{"user": "to be deleted", "item": "1001"}, {"user": "30", "item": "1001"}]})
    assert server.get("/users/to%20be%20deleted")[0] == 200
    status, answer, _ = server.ask("DELETE", "/users/to%20be%20deleted")
    assert status == 200
    assert "nothing" in answer["model"]
    assert server.get("/users/to%20be%20deleted")[0] == 404
    assert all(b"to be deleted" not in path.read_bytes() for path in folder.glob("events.db*"))
    assert "until the next model" in server.ask("DELETE", "/users/30")[1]["model"]
    assert server.post("/recommend", {"user": "30"})[1]["fallback"]


@pytest.mark.parametrize("user", ["a/b", "a\n", "a\nb", "..", "%", "é"])
def test_any_id_is_looked_at_and_deleted_and_no_other(server, user):
    url = "/users/" + quote(user, safe="")
    beside = [user + "\n", user[:-1] or "x", user.strip() + "/"]
    assert server.get(url)[0] == 404
    server.post("/events", {"events": [{"user": one, "item": "1001"} for one in (user, *beside)]})
    assert server.get(url)[1]["user"] == user
    assert server.ask("DELETE", url)[0] == 200
    assert server.get(url)[0] == 404
    for one in {*beside} - {user}:
        assert server.get("/users/" + quote(one, safe=""))[1]["user"] == one
        server.ask("DELETE", "/users/" + quote(one, safe=""))


def test_who_is_unknown_is_deleted_without_a_trace(server):
    before = server.get("/model")[1]["seq"]
    status, answer, _ = server.ask("DELETE", "/users/never%20heard%20of")
    assert (status, answer["model"]) == (200, "nothing was known of the user")
    assert server.get("/model")[1]["seq"] == before


def test_bytes_that_are_no_text_name_nobody(server):
    server.post("/events", {"events": [{"user": "\ufffd", "item": "1001"}]})
    assert server.ask("DELETE", "/users/%ff")[1]["error"]["field"] == "id"
    assert server.get("/users/%EF%BF%BD")[1]["total"] == 1


# -- what is refused

BAD = [
    ("/recommend", b"", "body"),
    ("/recommend", b"{", "body"),
    ("/recommend", b"\xff\xfe", "body"),
    ("/recommend", b"[" * 5000, "body"),
    ("/recommend", [], "body"),
    ("/recommend", {}, "user"),
    ("/recommend", {"user": "1", "history": []}, "history"),
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
]


@pytest.mark.parametrize(
    ("path", "body", "field"), BAD, ids=[f"{path}-{field}-{n}" for n, (path, _, field) in enumerate(BAD)]
)
def test_malformed_requests_are_told_which_field(server, path, body, field):
    status, answer, _ = server.post(path, body)
    assert status == 422, answer
    assert answer["error"]["field"].rstrip(".") == field, answer
    assert "Traceback" not in json.dumps(answer)


def test_other_refusals(server):
    assert server.get("/none")[0] == 404
    assert server.get("/recommend")[0] == 405
    status, answer, _ = server.post("/recommend", b"x" * ((4 << 20) + 1))
    assert status == 413
    assert "bytes" in answer["error"]["message"]
    events = {"events": [{"user": "1", "item": "1000"}]}
    assert server.post("/events", events, Origin="http://elsewhere.example")[0] == 403
    # A name of their own that they have made lead to this machine is no way in either.
    lured = {"Host": f"elsewhere.example:{server.port}", "Origin": f"http://elsewhere.example:{server.port}"}
    assert server.post("/events", events, **lured)[0] == 403
    for path in ("/users/1", "/users", "/model", "/"):
        assert server.get(path, Host=lured["Host"])[0] == 403
    assert server.post("/recommend", {"user": "1", "explain": True}, **lured)[0] == 403
    assert server.post("/recommend", {"user": "1"}, **lured)[0] == 403
    assert server.get("/users/1", Host=f"localhost:{server.port}")[0] == 200
    assert server.post("/events", events, Origin=f"http://127.0.0.1:{server.port}")[0] == 200


def test_a_body_in_chunks_is_counted_too(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"POST /recommend HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            for _ in range(400):
                line.sendall(chunk)
        except OSError:
            pass
        assert b" 413 " in line.recv(4096)


def test_integers_as_ids_stay_integers(tmp_path):
    Popularity().fit(some_data(int)).save(tmp_path / "m.fastrec")
    with Running(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:
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
    """A 0 is a rating, and of two ratings of one item the last counts, as it does in events."""
    data = some_data()
    ExplicitALS(factors=4, iterations=3, random_state=0, n_jobs=1).fit(data).save(tmp_path / "m.fastrec")
    with Running(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:
        _, answer, _ = server.post("/recommend", {"history": [{"item": "1000", "value": 0}], "k": 40})
        assert not answer["fallback"]
        assert "1000" not in items_of(answer)
        ratings = [{"item": "1000", "value": value} for value in (5, 1)]
        server.post("/events", {"events": [{"user": "new", **rating} for rating in ratings]})
        assert server.get("/users/new")[1]["items"][0]["value"] == 1
        _, by_user, _ = server.post("/recommend", {"user": "new"})
        _, by_history, _ = server.post("/recommend", {"history": ratings})
        assert items_of(by_user) == items_of(by_history)


def test_the_options_of_the_command_about_ids_and_repeated_events(tmp_path, folder):
    options = ("--on-unknown", "error", "--duplicates", "max")
    with Running(folder / "model.fastrec", "--journal", tmp_path / "e.db", *options) as server:
        assert server.post("/recommend", {"user": "nobody"})[0] == 404
        assert server.post("/recommend", {"user": "nobody", "on_unknown": "popular"})[0] == 200
        server.post("/events", {"events": [{"user": "new", "item": "1000", "value": value} for value in (1, 3, 2)]})
        assert server.get("/users/new")[1]["items"][0]["value"] == 3


def test_a_model_of_a_matrix_knows_codes_alone(tmp_path):
    ItemKNN(2).fit(some_data().matrix).save(tmp_path / "m.fastrec")
    with Running(tmp_path / "m.fastrec", "--journal", tmp_path / "e.db") as server:
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


# -- tokens


def test_writing_needs_the_token(tmp_path, folder):
    (tmp_path / "token").write_text(TOKEN + "\n")
    with Running(
        folder / "model.fastrec", "--journal", tmp_path / "e.db", "--token-file", tmp_path / "token"
    ) as server:
        events = {"events": [{"user": "1", "item": "1000"}]}
        for given in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Bearer"},
        ):
            status, _, headers = server.post("/events", events, **given)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert server.ask("DELETE", "/users/1", **given)[0] == 401
            assert server.ask("GET", "/users/1", **given)[0] == 401
        assert server.post("/events", events, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert server.ask("DELETE", "/users/1", Authorization=f"bearer {TOKEN}")[0] == 200
        # By lists and their filters anybody could rebuild what a user took; a history in the request is no secret.
        for asked in ({"user": "2"}, {"user": "2", "explain": True}, {"user": "nobody"}):
            assert server.post("/recommend", asked)[0] == 401
        assert server.post("/batch", {"users": ["2"]})[0] == 401
        assert server.post("/recommend", {"history": ["1000"], "explain": True})[0] == 200
        reasons = server.post("/recommend", {"user": "2", "explain": True}, Authorization=f"Bearer {TOKEN}")[1]
        assert reasons["items"][0]["why"]
        assert server.post("/recommend", {"history": []}, Host="recommender.example")[0] == 200


def test_without_a_token_others_see_no_histories(folder):
    with Running(folder / "model.fastrec", "--host", "0.0.0.0") as server:
        assert server.post("/recommend", {"history": ["1000"]}, Host="shop.example")[0] == 200
        assert server.get("/model")[1]["shows_users"] is False
        for path in ("/users", "/users/1"):
            status, answer, _ = server.get(path)
            assert (status, "token" in answer["error"]["message"]) == (403, True)
        assert server.post("/recommend", {"user": "1"})[0] == 403
        assert server.post("/batch", {"users": ["1"]})[0] == 403


def test_no_server_for_everybody_without_a_token(tmp_path, folder):
    server = Running(folder / "model.fastrec", "--journal", tmp_path / "e.db", "--host", "0.0.0.0", wait=False)
    code, log = server.process.wait(30), server.process.stderr.read()
    server.process.stderr.close()
    assert code == 1
    assert "token" in log


def test_a_token_that_no_header_carries_is_refused_at_the_start(folder):
    with Running(folder / "model.fastrec", environment={"FASTREC_TOKEN": "sécret"}, wait=False) as server:
        assert server.process.wait(60) == 1
        assert "ASCII" in server.process.communicate()[1]


def test_a_folder_with_a_version_says_that_the_file_is_not_served(tmp_path, folder, caplog):
    for version in ("v000001", "v000001"):
        publish_first(folder / "model.fastrec", tmp_path)
        assert Versions(tmp_path).current() == version
    assert "has v000001 already" in caplog.text


@pytest.mark.parametrize("ids", [int, str])
def test_a_new_model_is_asked_everything_once(ids):
    """Whatever has to be compiled is, before it answers."""
    asked = []

    class Asked(ItemKNN):
        def explain(self, *given):
            asked.append("explain")
            return super().explain(*given)

        def recommend(self, users, k=10, **options):
            asked.append(sorted(options))
            return super().recommend(users, k, **options)

    model = Asked(3).fit(some_data(ids))
    snapshot = Snapshot(model)
    Server(Settings(model="none"))._prepare(snapshot)
    assert "explain" in asked
    assert ["allow", "deny"] in asked
    assert ["exclude_seen"] in asked
    assert snapshot.changed_users == 0


def test_without_a_journal_nothing_is_written(folder):
    with Running(folder / "model.fastrec") as server:
        assert server.post("/recommend", {"user": "1"})[0] == 200
        assert server.post("/events", {"events": [{"user": "1", "item": "1000"}]})[0] == 409
        assert server.get("/model")[1]["takes_events"] is False


# -- life and death


def test_every_worker_sees_every_event(tmp_path, folder):
    with Running(folder / "model.fastrec", "--journal", tmp_path / "e.db", "--workers", "2") as server:
        for step in range(30):
            user = f"{step}"
            best = items_of(server.post("/recommend", {"user": user, "k": 1})[1])[0]
            server.post("/events", {"events": [{"user": user, "item": best}]})
            for _ in range(3):
                assert best not in items_of(server.post("/recommend", {"user": user, "k": 40})[1])
        assert "fastrec_events_total 30.0" in server.get("/metrics")[1].decode()


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_sigterm_ends_in_good_order(tmp_path, folder):
    with Running(folder / "model.fastrec", "--journal", tmp_path / "e.db") as server:
        acknowledged, stopping = [], threading.Event()

        def write(number):
            for n in range(10_000):
                try:
                    status, answer, _ = server.post("/events", {"events": [{"user": f"{number}-{n}", "item": "1000"}]})
                except (OSError, ValueError):
                    assert stopping.is_set()
                    return
                if status == 200:
                    acknowledged.append(answer["seq"])

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(0.4)
        stopping.set()
        code, log = server.stop()
        for writer in writers:
            writer.join()
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in log
    with Journal(tmp_path / "e.db") as journal:
        assert {event.seq for event in journal.read(0)} >= set(acknowledged)
        assert acknowledged


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_and_started_again_it_answers_the_same(tmp_path, folder):
    arguments = folder / "model.fastrec", "--journal", tmp_path / "e.db"
    with Running(*arguments) as server:
        for user in ("1", "2", "new"):
            server.post(
                "/events", {"events": [{"user": user, "item": f"{1000 + n}", "value": 0.1 * n + 0.1} for n in range(9)]}
            )
        before = [server.post("/recommend", {"user": user})[1] for user in ("1", "2", "3", "new")]
        server.kill()
    with Running(*arguments) as server:
        assert [server.post("/recommend", {"user": user})[1] for user in ("1", "2", "3", "new")] == before


def test_a_new_model_is_taken_and_a_bad_one_is_not(tmp_path):
    path = tmp_path / "model.fastrec"
    Popularity().fit(some_data()).save(path)
    with Running(path) as server:
        wrong, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                status, answer, headers = server.post("/recommend", {"user": "1"})
                if status != 200 or answer["version"] != headers["fastrec-version"]:
                    wrong.append((status, answer))

        reader = threading.Thread(target=read)
        reader.start()
        first = server.get("/model")[1]["version"]
        ImplicitALS(factors=4, random_state=0).fit(some_data()).save(path)
        server.wait_until(lambda: server.get("/model")[1]["model"] == "ImplicitALS")
        second = server.get("/model")[1]["version"]
        assert second != first
        beside = path.with_suffix(".bad")
        beside.write_bytes(path.read_bytes()[:-50])
        os.replace(beside, path)
        server.wait_until(lambda: "problem" in server.get("/readyz")[1])
        status, answer, _ = server.get("/readyz")
        assert (status, answer["version"]) == (200, second)
        assert "cut short" in answer["problem"]
        assert "fastrec_model_problem 1.0" in server.get("/metrics")[1].decode()
        Popularity().fit(some_data()).save(path)
        server.wait_until(lambda: server.get("/model")[1]["model"] == "Popularity")
        assert "problem" not in server.get("/readyz")[1]
        stop.set()
        reader.join()
        assert not wrong


def test_a_file_that_is_written_over_harms_nobody(tmp_path, folder):
    path = tmp_path / "model.fastrec"
    good = (folder / "model.fastrec").read_bytes()
    path.write_bytes(good)
    with Running(path) as server:
        before = server.post("/recommend", {"user": "1"})[1]
        for content in (b"", bytes(100), bytes(len(good))):
            path.write_bytes(content)
            server.wait_until(lambda: "problem" in server.get("/readyz")[1])
            assert server.post("/recommend", {"user": "1"})[1] == before
            path.write_bytes(good)
            server.wait_until(lambda: "problem" not in server.get("/readyz")[1])


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_workers_end_when_their_parent_is_killed(tmp_path, folder):
    arguments = folder / "model.fastrec", "--journal", tmp_path / "e.db", "--workers", "2"
    with Running(*arguments, environment={"TMPDIR": str(tmp_path)}) as server:
        workers = server.workers()
        assert len(workers) == 2
        server.process.kill()
        assert server.process.wait() == -signal.SIGKILL
        end = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{pid}") for pid in workers):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert list(tmp_path.glob("fastrec-*")) == []
        with Running(*arguments, port=server.port) as again:
            assert again.post("/recommend", {"user": "1"})[0] == 200


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_worker_is_replaced_and_what_it_said_of_the_moment_forgotten(tmp_path, folder):
    Versions(tmp_path / "models").publish(load(folder / "model.fastrec"))
    current = tmp_path / "models" / "CURRENT"
    with Running(tmp_path / "models", "--workers", "2") as server:
        server.wait_until(lambda: 'fastrec_models_total{how="start"} 2.0' in server.get("/metrics")[1].decode())
        current.write_text("nonsense")
        server.wait_until(lambda: "fastrec_model_problem 1.0" in server.get("/metrics")[1].decode())
        current.write_text("v000001\n")
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        server.wait_until(lambda: "fastrec_model_problem 0.0" in server.get("/metrics")[1].decode())
        assert len(server.workers()) == 2


def test_new_models_are_made_published_and_the_journal_trimmed(tmp_path, folder):
    arguments = ("--journal", tmp_path / "e.db", "--versions", tmp_path / "models", "--checkpoint-every", "0.1")
    with Running(folder / "model.fastrec", *arguments) as server:
        server.post("/events", {"events": [{"user": "new", "item": "fresh"}, {"user": "1", "item": "fresh"}]})
        server.wait_until(lambda: server.get("/model")[1]["items"] == 41)
        server.wait_until(lambda: server.get("/similar?item=fresh")[0] == 200)
        server.ask("DELETE", "/users/1")
        server.post("/events", {"events": [{"user": "2", "item": "fresh"}]})
        server.wait_until(lambda: server.get("/model")[1]["model_seq"] == 4)
        assert server.get("/users/1")[0] == 404
        assert "1" not in server.get("/users?search=1")[1]["users"]
        assert server.post("/recommend", {"user": "1", "on_unknown": "error"})[0] == 404
        metrics = server.get("/metrics")[1].decode()
        loaded = re.search(r"^fastrec_model_loaded_timestamp_seconds (.*)$", metrics, re.MULTILINE)
        assert abs(float(loaded[1]) - time.time()) < 100
        assert "foreseen" not in metrics  # nothing is known of it yet
        # A pointer that is damaged for a while is a problem for a while.
        current = tmp_path / "models" / "CURRENT"
        named = current.read_text()
        current.write_text("nonsense")
        server.wait_until(lambda: "names no version" in server.get("/readyz")[1].get("problem", ""))
        current.write_text(named)
        server.wait_until(lambda: "problem" not in server.get("/readyz")[1])
    assert Versions(tmp_path / "models").load().seq == 4
    with Journal(tmp_path / "e.db") as journal:
        assert journal.published_seq() == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_cannot_begin_ends_and_says_why(tmp_path, folder, workers):
    (tmp_path / "bad.fastrec").write_bytes(b"no model")
    for arguments, said in (
        ((tmp_path / "bad.fastrec",), "cut short, or no fastrec file"),
        ((folder / "model.fastrec", "--journal", tmp_path / "nowhere" / "e.db"), "nowhere"),
        ((tmp_path,), "has no published model"),
    ):
        with Running(*arguments, "--workers", workers, wait=False) as server:
            assert server.process.wait(150) == 3
            assert said in server.process.communicate()[1]


def test_heads_have_an_end(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-more: ")
        for _ in range(200):  # in parts, as a network brings them
            try:
                line.sendall(b"y" * 2000)
            except OSError:
                break
            time.sleep(0.001)
        answer = line.recv(4096)
    assert b" 431 " in answer
    assert b"65536 bytes" in answer
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"nonsense\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert b" 400 " in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert b" 400 " in line.recv(4096)


def test_a_slow_client_keeps_nobody_waiting(server):
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /recommend HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        assert server.post("/recommend", {"user": "1"})[0] == 200


def test_the_header_names_the_version_that_answered():
    """Whatever is published between the making of an answer and its sending."""
    server = Server(Settings(model="none"))
    sent = []

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        await make_answer(StateAnswer("ready", "the one that answered"))(scope, receive, send)

    async def page(scope, receive, send):
        await Response("a page")(scope, receive, send)

    scope = {"type": "http", "method": "GET", "path": "/readyz", "headers": []}
    for asked, version in ((app, b"the one that answered"), (page, b"")):
        sent.clear()
        asyncio.run(Guard(asked, server)(scope, None, send))
        named = [value for name, value in sent[0]["headers"] if name == b"fastrec-version"]
        assert named == [version]
