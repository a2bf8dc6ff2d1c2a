"""The table of routes: each line has the function that answers, the allowed scopes, and the description."""

import inspect

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")

from fastrec.serving.access import Scope
from fastrec.serving.openapi import describe_api
from fastrec.serving.routes import ROUTES


def test_each_route_is_there_once():
    assert len({(one.method, one.path) for one in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("one", ROUTES, ids=lambda one: f"{one.method} {one.path}")
def test_a_handler_takes_the_server_and_the_request(one):
    assert inspect.iscoroutinefunction(one.handler)
    assert list(inspect.signature(one.handler).parameters) == ["server", "request"]
    assert one.handler.__doc__.startswith(one.method)


@pytest.mark.parametrize("one", [one for one in ROUTES if one.description], ids=lambda one: f"{one.method} {one.path}")
def test_the_description_of_a_route_follows_from_its_line(one):
    described = describe_api(ROUTES, needs_token=True)["paths"][one.path][one.method.lower()]
    assert described["summary"] == one.description.summary
    assert ("requestBody" in described) == (one.description.body is not None)
    assert ("422" in described["responses"]) == bool(one.description.body or one.description.parameters)
    assert ("security" in described) == (one.scope is not None)
    assert {f"{{{one.name}}}" for one in one.description.parameters if one.place == "path"} == {
        part for part in one.path.split("/") if part.startswith("{")
    }


def test_routes_that_tell_of_users_need_a_scope():
    assert {one.path for one in ROUTES if one.scope is None} == {
        "/similar", "/items", "/model", "/healthz", "/readyz", "/openapi.json", "/", "/docs", "/page/{file}", "/*",
    }  # fmt: skip
    assert {one.path for one in ROUTES if one.scope is Scope.admin} == {
        "/users/{id}", "/admin/checkpoint", "/admin/refit", "/admin/reload",
    }  # fmt: skip
    assert {one.path for one in ROUTES if one.scope is Scope.write} == {"/events", "/items/{id}"}
