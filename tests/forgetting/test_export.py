"""The export of all data that are held about one user."""

import json

import pytest

import fastrec as fr
from fastrec.online import Journal


def test_all_that_is_held_is_told(tmp_path):
    data = fr.Interactions([0, 0, 1], [0, 1, 1], [2, 1, 1], users=["anna", "bert"], items=["Alien", "Brazil"])
    journal = Journal(tmp_path / "e.db")
    journal.append([("anna", "Alien"), ("cleo", "Brazil")])
    model = fr.ImplicitALS(factors=2, random_state=0).fit(data)
    told = fr.export_user(model, "anna", journal)
    assert json.loads(json.dumps(told)) == told
    assert told["history"] == [{"item": "Alien", "value": 2.0}, {"item": "Brazil", "value": 1.0}]
    assert len(told["vector"]) == 2
    assert [event["item"] for event in told["events"]] == ["Alien"]
    assert fr.export_user(model, "cleo", journal)["history"] == []
    with pytest.raises(ValueError, match="nothing is held about the user 'dora'"):
        fr.export_user(model, "dora", journal)
    journal.close()


def test_the_order_of_events_is_told_where_the_model_has_it():
    data = fr.Interactions([0, 0], [0, 1], times=[2_000_000, 1_000_000], users=["anna"], items=["Alien", "Brazil"])
    told = fr.export_user(fr.SequenceRules().fit(data), "anna")
    assert [(one["item"], one["place"]) for one in told["history"]] == [("Alien", 1), ("Brazil", 0)]
