"""Requests that arrive as a whole are started without a task, in order, and answered as any other request is."""

import asyncio

import pytest

pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from uvicorn import Config
from uvicorn.server import ServerState

from fastrec.serving.protocol import WholeAnswers
from fastrec.serving.whole_request import Begun, WholeRequest, begin
from tests.serving.test_protocol import Line


async def wait_and_add(numbers, seconds):
    numbers.append(1)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        numbers.append(-1)
        raise
    numbers.append(2)


def test_a_coroutine_that_waits_goes_on_in_a_task():
    async def main():
        numbers = []
        begun = begin(wait_and_add(numbers, 0.001))
        assert isinstance(begun, Begun)
        assert numbers == [1]
        await begun
        return numbers

    assert asyncio.run(main()) == [1, 2]


def test_an_error_and_a_cancellation_get_to_the_coroutine_that_waits():
    async def fail():
        await asyncio.sleep(0.001)
        raise LookupError("lost")

    async def main():
        with pytest.raises(LookupError, match="lost"):
            await begin(fail())
        numbers = []
        begun = begin(wait_and_add(numbers, 30))

        async def follow():
            await begun

        task = asyncio.create_task(follow())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return numbers

    assert asyncio.run(main()) == [1, -1]


def test_an_error_at_once_is_raised_at_once():
    async def fail():
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        begin(fail())


class Echo:
    """Answers with the body of a request; if the body begins with "wait", a little later."""

    whole_paths = frozenset({b"/echo"})

    def __init__(self, headers=()):
        self.headers = list(headers)

    async def __call__(self, scope, receive, send):
        body = (await receive())["body"]
        if body.startswith(b"wait"):
            await asyncio.sleep(0.001)
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length, *self.headers]})
        await send({"type": "http.response.body", "body": body})


def ask(body, path=b"/echo", more=b""):
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (path, more, len(body), body)


def connect(app):
    config = Config(app=app, timeout_keep_alive=30, ws="none", interface="asgi3", log_config=None, proxy_headers=False)
    protocol, line = WholeAnswers(config, ServerState(), {}, asyncio.get_running_loop()), Line()
    protocol.connection_made(line)
    return protocol, line


def talk(parts, app, answers):
    """Returns the bytes that answer some parts of data, each sent at once; and whether the connection was closed."""

    async def main():
        protocol, line = connect(app)
        for part in parts:
            protocol.data_received(part)
        for _ in range(2000):
            await asyncio.sleep(0.0005)
            if b"".join(line.parts).count(b"HTTP/1.1 200") >= answers or protocol.transport.is_closing():
                break
        closed = protocol.transport.is_closing()
        protocol.connection_lost(OSError())
        return b"".join(line.parts), closed

    return asyncio.run(main())


@pytest.mark.parametrize("body", [b"at once", b"wait a little", b""])
def test_both_ways_give_the_same_answer(body):
    whole, _ = talk([ask(body)], Echo(), 1)
    head, rest = ask(body)[:40], ask(body)[40:]
    assert talk([head, rest], Echo(), 1)[0] == whole  # the head was whole only with the second part
    other = Echo()
    other.whole_paths = frozenset()
    assert talk([ask(body)], other, 1)[0] == whole
    assert whole.endswith(b"\r\n\r\n" + body)


def test_requests_of_one_connection_are_answered_in_their_order():
    bodies = [b"one", b"wait two", b"three", b"wait four", b"five", b"wait six", b"seven"]
    together, _ = talk([b"".join(map(ask, bodies))], Echo(), len(bodies))
    apart, _ = talk([ask(body) for body in bodies], Echo(), len(bodies))
    assert [part.partition(b"\r\n\r\n")[2] for part in together.split(b"HTTP/1.1 200 OK")[1:]] == bodies
    assert apart == together


def test_an_answer_that_ends_the_connection_is_the_last_one():
    answer, closed = talk([ask(b"one") + ask(b"two")], Echo([(b"connection", b"close")]), 2)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert closed


@pytest.mark.parametrize("more", [b"Connection: close\r\n", b"connection: keep-alive\r\n", b"Expect: 100-continue\r\n"])
def test_requests_that_ask_for_more_of_the_connection_go_the_usual_way(more):
    answer, closed = talk([ask(b"one", more=more)], Echo(), 1)
    assert answer.endswith(b"\r\n\r\none")
    assert closed == (b"close" in more)
    assert (b"100 Continue" in answer) == (b"Expect" in more)


def test_headers_come_in_lower_case_and_without_blanks():
    seen = []

    class Looking(Echo):
        async def __call__(self, scope, receive, send):
            seen.append(dict(scope["headers"]))
            await super().__call__(scope, receive, send)

    talk([ask(b"x", more=b"X-One:  two \r\n")], Looking(), 1)
    assert seen == [{b"host": b"a", b"x-one": b"two", b"content-length": b"1"}]


def test_a_client_that_has_gone_gets_no_answer():
    async def main():
        protocol, line = connect(Echo())
        protocol.data_received(ask(b"wait"))
        protocol.connection_lost(OSError())
        await asyncio.sleep(0.01)
        return line.parts

    assert asyncio.run(main()) == []


def test_an_answer_that_must_close_says_so():
    request = WholeRequest(b"", [(b"date", b"today")])
    request.keep_alive = False
    assert begin(request.send({"status": 204, "headers": []})) is None
    assert not request.response_complete
    assert begin(request.send({"body": b""})) is None
    assert request.answer == b"HTTP/1.1 204 No Content\r\ndate: today\r\nconnection: close\r\n\r\n"
