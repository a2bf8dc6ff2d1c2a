"""The state of the server: the served model, and its problems."""

from starlette.requests import Request
from starlette.responses import Response

from fastrec import __version__
from fastrec.serving import messages as m
from fastrec.serving.access import Scope
from fastrec.serving.answers import Answer, make_answer
from fastrec.serving.metrics import CONTENT_TYPE
from fastrec.serving.server import Server


async def show_model(server: Server, request: Request) -> Answer:
    """GET /model."""
    may = server.access.allowed(request.scope["headers"])
    told = Scope.read in may
    snapshot = await server.snapshot() if told else server.snapshot_now()
    model = snapshot.model
    n_users, n_items = model.seen_.shape
    catalogue = await server.line.run(server.catalogue.get, snapshot)
    options = {
        name: value
        for name, value in model.get_params(deep=False).items()
        if value is None or isinstance(value, bool | int | float | str)
    }
    return make_answer(
        m.ModelAnswer(
            version=snapshot.version,
            model=type(model).__name__,
            users=n_users,
            items=n_items,
            interactions=int(model.seen_.nnz),
            user_ids=model.user_vocabulary.kind,
            item_ids=model.item_vocabulary.kind,
            titles=bool(model.item_info_ and "title" in model.item_info_),
            facts=snapshot.items.fact_names()[:100],
            explains="explain" in model.capabilities or hasattr(model, "explain_features"),
            reads_order=model.needs_order or model.fades,
            takes_events=server.journal is not None,
            keeps_users=model.has_users,
            needs_token=server.access.needs_token,
            shows_users=server.access.needs_token or server.is_local,
            may=sorted(scope.value for scope in may),
            typical_value=catalogue.typical_value,
            options=options,
            model_seq=snapshot.model_seq if told else None,
            seq=snapshot.seq if told else None,
            changed_users=snapshot.changed_users if told else None,
            unknown_items=snapshot.unknown_items if told else None,
            problem=_problem(server, may),
            fastrec=__version__,
        )
    )


async def show_life(server: Server, request: Request) -> Answer:
    """GET /healthz: tells that the process lives."""
    return make_answer(m.StateAnswer("alive", server.version))


async def show_readiness(server: Server, request: Request) -> Answer:
    """GET /readyz: tells whether the server can answer."""
    if server.updater is None:
        return make_answer(m.StateAnswer("loading", ""), 503, **{"retry-after": "1"})
    if server.is_draining:
        return make_answer(m.StateAnswer("draining", server.version), 503)
    return make_answer(
        m.StateAnswer("ready", server.version, _problem(server, server.access.allowed(request.scope["headers"])))
    )


def _problem(server: Server, may: frozenset[Scope]) -> str | None:
    """Returns the problem, for readers with the scope; others only learn that there is one."""
    problem = None if server.updater is None else server.updater.problem
    return problem if problem is None or Scope.read in may else "there is a problem: the log has the details"


async def show_metrics(server: Server, request: Request) -> Response:
    """GET /metrics."""
    if server.updater is not None:
        snapshot = server.updater.snapshot
        server.metrics.seq.set(snapshot.seq)
        server.metrics.model_seq.set(snapshot.model_seq)
        server.metrics.changed.set(snapshot.changed_users)
        server.metrics.held_users.set(snapshot.held_users)
        server.metrics.held_items.set(snapshot.held_items)
        server.metrics.held_events.set(snapshot.held_events)
        server.metrics.given_up.set(server.updater.given_up)
        server.metrics.problem.set(server.updater.problem is not None)
        server.metrics.waiting.set(0 if server.journal is None else server.journal.waiting)
        drift = server.leading.drift
        if drift is not None:
            server.metrics.foresees(drift.newest)
    return Response(server.metrics.text(), media_type=CONTENT_TYPE)
