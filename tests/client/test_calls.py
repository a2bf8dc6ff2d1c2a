"""The calls of the client are the endpoints of the server's description, with their parameters, bodies and answers."""

import inspect

import pytest

pytest.importorskip("httpx", reason="needs fastrec[client]")
pytest.importorskip("starlette", reason="needs fastrec[serve]")

from fastrec.client import AsyncClient, BatchRows, Client, calls
from fastrec.client.calls import Call
from fastrec.serving import messages as m
from fastrec.serving.openapi import describe_api
from fastrec.serving.routes import ROUTES

EXAMPLES = {
    "recommend": calls.recommend(m.RecommendRequest(user="1"), seq=3),
    "recommend_batch": calls.recommend_batch(m.BatchRequest(users=["1"]), seq=3),
    "send_events": calls.send_events([m.NewEvent("1", "1000")]),
    "similar_items": calls.similar_items("1000"),
    "similar_to_items": calls.similar_to_items(m.SimilarRequest(items=["1000", "1001"])),
    "find_items": calls.find_items("film"),
    "get_item": calls.get_item("1000", seq=3),
    "put_item": calls.put_item("1000", m.ItemRequest()),
    "delete_item": calls.delete_item("1000"),
    "find_users": calls.find_users("1", seq=3),
    "get_history": calls.get_history("1", seq=3),
    "delete_user": calls.delete_user("1"),
    **{name: getattr(calls, name)() for name in (
        "get_model", "get_health", "get_readiness", "get_metrics", "make_checkpoint", "refit", "reload",
    )},
}  # fmt: skip
DESCRIBED = {(one.method, one.path): one.description for one in ROUTES if one.description is not None}


def test_each_endpoint_of_the_description_has_a_call_and_each_call_is_a_method():
    described = describe_api(ROUTES, needs_token=False)["paths"]
    endpoints = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert {(call.method, call.template) for call in EXAMPLES.values()} == endpoints
    built = {
        name for name, value in vars(calls).items() if inspect.isfunction(value) and value.__module__ == calls.__name__
    }
    assert built == set(EXAMPLES)
    for kind in (Client, AsyncClient):
        assert {name for name in vars(kind) if hasattr(vars(kind)[name], "build")} == built
        for name in built:
            assert vars(kind)[name].build is getattr(calls, name)
            assert getattr(kind, name).__doc__ == getattr(calls, name).__doc__


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_call_is_what_the_description_says(name):
    call = EXAMPLES[name]
    described = DESCRIBED[call.method, call.template]
    places = {
        place: {one.name for one in described.parameters if one.place == place} for place in ("query", "path", "header")
    }
    assert set(call.parameters) == places["query"]
    assert set(call.parts) == places["path"]
    assert set(call.headers) == places["header"]
    assert (None if call.body is None else type(call.body)) is described.body
    answers = {None: str, m.BatchAnswer: BatchRows}
    assert call.answer is answers.get(described.answer, described.answer)


def test_an_id_in_a_path_is_whatever_it_is():
    for given, path in (
        ("a/b ?ü", "/users/a%2Fb%20%3F%C3%BC"),
        (42, "/users/42"),
        ("..", "/users/.."),
        ("", "/users/"),
    ):
        assert calls.get_history(given).path == path
    assert Call("GET", "/x", str).path == "/x"
