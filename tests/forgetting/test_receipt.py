"""The receipt."""

import json

from fastrec.forgetting import Receipt


def test_it_says_what_nobody_has_looked_at():
    told = json.loads(Receipt(1, 0, "nothing: the model knows none of them", 0, 0.1).to_json())
    assert any("backups" in one for one in told["unreached"])
    assert told["rewritten"] == []


def test_it_is_read_one_fact_a_line():
    receipt = Receipt(
        2, 1, "refit", 1234, 0.5, rewritten=(("m.fastrec", "ab" * 32, "cd" * 32), ("n.fastrec", "", "ef" * 32)),
        removed=("<old>",), traces=("list.csv",), unreached=("backups", "replicas"),
    )  # fmt: skip
    assert str(receipt).splitlines() == [
        "Receipt: users forgotten",
        "  users      2 asked for, 1 known to the model",
        "  model      fitted again to 1,234 entries",
        "  time       0.5 s of processor time",
        "  rewritten  m.fastrec: SHA-256 abababababab… before, cdcdcdcdcdcd… now",
        "             n.fastrec: SHA-256 none before, efefefefefef… now",
        "  removed    <old>",
        "  traces     list.csv",
        "  unreached  backups",
        "             replicas",
    ]
    page = receipt._repr_html_()
    assert "Receipt: users forgotten" in page
    assert "&lt;old&gt;" in page


def test_a_plan_says_that_nothing_was_done():
    assert "time       nothing was done yet" in repr(Receipt(1, 1, "refit", 10, None))
