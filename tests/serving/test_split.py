"""Two models at once."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from fastrec.models import ImplicitALS, Popularity, load
from fastrec.serving.recommendation import parse_model
from fastrec.serving.run import check_models
from fastrec.serving.settings import Settings
from fastrec.serving.shares import Shares
from tests.serving.asking import items_of
from tests.serving.running import InThread, some_data

SHARES = Shares([0.6, 0.4], "test")
USERS = [str(n) for n in range(30)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("split")
    ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(some_data()).save(place / "als.fastrec")
    Popularity().fit(some_data()).save(place / "popular.fastrec")
    return place


@pytest.fixture(scope="module")
def server(place):
    models = place / "als.fastrec", place / "popular.fastrec"
    with InThread(*models, "--share", "0.6,0.4", "--share-key", "test", "--journal", place / "e.db") as server:
        server.wait_until(lambda: server.get("/readyz")[0] == 200)
        yield server


def name_of(user):
    return ("als", "popular")[SHARES.find(user)]


def test_each_user_is_answered_by_one_model_that_is_named(server, place):
    models = {name: load(place / f"{name}.fastrec") for name in ("als", "popular")}
    for user in USERS:
        status, answer, told = server.post("/recommend", {"user": user, "k": 5})
        name = name_of(user)
        assert (status, told["fastrec-model"]) == (200, name)
        assert answer["version"].startswith(f"{name}-")
        assert items_of(answer) == models[name].recommend([user], 5).items[0].tolist()
    assert {name_of(user) for user in USERS} == {"als", "popular"}
    text = server.get("/metrics")[1].decode()
    for name in ("als", "popular"):
        assert f'fastrec_model_seconds_count{{model="{name}"}}' in text
        assert f'fastrec_model_answers_total{{model="{name}",status="200"}}' in text


def test_a_batch_is_put_together_of_both(server):
    status, answer, told = server.post("/batch", {"users": USERS, "k": 5})
    assert (status, told["fastrec-model"]) == (200, "als,popular")
    assert [(row["user"], row["model"]) for row in answer["results"]] == [(user, name_of(user)) for user in USERS]
    for row in answer["results"][:10]:
        assert row["items"] == items_of(server.post("/recommend", {"user": row["user"], "k": 5})[1])
    ids = {
        name: {row["recommendation"] for row in answer["results"] if row["model"] == name}
        for name in ("als", "popular")
    }
    assert answer["recommendation"] == ""
    for name, (one,) in ids.items():
        assert parse_model(one, ["als", "popular"]) == name
    own = [user for user in USERS if name_of(user) == "popular"]
    assert server.post("/batch", {"users": own, "k": 5})[2]["fastrec-model"] == "popular"
    unknown = next(str(n) for n in range(100, 200) if name_of(str(n)) == "popular")
    status, answer, _ = server.post("/batch", {"users": [*USERS, unknown], "on_unknown": "error"})
    assert (status, answer["error"]["field"]) == (404, f"users[{len(USERS)}]")


def test_an_event_counts_at_once_for_whichever_model_answers(server):
    for user in USERS[:6]:
        best = items_of(server.post("/recommend", {"user": user, "k": 1})[1])[0]
        status, answer, _ = server.post("/events", {"events": [{"user": user, "item": best}]})
        assert status == 200
        answer = server.post("/recommend", {"user": user, "k": 40})[1]
        assert best not in items_of(answer)
    assert server.ask("DELETE", f"/users/{USERS[0]}")[0] == 200
    assert server.ask("DELETE", f"/users/{USERS[1]}")[0] == 200
    for user in USERS[:2]:
        gone = [server.get(f"/users/{user}", **{"fastrec-model": name})[0] for name in ("als", "popular")]
        assert gone == [404, 404]


def test_a_model_may_be_named(server):
    for name, kind in (("als", "ImplicitALS"), ("popular", "Popularity")):
        status, answer, told = server.get("/model", **{"fastrec-model": name})
        assert (status, answer["model"], told["fastrec-model"]) == (200, kind, name)
        assert server.post("/recommend", {"user": "1"}, **{"fastrec-model": name})[1]["version"].startswith(name)
    assert server.get("/model")[2]["fastrec-model"] == "als"
    status, answer, _ = server.get("/model", **{"fastrec-model": "none"})
    assert (status, answer["error"]["field"]) == (422, "fastrec-model")


def test_the_problems_of_all_models_are_told(tmp_path):
    for name in ("one", "two"):
        Popularity().fit(some_data()).save(tmp_path / f"{name}.fastrec")
    with InThread(tmp_path / "one.fastrec", tmp_path / "two.fastrec", "--share", "0.5,0.5") as server:
        status, answer, _ = server.get("/readyz")
        assert (status, answer["status"], "problem" in answer) == (200, "ready", False)
        assert [part.partition("-")[0] for part in answer["version"].split(",")] == ["one", "two"]
        for name in ("one", "two"):
            (tmp_path / f"{name}.fastrec").write_bytes(b"damaged")
        server.wait_until(lambda: "two: " in server.get("/readyz")[1].get("problem", ""))
        server.wait_until(lambda: server.get("/readyz")[1]["problem"].startswith("one: "))
        assert "one: " not in server.get("/readyz", **{"fastrec-model": "two"})[1]["problem"]
        assert server.ask("POST", "/readyz")[0] == 405


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"user": 1.5}', b'{"users": "x"}', b'{"user": "1", "k": 0}'])
def test_a_malformed_question_is_refused_as_by_one_model(server, body):
    for path in ("/recommend", "/batch"):
        assert server.ask("POST", path, body)[0] == 422


def test_a_body_in_pieces_is_read_once(server):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/recommend", iter([b'{"user"', b': "3"}']), encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["fastrec-model"]) == (200, name_of("3"))
    connection.close()


def test_none_of_several_models_is_made_anew(server):
    assert server.ask("POST", "/admin/checkpoint")[0] == 409
    for settings, versions, said in (
        (Settings(model="a", beside=("b",)), None, "2 models need as many shares"),
        (Settings(model="a", shares=(0.5, 0.5)), None, "1 models need as many shares"),
        (Settings(model="x/a.fastrec", beside=("y/a",), shares=(0.5, 0.5)), None, "need different names"),
        (Settings(model="a", beside=("b",), shares=(0.5, 0.5)), "models", "makes no new ones"),
        (Settings(model="a", beside=("b",), shares=(0.5, 0.5), refit_every=9), None, "makes no new ones"),
    ):
        with pytest.raises(ValueError, match=said):
            check_models(settings, versions)
