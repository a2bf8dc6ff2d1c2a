"""Items: which there are, which are alike, and what is so of each."""

import asyncio

from starlette.requests import Request

from fastrec.online import ItemUpdate, JournalError, Snapshot, find_similar
from fastrec.online.journal import Id
from fastrec.online.journal.items import check_facts
from fastrec.serving import messages as m
from fastrec.serving.answers import Answer, make_answer
from fastrec.serving.parsing import (
    check_item,
    encode,
    list_recommended,
    parse_count,
    parse_path_id,
    parse_path_text,
    parse_seq,
    quote_short,
    refuse_writing,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server


async def list_similar(server: Server, request: Request) -> Answer:
    """GET /similar?item=…."""
    snapshot = await server.snapshot()
    model = snapshot.model
    given = request.query_params.get("item")
    if given is None:
        raise Refusal(422, "an item is needed: /similar?item=…", "item")
    item = parse_path_id(model, "items_", given, "item")
    k = parse_count(request, "k", 10, m.LARGEST_K)
    if encode(model, [item])[0] < 0 or snapshot.items.facts_of(item) is None:
        raise Refusal(404, f"unknown item {item!r}", "item")
    try:
        top = await server.line.run(find_similar, snapshot, [item], k)
    except ValueError as error:  # of a model that could tell by its users alone, and keeps none
        raise Refusal(409, str(error), "item") from None
    items = list_recommended(snapshot.items, top.codes[0], top.scores[0])
    return make_answer(m.SimilarAnswer(item, items, snapshot.version, snapshot.items.title_of(item)))


async def list_items(server: Server, request: Request) -> Answer:
    """GET /items?search=…."""
    snapshot = await server.snapshot()
    limit = parse_count(request, "limit", 20, m.LARGEST_SEARCH)
    wanted = request.query_params.get("search", "")[:200]
    found = await server.line.run(lambda: server.catalogue.get(snapshot).find_items(snapshot.items, wanted, limit))
    codes, counts = encode(snapshot.model, found), snapshot.model.told_counts()
    rows = [
        m.Item(item, int(counts[code]) if code >= 0 else 0, snapshot.items.title_of(item))
        for item, code in zip(found, codes.tolist(), strict=True)
    ]
    return make_answer(m.ItemsAnswer(rows, snapshot.version))


async def show_item(server: Server, request: Request) -> Answer:
    """GET /items/{id}."""
    snapshot = await server.snapshot(parse_seq(request))
    item = parse_path_id(snapshot.model, "items_", parse_path_text(request), "id")
    return make_answer(_describe(snapshot, item))


async def put_item(server: Server, request: Request) -> Answer:
    """PUT /items/{id}."""
    server.writable()
    asked = await server.bodies.read(request, m.ItemRequest)
    model = server.snapshot_now().model
    item = parse_path_id(model, "items_", parse_path_text(request), "id")
    check_item(model, item, "id")
    if asked.facts is not None:
        try:
            check_facts("facts", asked.facts)
        except ValueError as error:
            raise Refusal(422, str(error), "facts") from None
    snapshot = await _write(server, ItemUpdate(item, asked.facts, asked.hidden))
    return make_answer(_describe(snapshot, item))


async def delete_item(server: Server, request: Request) -> Answer:
    """DELETE /items/{id}."""
    server.writable()
    snapshot = await server.snapshot()
    item = parse_path_id(snapshot.model, "items_", parse_path_text(request), "id")
    if snapshot.items.facts_of(item) is None:
        raise Refusal(404, f"unknown item {quote_short(item)}", "id")
    snapshot = await _write(server, ItemUpdate(item, removed=True))
    return make_answer(m.RemovedAnswer(item, snapshot.seq, snapshot.version))


async def _write(server: Server, update: ItemUpdate) -> Snapshot:
    """The snapshot that has an update, once that is on disk."""
    try:
        seq = await asyncio.to_thread(server.writable().update_items, [update])
    except JournalError as error:
        raise refuse_writing(error) from None
    return await server.snapshot(seq)


def _describe(snapshot: Snapshot, item: Id) -> m.ItemAnswer:
    facts = snapshot.items.facts_of(item)
    if facts is None:
        raise Refusal(404, f"unknown item {quote_short(item)}", "id")
    known = bool(encode(snapshot.model, [item])[0] >= 0)
    return m.ItemAnswer(item, facts, not snapshot.items.is_shown(item), known, snapshot.seq, snapshot.version)
