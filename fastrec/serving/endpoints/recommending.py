"""Recommendations for one user or history, and for many users."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from starlette.requests import Request

from fastrec.matrix.arrays import readonly
from fastrec.matrix.sequences import HistoryRow, order_of_list
from fastrec.models import Recommender
from fastrec.models.base.single import Single, SingleAnswer
from fastrec.online import Event, Snapshot
from fastrec.online.journal import Id
from fastrec.online.user_state import merge_values
from fastrec.retrieval import TopK
from fastrec.serving import messages as m
from fastrec.serving.access import Scope
from fastrec.serving.answers import Answer, encode_json, make_answer
from fastrec.serving.exploring import CANDIDATES, Exploration, draw_places, mark_item
from fastrec.serving.parsing import (
    check_event_values,
    known_codes,
    list_recommended,
    parse_seq,
)
from fastrec.serving.refusal import Refusal
from fastrec.serving.server import Server
from fastrec.serving.shaping import Mask, Shaping, add_pins, is_quick, read_filters, read_shaping

# With more items in a request, it is answered on a thread, so that other requests need not wait.
LONG_LISTS = 1000
# The rows of a batch that are answered before other requests have a turn.
ROWS_AT_ONCE = 20_000


async def recommend(server: Server, request: Request) -> Answer:
    """POST /recommend."""
    asked = await server.bodies.read(request, m.RecommendRequest)
    if asked.user is None:
        snapshot = await server.snapshot(wait=False)  # for the hidden items, which are no secret of a user
    else:
        server.access.check(request.scope["headers"], Scope.read)
        snapshot = await server.snapshot(parse_seq(request))
    lists = len(asked.history or ()) + len(asked.allow or ()) + len(asked.deny or ())
    if asked.explain or lists > LONG_LISTS or server.is_slow(snapshot.model) or not is_quick(snapshot, asked):
        return make_answer(await server.line.run(_recommend, server, snapshot, asked))
    return make_answer(_recommend(server, snapshot, asked))


class Question(NamedTuple):
    """A question to a snapshot, about a user or about a history.

    Parameters
    ----------
    snapshot
        The snapshot, with the user's events from the request.
    user, history
        The user or the history; the other is None.
    options
        The options of `Snapshot.recommend`.
    """

    snapshot: Snapshot
    user: Id | None
    history: Single | None
    options: dict[str, Any]

    @property
    def who(self) -> Any:
        """The user, or the history in the form of a model."""
        return self.user if self.history is None else self.history.audience(self.snapshot.model)

    def answer(self, k: int) -> SingleAnswer:
        """Returns the best items; without filters, the most common case, by the shortest way."""
        snapshot = self.snapshot
        if self.options in (_USUAL, {"exclude_seen": snapshot.model.excludes_seen}):
            if self.history is not None:
                return snapshot.model.answer_one(self.history, k, snapshot.items.shown)
            return snapshot.answer_one(self.user, k)  # type: ignore[arg-type]
        top = self.ask(k, None)
        return SingleAnswer(top.codes[0], top.scores[0], bool(top.fallback[0]))

    def ask(self, k: int, within: Mask | None) -> TopK:
        """Returns the best items within a mask."""
        if self.history is not None:
            return self.snapshot.ask_model(self.who, k, within=within, **self.options)
        return self.snapshot.recommend([self.user], k, within=within, on_unknown="popular", **self.options)  # type: ignore[list-item]


_USUAL = {"exclude_seen": None}


def _recommend(server: Server, snapshot: Snapshot, asked: m.RecommendRequest) -> m.RecommendAnswer:
    policy = asked.on_unknown or server.settings.on_unknown
    unknown: list[Id] = []
    question = _read_question(server, snapshot, asked, policy, unknown)
    shaping = read_shaping(snapshot, asked, policy, unknown) if asked.is_shaped else None
    exploration = None
    if server.explores():
        items, fallback, exploration = _explore(server, question, shaping, asked.k)
    else:
        codes, scores, fallback = _answer(question, shaping, asked.k)
        items = list_recommended(snapshot.items, codes, scores)
    if shaping is not None:
        items = add_pins(snapshot.items, items, shaping, asked.k)
    reasons = _find_reasons(snapshot.model) if asked.explain and not fallback else None
    if reasons is not None:
        for item in items:
            if not item.pinned:
                item.why = reasons(question.snapshot, question.who, item.item)
    seq = snapshot.model_seq if asked.user is None else snapshot.seq
    name = server.name_answer(asked.scenario, snapshot.version, exploration)
    return m.RecommendAnswer(items, snapshot.version, seq, fallback, asked.user, unknown, name)


def _answer(question: Question, shaping: Shaping | None, k: int) -> SingleAnswer:
    """The best items for a question, as a request wishes them."""
    if shaping is None:
        return question.answer(k)
    top = shaping.answer(question.ask, k)
    return SingleAnswer(top.codes[0], top.scores[0], bool(top.fallback[0]))


def _explore(
    server: Server, question: Question, shaping: Shaping | None, k: int
) -> tuple[list[m.Recommended], bool, Exploration | None]:
    """The items for a question, some drawn at random, as many as there is room for beside the pins."""
    wanted = k if shaping is None else k - len(shaping.pins)
    codes, scores, fallback = _answer(question, shaping, k + CANDIDATES)
    codes, scores, exploration = draw_places(codes, scores, wanted, server.chance)
    items = list_recommended(question.snapshot.items, codes, scores)
    if exploration is not None:
        drawn = items[wanted - exploration.places :]
        for row in drawn:
            row.propensity = exploration.propensity
        exploration = exploration._replace(marks=tuple(mark_item(row.item) for row in drawn))
    return items, fallback, exploration


def _read_question(
    server: Server, snapshot: Snapshot, asked: m.RecommendRequest, policy: str, unknown: list[Id]
) -> Question:
    model, user = snapshot.model, asked.user
    if user is None and asked.history is None:
        raise Refusal(422, "give a user, a history, or both", "user")
    options: dict[str, Any] = {"exclude_seen": asked.exclude_seen, **read_filters(model, asked, policy, unknown)}
    if user is None:
        history = Single(history=_read_history(server, model, asked.history or [], policy, unknown))
        return Question(snapshot, None, history, options)
    name = server.naming.name_user(snapshot, user, "user")
    _check_known(snapshot, [name], [user], policy, "user")
    if asked.history:
        snapshot = snapshot.after(_read_visit(snapshot, name, asked.history, policy, unknown))
    return Question(snapshot, name, None, options)


def _find_reasons(model: Recommender) -> Callable[[Snapshot, Any, Id], list[m.Reason]] | None:
    """Returns the kind of reasons that a model can give; None if it gives none."""
    if "explain" in model.capabilities:
        return _reasons
    return _feature_reasons if hasattr(model, "explain_features") else None


def _feature_reasons(snapshot: Snapshot, who: Any, item: Id, n: int = 3) -> list[m.Reason]:
    reasons = snapshot.explain_features(who, item, n)
    parts = zip(reasons.features.tolist(), reasons.values.tolist(), reasons.contributions.tolist(), strict=True)
    return [m.Reason(part, feature=name, value=None if value != value else value) for name, value, part in parts]


def _reasons(snapshot: Snapshot, who: Any, item: Id, n: int = 3) -> list[m.Reason]:
    items = snapshot.items
    most = n if items.shown is None else None
    is_user = isinstance(who, int | str)
    reasons = snapshot.explain(who, item, most) if is_user else snapshot.model.explain(who, item, most)
    parts = zip(reasons.items.tolist(), reasons.contributions.tolist(), strict=True)
    shown = [(given, part) for given, part in parts if items.is_shown(given)][:n]
    return [m.Reason(part, given, items.title_of(given)) for given, part in shown]


def _read_visit(snapshot: Snapshot, user: Id, given: list[Any], policy: str, unknown: list[Id]) -> list[Event]:
    """Reads a visit of a user as events that follow those of the snapshot."""
    ids, values = _read_entries(snapshot.model, given)
    codes = known_codes(snapshot.model, ids, policy, "history", unknown)
    known = [(item, value) for item, value, code in zip(ids, values, codes, strict=True) if code >= 0]
    return [Event(user, item, value, seq=seq) for seq, (item, value) in enumerate(known, snapshot.seq + 1)]


def _read_entries(model: Recommender, given: list[Any]) -> tuple[list[Id], list[float]]:
    """Reads the items and values of a history."""
    ids = [entry.item if isinstance(entry, m.Entry) else entry for entry in given]
    values = [entry.value if isinstance(entry, m.Entry) else 1.0 for entry in given]
    check_event_values(model, values, "history", ".value")
    return ids, values


def _read_history(server: Server, model: Recommender, given: list[Any], policy: str, unknown: list[Id]) -> HistoryRow:
    """Reads the history of a request, the newest item last; repeated items are merged like events."""
    ids, values = _read_entries(model, given)
    codes = known_codes(model, ids, policy, "history", unknown)
    kept = codes >= 0
    assert server.updater is not None
    row = merge_values(codes[kept], np.array(values, np.float32)[kept], server.updater.policy_of(model))
    order = order_of_list(codes[kept]) if model.reads_order else None
    return HistoryRow(readonly(row.codes), readonly(row.values), order)


def _check_known(snapshot: Snapshot, names: list[Id], users: list[Id], policy: str, field: str) -> None:
    if policy == "error":
        for place, (name, user) in enumerate(zip(names, users, strict=True)):
            if not snapshot.knows(name):
                said = "" if snapshot.model.has_users else ": the model keeps no users, send a history instead"
                raise Refusal(404, f"unknown user {user!r}{said}", field if field == "user" else f"{field}[{place}]")


async def recommend_batch(server: Server, request: Request) -> Answer:
    """POST /batch."""
    asked = await server.bodies.read(request, m.BatchRequest)
    snapshot = await server.snapshot(parse_seq(request))
    unknown: list[Id] = []
    names, filters, shaping = await server.line.run(_check_batch, server, snapshot, asked, unknown)
    step = max(1, ROWS_AT_ONCE // asked.k)
    parts = await server.line.run_parts(
        [
            functools.partial(
                _answer_rows, snapshot, asked, filters, shaping, names[n : n + step], asked.users[n : n + step]
            )
            for n in range(0, len(names), step)
        ]
    )
    rows = [msgspec.Raw(row) for part in parts for row in part]
    name = server.name_answer(asked.scenario, snapshot.version)
    return make_answer(m.BatchAnswer(rows, snapshot.version, snapshot.seq, unknown, name))


def _check_batch(
    server: Server, snapshot: Snapshot, asked: m.BatchRequest, unknown: list[Id]
) -> tuple[list[Id], dict[str, Any], Shaping | None]:
    policy = asked.on_unknown or server.settings.on_unknown
    names = server.naming.name_users(snapshot, asked.users, "users")
    _check_known(snapshot, names, asked.users, policy, "users")
    if len(asked.users) * asked.k > m.LARGEST_ANSWER:
        raise Refusal(422, f"users times k may be {m.LARGEST_ANSWER}, got {len(asked.users)} users", "k")
    filters = read_filters(snapshot.model, asked, policy, unknown)
    return names, filters, read_shaping(snapshot, asked, policy, unknown) if asked.is_shaped else None


def _answer_rows(
    snapshot: Snapshot,
    asked: m.BatchRequest,
    filters: dict[str, Any],
    shaping: Shaping | None,
    names: list[Id],
    users: list[Id],
) -> list[bytes]:
    """Returns the rows of some of the users, as they are sent: asked by their names here, told by their ids."""
    options = {"exclude_seen": asked.exclude_seen, "on_unknown": "popular", **filters}
    if shaping is None:
        top = snapshot.recommend(names, asked.k, **options)
    else:
        top = shaping.answer(
            lambda length, within: snapshot.recommend(names, length, within=within, **options), asked.k
        )
    counts = top.valid.sum(axis=1).tolist()
    parts = zip(users, top.items.tolist(), top.scores.tolist(), counts, top.fallback.tolist(), strict=True)
    rows = [m.BatchRow(user, ids[:n], scores[:n], popular) for user, ids, scores, n, popular in parts]
    if shaping is not None and shaping.pins:
        for row in rows:
            row.items = shaping.with_pins(row.items, lambda item: item, asked.k)
            row.scores = shaping.with_pins(row.scores, lambda item: 0.0, asked.k)
    return list(map(encode_json, rows))
