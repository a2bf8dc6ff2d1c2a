"""Every route with every kind of token: the allowed questions, and refusals that tell nothing of users."""

import itertools
import re
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")

from fastrec.models import ImplicitALS
from fastrec.serving.access import GRANTS, Access, Scope, is_short, read_tokens
from fastrec.serving.openapi import describe_api
from fastrec.serving.refusal import Refusal
from fastrec.serving.routes import ROUTES, table_of_scopes
from tests.serving.asking import without_id
from tests.serving.running import InThread, some_data

TOKENS = {scope: [f"{scope.value}-token-{age}-long-enough" for age in ("old", "new")] for scope in Scope}
BEARERS = [
    *((f"Bearer {token}", GRANTS[scope]) for scope, some in TOKENS.items() for token in some),
    (f"bearer  {TOKENS[Scope.read][0]} ", GRANTS[Scope.read]),
    *(
        (given, frozenset())
        for given in (
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            f"Basic {TOKENS[Scope.admin][0]}",
            TOKENS[Scope.admin][0],
            f"Bearer {TOKENS[Scope.admin][0][:-1]}",
            f"Bearer {TOKENS[Scope.admin][0]}x",
            f"Bearer {TOKENS[Scope.admin][0].upper()}",
            f"Bearer {TOKENS[Scope.admin][0]},{TOKENS[Scope.admin][1]}",
            f"Bearer {TOKENS[Scope.admin][0]} {TOKENS[Scope.admin][1]}",
            "Bearer " + "x" * 10_000,
        )
    ),
]
USERS = "7", "nobody", 7, "", "x" * 500, "é\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    ImplicitALS(factors=4, iterations=2, random_state=0, n_jobs=1).fit(some_data()).save(folder / "model.fastrec")
    lines = [f"{scope.value} {token}" for scope, some in TOKENS.items() for token in some]
    (folder / "tokens").write_text("# a comment\n\n" + "\n".join(lines))
    arguments = "--journal", folder / "events.db", "--token-file", folder / "tokens"
    with InThread(folder / "model.fastrec", *arguments) as server:
        yield server


def questions(one, user="7"):
    """Returns questions to a route, and whether each names a user."""
    quoted = str(user).encode().hex(" ")
    path = one.path.replace("{id}", "%" + quoted.replace(" ", "%") if quoted else "").replace("{file}", "app.js")
    if one.path == "/recommend":
        return [(path, {"user": user}, True), (path, {"user": user, "explain": True}, True),
                (path, {"user": user, "history": []}, True), (path, {"history": ["1000"], "explain": True}, False),
                (path, {"history": []}, False)]  # fmt: skip
    body = {"/batch": {"users": [user]}, "/events": {"events": [{"user": user, "item": "1000"}]}}.get(one.path)
    return [({"/similar": "/similar?item=1000"}.get(one.path, path), body, True)]


