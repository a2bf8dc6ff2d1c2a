"""uvicorn's HTTP over a connection that sends the head of an answer together with its body, and waits for no head."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Bytes that the head of a request may have, after those that came with its beginning.
LARGEST_HEAD = 64 << 10
# So long a client may take to send a head.
HEAD_SECONDS = 20.0


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol, with one system call less for each answer: a seventh of a recommendation's time.

    It also ends connections that send no head, or one without an end, of which uvicorn takes any number.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, over a transport that waits for the body."""
        super().connection_made(Holding(transport, self.loop))  # type: ignore[arg-type]
        self._in_head, self._head = True, 0
        self._late: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Take in a part, unless it is of a head that has grown too large."""
        super().data_received(data)
        if not self._in_head:
            return
        # With the beginning of a head the end of the request before it may have come.
        self._head = self._head + len(data) if self._head >= 0 else 0
        if self._head > LARGEST_HEAD:
            self._refuse(b"431 Request Header Fields Too Large", f"a head may have {LARGEST_HEAD} bytes")
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def on_message_begin(self) -> None:
        """Begin with a head."""
        super().on_message_begin()
        self._in_head, self._head = True, -1

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head = False
        self._on_time()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._on_time()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Say what any other error says."""
        self._refuse(b"400 Bad Request", msg)

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: bytes, message: str) -> None:
        body = json.dumps({"error": {"message": message}, "version": ""}).encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head % (status, len(body)) + body)
            self.transport.close()


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
