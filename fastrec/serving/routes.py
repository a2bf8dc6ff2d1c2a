"""The routes: one table for routing, access, the API's description, the docs and the tests."""

from starlette.requests import Request
from starlette.responses import Response

from fastrec.serving import messages as m
from fastrec.serving.access import Scope
from fastrec.serving.answers import encode_json
from fastrec.serving.endpoint import Description, Endpoint, Parameter
from fastrec.serving.endpoints import admin, events, items, pages, recommending, state, users
from fastrec.serving.openapi import describe_api
from fastrec.serving.server import Server

_UNKNOWN = {404: "Unknown user, with on_unknown=error"}
_TOO_MUCH = {413: "The body is too large", 408: "The body did not come in time"}
_LATER = {429: "Too much waits: try again after Retry-After seconds", 503: "Not ready, or the disk refuses"}
_UNLIKE = {404: "Unknown item", 409: "The model needs users to compare items, and keeps none"}
_PRIVATE = {
    401: "The token is missing or wrong",
    403: "The token lacks the scope, or is missing, or a page of another site asks",
}
_WRITING = _PRIVATE | {409: "There is no journal", 507: "The disk is full"}

_WORK = _PRIVATE | {
    409: "No journal or no folder of versions, a model that cannot be made again, or another process makes the models",
    429: "Another piece of work is running: try again after Retry-After seconds",
    503: "Not ready, or the disk, the journal or the store refuses",
    507: "The disk is full",
}

_LIMIT = Parameter("limit", "How many.", m.LARGEST_SEARCH)
_SEQ = Parameter(
    "fastrec-seq",
    "The answer counts the events up to this seq, which another server reported; otherwise it is 503.",
    place="header",
)
_ITEM = Parameter("id", "The item's id.", required=True, place="path")
_USER = Parameter("id", "The user's id.", required=True, place="path")


async def show_description(server: Server, request: Request) -> Response:
    """GET /openapi.json."""
    described = describe_api(ROUTES, server.access.needs_token)
    return Response(encode_json(described), media_type="application/json")


async def list_methods(server: Server, request: Request) -> Response:
    """OPTIONS *: the methods of the server."""
    return Response(status_code=204, headers={"allow": ", ".join(sorted({"HEAD", *(one.method for one in ROUTES)}))})