@pytest.mark.parametrize("one", ROUTES, ids=lambda one: f"{one.method} {one.path}")
def test_each_route_answers_who_has_its_scope_and_nobody_else(server, one):
    for (authorization, scopes), (path, body, named) in itertools.product(BEARERS, questions(one)):
        headers = {} if authorization is None else {"Authorization": authorization}
        status, answer, told = server.ask(one.method, path, body, **headers)
        needed = one.scope if named or not one.by_user else None
        wanted = None if needed is None or needed in scopes else 403 if scopes else 401
        assert (status if status in (401, 403) else None) == wanted, (authorization, path, body, answer)
        if wanted is None:
            assert status < 500
        if wanted == 401:
            assert told["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("one", [one for one in ROUTES if one.scope], ids=lambda one: f"{one.method} {one.path}")
def test_a_refusal_is_the_same_whoever_is_asked_about(server, one):
    """Body and headers are the same, except the clock's."""
    for authorization, scopes in BEARERS:
        if one.scope in scopes:
            continue
        headers = {} if authorization is None else {"Authorization": authorization}
        refusals = set()
        for user in USERS:
            for path, body, named in questions(one, user):
                if named:
                    status, answer, told = server.ask(one.method, path, body, **headers)
                    kept = sorted(
                        (name, value) for name, value in told.items() if name not in ("date", "server-timing")
                    )
                    refusals.add((status, str(answer), str(kept)))
        assert len(refusals) == 1


def test_two_tokens_in_one_request_are_none(server):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest("GET", "/users/7")
    for _ in range(2):
        connection.putheader("Authorization", f"Bearer {TOKENS[Scope.admin][0]}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_strangers_are_told_nothing_of_events(server):
    """The model's training data are public, and new events are not."""
    writes = {"Authorization": f"Bearer {TOKENS[Scope.write][0]}"}
    paths = "/model", "/readyz", "/items", "/similar?item=1001", "/healthz", "/openapi.json"
    asked = [*((path, None) for path in paths), *(("/recommend", {"history": some}) for some in ([], ["1000"]))]

    def ask_all():
        answers = [server.ask("GET" if body is None else "POST", path, body)[:2] for path, body in asked]
        return [(status, without_id(answer)) for status, answer in answers]

    before = ask_all()
    for user in ("7", "somebody new"):
        assert server.post("/events", {"events": [{"user": user, "item": "1001"}]}, **writes)[0] == 200
    assert before == ask_all()
    assert "seq" not in {name for name, value in before[0][1].items() if value is not None}
    reads = {"Authorization": f"Bearer {TOKENS[Scope.read][1]}"}
    assert server.get("/model", **reads)[1]["seq"] >= 2
    assert server.get("/model", **reads)[1]["may"] == ["read"]


def test_pages_of_other_sites_are_refused_what_is_private(server):
    bearer = {"Authorization": f"Bearer {TOKENS[Scope.admin][0]}", "Origin": "https://evil.example"}
    assert server.post("/recommend", {"user": "7"}, **bearer)[0] == 403
    assert server.post("/batch", {"users": ["7"]}, **bearer)[0] == 403
    told = server.post("/recommend", {"history": ["1000"]}, Origin="https://evil.example")[2]
    assert not [name for name in told if name.startswith("access-control")]


def test_the_table_is_what_the_description_and_the_docs_have():
    described = describe_api(ROUTES, needs_token=True)["paths"]
    for one in ROUTES:
        if one.path in described:
            security = described[one.path][one.method.lower()].get("security", [])
            scopes = {scope for entry in security for scope in entry.get("token", [])}
            assert scopes == ({one.scope.value} if one.scope else set())
            assert ({} in security) == one.by_user
    assert "security" not in str(describe_api(ROUTES, needs_token=False)["paths"])
    docs = Path(__file__).parents[2] / "docs" / "reference" / "serving.md"
    assert table_of_scopes() in docs.read_text(encoding="utf-8")


def test_tokens_come_from_the_environment_or_a_file(tmp_path, monkeypatch):
    for name in ("FASTREC_TOKEN", "FASTREC_READ_TOKEN", "FASTREC_WRITE_TOKEN", "FASTREC_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert read_tokens(None) == {}
    monkeypatch.setenv("FASTREC_TOKEN", " a \n")
    monkeypatch.setenv("FASTREC_READ_TOKEN", "b c")
    assert read_tokens(None) == {"admin": ("a",), "read": ("b", "c")}
    assert is_short(read_tokens(None))
    file = tmp_path / "tokens"
    file.write_text("alone\nread r1\nread r2\n# read r3\n")
    assert read_tokens(file) == {"admin": ("alone",), "read": ("r1", "r2")}
    for content, said in (
        ("", "no token"), ("read a\nread b\nread c", "at most 2"), ("all a", "one of read, write, admin"),
        ("read a\nwrite a", "twice"), ("sécret", "ASCII"), ("read a b", "one of"), ("x" * 2000, "1024"),
    ):  # fmt: skip
        file.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=re.escape(said)):
            read_tokens(file)


def test_without_tokens_the_address_decides():
    for is_local in (True, False):
        access = Access({}, is_local)
        assert bool(access.allowed([])) is is_local
        if not is_local:
            with pytest.raises(Refusal, match="only with a token"):
                access.check([], Scope.read)
