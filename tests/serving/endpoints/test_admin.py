"""The requests of an operator."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.online import Versions
from tests.serving.running import InThread

ADMIN, OTHERS = {"Authorization": "Bearer the-operators"}, ("the-readers", "the-writers", "nobodys")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("admin")
    (place / "tokens").write_text("admin the-operators\nread the-readers\nwrite the-writers\n")
    return place


@pytest.fixture(scope="module")
def server(folder, place):
    options = "--journal", place / "events.db", "--versions", place / "models", "--token-file", place / "tokens"
    with InThread(folder / "model.fastrec", *options) as server:
        yield server


def ask(server, what, **headers):
    return server.ask("POST", f"/admin/{what}", **(headers or ADMIN))


def test_a_checkpoint_a_refit_and_a_reload_say_what_they_did(server, place):
    status, answer, told = ask(server, "checkpoint")
    assert (status, answer["done"], answer["version"]) == (200, False, "v000001")
    assert "all events up to 0" in answer["said"]

    events = {"events": [{"user": "new", "item": f"{1000 + n}"} for n in range(5)]}
    assert server.post("/events", events, **ADMIN)[0] == 200
    status, answer, told = ask(server, "checkpoint")
    assert (status, answer["done"], answer["version"], answer["model_seq"]) == (200, True, "v000002", 5)
    assert told["fastrec-version"] == "v000002"
    assert "the events after 0" in answer["said"]
    assert server.get("/model", **ADMIN)[1]["model_seq"] == 5

    answer = ask(server, "refit")[1]
    assert (answer["done"], answer["version"]) == (True, "v000003")
    assert 'fastrec_models_total{how="refit"} 1.0' in server.get("/metrics", **ADMIN)[1].decode()

    answer = ask(server, "reload")[1]
    assert (answer["done"], answer["said"]) == (False, "there is no newer model")
    versions = Versions(place / "models")
    versions.publish(versions.load().model, marks=versions.load().marks)
    answers = [ask(server, "reload")[1] for _ in range(2)]  # one of the server's own looks may come before the first
    assert {answer["version"] for answer in answers} == {"v000004"}


def test_a_client_without_the_token_is_told_nothing(server):
    for token in OTHERS:
        refusals = set()
        for what in ("checkpoint", "refit", "reload"):
            status, answer, _ = ask(server, what, Authorization=f"Bearer {token}")
            refusals.add((status, str(answer)))
            assert answer["error"].keys() == {"message"}
        assert len(refusals) == 1  # every request is noted, whether it could be done or not
        assert refusals.pop()[0] == (401 if token == "nobodys" else 403)
    assert ask(server, "refit", Origin="https://elsewhere.example", **ADMIN)[0] == 403


def test_an_operation_that_cannot_be_done_says_why(tmp_path, folder):
    with InThread(folder / "model.fastrec") as server:
        status, answer, _ = ask(server, "checkpoint")
        assert (status, "need a journal and versions" in answer["error"]["message"]) == (409, True)
        assert ask(server, "reload")[1]["done"] is False


def test_a_bad_model_is_told_to_who_reloads_it(tmp_path, folder):
    path = tmp_path / "model.fastrec"
    path.write_bytes((folder / "model.fastrec").read_bytes())
    with InThread(path) as server:
        path.write_bytes(b"no model")
        for _ in range(2):
            answer = ask(server, "reload")[1]
            assert (answer["done"], "FileError" in answer["said"]) == (False, True)
