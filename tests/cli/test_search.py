"""`fastrec search`."""

import json

import numpy as np
import pytest

import fastrec as fr


def test_search_finds_what_the_function_finds_and_saves_the_best(run, folder):
    code, out, err = run(
        *("search", "ratings.csv", "--option", "factors=2,4", "--option", "alpha=1,10", "--method", "grid"),
        *("--folds", "2", "-o", "best.fastrec", "--store", "s.jsonl", "--format", "json"),
    )
    assert code == 0, err
    rows = json.loads(out)
    data = fr.read_interactions(folder / "ratings.csv")
    found = fr.search(fr.ImplicitALS(random_state=0), {"factors": [2, 4], "alpha": [1, 10]}, data, method="grid", cv=2)
    assert [row["ndcg@10"] for row in rows] == pytest.approx([trial.score for trial in found.ranked()])
    assert [row["trial"] for row in rows] == [trial.number for trial in found.ranked()]
    assert rows[0]["factors"] == found.best_options["factors"]
    model = fr.load(folder / "best.fastrec")
    np.testing.assert_array_equal(model.item_factors_, found.model.item_factors_)
    assert "best: " in err
    assert len((folder / "s.jsonl").read_text().splitlines()) == 6
    code, out, err = run(
        *("search", "ratings.csv", "--option", "alpha=0.1..10:log", "--option", "factors=2..4", "-n", "3"),
    )
    assert code == 0, err
    assert out.splitlines()[0].split() == ["rank", "alpha", "factors", "ndcg@10", "seconds"]
    assert len(out.splitlines()) == 5
    assert "split (time)" in err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("factors", "must be like factors=32,64"),
        ("alpha=5..1", "must be low..high"),
        ("alpha=0..1:log", "must be low..high"),
        ("n_factors=3", "here it is called 'factors'"),
        ("factors=2,4 --option factors=8,16", "factors is given twice"),
        ("factors=2,4 --report nowhere/page.html", "there is no folder nowhere"),
    ],
)
def test_search_names_a_bad_option(run, option, message):
    code, _, err = run("search", "ratings.csv", "--option", *option.split())
    assert code in (1, 2)
    assert message in err
