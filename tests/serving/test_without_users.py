"""Models without users on a real server answer histories, and users by their events since."""

import pytest

import fastrec as fr
from fastrec.online.plan import SchedulePlan
from fastrec.online.schedule import check_plan
from tests.serving.asking import items_of
from tests.serving.running import InThread, Running, some_data

DATA = some_data(lambda n: f"id-{n}-xyzzy")
MODELS = {
    "private": lambda: fr.PrivateEASE(20.0, 1e-3).fit(DATA),
    "stripped": lambda: fr.strip(fr.ImplicitALS(factors=4, random_state=0).fit(DATA)),
    "popularity": lambda: fr.strip(fr.Popularity().fit(DATA)),
}


@pytest.fixture(params=MODELS, scope="module")
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    MODELS[request.param]().save(folder / "model.fastrec")
    return folder


@pytest.fixture(scope="module")
def server(place):
    with InThread(place / "model.fastrec", "--journal", place / "events.db") as server:
        yield server


def test_it_says_that_it_keeps_no_users(server):
    model = server.get("/model")[1]
    assert (model["users"], model["interactions"], model["keeps_users"]) == (0, 0, False)
    assert server.get("/users")[1]["users"] == []
    known = DATA.users.ids[0]
    status, answer, _ = server.post("/recommend", {"user": known, "on_unknown": "error"})
    assert status == 404
    assert "the model keeps no users, send a history instead" in answer["error"]["message"]
    assert server.post("/recommend", {"user": known})[1]["fallback"] is True
    assert server.get(f"/users/{known}")[0] == 404


def test_it_answers_histories_as_the_model_does(server, place):
    model, items = fr.load(place / "model.fastrec"), DATA.items.ids[[3, 5]].tolist()
    expected = model.recommend(model.histories([items]), 5)
    assert items_of(server.post("/recommend", {"history": items, "k": 5})[1]) == expected.items[0].tolist()


def test_similar_items_or_why_there_are_none(server, place):
    item = DATA.items.ids[0]
    status, answer, _ = server.get(f"/similar?item={item}")
    if place.name.startswith("popularity"):
        assert status == 409
        assert "keeps no users, so its scores of items are the same for the same users" in answer["error"]["message"]
    else:
        assert status == 200


def test_users_are_answered_by_their_events_and_forgotten_again(server, place):
    before, items = (place / "model.fastrec").read_bytes(), DATA.items.ids[[3, 5]].tolist()
    events = [{"user": "anna-4711-xyz", "item": item} for item in items]
    assert server.post("/events", {"events": events})[0] in (200, 201)
    by_user = server.post("/recommend", {"user": "anna-4711-xyz", "k": 5})[1]
    assert by_user["fallback"] is False
    assert items_of(by_user) == items_of(server.post("/recommend", {"history": items, "k": 5})[1])
    batch = server.post("/batch", {"users": ["anna-4711-xyz", "nobody"], "k": 5})[1]["results"]
    assert [row["fallback"] for row in batch] == [False, not place.name.startswith("popularity")]
    assert len(server.get("/users/anna-4711-xyz")[1]["items"]) == 2
    status, answer, _ = server.ask("DELETE", "/users/anna-4711-xyz")
    assert status == 200
    assert "the file has nothing" in str(answer)
    assert server.post("/recommend", {"user": "anna-4711-xyz"})[1]["fallback"] is True
    for path in place.iterdir():
        assert b"anna-4711-xyz" not in path.read_bytes()
    assert (place / "model.fastrec").read_bytes() == before


@pytest.mark.parametrize("plan", [SchedulePlan(checkpoint_every=5), SchedulePlan(refit_every=5)])
def test_no_new_models_can_be_planned(place, plan):
    with pytest.raises(TypeError, match="keeps no users"):
        check_plan(plan, fr.load(place / "model.fastrec"))


def test_a_server_of_which_new_models_are_planned_does_not_begin(tmp_path):
    MODELS["popularity"]().save(tmp_path / "model.fastrec")
    makes = "--versions", tmp_path / "versions", "--refit-every", "5"
    running = Running(tmp_path / "model.fastrec", "--journal", tmp_path / "e.db", *makes, wait=False)
    code, log = running.process.wait(60), running.process.stderr.read()
    running.process.stderr.close()
    assert code
    assert "keeps no users" in log
