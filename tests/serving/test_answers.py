"""Answers in JSON."""

import asyncio
import json

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")

from starlette.exceptions import HTTPException

from fastrec.serving.answers import make_answer, refuse_error
from fastrec.serving.messages import StateAnswer
from fastrec.serving.refusal import Refusal


def messages_of(answer):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(answer({}, None, send))
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


def test_an_answer_names_its_version_and_its_length():
    status, headers, body = messages_of(make_answer(StateAnswer("ready", "v7"), 203, **{"retry-after": "1"}))
    assert (status, body) == (203, {"status": "ready", "version": "v7"})
    assert headers[b"fastrec-version"] == b"v7"
    assert headers[b"retry-after"] == b"1"
    assert int(headers[b"content-length"]) == len('{"status":"ready","version":"v7"}')


@pytest.mark.parametrize(
    ("error", "status", "problem"),
    [
        (Refusal(422, "no", "k"), 422, {"message": "no", "field": "k"}),
        (HTTPException(404), 404, {"message": "Not Found"}),
        (HTTPException(405, headers={"allow": "GET"}), 405, {"message": "Method Not Allowed"}),
    ],
)
def test_errors_have_one_form(error, status, problem):
    got, headers, body = messages_of(refuse_error(error, "v1"))
    assert (got, body) == (status, {"error": problem, "version": "v1"})
    assert headers.get(b"allow") == (b"GET" if status == 405 else None)
