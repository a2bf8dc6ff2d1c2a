"""`fastrec evaluate`."""

import csv
import io
import json

import pytest

import fastrec as fr
from tests.cli.running import write_table


@pytest.mark.parametrize("split", ["auto", "time", "random", "last"])
def test_evaluate_splits_a_table(run, split):
    arguments = ["evaluate", "ratings.csv", "-f", 4, "--split", split, "-m", "ndcg@5, recall@5", "--format", "json"]
    code, out, err = run(*arguments)
    assert code == 0
    rows = json.loads(out)
    assert [(row["model"], row["metric"]) for row in rows] == [
        (model, metric) for model in ("ImplicitALS", "Popularity") for metric in ("ndcg@5", "recall@5")
    ]
    assert all(0 <= row["low"] <= row["mean"] <= row["high"] <= 1 for row in rows)
    assert f"split ({'time' if split == 'auto' else split})" in err


def test_evaluate_lets_a_contest_find_the_model(run):
    code, out, err = run("evaluate", "ratings.csv", "--budget", "1s", "--split", "random", "-m", "ndcg@5")
    assert code == 0, err
    assert "auto" in out
    assert "judged by random events" in err  # as the split does


def test_evaluate_a_model_on_a_table(run, folder, tmp_path):
    train = write_table(tmp_path / "train.csv", seed=1)
    test = write_table(tmp_path / "test.csv", seed=2)
    model = tmp_path / "m.fastrec"
    assert run("train", train, "-o", model, "-f", 4)[0] == 0
    code, out, _ = run("evaluate", model, test, "-m", "ndcg@5", "--format", "csv")
    assert code == 0
    (row,) = csv.DictReader(io.StringIO(out))
    expected = fr.evaluate(fr.load(model), fr.read_interactions(test), "ndcg@5")
    assert float(row["mean"]) == expected.mean("ndcg@5")


def test_evaluate_reads_a_table_in_the_kind_of_the_models_ids(run, tmp_path):
    (tmp_path / "train.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(9) for i in (10, "X9")))
    (tmp_path / "test.csv").write_text("user,item\n1,20\n2,20\n3,10\n")
    (tmp_path / "items.csv").write_text("item,title\n10,Ten\n20,Twenty\n")
    model = tmp_path / "m.fastrec"
    assert run("train", tmp_path / "train.csv", "-o", model, "-f", 2, "--items", tmp_path / "items.csv")[0] == 0
    assert "Ten" in run("similar", model, "--item", "X9")[1]
    code, out, err = run("evaluate", model, tmp_path / "test.csv", "-m", "ndcg@5", "--include-seen", "--format", "csv")
    assert (code, len(out.splitlines())) == (0, 2), err


def test_evaluate_writes_a_page(run, tmp_path):
    code, _, err = run("evaluate", "ratings.csv", "-f", 4, "--split", "random", "--report", tmp_path / "r.html")
    assert code == 0
    assert "</html>" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "r.html written" in err


def test_evaluate_takes_any_model(run):
    code, out, err = run(
        "evaluate", "ratings.csv", "--model", "EASE", "--option", "regularization=10", "--format", "json"
    )
    assert code == 0, err
    assert {row["model"] for row in json.loads(out)} == {"EASE", "Popularity"}


def test_compare_fits_several_models_on_one_split(run, tmp_path):
    page = tmp_path / "report.html"
    models = ["--model", "EASE", "--model", "ImplicitALS:factors=2", "--model", "ImplicitALS:factors=4,iterations=2"]
    code, out, err = run("compare", "ratings.csv", *models, "-m", "ndcg@5", "--report", page)
    assert code == 0, err
    for name in ("EASE", "ImplicitALS(factors=2)", "ImplicitALS(factors=4, iterations=2)", "Popularity"):
        assert name in out
    assert "p (Holm)" in out
    assert "EASE - ImplicitALS(factors=2)" in out
    assert page.exists()
    code, _, err = run("compare", "ratings.csv", "--model", "EASE:factors=2")
    assert code == 2
    assert "EASE has no option 'factors'" in " ".join(err.split())


def test_compare_has_models_of_its_own(run):
    code, out, err = run("compare", "ratings.csv", "-m", "ndcg@5", "--format", "json")
    assert code == 0, err
    fitted = {row["model"] for row in json.loads(out)}
    assert fitted == {"ItemKNN", "EASE", "ImplicitALS", "GraphFilter", "SequenceRules", "Popularity"}


def test_a_page_names_its_file_and_split(run, folder):
    pytest.importorskip("matplotlib")
    for options, split in (([], "by time, the last 20 %"), (["--split", "last"], "the last item of each user")):
        code, _, err = run("compare", "ratings.csv", "--model", "EASE", "--report", "page.html", *options)
        assert code == 0, err
        text = (folder / "page.html").read_text(encoding="utf-8")
        assert "<dd>ratings.csv</dd>" in text
        assert f"<dd>{split}</dd>" in text
        assert "<dd>EASE()</dd>" in text


def test_errors_are_reported_before_any_fit(run):
    for arguments, message in (
        (["--model", "EASE", "--model", "ItemKNN", "--model", "EASE"], "EASE() is given twice"),
        (["--model", "EASE", "--report", "nowhere/page.html"], "there is no folder nowhere"),
        (["--model", "EASE:regularization=1,regularization=2"], "regularization is given twice"),
    ):
        code, out, err = run("compare", "ratings.csv", *arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert "fitting" not in err
