"""The server as its clients meet it: a process of its own, real requests."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from starlette.responses import Response

from fastrec.data import Interactions
from fastrec.models import ExplicitALS, ImplicitALS, ItemKNN, Popularity, load
from fastrec.online import Journal, Versions
from fastrec.serving.http import Guard, Server
from fastrec.serving.messages import StateAnswer
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


def test_an_id_with_line_breaks_is_that_id_and_no_other(server):
    for user in ("a/2", "a/2\n", "a\nb"):
        server.post("/events", {"events": [{"user": user, "item": "1001"}]})
    assert server.get("/users/a%0Ab")[1]["user"] == "a\nb"
    assert server.ask("DELETE", "/users/a/2%0A")[0] == 200
    assert server.get("/users/a/2")[0] == 200
    assert server.get("/users/a/2%0A")[0] == 404
    assert server.ask("DELETE", "/users/a%0Ab")[0] == 200
    assert server.get("/users/a%0Ab")[0] == 404


def test_who_is_unknown_is_deleted_without_a_trace(server):
    before = server.get("/model")[1]["seq"]
    status, answer, _ = server.ask("DELETE", "/users/never%20heard%20of")
    assert (status, answer["model"]) == (200, "nothing was known of the user")
    assert server.get("/model")[1]["seq"] == before


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
    ("/recommend", {"history": [{"value": 1}]}, "history[0].item"),
    ("/recommend", {"history": [None]}, "history[0]"),
    ("/recommend", {"user": "1", "on_unknown": "guess"}, "on_unknown"),
    ("/batch", {"users": "1"}, "users"),
    ("/batch", {"users": ["1", 2]}, "users[1]"),
    ("/events", {"": None}, "body"),
    ("/events", {"events": []}, "events"),
    ("/events", {"events": [{"user": "1"}]}, "events[0].item"),
    ("/events", {"events": [{"user": "1", "item": "2"}, {"user": 1, "item": "2"}]}, "events[1].user"),
    ("/events", {"events": [{"user": "1", "item": 2**70}]}, "events[0].item"),
    ("/events", {"events": [{"user": "1", "item": "2", "value": 0}]}, "events[0].value"),
    ("/events", {"events": [{"user": "1", "item": "2", "value": "much"}]}, "events[0].value"),
    ("/events", {"events": [{"user": "1", "item": "2", "value": 1e9}]}, "events[0].value"),
    ("/events", {"events": [{"user": "1", "item": "2", "value": 1e-300}]}, "events[0].value"),
    ("/recommend", {"history": ["1000", {"item": "1001", "value": 1e30}]}, "history[1].value"),
    ("/batch", {"users": ["1"] * 5000, "k": 500}, "k"),
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
    assert server.get("/users/1", Host=lured["Host"])[0] == 403
    assert server.get("/users/1", Host=f"localhost:{server.port}")[0] == 200
    assert server.post("/events", events, Origin=f"http://127.0.0.1:{server.port}")[0] == 200


def test_a_body_in_chunks_is_counted_too(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"POST /recommend HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
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


# -- tokens


def test_a_model_without_ids_answers_unknown_numbers_and_refuses_what_it_could_never_learn(tmp_path):
    ItemKNN(3).fit(some_data(int).matrix).save(tmp_path / "model.fastrec")
    with Running(tmp_path / "model.fastrec", "--journal", tmp_path / "e.db") as server:
        for asked in ({"deny": [1]}, {"exclude_seen": False}, {}):
            status, answer, _ = server.post("/recommend", {"user": 5000, **asked})
            assert (status, answer["fallback"]) == (200, True)
        answer = server.post("/batch", {"users": [1, 5000, -1], "k": 2, "deny": [1, 999]})[1]
        assert [row["fallback"] for row in answer["results"]] == [False, True, True]
        assert answer["unknown"] == [999]
        for event in ({"user": 10**9, "item": 1}, {"user": -7, "item": 1}, {"user": 1, "item": 5000}):
            status, answer, _ = server.post("/events", {"events": [event]})
            assert status == 422
            assert "by number" in answer["error"]["message"]
        assert server.post("/events", {"events": [{"user": 90, "item": 1}]})[0] == 200


def test_the_last_rating_counts_and_a_rating_of_zero_too(tmp_path):
    data = some_data(int)
    ratings = np.random.default_rng(0).integers(0, 6, data.n_interactions)
    rated = Interactions(data.user_codes, data.item_codes, ratings, users=data.users, items=data.items)
    ExplicitALS(4, random_state=0).fit(rated).save(tmp_path / "model.fastrec")
    with Running(tmp_path / "model.fastrec", "--journal", tmp_path / "e.db") as server:
        for value in (5, 4):
            server.post("/events", {"events": [{"user": 3, "item": 1007, "value": value}]})
        row = next(row for row in server.get("/users/3")[1]["items"] if row["item"] == 1007)
        assert row["value"] == 4
        answer = server.post("/recommend", {"history": [{"item": 1007, "value": 0}], "k": 100})[1]
        assert not answer["fallback"]
        assert 1007 not in items_of(answer)


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
        assert server.post("/recommend", {"user": "2"})[0] == 200


def test_no_server_for_everybody_without_a_token(tmp_path, folder):
    server = Running(folder / "model.fastrec", "--journal", tmp_path / "e.db", "--host", "0.0.0.0", wait=False)
    code, log = server.process.wait(30), server.process.stderr.read()
    server.process.stderr.close()
    assert code == 1
    assert "token" in log


def test_histories_are_private_for_a_server_that_all_can_reach(folder):
    with Running(folder / "model.fastrec", "--host", "0.0.0.0") as server:
        for path in ("/users/1", "/users"):
            assert server.get(path)[0] == 403
        assert server.post("/recommend", {"user": "1"})[0] == 200
        assert server.post("/recommend", {"user": "1", "explain": True})[0] == 403
        assert server.post("/recommend", {"history": ["1000"], "explain": True})[0] == 200


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


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="looks into /proc")
def test_workers_end_with_the_process_that_started_them(tmp_path, folder):
    server = Running(folder / "model.fastrec", "--journal", tmp_path / "e.db", "--workers", "2")
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    server.process.send_signal(signal.SIGKILL)
    server.process.communicate(timeout=60)  # their end of the pipe is closed too
    assert not any(words(child) for child in children)


def words(pid):
    """What a process was started as; nothing for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


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


