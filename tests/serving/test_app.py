"""The code around all routes."""

import asyncio

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from starlette.responses import Response

from fastrec.serving.answers import make_answer
from fastrec.serving.app import Guard
from fastrec.serving.messages import StateAnswer
from fastrec.serving.server import Server
from fastrec.serving.settings import Settings


def test_other_refusals(server):
    assert server.get("/none")[0] == 404
    assert server.get("/recommend")[0] == 405
    status, answer, _ = server.post("/recommend", b"x" * ((4 << 20) + 1))
    assert status == 413
    assert "bytes" in answer["error"]["message"]
    events = {"events": [{"user": "1", "item": "1000"}]}
    assert server.post("/events", events, Origin="http://elsewhere.example")[0] == 403
    # An attacker's own name that leads to this machine is no way in either.
    lured = {"Host": f"elsewhere.example:{server.port}", "Origin": f"http://elsewhere.example:{server.port}"}
    assert server.post("/events", events, **lured)[0] == 403
    for path in ("/users/1", "/users", "/model", "/"):
        assert server.get(path, Host=lured["Host"])[0] == 403
    assert server.post("/recommend", {"user": "1", "explain": True}, **lured)[0] == 403
    assert server.post("/recommend", {"user": "1"}, **lured)[0] == 403
    assert server.get("/users/1", Host=f"localhost:{server.port}")[0] == 200
    assert server.post("/events", events, Origin=f"http://127.0.0.1:{server.port}")[0] == 200


def test_the_header_names_the_version_that_answered():
    """The header is right whatever is published between the making of an answer and its sending."""
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
