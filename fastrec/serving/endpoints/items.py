"""Items: which there are, and which are alike."""

import numpy as np
from starlette.requests import Request

from fastrec.serving import messages as m
from fastrec.serving.answers import Answer, make_answer
from fastrec.serving.parsing import (
    decode,
    encode,
    find_titles,
    list_recommended,
    parse_count,
    parse_path_id,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server


async def list_similar(server: Server, request: Request) -> Answer:
    """GET /similar?item=…."""
    snapshot = server.snapshot_now()
    model = snapshot.model
    given = request.query_params.get("item")
    if given is None:
        raise Refusal(422, "an item is needed: /similar?item=…", "item")
    item = parse_path_id(model, "items_", given, "item")
    k = parse_count(request, "k", 10, m.LARGEST_K)
    code = encode(model, [item])
    if code[0] < 0:
        raise Refusal(404, f"unknown item {item!r}", "item")
    try:
        top = await server.line.run(model.similar_items, [item], k)
    except ValueError as error:  # of a model that could tell by its users alone, and keeps none
        raise Refusal(409, str(error), "item") from None
    title = find_titles(model, code.tolist())[0]
    return make_answer(m.SimilarAnswer(item, list_recommended(model, top, 0), snapshot.version, title))


async def list_items(server: Server, request: Request) -> Answer:
    """GET /items?search=…."""
    snapshot = server.snapshot_now()
    limit = parse_count(request, "limit", 20, m.LARGEST_SEARCH)
    wanted = request.query_params.get("search", "")[:200]
    codes = await server.line.run(lambda: server.catalogue.get(snapshot).find_items(wanted, limit))
    model = snapshot.model
    named = find_titles(model, codes)
    counts = model.told_counts()[codes].tolist()
    rows = [m.Item(*row) for row in zip(decode(model, np.array(codes, int)), counts, named, strict=True)]
    return make_answer(m.ItemsAnswer(rows, snapshot.version))
