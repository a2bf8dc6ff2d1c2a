"""Answers leave in one write, and none is held back for longer than a turn of the event loop."""

import asyncio
import hashlib
import inspect
from typing import ClassVar

import pytest

pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from fastrec.serving.protocol import Holding, WholeAnswers


class Written:
    def __init__(self):
        self.parts, self.closed = [], False

    def write(self, data):
        assert not self.closed
        self.parts.append(data)

    def write_eof(self):
        self.closed = True

    def close(self):
        self.closed = True

    def resume_reading(self):
        pass

    def is_closing(self):
        return False

    def get_extra_info(self, name):
        return f"the {name}"


def run(use):
    transport = Written()

    async def main():
        await use(Holding(transport, asyncio.get_running_loop()))

    asyncio.run(main())
    return transport


def test_a_head_and_its_body_leave_together_at_once():
    async def use(holding):
        holding.write(b"head ")
        assert not holding._transport.parts
        holding.write(b"body")
        assert holding._transport.parts == [b"head body"]
        await asyncio.sleep(0)
        holding.write(b"head 2 ")
        holding.write(b"")

    assert run(use).parts == [b"head body", b"head 2 "]


def test_an_answer_that_nothing_follows_leaves_at_the_next_turn_of_the_loop():
    async def use(holding):
        holding.write(b"part 1")
        await asyncio.sleep(0)
        assert holding._transport.parts == [b"part 1"]
        holding.write(b"part 2")
        holding.write(b", part 3")
        holding.write(b"part 4")
        await asyncio.sleep(0)

    assert run(use).parts == [b"part 1", b"part 2, part 3", b"part 4"]


def test_held_bytes_leave_before_the_end():
    async def use(holding):
        holding.write(b"last words")
        holding.close()
        assert holding.get_extra_info("socket") == "the socket"

    transport = run(use)
    assert transport.parts == [b"last words"]
    assert transport.closed


class Line(Written):
    """A connection whose other end takes no bytes, or all."""

    unsent, aborted = 0, False

    def get_extra_info(self, name):
        return None

    def get_write_buffer_size(self):
        return self.unsent

    def pause_reading(self):
        pass

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


async def never(scope, receive, send):
    await asyncio.sleep(3600)


def connected(loop):
    config = Config(app=never, timeout_keep_alive=30, ws="none", interface="asgi3", log_config=None)
    protocol = WholeAnswers(config, ServerState(), {}, loop)
    line = Line()
    protocol.connection_made(line)
    loop.protocols.append(protocol)
    return protocol, line


def look_after(protocol, seconds):
    """Runs the protocol's timer after so many seconds, with the connection as it is now."""
    protocol._timer.cancel()
    now = protocol.loop.time()
    protocol.loop.time = lambda: now + seconds
    protocol._look()
    del protocol.loop.time


def with_loop(use):
    class Loop(asyncio.SelectorEventLoop):
        """An event loop whose clock can be set."""

        protocols: ClassVar = []

    async def main():
        use(asyncio.get_running_loop())
        for protocol in Loop.protocols:
            protocol.connection_lost(OSError())
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_a_head_that_does_not_come_ends_the_connection():
    def use(loop):
        for parts in ((), (b"GET / HTTP/1.1\r\nhost:",), (b"\r\n", b"\r\n")):
            protocol, line = connected(loop)
            for part in parts:
                protocol.data_received(part)
            look_after(protocol, 29)
            assert not line.closed
            look_after(protocol, 31)
            assert line.closed

    with_loop(use)


def test_a_request_under_way_may_take_its_time():
    def use(loop):
        protocol, line = connected(loop)
        protocol.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        look_after(protocol, 1000)
        assert not line.closed

    with_loop(use)


def test_an_answer_that_nobody_takes_is_dropped():
    def use(loop):
        protocol, line = connected(loop)
        protocol.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        line.unsent = 5000
        look_after(protocol, 31)
        line.unsent = 4000
        look_after(protocol, 61)
        assert not line.aborted, "some of it was taken"
        look_after(protocol, 91)
        assert line.aborted

    with_loop(use)


def test_heads_are_counted_and_bodies_are_not():
    def use(loop):
        for head, body, refused in (
            (b"", b"x" * 300_000, False),
            (b"x-more: " + b"y" * 60_000 + b"\r\n", b"", False),
            (b"x-more: " + b"y" * 70_000 + b"\r\n", b"", True),
            (b"x: y\r\n" * 20_000, b"", True),
        ):
            protocol, _ = connected(loop)
            request = b"POST / HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)
            for start in range(0, len(request), 10_000):
                if not protocol._is_deaf:
                    protocol.data_received(request[start : start + 10_000])
            assert protocol._is_deaf == refused

    with_loop(use)


# Digests of the sources of the parts of uvicorn that are overridden, or private and used, in the allowed versions.
PRIVATE = {
    HttpToolsProtocol.__init__: "a9a161419f3c92b6",
    HttpToolsProtocol.connection_made: "1f66c367a4c52fa1",
    HttpToolsProtocol.connection_lost: "c470da1d02648588",
    HttpToolsProtocol.data_received: "ec3e7c0579cdfe36",
    HttpToolsProtocol.on_headers_complete: "8bd95e9fe8f10ccc",
    HttpToolsProtocol._start_asgi_task: "dec9fd5aa25baa60",
    HttpToolsProtocol.on_response_complete: "a485e51d552fdf20",
    HttpToolsProtocol.shutdown: "2c4467497d28e417",
    RequestResponseCycle: "4523b6e7688451ff",
    FlowControl: "e828d6beccde1533",
    ServerState: "558f0bce5c71abef",
    Server.handle_exit: "7f4ef8a81b5e30b7",
    Server.on_tick: "5e16d0a3c9a78c2f",
    Server.startup: "f48144d7ef7bdb97",
    Server.shutdown: "e371d885220bce06",
}


@pytest.mark.parametrize("part", PRIVATE, ids=lambda part: part.__qualname__)
def test_uvicorn_is_the_one_whose_private_parts_are_known(part):
    source = "\n".join(line.rstrip() for line in inspect.getsource(part).splitlines())
    said = f"uvicorn's {part.__qualname__} is another one: see whether protocol.py and draining.py still go with it"
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == PRIVATE[part], said
