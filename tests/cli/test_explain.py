"""`fastrec explain`."""

import json

import numpy as np
import pytest

import fastrec as fr


def test_reasons_add_up_to_the_score(run, folder):
    model = fr.load(folder / "ratings.fastrec")
    code, out, err = run("explain", "ratings.fastrec", "-u", 3, "-i", 50, "-k", 20, "--format", "json")
    assert code == 0, err
    rows = json.loads(out)
    expected = model.explain(3, 50)
    assert [row["item"] for row in rows] == expected.items.tolist()
    np.testing.assert_array_equal(np.array([row["contribution"] for row in rows], "f4"), expected.contributions)
    assert rows[0]["title"] == f"Film, {rows[0]['item'] // 10}"
    assert "the score of 50 is" in err


def test_a_history_and_a_title_are_asked_for_too(run):
    code, out, err = run("explain", "ratings.fastrec", "--history", "10,30", "--title", "Film, 5", "--format", "json")
    assert code == 0, err
    assert {row["item"] for row in json.loads(out)} == {10, 30}


@pytest.mark.parametrize(
    "given", [["-i", "50"], ["-u", "3"], ["-u", "3", "--history", "10", "-i", "50"], ["-u", "3", "-i", "50", "-t", "x"]]
)
def test_a_question_with_too_much_or_too_little_is_wrong_usage(run, given):
    assert run("explain", "ratings.fastrec", *given)[0] == 2


def test_of_two_stages_the_features_are_told(run, tmp_path):
    code, _, err = run("train", "ratings.csv", "-o", tmp_path / "two.fastrec", "--model", "TwoStage")
    assert code == 0
    says = fr.load(tmp_path / "two.fastrec").choice_in_words()
    assert f"answers come from: {says}" in " ".join(err.split())
    assert json.loads(run("info", tmp_path / "two.fastrec", "--format", "json")[1])[0]["answers come from"] == says
    code, out, err = run("explain", tmp_path / "two.fastrec", "-u", 3, "-i", 50, "-k", 99, "--format", "json")
    assert code == 0, err
    expected = fr.load(tmp_path / "two.fastrec").explain_features(3, 50)
    assert [row["feature"] for row in json.loads(out)] == expected.features.tolist()


def test_a_model_that_cannot_explain_says_so(run, tmp_path):
    assert run("train", "ratings.csv", "-o", tmp_path / "p.fastrec", "--model", "Popularity")[0] == 0
    code, _, err = run("explain", tmp_path / "p.fastrec", "-u", 3, "-i", 50)
    assert code == 1
    assert "Popularity cannot explain" in err
