"""Items: lists of items, similar items, and the state of each item."""

import asyncio

from starlette.requests import Request

from fastrec.online import ItemUpdate, JournalError, Snapshot, find_similar
from fastrec.online.journal import Id
from fastrec.online.journal.items import check_facts
from fastrec.retrieval import TopK
from fastrec.serving import messages as m
from fastrec.serving.answers import Answer, make_answer
from fastrec.serving.parsing import (
    check_item,
    check_types,
    encode,
    parse_count,
    parse_path_id,
    parse_path_text,
    parse_seq,
    quote_short,
    refuse_writing,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server
from fastrec.serving.shaping import Mask, list_shaped, mask_of_filters, read_filters, read_shaping

# the maximum number of items in one question
MOST_SIMILAR = 100


async def list_similar(server: Server, request: Request) -> Answer:
    """GET /similar?item=…."""
    snapshot = await server.snapshot()
    model = snapshot.model
    given = request.query_params.getlist("item")
    if not 1 <= len(given) <= MOST_SIMILAR:
        raise Refusal(422, f"an item is needed, or up to {MOST_SIMILAR}: /similar?item=…", "item")
    items = [parse_path_id(model, "items_", text, "item") for text in given]
    k = parse_count(request, "k", 10, m.LARGEST_K)
    for item in items:
        if not _can_be_compared(snapshot, item):
            raise Refusal(404, f"unknown item {quote_short(item)}", "item")
    return make_answer(await _answer_similar(server, snapshot, m.SimilarRequest(items=items, k=k), items, [], "item"))


async def list_similar_to_cart(server: Server, request: Request) -> Answer:
    """POST /similar."""
    asked = await server.bodies.read(request, m.SimilarRequest)
    snapshot = await server.snapshot()
    check_types(snapshot.model, "items_", asked.items, "items")
    policy = asked.on_unknown or server.settings.on_unknown
    unknown = [item for item in asked.items if not _can_be_compared(snapshot, item)]
    known = [item for item in asked.items if item not in set(unknown)]
    if not known or (unknown and policy == "error"):
        raise Refusal(404, f"unknown item {quote_short(unknown[0])}", "items")
    return make_answer(await _answer_similar(server, snapshot, asked, known, unknown, "items"))


async def _answer_similar(
    server: Server, snapshot: Snapshot, asked: m.SimilarRequest, items: list[Id], unknown: list[Id], field: str
) -> m.SimilarAnswer:
    try:
        listed = await server.line.run(_list_similar, server, snapshot, asked, items, unknown)
    except ValueError as error:  # the model needs users to compare items, and keeps none
        raise Refusal(409, str(error), field) from None
    one = items[0] if len(items) == 1 else None
    title = None if one is None else snapshot.items.title_of(one)
    name = server.name_answer(asked.scenario, snapshot.version)
    return m.SimilarAnswer(listed, snapshot.version, one, title, unknown, name)


def _list_similar(
    server: Server, snapshot: Snapshot, asked: m.SimilarRequest, items: list[Id], unknown: list[Id]
) -> list[m.Recommended]:
    policy = asked.on_unknown or server.settings.on_unknown
    shaping = read_shaping(snapshot, asked, policy, unknown)
    filters = read_filters(snapshot.model, asked, policy, unknown)
    chosen = mask_of_filters(snapshot.model, filters)

    def ask(length: int, within: Mask | None) -> TopK:
        only = within if chosen is None else chosen if within is None else chosen & within
        return find_similar(snapshot, items, length, only)

    return list_shaped(snapshot.items, shaping.answer(ask, asked.k), shaping, asked.k)


def _can_be_compared(snapshot: Snapshot, item: Id) -> bool:
    """Tells whether an item can be compared: the model knows it, and it is not removed."""
    return bool(encode(snapshot.model, [item])[0] >= 0) and snapshot.items.facts_of(item) is not None


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
    """Writes an update, and returns the snapshot that has it once it is on disk."""
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
