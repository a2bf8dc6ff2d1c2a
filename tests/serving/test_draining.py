"""A server that is told to end answers the requests it has, loses no acknowledged event, and cuts no client off."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from fastrec.models import Popularity
from fastrec.online import Journal
from fastrec.serving.draining import take_the_rest
from tests.serving.running import Running, some_data

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs signals")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("draining") / "model.fastrec"
    Popularity().fit(some_data()).save(path)
    return path


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def event(name):
    return json.dumps({"events": [{"user": name, "item": "1000", "id": name}]}).encode()


def request(path, body, length=None):
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


def read_answer(line):
    """Returns the status, and whether the connection ends; None if it ended before."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        part = line.recv(65536)
        if not part:
            assert buffer == b"", "half an answer"
            return None
        buffer += part
    head, _, body = buffer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < length:
        body += line.recv(65536)
    return int(head.split()[1]), b"\r\nconnection: close" in head


class Client(threading.Thread):
    """A client that sends events as long as it can, over a connection that is kept or over one for each."""

    def __init__(self, server, number, keeps):
        super().__init__()
        self.server, self.number, self.keeps = server, number, keeps
        self.acknowledged, self.problems = [], []

    def run(self):
        line = None
        for n in range(100_000):
            name = f"{self.number}-{n}"
            try:
                line = line or connect(self.server)
            except ConnectionRefusedError:
                return
            try:
                line.sendall(request("/events", event(name)))
                answer = read_answer(line)
            except OSError as error:
                self.problems.append(f"{name}: {error!r}")
                line.close()
                return
            if answer is None:
                self.problems.append(f"{name}: no answer")
                line.close()
                return
            if answer[0] == 200:
                self.acknowledged.append(name)
            if answer[1] or not self.keeps:
                line.close()
                line = None


def test_a_connection_queued_at_the_last_moment_is_accepted():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        connections = take_the_rest([socket.socket(fileno=os.dup(listener.fileno()))])
    with ExitStack() as closing:
        for one in (*clients, *connections):
            closing.enter_context(one)
        assert {one.getpeername() for one in connections} == {one.getsockname() for one in clients}
        assert not any(one.getblocking() for one in connections)


@pytest.mark.parametrize("workers", [1, 2])
def test_under_load_nobody_is_cut_off_and_nothing_acknowledged_is_lost(tmp_path, model, workers):
    arguments = model, "--journal", tmp_path / "events.db", "--workers", workers, "--drain", "1"
    with Running(*arguments) as server:
        clients = [Client(server, number, keeps=number % 2 == 0) for number in range(12)]
        for client in clients:
            client.start()
        server.wait_until(lambda: all(client.acknowledged for client in clients))
        code, log = server.stop()
        for client in clients:
            client.join()
    assert [problem for client in clients for problem in client.problems] == []
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in log
    with Journal(tmp_path / "events.db") as journal:
        kept = {event.user for event in journal.read(0, 1_000_000)}
    assert kept >= {name for client in clients for name in client.acknowledged}


def test_while_it_drains_it_says_so_and_ends_what_is_kept(tmp_path, model):
    with Running(model, "--journal", tmp_path / "events.db", "--drain", "600") as server, ExitStack() as lines:
        kept, half = lines.enter_context(connect(server)), lines.enter_context(connect(server))
        kept.sendall(request("/recommend", b'{"user": "1"}'))
        assert read_answer(kept) == (200, False)
        body = event("half")
        half.sendall(request("/events", body[:5], len(body)))
        server.process.terminate()
        server.wait_until(lambda: server.get("/readyz")[0] == 503)
        assert server.get("/readyz")[1]["status"] == "draining"
        kept.sendall(request("/recommend", b'{"user": "1"}'))
        assert read_answer(kept) == (200, True)
        assert kept.recv(1) == b""
        half.sendall(body[5:])
        assert read_answer(half) == (200, True)
        assert server.post("/recommend", {"user": "1"})[0] == 200
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)  # the second signal
        assert server.process.wait(60) == 128 + signal.SIGINT
        assert time.monotonic() - began < 60
        server.process.stderr.close()


def test_a_head_that_is_half_there_may_come_to_its_end(tmp_path, model):
    with Running(model, "--drain", "0") as server, ExitStack() as lines:
        idle, half = lines.enter_context(connect(server)), lines.enter_context(connect(server))
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert read_answer(idle) == (200, False)
        half.sendall(b"GET /healthz HTTP/1.1\r\nhost: local")
        server.get("/healthz")
        server.process.terminate()
        assert idle.recv(1) == b"", "who has asked and waits is let go"
        half.sendall(b"host\r\n\r\n")
        assert read_answer(half) == (200, True)
        server.process.communicate(timeout=60)


def test_two_signals_to_several_workers_end_all_at_once(tmp_path, model):
    with Running(model, "--workers", "2", "--drain", "600") as server:
        workers = server.workers()
        server.process.terminate()
        server.wait_until(lambda: server.get("/readyz")[0] == 503)
        server.process.terminate()
        assert server.process.wait(60) == 0
        assert not [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
        server.process.stderr.close()


def test_a_worker_that_still_loads_ends_at_once_when_its_parent_does():
    code = """
import multiprocessing, time, uvicorn
from fastrec.serving.draining import DrainingServer
ours, theirs = multiprocessing.Pipe()
DrainingServer(uvicorn.Config(None), print, 1.0).follow(theirs)
ours.close()
time.sleep(3600)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0
