"""Servers on hosts of their own with one journal in PostgreSQL: packets vanish, and hosts die."""

import contextlib
import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

# ruff: noqa: E402
from fastrec.online import open_log
from tests.network import Network
from tests.postgresql_server import PostgreSQLServer, find_programs
from tests.serving.running import Running, free_port

ITEMS = 20  # of each user: every event is about another pair of user and item


@pytest.fixture
def network():
    network = Network()
    yield network
    network.close()


@pytest.fixture
def database(network):
    """Starts a PostgreSQL server on a host of its own."""
    programs = find_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine")
    host = network.add_host()
    folder = Path(tempfile.mkdtemp(prefix="fastrec-postgresql-"))
    server = PostgreSQLServer(programs, folder, host.address, host.command)
    server.start()
    yield server
    server.stop("immediate")
    shutil.rmtree(folder, ignore_errors=True)


class Writer:
    """A client beside a server that sends each event until it is acknowledged, under the same id."""

    def __init__(self, name, server):
        self.name, self._server = name, server
        self.acknowledged, self.refused = 0, 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        self._server.host.enter()
        while not self._ends.is_set():
            number = self.acknowledged
            event = {"user": f"{self.name}-{number // ITEMS}", "item": f"{1000 + number % ITEMS}"}
            try:
                status = self._server.ask_here(
                    "POST", "/events", {"events": [{**event, "id": f"{self.name}-{number}"}]}
                )[0]
            except OSError:  # the server is dead, or takes too long
                status = 0
            if status == 200:
                self.acknowledged += 1
            else:
                self.refused += 1
            time.sleep(0.05)

    def end(self):
        self._ends.set()
        self._thread.join()


def wait_for(server, seq):
    server.wait_until(lambda: server.get("/model")[1]["model_seq"] >= seq)


def check_histories(server, writers, seq):
    """Checks that each acknowledged event is there once."""
    for writer in writers:
        for first in range(0, writer.acknowledged, ITEMS):
            user, known = f"{writer.name}-{first // ITEMS}", min(ITEMS, writer.acknowledged - first)
            status, answer, _ = server.get(f"/users/{user}", **{"fastrec-seq": str(seq)})
            assert status == 200, answer
            assert [row["value"] for row in answer["items"]] == [1.0] * known, user


def test_nothing_acknowledged_is_lost_or_counted_twice(network, database, folder, tmp_path):
    options = ["--versions", tmp_path / "models", "--checkpoint-every", "1", "--journal", database.address()]
    start = lambda host, port: Running(folder / "model.fastrec", *options, host=host, port=port)
    places = [(network.add_host(), free_port()) for _ in range(2)]
    database_host = network.hosts[0]
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(start(*places[0]))
        assert one.post("/events", {"events": [{"user": "first", "item": "1000"}]})[1]["seq"] == 1
        wait_for(one, 1)  # this server leads
        other = stack.enter_context(start(*places[1]))
        writers = [Writer(f"w{n}", server) for n, server in enumerate((one, one, other, other))]
        stack.callback(lambda: [writer.end() for writer in writers])
        other.wait_until(lambda: all(writer.acknowledged >= 20 for writer in writers))

        places[0][0].cut()  # the leader's packets vanish
        time.sleep(1)
        before = other.get("/model")[1]["seq"]
        wait_for(other, before)  # the other server leads, once the database has given the first one up
        assert one.post("/recommend", {"user": "1"})[0] == 200  # without the others, it answers from its data
        assert one.get("/readyz")[1]["problem"]
        one.wait_until(lambda: all(writer.refused for writer in writers[:2]))  # and takes no events
        places[0][0].mend()
        counts = [writer.acknowledged for writer in writers]
        one.wait_until(lambda: all(writer.acknowledged > count for writer, count in zip(writers, counts, strict=True)))
        one.wait_until(lambda: "problem" not in one.get("/readyz")[1])

        other.kill()  # the leader dies
        writers[2]._server = writers[3]._server = stack.enter_context(start(*places[1]))
        database.stop("immediate")  # and the database, amid commits
        database.start()
        counts = [writer.acknowledged for writer in writers]
        one.wait_until(lambda: all(writer.acknowledged > count for writer, count in zip(writers, counts, strict=True)))
        for writer in writers:
            writer.end()

        acknowledged = 1 + sum(writer.acknowledged for writer in writers)
        with database_host.do(open_log, database.address()) as log:
            assert log.last_seq() == acknowledged
        for server in (one, writers[2]._server):
            check_histories(server, writers, acknowledged)
