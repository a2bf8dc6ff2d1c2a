"""uvicorn's HTTP over a connection: with limits on what a client may do, and answers that leave in one write."""

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fastrec.serving.messages import ErrorAnswer, Problem

# A request's line and headers, and all of a request that may be read: more than the server reads of a body, for what
# nobody reads, as headers behind a body.
LARGEST_HEAD = 64 << 10
LARGEST_MESSAGE = 20 << 20


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, with limits, and one system call less for each answer: a seventh of a recommendation's time.

    For `timeout_keep_alive` seconds a client may let the head of a request, or the taking of an answer, wait.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, over a transport that waits for the body."""
        super().connection_made(Holding(transport, self.loop))  # type: ignore[arg-type]
        self._size, self._largest = 0, LARGEST_HEAD
        self._waits_since: float | None = self.loop.time()  # for a head; None while a request is under way
        self._unsent = 0
        self._timer = self.loop.call_later(self.timeout_keep_alive, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, as long as it is not too much."""
        self._size += len(data)
        super().data_received(data)
        if self._size > self._largest:
            if self._largest == LARGEST_HEAD:
                self._refuse(431, f"the line and headers of a request may have {LARGEST_HEAD} bytes")
            else:
                self.transport.close()

    def on_headers_complete(self) -> None:
        """A head is there: begin to answer."""
        self._size, self._largest, self._waits_since = 0, LARGEST_MESSAGE, None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """An answer is on its way: begin with the next request, where it is there already.

        As uvicorn does it, which would set a timer for each answer.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._waits_since = self.loop.time()
        if not self.cycle.more_body:  # who is answered early may still be sending
            self._size, self._largest = 0, LARGEST_HEAD

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        """Close, with an answer of the form that all errors have where no other one is under way."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            body = msgspec.json.encode(ErrorAnswer(Problem(message), ""))
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _look(self) -> None:
        """End a connection on which nothing goes on."""
        left = float(self.timeout_keep_alive)
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent == self._unsent:
            self.transport.abort()
            return
        if not unsent and self._waits_since is not None:
            left -= self.loop.time() - self._waits_since
            if left <= 0:
                self.transport.close()
                return
        self._unsent = unsent
        self._timer = self.loop.call_later(left, self._look)


class Holding:
    """A transport that holds what is written back until the next write, or until it is the event loop's turn.

    Parameters
    ----------
    transport
        What is written to, and does everything else.
    loop
        The event loop that it belongs to.
    """

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write now what was held and this, or hold this."""
        held, self._held = self._held, None
        if held is None:
            self._held = data
            self._loop.call_soon(self.flush)
        else:
            self._transport.write(held + data)

    def flush(self) -> None:
        """Write what is held."""
        held, self._held = self._held, None
        if held is not None:
            self._transport.write(held)

    def close(self) -> None:
        """Write what is held, then close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
