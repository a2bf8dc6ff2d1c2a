"""The web page and its files."""

import functools
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fastrec.serving.server import Server

PAGE = Path(__file__).parents[1] / "page"
FILES = {
    file.name: {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(file.suffix, "text/html")
    for file in PAGE.iterdir()
}


async def show_home(server: Server, request: Request) -> Response:
    """GET /: the web page."""
    return _send_page("index.html")


async def show_docs(server: Server, request: Request) -> Response:
    """GET /docs: the description of the API."""
    return _send_page("api.html")


async def send_file(server: Server, request: Request) -> Response:
    """GET /page/{file}: a file of the page."""
    name = request.path_params["file"]
    if name not in FILES:
        raise HTTPException(404)
    return _send_page(name)


def _send_page(name: str) -> Response:
    return Response(read_page(name), media_type=FILES[name], headers={"cache-control": "no-cache"})


@functools.cache
def read_page(name: str) -> bytes:
    """Returns a file of the page."""
    return (PAGE / name).read_bytes()
