"""The OpenAPI description, made of the messages themselves."""

from typing import Any

import msgspec

from fastrec import __version__
from fastrec.serving import messages as m
from fastrec.serving.routes import ROUTES

BODIES = (m.RecommendRequest, m.BatchRequest, m.EventsRequest)
ANSWERS = (
    m.RecommendAnswer, m.BatchAnswer, m.EventsAnswer, m.SimilarAnswer, m.ItemsAnswer, m.UsersAnswer, m.HistoryAnswer,
    m.BatchRow, m.DeletedAnswer, m.ModelAnswer, m.StateAnswer, m.ErrorAnswer,
)  # fmt: skip

_UNKNOWN = {404: "Unknown user, with on_unknown=error"}
_TOO_MUCH = {413: "The body is too large", 408: "The body did not come in time"}
_LATER = {429: "Too much waits: come again after Retry-After seconds", 503: "Not ready, or the disk refuses"}
_PRIVATE = {
    401: "The token is missing or wrong",
    403: "The token is not for this, or there is none, or a page of another site asks",
}
_WRITING = _PRIVATE | {409: "There is no journal", 507: "The disk is full"}


def describe_api(needs_token: bool) -> dict[str, Any]:
    """The description of all paths, as OpenAPI 3.1."""
    _, schemas = msgspec.json.schema_components((*BODIES, *ANSWERS), ref_template="#/components/schemas/{name}")
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "fastrec",
            "version": __version__,
            "description": "Recommendations from a fastrec model, kept up to date by the events that are posted to it. "
            "Every answer names the version of the model that gave it.",
        },
        "paths": {
            "/recommend": {
                "post": _operation(
                    "The best items for one user",
                    "For a user that the model knows or who has had events since, or for a history given in the "
                    "request. Events that were acknowledged before the request are taken into account.",
                    m.RecommendRequest, m.RecommendAnswer, _UNKNOWN | _TOO_MUCH | _LATER | _PRIVATE,
                )
            },
            "/batch": {
                "post": _operation(
                    "The best items for many users", "In one request, at a fraction of the cost.",
                    m.BatchRequest, m.BatchAnswer, _UNKNOWN | _TOO_MUCH | _LATER | _PRIVATE,
                )
            },
            "/events": {
                "post": _operation(
                    "Tell what users did",
                    "Answered once the events are on disk: all of them or none. An event with an id counts once, "
                    "however often it is sent. Unknown users and items are taken: the users are answered at once, the "
                    "items from the next model on.",
                    m.EventsRequest, m.EventsAnswer, _TOO_MUCH | _LATER | _WRITING,
                )
            },
            "/similar": {
                "get": _operation(
                    "The items nearest to an item", "", None, m.SimilarAnswer, {404: "Unknown item"} | _LATER,
                    parameters=[_query("item", True, "The item's id."), _query("k", False, "How many.", m.LARGEST_K)],
                )
            },
            "/items": {
                "get": _operation(
                    "Items by title or id", "The most popular ones, without a search.", None, m.ItemsAnswer, _LATER,
                    parameters=[_query("search", False, "A part of the title."), _LIMIT],
                )
            },
            "/users": {
                "get": _operation(
                    "Users by how their id begins", "", None, m.UsersAnswer, _LATER | _PRIVATE,
                    parameters=[_query("search", False, "The beginning."), _LIMIT],
                )
            },
            "/users/{id}": {
                "get": _operation(
                    "What a user has done", "Training data and events since.", None, m.HistoryAnswer,
                    {404: "Unknown user"} | _LATER | _PRIVATE, parameters=[_PATH_ID],
                ),
                "delete": _operation(
                    "Forget a user",
                    "The user's events are gone from the journal and its disk when this is answered, and no answer "
                    "uses the user's history any more. A model file has it until the next model is made.",
                    None, m.DeletedAnswer, _LATER | _WRITING,
                    parameters=[_PATH_ID],
                ),
            },
            "/model": {"get": _operation("What is served", "", None, m.ModelAnswer, _LATER)},
            "/healthz": {"get": _operation("Whether the process lives", "", None, m.StateAnswer, {})},
            "/readyz": {
                "get": _operation(
                    "Whether it can answer", "503 until the model is loaded, and while the server drains.",
                    None, m.StateAnswer, {503: "Not yet"},
                )
            },
            "/metrics": {
                "get": {
                    "summary": "Metrics for Prometheus",
                    "operationId": "metrics",
                    "responses": {
                        "200": {"description": "Text", "content": {"text/plain": {"schema": _TEXT}}},
                        **{str(status): _content(said, m.ErrorAnswer) for status, said in _PRIVATE.items()},
                    },
                }
            },
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip
    for one in ROUTES if needs_token else ():
        if one.scope is not None:
            needed: list[dict[str, list[str]]] = [{"token": [one.scope.value]}]
            described["paths"][one.path][one.method.lower()]["security"] = [{}, *needed] if one.by_user else needed
    return described


_TEXT = {"type": "string"}
_PATH_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "description": "The user's id."}


def _query(name: str, required: bool, said: str, largest: int | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if largest is not None:
        schema = {"type": "integer", "minimum": 1, "maximum": largest}
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": said}


_LIMIT = _query("limit", False, "How many.", 200)


def _operation(
    summary: str,
    said: str,
    body: type | None,
    answer: type,
    errors: dict[int, str],
    *,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    told = {"200": _content("Done", answer)}
    if body is not None or parameters:
        errors = {422: "Malformed: the error names the field", **errors}
    told |= {
        str(status): _content(text, m.StateAnswer if status == 503 and answer is m.StateAnswer else m.ErrorAnswer)
        for status, text in sorted(errors.items())
    }
    operation: dict[str, Any] = {
        "summary": summary,
        "operationId": summary.lower().replace(" ", "-"),
        "responses": told,
    }
    if said:
        operation["description"] = said
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _content(said: str, kind: type) -> dict[str, Any]:
    return {"description": said, "content": {"application/json": {"schema": _ref(kind)}}}


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
