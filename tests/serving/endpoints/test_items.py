"""Items over HTTP."""

import pytest

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("uvicorn", reason="needs fastrec[serve]")
from tests.serving.asking import items_of


def test_similar_items_and_searches(server, model):
    _, answer, _ = server.get("/similar?item=1005&k=3")
    assert items_of(answer) == model.similar_items("1005", 3).items[0].tolist()
    assert server.get("/similar?item=none")[0] == 404
    assert server.get("/similar")[1]["error"]["field"] == "item"
    assert server.get("/similar?item=1005&k=0")[1]["error"]["field"] == "k"
    _, answer, _ = server.get("/items?search=number+12&limit=5")
    assert answer["items"][0]["item"] == "1012"
    assert items_of(server.get("/items?search=1007")[1]) == ["1007"]
    counts = [row["users"] for row in server.get("/items?limit=200")[1]["items"]]
    assert len(counts) == 40
    assert counts == sorted(counts, reverse=True)
    assert server.get("/users?search=1&limit=3")[1]["users"] == ["1", "10", "11"]
