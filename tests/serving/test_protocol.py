"""Answers leave in one write, and nothing is held back for longer than a turn of the event loop."""

import asyncio

from fastrec.serving.protocol import Holding


class Written:
    def __init__(self):
        self.parts, self.closed = [], False

    def write(self, data):
        assert not self.closed
        self.parts.append(data)

    def close(self):
        self.closed = True

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


def test_what_nothing_follows_leaves_at_the_next_turn_of_the_loop():
    async def use(holding):
        holding.write(b"part 1")
        await asyncio.sleep(0)
        assert holding._transport.parts == [b"part 1"]
        holding.write(b"part 2")
        holding.write(b", part 3")
        holding.write(b"part 4")
        await asyncio.sleep(0)

    assert run(use).parts == [b"part 1", b"part 2, part 3", b"part 4"]


def test_what_is_held_leaves_before_the_end():
    async def use(holding):
        holding.write(b"last words")
        holding.close()
        assert holding.get_extra_info("socket") == "the socket"

    transport = run(use)
    assert transport.parts == [b"last words"]
    assert transport.closed
