"""A server from its start to its end: a process of its own, real requests."""

import os
import re
import signal
import threading
import time

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.models import ImplicitALS, Popularity, load
from fastrec.online import Journal, Versions
from tests.serving.asking import items_of, without_id
from tests.serving.running import InThread, Running, some_data


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
        users = "1", "2", "3", "new"
        before = [without_id(server.post("/recommend", {"user": user})[1]) for user in users]
        server.kill()
    with Running(*arguments) as server:
        assert [without_id(server.post("/recommend", {"user": user})[1]) for user in users] == before


def test_a_new_model_is_taken_and_a_bad_one_is_not(tmp_path):
    path = tmp_path / "model.fastrec"
    Popularity().fit(some_data()).save(path)
    with InThread(path) as server:
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
    with InThread(path) as server:
        before = without_id(server.post("/recommend", {"user": "1"})[1])
        for content in (b"", bytes(100), bytes(len(good))):
            path.write_bytes(content)
            server.wait_until(lambda: "problem" in server.get("/readyz")[1])
            assert without_id(server.post("/recommend", {"user": "1"})[1]) == before
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
    with InThread(folder / "model.fastrec", *arguments) as server:
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
        assert "foreseen" not in metrics  # nothing has been predicted yet
        # A pointer that is damaged for a while is a problem for that while.
        current = tmp_path / "models" / "CURRENT"
        named = current.read_text()
        current.write_text("nonsense")
        server.wait_until(lambda: "names no version" in server.get("/readyz")[1].get("problem", ""))
        current.write_text(named)
        server.wait_until(lambda: "problem" not in server.get("/readyz")[1])
    assert Versions(tmp_path / "models").load().seq == 4
    with Journal(tmp_path / "e.db") as journal:
        assert journal.published_seq() == 4


def test_a_server_that_cannot_begin_ends_and_says_why(tmp_path, folder):
    (tmp_path / "bad.fastrec").write_bytes(b"no model")
    for arguments, workers, said in (
        ((tmp_path / "bad.fastrec",), 1, "cut short, or no fastrec file"),
        ((folder / "model.fastrec", "--journal", tmp_path / "nowhere" / "e.db"), 2, "nowhere"),
        ((tmp_path,), 1, "has no published model"),
    ):
        with Running(*arguments, "--workers", workers, wait=False) as server:
            assert server.process.wait(150) == 3
            assert said in server.process.communicate()[1]
