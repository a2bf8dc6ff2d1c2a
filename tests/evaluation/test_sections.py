"""The sections of a page about an evaluation."""

import re

import numpy as np

import fastrec as fr


def test_a_page_of_one_model_has_no_comparison(tmp_path):
    report = fr.evaluate(fr.Popularity().fit(np.eye(3)), np.eye(3)[[1, 2, 0]], ["ndcg@1", "coverage@1"])
    report.save(tmp_path / "r.html")
    assert "differences" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_page_gives_wide_tables_its_width_and_keeps_columns_few(tmp_path):
    rng = np.random.default_rng(0)
    data = fr.Interactions(rng.integers(0, 60, 900), rng.integers(0, 30, 900), duplicates="sum")
    train, test = fr.split_random(data, 0.3, 0)
    model = fr.Popularity().fit(train)
    metrics = ["ndcg@5", "recall@5", "recall@10", "map@5", "auc@5", "novelty@5"]
    fr.evaluate({"a": model, "b": model, "c": model}, test, metrics, item_groups="popularity").save(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    body = page[page.index("<main>") :]
    grids = re.findall(r'<div class="grid">(.*?)</div>', body, flags=re.DOTALL)
    assert not any("<table" in grid for grid in grids)  # all of these tables are wide
    for table in re.findall("<table.*?</table>", body, flags=re.DOTALL):
        assert table.count('scope="col"') <= 5
    assert '<span class="interval">[' in page
