"""A uvicorn server that ends without dropping connections: waiting ones are accepted and answered first."""

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import FrameType

import uvicorn

from fastrec.serving.settings import SHARED_FOLDER

# The seconds in which waiting connections are accepted, and in which a new connection may send its request.
LAST_ACCEPT, LAST_WORDS = 0.05, 2.0


class DrainingServer(uvicorn.Server):
    """A server that drains on the first SIGTERM or SIGINT, then ends, and ends at once on the second.

    While it drains it still takes requests, but each answer closes its connection. Then it admits no new connections,
    and answers those that wait to be accepted.

    Parameters
    ----------
    config
        The configuration of uvicorn.
    begin
        Called when the server begins to drain.
    drain
        The seconds of draining.
    """

    def __init__(self, config: uvicorn.Config, begin: Callable[[], None], drain: float) -> None:
        super().__init__(config)
        self._begin, self._drain = begin, drain
        self._ends_at: float | None = None
        self._signals = 0
        self._line: Connection | None = None

    def follow(self, line: Connection) -> None:
        """Tells the parent when requests are accepted; drains when the parent closes its end, or is dead."""
        self._line = line

        def wait() -> None:
            with contextlib.suppress(EOFError, OSError):
                line.recv()
            parent = multiprocessing.parent_process()
            if parent is not None and not parent.is_alive():  # a living parent would have removed it
                shutil.rmtree(os.environ.get(SHARED_FOLDER, ""), ignore_errors=True)
            if not self.started:
                os._exit(0)  # it is still loading a model, which may take long: nobody waits for an answer
            self.should_exit = True

        threading.Thread(target=wait, name="fastrec-parent", daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handles a signal."""
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + sig)  # acknowledged events are on the disk
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Tells whether it is time to end."""
        if self._line is not None and self._ends_at is None and counter == 0:
            with contextlib.suppress(OSError):
                self._line.send_bytes(b"ready")
        if not await super().on_tick(counter):
            return False
        now = asyncio.get_running_loop().time()
        if self._ends_at is None:
            self._ends_at = now + self._drain
            self._begin()
        return now >= self._ends_at

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Admits no new connections, answers the open ones, and ends."""
        self._begin()
        listeners = [listener for server in self.servers for listener in server.sockets]
        for listener in listeners:
            stop_queueing(listener.fileno())
        await asyncio.sleep(LAST_ACCEPT)
        # The loop may be busy between its last accept and the close, which resets all queued connections.
        kept = [socket.socket(fileno=os.dup(listener.fileno())) for listener in listeners if os.name != "nt"]
        for server in self.servers:
            server.close()
        await self._answer(take_the_rest(kept))
        for connection in list(self.server_state.connections):
            connection.end_soon()  # type: ignore[union-attr]
        loop = asyncio.get_running_loop()
        until = loop.time() + LAST_WORDS
        while loop.time() < until and any(one.is_asking for one in self.server_state.connections):  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

    async def _answer(self, connections: list[socket.socket]) -> None:
        """Answers connections that were accepted outside of the loop."""
        loop = asyncio.get_running_loop()
        for connection in connections:
            with contextlib.suppress(OSError):  # the client has gone
                await loop.connect_accepted_socket(self._make_protocol, connection, ssl=self.config.ssl)

    def _make_protocol(self) -> asyncio.Protocol:
        """Makes a connection's protocol, as uvicorn's own `startup` does."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )


def take_the_rest(listeners: list[socket.socket]) -> list[socket.socket]:
    """Accepts all connections queued for listening sockets, and closes the sockets at once."""
    accepted = []
    for listener in listeners:
        listener.setblocking(False)
        with listener, contextlib.suppress(OSError):  # nobody waits any more
            while True:
                connection, _ = listener.accept()
                connection.setblocking(False)
                accepted.append(connection)
    return accepted


def stop_queueing(descriptor: int) -> None:
    """Makes the system queue no more connections for a listening socket: later ones are refused once it is closed."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as listener:
        listener.listen(0)
