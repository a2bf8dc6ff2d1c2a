"""Recommendations for one user or history, and for many users."""

import functools
from typing import Any

import msgspec
import numpy as np
from starlette.requests import Request

from fastrec.matrix.arrays import readonly
from fastrec.matrix.sequences import HistoryRow, order_of_list
from fastrec.models import Recommender
from fastrec.models.base.single import Single, SingleAnswer
from fastrec.online import Snapshot
from fastrec.online.journal import Id
from fastrec.online.user_state import merge_values
from fastrec.serving import messages as m
from fastrec.serving.access import Scope
from fastrec.serving.answers import Answer, encode_json, make_answer
from fastrec.serving.parsing import (
    check_event_values,
    check_type,
    check_types,
    decode,
    encode,
    list_recommended,
    parse_seq,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server

# Items of a request beyond which it is answered on a thread, so that others need not wait for it.
LONG_LISTS = 1000
# Rows of a batch that are answered before others have a turn.
ROWS_AT_ONCE = 20_000


async def recommend(server: Server, request: Request) -> Answer:
    """POST /recommend."""
    asked = await server.bodies.read(request, m.RecommendRequest)
    if asked.user is None:
        snapshot = await server.snapshot()  # of which what is hidden counts, too
    else:
        server.access.check(request.scope["headers"], Scope.read)
        snapshot = await server.snapshot(parse_seq(request))
    lists = len(asked.history or ()) + len(asked.allow or ()) + len(asked.deny or ())
    if asked.explain or lists > LONG_LISTS or server.is_slow(snapshot.model):
        return make_answer(await server.line.run(_recommend, server, snapshot, asked))
    return make_answer(_recommend(server, snapshot, asked))


def _recommend(server: Server, snapshot: Snapshot, asked: m.RecommendRequest) -> m.RecommendAnswer:
    model = snapshot.model
    if (asked.user is None) == (asked.history is None):
        raise Refusal(422, "give either a user or a history", "user" if asked.user is None else "history")
    policy = asked.on_unknown or server.settings.on_unknown
    unknown: list[Id] = []
    filters = _read_filters(model, asked, policy, unknown)
    if asked.user is not None:
        check_type(model, "users_", asked.user, "user")
        _check_known(snapshot, [asked.user], policy, "user")
        history = None
    else:
        history = Single(history=_read_history(server, model, asked.history or [], policy, unknown))
    codes, scores, fallback = _answer(snapshot, asked, history, filters)
    items = list_recommended(snapshot.items, codes, scores)
    if asked.explain and not fallback and "explain" in model.capabilities:
        for item in items:
            item.why = _reasons(snapshot, asked.user if history is None else history.audience(model), item.item)
    seq = snapshot.seq if history is None else snapshot.model_seq
    return m.RecommendAnswer(items, snapshot.version, seq, fallback, asked.user, unknown)


def _answer(
    snapshot: Snapshot, asked: m.RecommendRequest, history: Single | None, filters: dict[str, Any]
) -> SingleAnswer:
    """The best items for a user, or for a history; without filters, which is what most ask, by the shortest way."""
    if asked.exclude_seen and not filters:
        return (
            snapshot.answer_one(asked.user, asked.k)  # type: ignore[arg-type]
            if history is None
            else snapshot.model.answer_one(history, asked.k, snapshot.items.shown)
        )
    options = {**filters, "exclude_seen": asked.exclude_seen}
    if history is None:
        top = snapshot.recommend([asked.user], asked.k, on_unknown="popular", **options)  # type: ignore[list-item]
    else:
        top = snapshot.ask_model(history.audience(snapshot.model), asked.k, **options)
    return SingleAnswer(top.codes[0], top.scores[0], bool(top.fallback[0]))


def _reasons(snapshot: Snapshot, who: Any, item: Id, n: int = 3) -> list[m.Reason]:
    items = snapshot.items
    most = n if items.shown is None else None
    is_user = isinstance(who, int | str)
    reasons = snapshot.explain(who, item, most) if is_user else snapshot.model.explain(who, item, most)
    parts = zip(reasons.items.tolist(), reasons.contributions.tolist(), strict=True)
    shown = [(given, part) for given, part in parts if items.is_shown(given)][:n]
    return [m.Reason(given, part, items.title_of(given)) for given, part in shown]


def _read_history(server: Server, model: Recommender, given: list[Any], policy: str, unknown: list[Id]) -> HistoryRow:
    """The history of a request, the newest item last; items given twice are what events about them would be."""
    ids = [entry.item if isinstance(entry, m.Entry) else entry for entry in given]
    values = [entry.value if isinstance(entry, m.Entry) else 1.0 for entry in given]
    check_event_values(model, values, "history", ".value")
    codes = _known_codes(model, ids, policy, "history", unknown)
    kept = codes >= 0
    assert server.updater is not None
    row = merge_values(codes[kept], np.array(values, np.float32)[kept], server.updater.policy_of(model))
    order = order_of_list(codes[kept]) if model.reads_order else None
    return HistoryRow(readonly(row.codes), readonly(row.values), order)


def _read_filters(model: Recommender, asked: Any, policy: str, unknown: list[Id]) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    for name in ("allow", "deny"):
        given = getattr(asked, name)
        if given is not None:
            codes = _known_codes(model, given, policy, name, unknown)
            filters[name] = decode(model, codes[codes >= 0])
    return filters


def _known_codes(model: Recommender, ids: list[Id], policy: str, field: str, unknown: list[Id]) -> Any:
    """Codes of the items of a request; the unknown ones are -1 and listed, or refused."""
    check_types(model, "items_", ids, field)
    codes = encode(model, ids)
    for place in np.flatnonzero(codes < 0).tolist():
        if policy == "error":
            raise Refusal(422, f"unknown item {ids[place]!r}", f"{field}[{place}]")
        unknown.append(ids[place])
    return codes


def _check_known(snapshot: Snapshot, users: list[Id], policy: str, field: str) -> None:
    if policy == "error":
        for place, user in enumerate(users):
            if not snapshot.knows(user):
                said = "" if snapshot.model.has_users else ": the model keeps no users, send a history instead"
                raise Refusal(404, f"unknown user {user!r}{said}", field if field == "user" else f"{field}[{place}]")


async def recommend_batch(server: Server, request: Request) -> Answer:
    """POST /batch."""
    asked = await server.bodies.read(request, m.BatchRequest)
    snapshot = await server.snapshot(parse_seq(request))
    unknown: list[Id] = []
    filters = await server.line.run(_check_batch, server, snapshot, asked, unknown)
    step = max(1, ROWS_AT_ONCE // asked.k)
    starts = range(0, len(asked.users), step)
    parts = await server.line.run_parts(
        [functools.partial(_answer_rows, snapshot, asked, filters, asked.users[n : n + step]) for n in starts]
    )
    rows = [msgspec.Raw(row) for part in parts for row in part]
    return make_answer(m.BatchAnswer(rows, snapshot.version, snapshot.seq, unknown))


def _check_batch(server: Server, snapshot: Snapshot, asked: m.BatchRequest, unknown: list[Id]) -> dict[str, Any]:
    policy = asked.on_unknown or server.settings.on_unknown
    check_types(snapshot.model, "users_", asked.users, "users")
    _check_known(snapshot, asked.users, policy, "users")
    if len(asked.users) * asked.k > m.LARGEST_ANSWER:
        raise Refusal(422, f"users times k may be {m.LARGEST_ANSWER}, got {len(asked.users)} users", "k")
    return _read_filters(snapshot.model, asked, policy, unknown)


def _answer_rows(snapshot: Snapshot, asked: m.BatchRequest, filters: dict[str, Any], users: list[Id]) -> list[bytes]:
    """The rows of some of the users, as they are sent."""
    top = snapshot.recommend(users, asked.k, exclude_seen=asked.exclude_seen, on_unknown="popular", **filters)
    counts = top.valid.sum(axis=1).tolist()
    parts = zip(users, top.items.tolist(), top.scores.tolist(), counts, top.fallback.tolist(), strict=True)
    return [encode_json(m.BatchRow(user, ids[:n], scores[:n], popular)) for user, ids, scores, n, popular in parts]
