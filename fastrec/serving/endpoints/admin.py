"""Work that an operator asks for: a new model now, or a reload of the published one."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from starlette.requests import Request

from fastrec.online import JournalError, Snapshot, Updater
from fastrec.serving import messages as m
from fastrec.serving.answers import Answer, make_answer
from fastrec.serving.leading import Work
from fastrec.serving.parsing import refuse_writing
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server


async def make_checkpoint(server: Server, request: Request) -> Answer:
    """POST /admin/checkpoint."""
    return await _make(server, "checkpoint")


async def refit(server: Server, request: Request) -> Answer:
    """POST /admin/refit."""
    return await _make(server, "refit")


async def reload(server: Server, request: Request) -> Answer:
    """POST /admin/reload."""
    before, updater, began = server.snapshot_now(), _updater(server), time.monotonic()
    with _one_at_a_time(server):
        done = await asyncio.to_thread(updater.reload)
    if done:
        server.metrics.took_model("loaded")
        return _tell(f"this version replaces {before.version}", updater.snapshot, began, done=True)
    return _tell(updater.problem or "there is no newer model", updater.snapshot, began, done=False)


async def _make(server: Server, what: Work) -> Answer:
    before, updater, began = server.snapshot_now(), _updater(server), time.monotonic()
    if len(server.settings.shares) > 1:
        raise Refusal(409, "a server of several models makes no new ones: publish them from elsewhere")
    with _one_at_a_time(server):
        try:
            made = await asyncio.to_thread(server.leading.make, updater, what)
        except JournalError as error:
            raise refuse_writing(error) from None
        except OSError as error:  # a full disk, or a store that cannot be reached
            raise Refusal(503, f"the {what} could not be published: {error}", **{"retry-after": "5"}) from None
    if made.model is before.model:
        return _tell(f"the model has all events up to {made.model_seq}", made, began, done=False)
    return _tell(f"the events after {before.model_seq} are in the model", made, began, done=True)


def _updater(server: Server) -> Updater:
    assert server.updater is not None
    return server.updater


@contextlib.contextmanager
def _one_at_a_time(server: Server) -> Iterator[None]:
    """Refuses to start a piece of work while another one runs."""
    if server.is_working:
        raise Refusal(429, "another checkpoint, refit or reload is running: try again later", **{"retry-after": "5"})
    server.is_working = True
    try:
        yield
    finally:
        server.is_working = False


def _tell(said: str, snapshot: Snapshot, began: float, *, done: bool) -> Answer:
    seconds = round(time.monotonic() - began, 3)
    return make_answer(m.WorkAnswer(done, said, snapshot.version, snapshot.model_seq, seconds))
