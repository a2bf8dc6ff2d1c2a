"""What can be asked, and which scope it needs: one table for routing, the API's description, the docs and the tests."""

from typing import NamedTuple

from fastrec.serving.access import Scope


class Endpoint(NamedTuple):
    """A method of a path.

    Parameters
    ----------
    method
        Of HTTP; what is got can be asked for its head alone.
    path
        As it is described, with the names of its parts in braces.
    handler
        The method of `Server` that answers.
    scope
        What a token must be for; None: anybody may ask.
    by_user
        Whether the scope is needed only where a user is named; a history that a request brings is nobody's secret.
    """

    method: str
    path: str
    handler: str
    scope: Scope | None = None
    by_user: bool = False

    @property
    def always(self) -> Scope | None:
        """The scope that every request for it needs, whatever it asks."""
        return None if self.by_user else self.scope


ROUTES = (
    Endpoint("POST", "/recommend", "recommend", Scope.read, by_user=True),
    Endpoint("POST", "/batch", "batch", Scope.read),
    Endpoint("POST", "/events", "events", Scope.write),
    Endpoint("GET", "/users", "users", Scope.read),
    Endpoint("GET", "/users/{id}", "history", Scope.read),
    Endpoint("DELETE", "/users/{id}", "delete_user", Scope.admin),
    Endpoint("GET", "/metrics", "metrics_text", Scope.read),
    Endpoint("GET", "/similar", "similar"),
    Endpoint("GET", "/items", "items"),
    Endpoint("GET", "/model", "model"),
    Endpoint("GET", "/healthz", "healthz"),
    Endpoint("GET", "/readyz", "readyz"),
    Endpoint("GET", "/openapi.json", "openapi"),
    Endpoint("GET", "/", "page"),
    Endpoint("GET", "/docs", "page"),
    Endpoint("GET", "/page/{file}", "page_file"),
    Endpoint("OPTIONS", "/*", "options"),
)


def table_of_scopes() -> str:
    """The table as the docs have it."""
    rows = [(f"`{one.method} {one.path}`", _said(one)) for one in ROUTES]
    return "\n".join(["| request | scope |", "|---|---|", *(f"| {name} | {said} |" for name, said in rows)])


def _said(endpoint: Endpoint) -> str:
    if endpoint.scope is None:
        return "–"
    return f"`{endpoint.scope.value}`, where a user is named" if endpoint.by_user else f"`{endpoint.scope.value}`"
