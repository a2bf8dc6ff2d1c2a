"""The OpenAPI description agrees with the server; no request of any shape causes an internal error."""

import pytest
from hypothesis import HealthCheck, settings

pytest.importorskip("starlette", reason="needs fastrec[serve]")
schemathesis = pytest.importorskip("schemathesis")

# ruff: noqa: E402
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from fastrec.models import ImplicitALS
from fastrec.serving.openapi import describe_api
from fastrec.serving.routes import ROUTES
from tests.serving.running import InThread, some_data

CHECKS = [schemathesis.checks.not_a_server_error, response_schema_conformance, status_code_conformance]
schema = schemathesis.openapi.from_dict(describe_api(ROUTES, needs_token=False))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    ImplicitALS(factors=4, iterations=2, random_state=0, n_jobs=1).fit(some_data(int)).save(folder / "model.fastrec")
    with InThread(folder / "model.fastrec", "--journal", folder / "events.db") as server:
        yield server


@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_request_gets_a_described_answer(case, server):
    response = case.call(base_url=f"http://127.0.0.1:{server.port}")
    assert response.status_code < 500
    if response.status_code == 422:
        assert response.json()["error"]["field"]
    case.validate_response(response, checks=CHECKS)


def test_every_route_is_described():
    from fastrec.serving.app import routes_of
    from fastrec.serving.server import Server
    from fastrec.serving.settings import Settings

    routes = {
        route.path.replace(":any", "")
        for route in routes_of(Server(Settings(model="none")))
        if hasattr(route, "methods")
    }
    assert routes - {"/", "/docs", "/openapi.json", "/page/{file}", "/*"} == set(describe_api(ROUTES, False)["paths"])
