"""`fastrec compress`."""

import json
import re

import fastrec as fr


def test_compress_writes_a_model_that_answers_the_same(run, tmp_path):
    small = tmp_path / "small.fastrec"
    code, out, err = run("compress", "ratings.fastrec", "--codec", "float16", "-o", small)
    assert (code, out) == (0, "")
    assert re.search(r": [1-9][0-9.]* (k|M)B \(before: [1-9][0-9.]* (k|M)B\)", err)
    (facts,) = json.loads(run("info", small, "--format", "json")[1])
    assert facts["class"] == "CompressedFactors"
    assert facts["compressed"].startswith("ImplicitALS(factors=4")
    assert facts["item_factors"] == "Float16Codec()"
    assert facts["arrays"]["item_codes_"] == "20x8 uint8"
    assert "Float16Codec()" in run("info", small)[1]
    user = str(fr.load(small).users_.ids[3])
    asked = ["recommend", small, "--user", user, "-k", "3", "--format", "json"]
    found = [row["item"] for row in json.loads(run(*asked)[1])]
    asked[1] = "ratings.fastrec"
    assert found == [row["item"] for row in json.loads(run(*asked)[1])]
    code, _, err = run("compress", "ratings.fastrec", "--codec", "int9", "-o", small)
    assert code == 1
    assert "did you mean 'int8'" in err
    code, _, err = run("compress", small, "-o", tmp_path / "again.fastrec")
    assert code == 1
    assert "compressed already" in err
