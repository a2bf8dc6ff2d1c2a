"""Endpoint that takes events in."""

import asyncio
import functools
from concurrent.futures import Future

from starlette.requests import Request

from fastrec.online import Event, EventLog, JournalError, JournalFullError, Snapshot
from fastrec.online.journal import Id, Receipt, clock_time
from fastrec.serving import messages as m
from fastrec.serving.answers import Answer, make_answer
from fastrec.serving.parsing import (
    check_event_values,
    check_reach,
    check_types,
    encode,
    refuse_argument,
    refuse_writing,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server

# With more events in a request, they are checked on a thread, so that other requests need not wait.
MANY_EVENTS = 1000


async def append_events(server: Server, request: Request) -> Answer:
    """POST /events."""
    journal = server.writable()
    asked = await server.bodies.read(request, m.EventsRequest)
    snapshot = server.snapshot_now()
    try:
        few = len(asked.events) <= MANY_EVENTS
        submit = functools.partial(_submit, server, journal, snapshot, asked)
        done = submit() if few else await server.line.run(submit)
        server.metrics.waiting.set(journal.waiting)
        receipt = await asyncio.wrap_future(done)
    except JournalFullError as error:
        server.metrics.refused.inc()
        raise Refusal(429, str(error), **{"retry-after": "1"}) from None
    except JournalError as error:
        server.updater.tell("writing", str(error))  # type: ignore[union-attr]
        raise refuse_writing(error) from None
    except (TypeError, ValueError) as error:
        raise refuse_argument(error) from None
    server.updater.tell("writing", None)  # type: ignore[union-attr]
    server.metrics.events.inc(receipt.added)
    server.metrics.known_events.inc(receipt.known)
    if not receipt.known:
        _count_followed(server, asked.events)
    unknown = _list_unknown(snapshot, asked.events)
    return make_answer(m.EventsAnswer(receipt.seq, receipt.added, receipt.known, server.version, unknown))


def _list_unknown(snapshot: Snapshot, events: list[m.NewEvent]) -> list[Id]:
    """The distinct items of the events that the model does not know, in the order of the events."""
    items = list(dict.fromkeys(event.item for event in events))
    codes = encode(snapshot.model, items)
    return [item for item, code in zip(items, codes.tolist(), strict=True) if code < 0]


def _count_followed(server: Server, events: list[m.NewEvent]) -> None:
    """Counts the events that follow from recommendations."""
    for event in events:
        if event.recommendation is not None:
            server.metrics.conversions.count_event(event.recommendation, event.item, server.settings.scenarios)


def _submit(server: Server, journal: EventLog, snapshot: Snapshot, asked: m.EventsRequest) -> "Future[Receipt]":
    """Passes the events of a request to the journal, after a check that the model can take them."""
    events, model = asked.events, snapshot.model
    names = server.naming.name_users(snapshot, [event.user for event in events], "events", ".user")
    check_types(model, "items_", [event.item for event in events], "events", ".item")
    check_reach(model, events)
    check_event_values(model, [event.value for event in events], "events", ".value")
    now = clock_time(journal.time_unit)
    batch = [
        Event(
            name,
            event.item,
            event.value,
            now if event.time is None else event.time,
            event.id,
            0,
            event.recommendation,
        )
        for name, event in zip(names, events, strict=True)
    ]
    assert server.updater is not None
    refused = server.updater.refused(batch)
    if refused is not None:
        raise Refusal(422, "this server refuses new users or items (--new-users, --new-items)", f"events[{refused}]")
    return journal.submit(batch)
