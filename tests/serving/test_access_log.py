"""A line for each request."""

import asyncio
import json
import os

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.serving.access_log import LineFile, Logged
from fastrec.serving.app import Guard, create_app
from fastrec.serving.settings import Settings
from tests.serving.running import InThread, Running

ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_request_is_a_line_that_names_no_user(tmp_path, folder):
    log = tmp_path / "access.jsonl"
    with InThread(folder / "model.fastrec", "--journal", tmp_path / "e.db", "--access-log", log) as server:
        told = server.post("/recommend", {"user": "somebody"}, traceparent=ASKED)
        assert told[0] == 200
        server.get("/users/somebody")
        server.get("/users?search=somebody")
        server.post("/events", {"events": [{"user": "somebody"}]})
        server.get("/wp-login.php")
    rows = [row for row in lines(log) if row["path"] != "/readyz"]
    assert [(row["method"], row["path"], row["status"]) for row in rows] == [
        ("POST", "/recommend", 200), ("GET", "/users", 404), ("GET", "/users", 200), ("POST", "/events", 422),
        ("GET", "other", 404),
    ]  # fmt: skip
    first = rows[0]
    trace = told[2]["traceparent"]
    assert trace == f"00-{first['trace']}-{first['span']}-01"
    assert (first["trace"], first["parent"]) == tuple(ASKED.split("-")[1:3])
    assert (first["client"], first["version"]) == ("127.0.0.1", told[2]["fastrec-version"])
    assert (first["bytes"], first["ms"] > 0) == (int(told[2]["content-length"]), True)
    assert first["time"].endswith("Z")
    assert len({row["trace"] for row in rows}) == 5
    assert "somebody" not in log.read_text()
    if os.name != "nt":
        assert log.stat().st_mode & 0o777 == 0o600


def test_workers_write_whole_lines_into_one_file(tmp_path, folder):
    log = tmp_path / "access.jsonl"
    with Running(folder / "model.fastrec", "--access-log", log, "--workers", "2") as server:
        for _ in range(60):
            server.post("/recommend", {"user": "1"})
    assert len([row for row in lines(log) if row["path"] == "/recommend"]) == 60


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path, monkeypatch):
    file = LineFile(str(tmp_path / "log"))
    file.write(b"1")
    with monkeypatch.context() as patch:
        whole = os.write
        patch.setattr(os, "write", lambda number, text: whole(number, text[:2]))
        file.write(b"234")
    file.write(b"5")
    assert (tmp_path / "log").read_bytes() == b"1\n23\n5\n"


def test_a_log_that_cannot_be_written_ends_no_request(tmp_path):
    guard = create_app(Settings(model="none"))
    assert isinstance(guard, Guard)  # without the options nothing is put around the application
    app = create_app(Settings(model="none", access_log=str(tmp_path / "log")))
    assert isinstance(app, Logged)
    told, sent = [], []
    app.server.tell = lambda what, problem: told.append(problem)
    os.close(app._file._number)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": [(b"host", b"localhost")], "root_path": "",
             "query_string": b"", "raw_path": b"/healthz", "http_version": "1.1", "scheme": "http"}  # fmt: skip
    asyncio.run(app(scope, None, send))
    assert sent[0]["status"] == 200
    assert "cannot be written" in told[0]


def test_the_log_may_be_standard_output(capfd):
    LineFile("-").write(b"{}")
    assert capfd.readouterr().out == "{}\n"
