"""The receipt."""

import json

from fastrec.forgetting import Receipt


def test_it_says_what_nobody_has_looked_at():
    told = json.loads(Receipt(1, 0, "nothing: the model knows none of them", 0, 0.1).to_json())
    assert any("backups" in one for one in told["unreached"])
    assert told["rewritten"] == []
