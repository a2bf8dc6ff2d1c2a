"""Measures the cost of the access log and of rate limits: the protocol without sockets, with and without them in turns.

    python bench/serving_around.py [--turns 10]

Prints the processor time of a question of one user, and what each of the two adds to it.
"""

import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import uvicorn
from serving import N_USERS, make_model, parse_numbers
from uvicorn.server import ServerState

from fastrec.serving.app import create_app
from fastrec.serving.protocol import WholeAnswers
from fastrec.serving.settings import Settings

TOKEN = "a" * 40
QUESTIONS = 2000


class Transport:
    """A transport that keeps what is written."""

    def write(self, data):
        """Keeps the last answer."""
        self.answer = data

    def get_extra_info(self, name, default=None):
        """Returns the addresses."""
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def is_closing(self):
        """Returns False."""
        return False

    def get_write_buffer_size(self):
        """Returns 0: nothing waits."""
        return 0

    def __getattr__(self, name):
        return lambda *_: None


async def connect(stack, settings):
    """Connects to a server that is ready."""
    app = create_app(settings)
    config = uvicorn.Config(app, http=WholeAnswers, access_log=False, proxy_headers=False, timeout_keep_alive=600)
    config.load()
    await stack.enter_async_context(app.server.lifespan(app))
    while app.server.updater is None:
        await asyncio.sleep(0.05)
    protocol = WholeAnswers(config=config, server_state=ServerState(), app_state={})
    transport = Transport()
    protocol.connection_made(transport)
    return protocol, transport


def ask_all(protocol, transport, requests):
    """Returns the microseconds of the processor for each request."""
    began = time.thread_time()
    for request in requests:
        protocol.data_received(request)
    took = (time.thread_time() - began) / len(requests) * 1e6
    if b" 200 " not in transport.answer[:20]:
        raise SystemExit(transport.answer.decode())
    return took


def make_requests():
    """Returns questions of users as they are sent."""
    head = f"POST /recommend HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: "
    users = np.random.default_rng(0).integers(0, N_USERS, QUESTIONS).tolist()
    bodies = [json.dumps({"user": user, "k": 10}) for user in users]
    return [f"{head}{len(body)}\r\n\r\n{body}".encode() for body in bodies]


async def measure(folder, turns):
    """Returns the processor time of a question for each kind of server, measured in turns."""
    make_model(folder / "model.fastrec")
    kinds = {"plain": {}, "access log": {"access_log": str(folder / "log")}, "rate limit": {"rate_limit": 1e9}}
    requests, took = make_requests(), {name: [] for name in kinds}
    async with contextlib.AsyncExitStack() as stack:
        usual = {"model": str(folder / "model.fastrec"), "tokens": {"read": (TOKEN,)}}
        servers = {name: await connect(stack, Settings(**usual, **more)) for name, more in kinds.items()}
        for turn in range(turns + 2):  # the first two warm up
            for name, server in servers.items():
                found = ask_all(*server, requests)
                if turn > 1:
                    took[name].append(found)
                await asyncio.sleep(0)
        for protocol, _ in servers.values():
            protocol.connection_lost(None)
    return took


def main():
    given = parse_numbers(__doc__, turns=10)
    with tempfile.TemporaryDirectory() as name:
        took = asyncio.run(measure(Path(name), given.turns))
    for name, times in took.items():
        more = statistics.median(new - plain for new, plain in zip(times, took["plain"], strict=True))
        print(f"{name:12} {statistics.median(times):6.1f} µs, {more:5.1f} more")


if __name__ == "__main__":
    main()
