"""The start of a server."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.online import Versions, open_versions
from fastrec.serving.run import publish_first
from fastrec.serving.settings import Settings
from tests.serving.asking import TOKEN, without_id
from tests.serving.running import InThread, Running, read_command


def test_the_options_of_the_command_about_ids_and_repeated_events(tmp_path, folder):
    options = ("--on-unknown", "error", "--duplicates", "max")
    with InThread(folder / "model.fastrec", "--journal", tmp_path / "e.db", *options) as server:
        assert server.post("/recommend", {"user": "nobody"})[0] == 404
        assert server.post("/recommend", {"user": "nobody", "on_unknown": "popular"})[0] == 200
        server.post("/events", {"events": [{"user": "new", "item": "1000", "value": value} for value in (1, 3, 2)]})
        assert server.get("/users/new")[1]["items"][0]["value"] == 3


def test_writing_needs_the_token(tmp_path, folder):
    (tmp_path / "token").write_text(TOKEN + "\n")
    with InThread(
        folder / "model.fastrec", "--journal", tmp_path / "e.db", "--token-file", tmp_path / "token"
    ) as server:
        events = {"events": [{"user": "1", "item": "1000"}]}
        for given in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Bearer"},
        ):
            status, _, headers = server.post("/events", events, **given)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert server.ask("DELETE", "/users/1", **given)[0] == 401
            assert server.ask("GET", "/users/1", **given)[0] == 401
        assert server.post("/events", events, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert server.ask("DELETE", "/users/1", Authorization=f"bearer {TOKEN}")[0] == 200
        # With lists and their filters, anybody could rebuild a user's history; a history in the request is no secret.
        for asked in ({"user": "2"}, {"user": "2", "explain": True}, {"user": "nobody"}):
            assert server.post("/recommend", asked)[0] == 401
        assert server.post("/batch", {"users": ["2"]})[0] == 401
        assert server.post("/recommend", {"history": ["1000"], "explain": True})[0] == 200
        reasons = server.post("/recommend", {"user": "2", "explain": True}, Authorization=f"Bearer {TOKEN}")[1]
        assert reasons["items"][0]["why"]
        assert server.post("/recommend", {"history": []}, Host="recommender.example")[0] == 200


def test_without_a_token_others_see_no_histories(folder):
    with InThread(folder / "model.fastrec", "--host", "0.0.0.0") as server:
        assert server.post("/recommend", {"history": ["1000"]}, Host="shop.example")[0] == 200
        assert server.get("/model")[1]["shows_users"] is False
        for path in ("/users", "/users/1"):
            status, answer, _ = server.get(path)
            assert (status, "token" in answer["error"]["message"]) == (403, True)
        assert server.post("/recommend", {"user": "1"})[0] == 403
        assert server.post("/batch", {"users": ["1"]})[0] == 403


def test_no_server_for_everybody_without_a_token(tmp_path, folder):
    with pytest.raises(ValueError, match="--token-file"):
        read_command([folder / "model.fastrec", "--journal", tmp_path / "e.db", "--host", "0.0.0.0"])


def test_a_token_that_no_header_carries_is_refused_at_the_start(folder, monkeypatch):
    monkeypatch.setenv("FASTREC_TOKEN", "sécret")
    with pytest.raises(ValueError, match="ASCII"):
        read_command([folder / "model.fastrec"])


def test_a_folder_with_a_version_says_that_the_file_is_not_served(tmp_path, folder, caplog):
    for version in ("v000001", "v000001"):
        publish_first(Settings(model=str(folder / "model.fastrec")), str(tmp_path))
        assert Versions(tmp_path).current() == version
    assert "already has v000001" in caplog.text


def test_two_servers_publish_in_a_store_and_take_from_it(tmp_path, folder, s3):
    journal = "--journal", tmp_path / "e.db"
    makes = "--versions", s3, "--checkpoint-every", "0.2"
    with (
        InThread(folder / "model.fastrec", *journal, *makes, "--cache", tmp_path / "near") as near,
        InThread(s3, *journal, environment={"FASTREC_CACHE": str(tmp_path / "far")}) as far,
    ):
        near.post("/events", {"events": [{"user": "new", "item": "1000"}]})
        for server in (near, far):
            server.wait_until(lambda server=server: server.get("/model")[1]["model_seq"] == 1)
        answers = [without_id(server.post("/recommend", {"user": "new"})[1]) for server in (near, far)]
        assert answers[0] == answers[1]
    version = open_versions(s3, cache=tmp_path / "own").current()
    assert answers[0]["version"] == version
    assert [path.name for path in (tmp_path / "near").iterdir()] == [f"{version}.fastrec"]
    assert [path.name for path in (tmp_path / "far").rglob("*.fastrec")] == [f"{version}.fastrec"]


def test_a_store_without_a_version_is_told(tmp_path, s3):
    with Running(s3, "--cache", tmp_path, wait=False) as server:
        assert server.process.wait(60) == 3
        assert f"{s3} has no published model" in server.process.communicate()[1]
