"""`fastrec recommend`."""

import csv
import io
import json

import numpy as np
import pytest

import fastrec as fr
from tests.cli.running import in_process_of_its_own


def test_ids_keep_their_type(run, folder):
    code, out, _ = run("recommend", "ratings.fastrec", "--user", "7", "-k", 3, "--format", "json")
    assert code == 0
    rows = json.loads(out)
    expected = fr.load(folder / "ratings.fastrec").recommend([7], k=3)
    assert [row["item"] for row in rows] == expected.items[0].tolist()
    assert [row["user"] for row in rows] == [7, 7, 7]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    np.testing.assert_array_equal(np.array([row["score"] for row in rows], "f4"), expected.scores[0])
    assert rows[0]["title"] == f"Film, {rows[0]['item'] // 10}"
    rows = json.loads(run("recommend", "strings.fastrec", "--user", "u7", "-k", 1, "--format", "json")[1])
    assert rows[0]["user"] == "u7"
    assert rows[0]["item"].startswith("i")


def test_an_id_of_the_wrong_kind_is_told(run):
    code, out, err = run("recommend", "ratings.fastrec", "--user", "seven")
    assert (code, out) == (1, "")
    assert err == "fastrec: the model's user ids are integers: give an integer, got 'seven'\n"
    code, _, err = run("recommend", "ratings.fastrec", "--user", 10**30)
    assert code == 1
    assert "beyond 64 bits" in err


def test_an_unknown_user_is_an_error_or_skipped(run):
    code, out, err = run("recommend", "strings.fastrec", "-u", "u1", "-u", "nobody")
    assert (code, out) == (1, "")
    assert "nobody" in err
    code, out, _ = run("recommend", "strings.fastrec", "-u", "u1", "-u", "nobody", "--skip-unknown", "--format", "csv")
    assert code == 0
    assert {row["user"] for row in csv.DictReader(io.StringIO(out))} == {"u1"}


def test_all_users_and_users_from_a_file(run, folder, tmp_path):
    rows = json.loads(run("recommend", "ratings.fastrec", "--all", "-k", 2, "--format", "json")[1])
    assert len({row["user"] for row in rows}) == 40
    (tmp_path / "ids.txt").write_text("3\n\n 5 \n")
    rows = json.loads(run("recommend", "ratings.fastrec", "--users-from", tmp_path / "ids.txt", "--format", "json")[1])
    assert {row["user"] for row in rows} == {3, 5}
    done = in_process_of_its_own(
        "recommend", folder / "ratings.fastrec", "--users-from", "-", "--format", "json", input="4\n"
    )
    assert {row["user"] for row in json.loads(done.stdout)} == {4}


def test_seen_items_come_on_request_only(run, folder):
    seen = set(fr.load(folder / "ratings.fastrec").seen_[[0]].indices)
    arguments = ["recommend", "ratings.fastrec", "-u", 1, "-k", 20, "--format", "json"]
    without = {row["item"] // 10 for row in json.loads(run(*arguments)[1])}
    included = {row["item"] // 10 for row in json.loads(run(*arguments, "--include-seen")[1])}
    assert not without & seen
    assert seen <= included


def test_all_recommendations_go_to_a_file(run, folder):
    code, _, err = run("recommend", "ratings.fastrec", "--all", "-k", 3, "-o", "all.csv")
    assert code == 0, err
    lines = (folder / "all.csv").read_text().splitlines()
    assert lines[0] == "user,item,score,rank,title"
    assert f"{len(lines) - 1:,} rows" in err


def test_a_history_is_answered_as_in_python(run, folder):
    model = fr.load(folder / "ratings.fastrec")
    code, out, err = run(
        "recommend", "ratings.fastrec", "--history", "30,50", "--history", "10", "-k", 3, "--format", "json"
    )
    assert code == 0, err
    rows = json.loads(out)
    expected = model.recommend(model.histories([[30, 50], [10]]), k=3)
    assert [row["item"] for row in rows] == expected.items.ravel().tolist()
    assert [row["history"] for row in rows] == [0, 0, 0, 1, 1, 1]
    assert "unknown" in run("recommend", "ratings.fastrec", "--history", "31")[2]


def test_items_are_allowed_and_denied(run, tmp_path):
    (tmp_path / "few.txt").write_text("10\n20\n30\n40\n")
    asked = ["recommend", "ratings.fastrec", "-u", 3, "-k", 20, "--include-seen", "--format", "json"]
    allowed = {row["item"] for row in json.loads(run(*asked, "--allow", f"@{tmp_path / 'few.txt'}", "--deny", "20")[1])}
    assert allowed == {10, 30, 40}


@pytest.mark.parametrize("given", [["-u", "1", "--history", "10"], ["--history", "10", "-o", "lists.csv"]])
def test_options_that_exclude_each_other_are_wrong_usage(run, given):
    assert run("recommend", "ratings.fastrec", *given)[0] == 2


def test_a_model_of_baskets_recommends_what_was_had(run, tmp_path):
    (tmp_path / "bought.csv").write_text("user,item,time\n1,5,1\n1,6,1\n1,5,2\n2,5,1\n2,7,1\n2,5,2\n")
    assert run("train", tmp_path / "bought.csv", "-o", tmp_path / "m.fastrec", "--model", "TIFUKNN")[0] == 0
    found = {
        told: [row["item"] for row in json.loads(run(*asked, *told)[1])]
        for asked in [("recommend", tmp_path / "m.fastrec", "-u", 1, "--format", "json")]
        for told in ((), ("--include-seen",), ("--exclude-seen",))
    }
    assert found == {(): [5, 6, 7], ("--include-seen",): [5, 6, 7], ("--exclude-seen",): [7]}
    code, out, err = run(
        "compare",
        tmp_path / "bought.csv",
        "--model",
        "TIFUKNN",
        "--split",
        "baskets",
        "-m",
        "recall@1",
        "--format",
        "csv",
    )
    assert (code, len(out.splitlines())) == (0, 3), err
    assert "split (baskets): 4 for training, 2 for testing" in err
    assert ",1.0," in out
    shared = ("compare", tmp_path / "bought.csv", "--model", "TIFUKNN:basket_gap=1", "--basket-gap", "1")
    code, _, err = run(*shared, "--split", "baskets")
    assert (code, "no user has more baskets than 1" in err) == (1, True), "a gap of 1 joins the two days"
    code, _, err = run(*shared, "--split", "last")
    assert (code, "add it, or leave this out" in err) == (2, True)
