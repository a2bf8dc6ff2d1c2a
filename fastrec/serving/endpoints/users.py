"""Users: lists of users, their histories, and their deletion."""

import asyncio

import numpy as np
from starlette.requests import Request

from fastrec.online import JournalError
from fastrec.serving import messages as m
from fastrec.serving.answers import Answer, make_answer
from fastrec.serving.parsing import (
    decode,
    encode,
    parse_count,
    parse_path_text,
    parse_seq,
    refuse_writing,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server


async def list_users(server: Server, request: Request) -> Answer:
    """GET /users?search=…."""
    snapshot = await server.snapshot(parse_seq(request))
    limit = parse_count(request, "limit", 20, m.LARGEST_SEARCH)
    wanted = request.query_params.get("search", "")[:200]
    catalogue = server.catalogue
    found = await server.line.run(lambda: server.naming.find_users(snapshot, catalogue.get(snapshot), wanted, limit))
    return make_answer(m.UsersAnswer(found, snapshot.version))


async def show_history(server: Server, request: Request) -> Answer:
    """GET /users/{id}."""
    snapshot = await server.snapshot(parse_seq(request))
    model = snapshot.model
    user, name = server.naming.read_path(snapshot, parse_path_text(request))
    if not snapshot.knows(name):
        raise Refusal(404, f"unknown user {user!r}", "id")
    row = snapshot.history(name)
    order = np.argsort(-row.values if row.order is None else -row.order, kind="stable")[:1000]
    codes = row.codes[order]
    parts = zip(decode(model, codes), row.values[order].tolist(), snapshot.items.titles(codes.tolist()), strict=True)
    seen = [m.Seen(item, value, title) for item, value, title in parts]
    return make_answer(m.HistoryAnswer(user, seen, len(row.codes), snapshot.version, snapshot.seq))


async def delete_user(server: Server, request: Request) -> Answer:
    """DELETE /users/{id}."""
    journal = server.writable()
    snapshot = await server.snapshot()
    _, name = server.naming.read_path(snapshot, parse_path_text(request))
    try:
        if not snapshot.knows(name) and not await asyncio.to_thread(journal.history, name):
            return make_answer(m.DeletedAnswer(snapshot.seq, snapshot.version, "nothing was known of the user"))
        seq = await asyncio.to_thread(journal.delete_user, name)
    except JournalError as error:
        raise refuse_writing(error) from None
    snapshot = await server.snapshot(seq)
    code = encode(snapshot.model, [name], "users_")[0]
    trained = code >= 0 and snapshot.model.seen_.indptr[code + 1] > snapshot.model.seen_.indptr[code]
    until = (
        f"the file has the user's training history until the next model: one whose model_seq is {seq} or more. It "
        f"costs a fit to {snapshot.model.seen_.nnz:,} entries"
    )
    said = until if trained else "the file has nothing"
    return make_answer(m.DeletedAnswer(seq, snapshot.version, said))
