"""The OpenAPI description, made from the table of endpoints and the messages."""

from collections.abc import Iterable
from typing import Any

import msgspec

from fastrec import __version__
from fastrec.serving import messages as m
from fastrec.serving.endpoint import Description, Endpoint, Parameter


def describe_api(endpoints: Iterable[Endpoint], needs_token: bool) -> dict[str, Any]:
    """Returns the description of all paths, in OpenAPI 3.1."""
    told = [(one, one.description) for one in endpoints if one.description is not None]
    paths: dict[str, dict[str, Any]] = {}
    for one, description in told:
        operation = _describe_operation(description)
        if needs_token and one.scope is not None:
            needed: list[dict[str, list[str]]] = [{"token": [one.scope.value]}]
            operation["security"] = [{}, *needed] if one.by_user else needed
        paths.setdefault(one.path, {})[one.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fastrec",
            "version": __version__,
            "description": "Recommendations from a fastrec model, kept up to date by the events that are posted to it. "
            "Every answer names the version of the model that gave it.",
        },
        "paths": paths,
        "components": {
            "schemas": _describe_messages([description for _, description in told]),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe_messages(descriptions: list[Description]) -> dict[str, Any]:
    kinds = [kind for one in descriptions for kind in (one.body, one.answer) if kind is not None]
    # a row is encoded alone, so no other message's type names it
    _, schemas = msgspec.json.schema_components(
        (*kinds, m.BatchRow, m.ErrorAnswer), ref_template="#/components/schemas/{name}"
    )
    return schemas


def _describe_operation(one: Description) -> dict[str, Any]:
    errors = dict(one.errors)
    if one.body is not None or one.parameters:
        errors = {422: "Malformed: the error names the field", **errors}
    operation: dict[str, Any] = {
        "summary": one.summary,
        "operationId": one.operation or one.summary.lower().replace(" ", "-"),
        "responses": {
            "200": _TEXT_ANSWER if one.answer is None else _describe_content("Done", one.answer),
            **{str(status): _describe_error(one, status, said) for status, said in sorted(errors.items())},
        },
    }
    if one.said:
        operation["description"] = one.said
    if one.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _refer_to(one.body)}}}
    if one.parameters:
        operation["parameters"] = [_describe_parameter(parameter) for parameter in one.parameters]
    return operation


_TEXT_ANSWER = {"description": "Text", "content": {"text/plain": {"schema": {"type": "string"}}}}


def _describe_error(one: Description, status: int, said: str) -> dict[str, Any]:
    """Describes an error; for readiness, "not yet" is the answer itself."""
    is_state = status == 503 and one.answer is m.StateAnswer
    return _describe_content(said, m.StateAnswer if is_state else m.ErrorAnswer)


def _describe_parameter(one: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if one.largest is not None:
        schema = {"type": "integer", "minimum": 1, "maximum": one.largest}
    return {"name": one.name, "in": one.place, "required": one.required, "schema": schema, "description": one.said}


def _describe_content(said: str, kind: type) -> dict[str, Any]:
    return {"description": said, "content": {"application/json": {"schema": _refer_to(kind)}}}


def _refer_to(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
