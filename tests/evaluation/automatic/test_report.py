"""The findings of a contest, in words."""

import math

from fastrec.evaluation.automatic.contest import Entry
from fastrec.evaluation.automatic.report import AutomaticReport

ENTRIES = [
    Entry("EASE", "raw", {}, 1, 1.0, 0.2, 0.1),
    Entry("EASE", "binary", {"regularization": 30.0}, 1, 1.0, 0.4, 0.1),
    Entry("ItemKNN", "raw", {}, 1, 1.0, 0.3, 0.1),
    Entry("GraphFilter", "raw", {}, 1, 1.0, math.nan, 0.1, "ValueError: <no>"),
]
REPORT = AutomaticReport(ENTRIES, "ndcg@10", "random events of 9 users", "EASE()", "it is <best>")


def test_each_family_stands_with_its_best():
    assert [entry.family for entry in REPORT.best_by_family()] == ["EASE", "ItemKNN"]
    assert REPORT.best_by_family()[0].score == 0.4
    text = repr(REPORT)
    assert text.startswith("EASE(): it is <best>\n4 trials, judged by random events of 9 users")
    assert "regularization=30" in text


def test_each_kind_of_hidden_events_has_its_own_best():
    last = Entry("EASE", "raw", {}, 1, 1.0, 0.1, 0.1, hidden="last")
    report = AutomaticReport([*ENTRIES, last], "ndcg@10", "the last events and random events of 9 users", "EASE()", "")
    assert [(entry.family, entry.hidden, entry.score) for entry in report.best_by_family()] == [
        ("EASE", "last", 0.1),
        ("EASE", "random", 0.4),
        ("ItemKNN", "random", 0.3),
    ]


def test_a_page_shows_texts_as_they_are():
    assert "it is &lt;best&gt;" in REPORT._repr_html_()
