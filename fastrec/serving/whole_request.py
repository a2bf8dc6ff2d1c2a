"""A complete request: its answer starts at once, without a task, and leaves in one write."""

import functools
import logging
from collections.abc import Coroutine, Generator
from http import HTTPStatus
from typing import Any

from fastrec.serving.asgi import Connection, Message

# the key of such a request's body in a connection's scope
WHOLE_BODY = "fastrec.body"
CLOSING = (b"connection", b"close")

log = logging.getLogger("uvicorn.error")


class NoEvent:
    """A stand-in for uvicorn's event that more of a request has come."""

    def set(self) -> None:
        """Does nothing: the request is complete."""


class WholeRequest:
    """A complete request on its way to an answer, in place of uvicorn's cycle of request and response.

    Parameters
    ----------
    body
        The body of the request.
    headers
        The headers of every answer.
    """

    __slots__ = ("_body", "_headers", "_start", "answer", "disconnected", "keep_alive")

    message_event = NoEvent()
    response_started = False

    def __init__(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self._body, self._headers = body, headers
        self._start: Message | None = None
        self.answer: bytes | None = None
        """The answer as it is sent, once it is complete."""
        self.disconnected, self.keep_alive = False, True

    @property
    def response_complete(self) -> bool:
        """Tells whether the answer is complete."""
        return self.answer is not None

    async def receive(self) -> Message:
        """Returns the one message of ASGI's `receive`."""
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Takes the head of an answer, then its body, which must be complete."""
        if self._start is None:
            self._start = message
        else:
            self.answer = self._head(self._start) + message["body"]

    def _head(self, start: Message) -> bytes:
        headers = [*self._headers, *start["headers"]]
        if CLOSING in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append(CLOSING)
        lines = [b": ".join(header) for header in headers]
        return b"\r\n".join((status_line(start["status"]), *lines, b"", b""))


class Begun:
    """A started coroutine that waits for something; awaiting it runs it to its end.

    Parameters
    ----------
    coroutine
        A coroutine that has been sent None once.
    waits_for
        The future that it yielded.
    """

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, None, None], waits_for: Any) -> None:
        self._coroutine, self._waits_for = coroutine, waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        """Awaits the rest of the coroutine."""
        waits_for = self._waits_for
        while True:
            try:
                try:
                    result = yield waits_for
                except BaseException as error:
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(result)
            except StopIteration:
                return


def begin(coroutine: Coroutine[Any, None, None]) -> Begun | None:
    """Runs a coroutine up to its first wait; returns None if it has ended.

    >>> async def add(numbers):
    ...     numbers.append(1)
    >>> numbers = []
    >>> begin(add(numbers)), numbers
    (None, [1])
    """
    try:
        return Begun(coroutine, coroutine.send(None))
    except StopIteration:
        return None


def make_scope(method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Connection:
    """Makes the scope of a complete request: that of ASGI, without the parts that no endpoint uses."""
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        WHOLE_BODY: body,
    }


@functools.cache
def status_line(status: int) -> bytes:
    """Returns the first line of an answer.

    >>> status_line(404)
    b'HTTP/1.1 404 Not Found'
    """
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
