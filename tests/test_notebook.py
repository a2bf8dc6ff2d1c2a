"""The common look of all that notebooks show."""

import numpy as np

import fastrec as fr
from fastrec.notebook import show, show_facts
from fastrec.tables import Table

COUNTS = np.random.default_rng(0).integers(0, 3, (24, 16)).astype(np.float32)


def test_texts_are_escaped_and_notes_stand_below():
    html = show(Table(["<a>"], [["<b>"]], "<c>"), ["<d>"])
    assert all(f"&lt;{letter}&gt;" in html for letter in "abcd")
    assert html.index("</table>") < html.index("<ul>")
    assert "<ul>" not in show(Table(["a"], [["b"]]))
    assert "<thead>" not in show_facts("Facts", {"users": "3"})


def views():
    model = fr.EASE().fit(COUNTS)
    report = fr.evaluate({"a": model, "b": fr.Popularity().fit(COUNTS)}, np.roll(COUNTS, 1, axis=1), "ndcg@5")
    yield fr.Interactions.from_matrix(COUNTS)
    yield model.recommend([0, 1], k=3)
    yield model.explain(0, 3)
    yield model
    yield report
    yield report.compare()
    yield fr.cross_validate(fr.Popularity(), COUNTS, 2, "ndcg@5")
    yield fr.search(fr.EASE(), {"regularization": [1.0, 2.0]}, COUNTS, cv=0.2)


def test_all_views_are_of_one_style_with_a_title():
    for view in views():
        check_view(view._repr_html_())


def check_view(html):
    assert html.startswith('<div class="fastrec-view"><style>')
    assert "<caption>" in html
    assert html.count("<div") == html.count("</div>") == 1
