"""A server with a key of pseudonyms: clients send ids, and no file holds one."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
import fastrec as fr
from fastrec.data import pseudonym
from fastrec.serving.naming import Naming
from tests.forgetting.test_forget import holds
from tests.serving.asking import items_of
from tests.serving.running import Running, some_data

KEY = bytes(range(32))
KINDS = {"str": lambda n: f"id-{n}-xyzzy", "int": lambda n: 10**15 + n}


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """Returns a folder with a model, a key, and the data with ids."""
    data = some_data(KINDS[request.param])
    data = data._replace(items=fr.Vocabulary([f"film {n}" for n in range(data.shape[1])]))
    fr.ItemKNN().fit(data.pseudonymised(KEY)).save(tmp_path / "model.fastrec")
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "users.key").write_text(KEY.hex() + "\n")
    return tmp_path, data


def test_clients_ask_by_ids_and_no_file_has_one(place):
    folder, data = place
    user, other, *_ = data.users.ids.tolist()
    new = user + 1000 if isinstance(user, int) else "dora-2718-new"
    plain, given = fr.ItemKNN().fit(data), [folder / "model.fastrec", "--journal", folder / "events.db"]
    versions = ["--versions", folder / "versions", "--checkpoint-every", "0.2"]
    with Running(*given, *versions, "--pseudonym-key-file", folder / "key" / "users.key") as server:
        asked = server.post("/recommend", {"user": user, "k": 5, "on_unknown": "error"})[1]
        assert (asked["user"], items_of(asked)) == (user, plain.recommend(user, 5).items[0].tolist())
        batch = server.post("/batch", {"users": [other, user, new], "k": 2})[1]["results"]
        assert [(row["user"], row["fallback"]) for row in batch] == [(other, False), (user, False), (new, True)]
        status, answer, _ = server.post("/recommend", {"user": new, "on_unknown": "error"})
        assert (status, answer["error"]["message"]) == (404, f"unknown user {new!r}")
        assert server.post("/events", {"events": [{"user": new, "item": "film 3", "id": "order 7"}]})[0] == 200
        assert [seen["item"] for seen in server.get(f"/users/{new}")[1]["items"]] == ["film 3"]
        assert server.get(f"/users/{other}")[1]["user"] == str(other)
        assert server.get(f"/users?search={other}")[1]["users"] == [str(other)]
        assert server.get("/users?search=")[1]["users"] == []
        assert server.post("/recommend", {"user": 2**70})[0] == 422
        gone = server.ask("DELETE", f"/users/{user}")[1]["seq"]
        server.ask("DELETE", f"/users/{new}")
        server.wait_until(lambda: server.get("/model")[1]["model_seq"] >= gone)
        assert server.post("/recommend", {"user": user})[1]["fallback"] is True
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "key"]
    assert not [path for path in files if holds(path, [*data.users.ids.tolist(), new, KEY.hex()])]
    assert not [path for path in files if KEY in path.read_bytes()]
    left = [path for path in files if path.parent.name == "versions"]
    assert left
    assert not [path for path in left if holds(path, [pseudonym(user, KEY)])]


def test_a_model_that_knows_ids_is_not_served_with_a_key(tmp_path):
    data = some_data()
    for fitted in (fr.ItemKNN().fit(data), fr.ItemKNN().fit(data.matrix)):
        with pytest.raises(ValueError, match="knows its users by their ids"):
            Naming(KEY).check_model(fitted)
        Naming(None).check_model(fitted)


def test_a_model_with_forgotten_pseudonyms_is_served():
    model = fr.ItemKNN().fit(some_data().pseudonymised(KEY))
    fr.forget(model, model.users_.ids[:2])
    Naming(KEY).check_model(model)
