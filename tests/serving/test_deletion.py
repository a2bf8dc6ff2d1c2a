"""A deletion on a real server: its cost is stated before, and the server answers while it is done."""

import os

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
import fastrec as fr
from tests.serving.running import Running, some_data

DATA = some_data(lambda n: f"id-{n}-xyzzy")
GONE, STAYS = DATA.users.ids[[3, 5]].tolist()
# The fit that a deletion costs, made as slow as the test wants it: it waits for a file.
SLOW = """
import pathlib, time
import fastrec.online.updating as updating

forget_users, here = updating.forget_users, pathlib.Path(__file__).parent

def slowly(*arguments):
    (here / "began").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
    return forget_users(*arguments)

updating.forget_users = slowly
"""


def test_the_server_answers_while_a_model_is_fitted_without_a_user(tmp_path):
    hooks, versions = tmp_path / "hooks", tmp_path / "versions"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(SLOW)
    fr.EASE().fit(DATA).save(tmp_path / "m.fastrec")
    given = [
        tmp_path / "m.fastrec",
        "--journal",
        tmp_path / "e.db",
        "--versions",
        versions,
        "--checkpoint-every",
        "0.2",
    ]
    with Running(
        *given, environment={"PYTHONPATH": f"{hooks}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    ) as server:
        status, answer, _ = server.ask("DELETE", f"/users/{GONE}")
        assert status == 200
        assert f"It costs a fit to {DATA.n_interactions:,} entries" in answer["model"]
        server.wait_until((hooks / "began").exists)
        for item in DATA.items.ids[:5].tolist():  # while the model is fitted
            assert server.post("/events", {"events": [{"user": STAYS, "item": item}]})[0] == 200
            rows = server.post("/recommend", {"user": STAYS, "k": 5})[1]
            assert rows["fallback"] is False
            assert item not in [row["item"] for row in rows["items"]]
            assert server.post("/recommend", {"user": GONE})[1]["fallback"] is True
            assert server.get("/model")[1]["model_seq"] < answer["seq"]
        (hooks / "go").touch()
        server.wait_until(lambda: server.get("/model")[1]["model_seq"] >= answer["seq"])
        server.wait_until(lambda: not any(GONE.encode() in path.read_bytes() for path in versions.glob("*.fastrec")))
        for path in (tmp_path / "e.db", tmp_path / "e.db-wal"):
            assert not path.exists() or GONE.encode() not in path.read_bytes()
        assert server.post("/recommend", {"user": STAYS, "k": 5})[1]["fallback"] is False
