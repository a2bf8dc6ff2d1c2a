"""Runs servers that only say hello: the cost of a request for which nothing is computed.

python bench/hello.py asgi|protocol --port 8000
"""

import argparse
import asyncio

import uvicorn

BODY = b'{"hello":"world"}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)


async def application(scope, receive, send):
    """The smallest ASGI application."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})


class Hello(asyncio.Protocol):
    """A protocol that answers every request, which must arrive in one piece."""

    def connection_made(self, transport):
        """Keeps the transport."""
        self.transport = transport

    def data_received(self, data):
        """Answers a request."""
        self.transport.write(HEAD + BODY)


async def serve(port):
    """Says hello until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Hello, "127.0.0.1", port)
    await server.serve_forever()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("kind", choices=("asgi", "protocol"))
    options.add_argument("--port", type=int, default=8000)
    given = options.parse_args()
    if given.kind == "asgi":
        uvicorn.run(application, port=given.port, access_log=False, lifespan="off", log_level="error")
        return
    try:
        import uvloop as loops
    except ImportError:
        loops = asyncio
    loops.run(serve(given.port))


if __name__ == "__main__":
    main()
