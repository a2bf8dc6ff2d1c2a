"""Two servers on one journal in PostgreSQL, as on two machines; the connection of one of them is cut."""

import contextlib

import pytest

psycopg = pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

# ruff: noqa: E402
from tests.online.journal.logs import ServerLogs
from tests.online.journal.postgresql.proxy import Proxy
from tests.serving.running import Running


@pytest.fixture
def machines(postgresql, folder, tmp_path):
    """Returns the address of a journal, two servers of it with one folder of models, and the second's connection."""
    address, proxy = ServerLogs(postgresql).address(), Proxy(postgresql.host, postgresql.port)
    options = ["--versions", tmp_path / "models", "--checkpoint-every", "0.3"]
    model = folder / "model.fastrec"
    with (
        contextlib.closing(proxy),
        Running(model, "--journal", address, *options) as near,
        Running(
            model, *options, environment={"FASTREC_JOURNAL": address.replace(f":{postgresql.port}/", f":{proxy.port}/")}
        ) as far,
    ):
        yield address, near, far, proxy


def tell(server, user, item, key):
    return server.ask("POST", "/events", {"events": [{"user": user, "item": item, "id": key}]})


def is_read_at(server, user, item, seq):
    status, answer, _ = server.ask("GET", f"/users/{user}", **{"fastrec-seq": str(seq)})
    assert status == 200, answer
    return item in [row["item"] for row in answer["items"]] and answer["seq"] >= seq


def leaders(address):
    with psycopg.connect(address, autocommit=True) as session:
        return session.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted").fetchone()[0]


def test_an_item_that_is_hidden_at_one_machine_is_hidden_at_the_other(machines):
    _, near, far, _ = machines
    question = {"user": "50", "k": 40, "exclude_seen": False}
    for n in range(10):
        writer, reader = (near, far)[:: 1 if n % 2 else -1]
        status, answer, _ = writer.ask("PUT", f"/items/{1000 + n}", {"hidden": True, "facts": {"n": n}})
        assert (status, answer["hidden"]) == (200, True)
        told = reader.ask("POST", "/recommend", question, **{"fastrec-seq": str(answer["seq"])})[1]
        assert {row["item"] for row in told["items"]}.isdisjoint(f"{1000 + m}" for m in range(n + 1))
        status, told, _ = reader.ask("GET", f"/items/{1000 + n}", **{"fastrec-seq": str(answer["seq"])})
        assert (told["hidden"], told["facts"]["n"]) == (True, n)
    near.wait_until(lambda: near.ask("GET", "/model")[1]["model_seq"] >= 10)  # a checkpoint, and the journal is trimmed
    far.wait_until(lambda: far.ask("GET", "/model")[1]["model_seq"] >= 10)
    for server in (near, far):
        told = server.ask("POST", "/recommend", {**question, "where": {"n": None}})[1]
        assert len(told["items"]) == 30


def test_two_machines_read_each_others_events_through_partitions_and_deaths(machines):
    address, near, far, proxy = machines
    for n in range(30):  # an event that one server has acknowledged, the other has when it is asked by its seq
        writer, reader = (near, far)[:: 1 if n % 2 else -1]
        status, answer, _ = tell(writer, f"new{n}", "1000", f"e{n}")
        assert status == 200
        assert is_read_at(reader, f"new{n}", "1000", answer["seq"])
        assert tell(reader, f"new{n}", "1000", f"e{n}")[1]["known"] == 1
    near.wait_until(lambda: near.ask("GET", "/model")[1]["model_seq"] >= 30)  # one of them makes models, both take them
    far.wait_until(lambda: far.ask("GET", "/model")[1]["model_seq"] >= 30)
    assert leaders(address) == 1

    proxy.cut()  # the server that is cut off answers as before, takes no events, and says so
    seq = tell(near, "later", "1001", "l1")[1]["seq"]
    assert far.ask("GET", "/users/new1")[0] == 200
    status, answer, told = far.ask("GET", "/users/later", **{"fastrec-seq": str(seq)})
    assert (status, answer["error"]["field"], told["retry-after"]) == (503, "fastrec-seq", "1")
    far.wait_until(lambda: "out of reach" in (far.ask("GET", "/readyz")[1].get("problem") or ""))
    assert tell(far, "cut", "1001", "c1")[0] == 503
    near.wait_until(lambda: near.ask("GET", "/model")[1]["model_seq"] >= seq)  # whichever server led, this one does now

    proxy.mend()
    far.wait_until(lambda: tell(far, "cut", "1001", "c1")[0] == 200)
    assert tell(near, "cut", "1001", "c1")[1]["known"] == 1
    assert is_read_at(far, "later", "1001", seq)
    far.wait_until(lambda: "problem" not in far.ask("GET", "/readyz")[1])

    near.kill()  # the other one leads, and has all acknowledged events
    seq = tell(far, "last", "1002", "z1")[1]["seq"]
    assert seq == 33
    far.wait_until(lambda: far.ask("GET", "/model")[1]["model_seq"] >= seq)
    for user in ("new0", "new29", "later", "cut", "last"):
        assert far.ask("GET", f"/users/{user}")[1]["total"] == 1
    assert leaders(address) == 1


@pytest.mark.parametrize("seq", ["", "-1", "1.5", "x", "9" * 19])
def test_a_seq_that_is_none_is_refused(server, seq):
    status, answer, _ = server.ask("POST", "/recommend", {"user": "1"}, **{"fastrec-seq": seq})
    assert (status, answer["error"]["field"]) == (422, "fastrec-seq")


def test_a_seq_that_does_not_come_is_refused_after_a_while(server):
    status, answer, _ = server.ask("POST", "/batch", {"users": ["1"]}, **{"fastrec-seq": "123456789"})
    assert (status, answer["error"]["field"]) == (503, "fastrec-seq")
    assert server.ask("POST", "/batch", {"users": ["1"]}, **{"fastrec-seq": "0"})[0] == 200
