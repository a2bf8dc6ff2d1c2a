"""`fastrec demo`."""

import numpy as np
import pytest

import fastrec as fr


@pytest.fixture
def small_films(monkeypatch):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(3)
    cells = np.argwhere(np.kron(np.eye(2), np.ones((30, 20))) * (rng.random((60, 40)) < 0.5))
    data = fr.Interactions(
        cells[:, 0],
        cells[:, 1],
        rng.integers(1, 6, len(cells)),
        rng.permutation(len(cells)) + 900_000_000,
        users=np.arange(60) + 100,
        items=np.arange(40) + 1,
        time_unit="s",
        item_info={"title": ["Star Wars (1977)", *(f"<Film> {i}" for i in range(39))]},
    )
    monkeypatch.setattr(fr.datasets, "movielens_100k", lambda: data)


def test_demo_says_what_it_does_and_writes_one_page(run, small_films, tmp_path):
    code, out, err = run("demo", "--folder", tmp_path / "new")
    assert code == 0, err
    for words in (
        "users",
        "density",
        "time span",
        "ndcg@10",
        "ImplicitALS",
        "AutoRecommender's",
        "Popularity",
        "Star Wars (1977)",
    ):
        assert words in out, words
    assert out.count("liked before") == 3
    assert "same recommendations" in out
    assert err.count("loss") == 15, "a line per epoch in a pipe"
    text = (tmp_path / "new" / "demo-report.html").read_text(encoding="utf-8")
    assert text.count("<img") == 3
    assert "&lt;Film&gt;" in text
    assert "<Film>" not in text
    assert "http" not in text.replace("http://www.w3.org", "")
    model = fr.load(tmp_path / "new" / "demo.fastrec")
    assert type(model).__name__ == "ImplicitALS"