ROUTES = (
    Endpoint(
        "POST", "/recommend", recommending.recommend, Scope.read, by_user=True,
        description=Description(
            "The best items for one user", m.RecommendAnswer, _UNKNOWN | _TOO_MUCH | _LATER | _PRIVATE,
            "For a known user, for a history in the request, or for a user with the present visit. "
            "All events acknowledged before the request count.",
            m.RecommendRequest, parameters=[_SEQ],
        ),
    ),
    Endpoint(
        "POST", "/batch", recommending.recommend_batch, Scope.read,
        description=Description(
            "The best items for many users", m.BatchAnswer, _UNKNOWN | _TOO_MUCH | _LATER | _PRIVATE,
            "One request for many users, at a fraction of the cost.",
            m.BatchRequest, parameters=[_SEQ],
        ),
    ),
    Endpoint(
        "POST", "/events", events.append_events, Scope.write,
        description=Description(
            "Tell what users did", m.EventsAnswer, _TOO_MUCH | _LATER | _WRITING,
            "The answer comes once the events are on disk: all of them or none. An event with an id "
            "counts once, however often "
            "it is sent. Unknown users and items are accepted: users get answers at once, items are "
            "recommended from the next model on.",
            m.EventsRequest,
        ),
    ),
    Endpoint(
        "GET", "/similar", items.list_similar,
        description=Description(
            "The items nearest to an item", m.SimilarAnswer, _UNLIKE | _LATER,
            parameters=[
                Parameter("item", "The item's id, or several.", required=True), Parameter("k", "How many.", m.LARGEST_K)
            ],
        ),
    ),
    Endpoint(
        "POST", "/similar", items.list_similar_to_cart,
        description=Description(
            "The items nearest to some together", m.SimilarAnswer, _UNLIKE | _TOO_MUCH | _LATER,
            "For a cart, for example: the similarities to each of its items are added up.",
            m.SimilarRequest,
        ),
    ),
    Endpoint(
        "GET", "/items", items.list_items,
        description=Description(
            "Items by title or id", m.ItemsAnswer, _LATER, "Without a search, the most popular items.",
            parameters=[Parameter("search", "A part of the title."), _LIMIT],
        ),
    ),
    Endpoint(
        "GET", "/items/{id}", items.show_item, Scope.write,
        description=Description(
            "An item as it is", m.ItemAnswer, {404: "Unknown item, or removed"} | _LATER | _PRIVATE,
            "Its facts, and whether it is hidden.", parameters=[_ITEM, _SEQ],
        ),
    ),
    Endpoint(
        "PUT", "/items/{id}", items.put_item, Scope.write,
        description=Description(
            "Hide an item, show it, or say its facts", m.ItemAnswer, _TOO_MUCH | _LATER | _WRITING,
            "The update is on disk when this is answered. It acts at once in every worker, and for "
            "all later models. An item unknown to the model waits with its facts for the next one.",
            m.ItemRequest, parameters=[_ITEM],
        ),
    ),
    Endpoint(
        "DELETE", "/items/{id}", items.delete_item, Scope.write,
        description=Description(
            "Remove an item", m.RemovedAnswer, {404: "Unknown item"} | _LATER | _WRITING,
            "Removes it with its facts, until it is put again. Histories of users still name it.", parameters=[_ITEM],
        ),
    ),
    Endpoint(
        "GET", "/users", users.list_users, Scope.read,
        description=Description(
            "Users by how their id begins", m.UsersAnswer, _LATER | _PRIVATE,
            parameters=[Parameter("search", "The beginning."), _LIMIT, _SEQ],
        ),
    ),
    Endpoint(
        "GET", "/users/{id}", users.show_history, Scope.read,
        description=Description(
            "What a user has done", m.HistoryAnswer, {404: "Unknown user"} | _LATER | _PRIVATE,
            "Training data and events since.", parameters=[_USER, _SEQ],
        ),
    ),
    Endpoint(
        "DELETE", "/users/{id}", users.delete_user, Scope.admin,
        description=Description(
            "Forget a user", m.DeletedAnswer, _LATER | _WRITING,
            "When this is answered, the user's events are gone from the journal and its disk, and no "
            "answer uses the user's history. A model file keeps it until the next model is made.",
            parameters=[_USER],
        ),
    ),
    Endpoint("GET", "/model", state.show_model, description=Description("What is served", m.ModelAnswer, _LATER)),
    Endpoint(
        "GET", "/healthz", state.show_life, description=Description("Whether the process lives", m.StateAnswer, {})
    ),
    Endpoint(
        "GET", "/readyz", state.show_readiness,
        description=Description(
            "Whether it can answer", m.StateAnswer, {503: "Not yet"},
            "503 until the model is loaded, and while the server drains.",
        ),
    ),
    Endpoint(
        "GET", "/metrics", state.show_metrics, Scope.read,
        description=Description("Metrics for Prometheus", None, _PRIVATE, operation="metrics"),
    ),
    Endpoint(
        "POST", "/admin/checkpoint", admin.make_checkpoint, Scope.admin,
        description=Description(
            "Update the model's items now", m.WorkAnswer, _WORK,
            "Takes the events since the last model into the model and publishes it, as --checkpoint-every does.",
        ),
    ),
    Endpoint(
        "POST", "/admin/refit", admin.refit, Scope.admin,
        description=Description(
            "Fit the model anew now", m.WorkAnswer, _WORK,
            "Fits the model again to all data and events, and publishes it, as --refit-every does. "
            "The old model answers meanwhile; the answer comes when the new one is served.",
        ),
    ),
    Endpoint(
        "POST", "/admin/reload", admin.reload, Scope.admin,
        description=Description(
            "Take the newest published model now", m.WorkAnswer, _PRIVATE | {429: _WORK[429], 503: "Not ready"},
            "Every worker does this each second.",
        ),
    ),
    Endpoint("GET", "/openapi.json", show_description),
    Endpoint("GET", "/", pages.show_home),
    Endpoint("GET", "/docs", pages.show_docs),
    Endpoint("GET", "/page/{file}", pages.send_file),
    Endpoint("OPTIONS", "/*", list_methods),
)  # fmt: skip


_FIRST_PARTS = {one.path.split("/")[1] for one in ROUTES if one.path not in ("/", "/*")}
_WHOLE = {f"/{part}" for part in _FIRST_PARTS}


def label_of(path: str) -> str:
    """Returns a path in the form of metrics and logs: few different ones, and no ids.

    >>> label_of("/users/42"), label_of("/wp-login.php"), label_of("/")
    ('/users', 'other', '/')
    """
    if path in _WHOLE:
        return path
    first = path[1:].partition("/")[0]
    return f"/{first}" if first in _FIRST_PARTS or path == "/" else "other"


def table_of_scopes() -> str:
    """Returns the scopes as a table for the docs: first the endpoints that need a token."""
    routes = sorted(ROUTES, key=lambda one: one.scope is None)
    rows = [(f"`{one.method} {one.path}`", _name_scope(one)) for one in routes]
    return "\n".join(["| request | scope |", "|---|---|", *(f"| {name} | {said} |" for name, said in rows)])


def _name_scope(endpoint: Endpoint) -> str:
    if endpoint.scope is None:
        return "–"
    return f"`{endpoint.scope.value}`, where a user is named" if endpoint.by_user else f"`{endpoint.scope.value}`"