def test_new_models_are_made_published_and_the_journal_trimmed(tmp_path, folder):
    arguments = ("--journal", tmp_path / "e.db", "--versions", tmp_path / "models", "--checkpoint-every", "0.1")
    with Running(folder / "model.fastrec", *arguments) as server:
        server.post("/events", {"events": [{"user": "new", "item": "fresh"}, {"user": "1", "item": "fresh"}]})
        server.wait_until(lambda: server.get("/model")[1]["items"] == 41)
        server.wait_until(lambda: server.get("/similar?item=fresh")[0] == 200)
    assert Versions(tmp_path / "models").load().seq == 2
    with Journal(tmp_path / "e.db") as journal:
        assert journal.published_seq() == 2


def test_a_first_model_or_journal_that_is_none_ends_the_command(tmp_path, folder):
    (tmp_path / "text").write_bytes(b"no model")
    (tmp_path / "empty").mkdir()
    good = folder / "model.fastrec"
    for arguments, words in (
        ([tmp_path / "text"], "no fastrec file"),
        ([tmp_path / "empty"], "has no published model"),
        ([good, "--journal", tmp_path / "missing" / "e.db"], "there is no folder"),
        ([good, "--journal", tmp_path / "text"], "not a database"),
        ([good, "--duplicates", "first"], "duplicates must be one of"),
    ):
        server = Running(*arguments, wait=False)
        _, log = server.process.communicate(timeout=60)
        assert server.process.returncode == 1
        assert words in log
        assert "Traceback" not in log


def test_not_ready_is_told_and_a_model_that_cannot_be_loaded_too(tmp_path, folder):
    damaged = bytearray((folder / "model.fastrec").read_bytes())
    damaged[-100] ^= 0xFF
    (tmp_path / "model.fastrec").write_bytes(damaged)
    with Running(tmp_path / "model.fastrec", wait=False) as server:
        server.wait_until(lambda: server.get("/readyz")[1]["status"] == "failed")
        status, answer, _ = server.get("/readyz")
        assert status == 503
        assert answer["problem"]
        assert server.get("/healthz")[0] == 200
        assert server.post("/recommend", {"user": "1"})[0] == 503


def test_heads_have_an_end(server):
    endless = b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + b"x-more: " + b"y" * 200
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(endless)
        time.sleep(0.1)
        for _ in range(200):  # in parts, as a network brings them
            try:
                line.sendall(b"y" * 2000)
            except OSError:
                break
            time.sleep(0.001)
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert b" 431 " in answer
    assert b"a head may have 65536 bytes" in answer
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(b"nonsense\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert b" 400 " in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]


def test_a_slow_client_keeps_nobody_waiting(server):
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert server.post("/recommend", {"user": "1"})[0] == 200


def test_the_header_names_the_version_that_answered():
    """Whatever is published between the making of an answer and its sending."""
    server = Server(Settings(model="none"))
    sent = []

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        await server.answer(StateAnswer("ready", "the one that answered"))(scope, receive, send)

    async def page(scope, receive, send):
        await Response("a page")(scope, receive, send)

    scope = {"type": "http", "method": "GET", "path": "/readyz", "headers": []}
    for asked, version in ((app, b"the one that answered"), (page, b"")):
        sent.clear()
        asyncio.run(Guard(asked, server)(scope, None, send))
        named = [value for name, value in sent[0]["headers"] if name == b"fastrec-version"]
        assert named == [version]
