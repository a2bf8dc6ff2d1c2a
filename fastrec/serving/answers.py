"""Answers in JSON, and the headers of every answer."""

from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from fastrec.serving import messages as m
from fastrec.serving.asgi import Connection, Receive, Send
from fastrec.serving.refusal import Refusal

VERSION_HEADER = b"fastrec-version"
JSON_HEADER = (b"content-type", b"application/json")

encode_json = msgspec.json.Encoder().encode


class Answer:
    """A complete answer, with less work than in starlette's `Response`.

    Parameters
    ----------
    body
        The body of the answer.
    status
        The HTTP status.
    headers
        Names in lower case.
    """

    __slots__ = ("_body", "headers", "status")

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._body, self.status = body, status
        self.headers = [*headers, (b"content-length", b"%d" % len(body)), JSON_HEADER]

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Sends the answer."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self._body})


def make_answer(what: Any, status: int = 200, **headers: str) -> Answer:
    """Makes an answer in JSON; its header names the version that the answer itself names."""
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    raw.append((VERSION_HEADER, what.version.encode("latin-1", "replace")))
    return Answer(encode_json(what), status, raw)


def refuse_error(error: HTTPException | Refusal, version: str) -> Answer:
    """Makes the answer that says what is wrong with a request."""
    if isinstance(error, HTTPException):
        error = Refusal(error.status_code, error.detail, **dict(error.headers or {}))
    return make_answer(m.ErrorAnswer(m.Problem(error.message, error.field), version), error.status, **error.headers)
