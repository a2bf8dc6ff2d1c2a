"""Users over HTTP."""

from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")


def test_a_deleted_user_is_forgotten(server, folder):
    server.post("/events", {"events": [{"user": "to be deleted", "item": "1001"}, {"user": "30", "item": "1001"}]})
    assert server.get("/users/to%20be%20deleted")[0] == 200
    status, answer, _ = server.ask("DELETE", "/users/to%20be%20deleted")
    assert status == 200
    assert "nothing" in answer["model"]
    assert server.get("/users/to%20be%20deleted")[0] == 404
    assert all(b"to be deleted" not in path.read_bytes() for path in folder.glob("events.db*"))
    assert "until the next model" in server.ask("DELETE", "/users/30")[1]["model"]
    assert server.post("/recommend", {"user": "30"})[1]["fallback"]


@pytest.mark.parametrize("user", ["a/b", "a\n", "a\nb", "..", "%", "é"])
def test_any_id_is_looked_at_and_deleted_and_no_other(server, user):
    url = "/users/" + quote(user, safe="")
    beside = [user + "\n", user[:-1] or "x", user.strip() + "/"]
    assert server.get(url)[0] == 404
    server.post("/events", {"events": [{"user": one, "item": "1001"} for one in (user, *beside)]})
    assert server.get(url)[1]["user"] == user
    assert server.ask("DELETE", url)[0] == 200
    assert server.get(url)[0] == 404
    for one in {*beside} - {user}:
        assert server.get("/users/" + quote(one, safe=""))[1]["user"] == one
        server.ask("DELETE", "/users/" + quote(one, safe=""))


def test_an_unknown_user_is_deleted_without_a_trace(server):
    before = server.get("/model")[1]["seq"]
    status, answer, _ = server.ask("DELETE", "/users/never%20heard%20of")
    assert (status, answer["model"]) == (200, "nothing was known of the user")
    assert server.get("/model")[1]["seq"] == before


def test_bytes_that_are_no_text_name_nobody(server):
    server.post("/events", {"events": [{"user": "\ufffd", "item": "1001"}]})
    assert server.ask("DELETE", "/users/%ff")[1]["error"]["field"] == "id"
    assert server.get("/users/%EF%BF%BD")[1]["total"] == 1
