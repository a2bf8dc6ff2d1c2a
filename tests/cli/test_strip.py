"""`fastrec strip`."""

import json

import fastrec as fr


def test_strip_writes_a_model_that_answers_histories_and_knows_nobody(run, tmp_path):
    shipped = tmp_path / "shipped.fastrec"
    code, out, err = run("strip", "ratings.fastrec", "-o", shipped)
    assert (code, out) == (0, "")
    assert " (before: " in err
    model = fr.load("ratings.fastrec")
    items = ",".join(map(str, model.items_.ids[:2]))
    asked = ["recommend", shipped, "--history", items, "-k", "3", "--format", "json"]
    found = json.loads(run(*asked)[1])
    asked[1] = "ratings.fastrec"
    assert found == json.loads(run(*asked)[1])
    code, _, err = run("recommend", shipped, "--user", str(model.users_.ids[0]))
    assert code == 1
    assert "keeps no users" in err
    (facts,) = json.loads(run("info", shipped, "--format", "json")[1])
    assert (facts["users"], facts["interactions"]) == (0, 0)
    assert run("strip", "ratings.fastrec", "-o", tmp_path / "nowhere" / "m.fastrec")[0] == 2
