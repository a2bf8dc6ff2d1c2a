"""`fastrec options`."""

import json

from fastrec.models import MLPRecommender
from fastrec.options import options_of


def test_the_options_of_a_model_are_listed_with_what_they_may_be(run):
    code, out, err = run("options", "MLPRecommender", "--format", "json")
    assert code == 0, err
    rows = {row["option"]: row for row in json.loads(out)}
    assert list(rows) == list(options_of(MLPRecommender))
    assert (rows["dropout"]["type"], rows["dropout"]["numbers"]) == ("float", "from 0 to 0.99")
    assert rows["factors"]["default"] == "32"
    assert rows["factors"]["text"].startswith("The width of an embedding.")
    assert "factors" in run("options")[1]
    code, _, err = run("options", "Some")
    assert code == 2
    assert "must be one of Blend" in err
    code, _, err = run("options", "LightGCN")
    assert code == 2
    assert "did you mean GraphFilter?" in " ".join(err.split())
