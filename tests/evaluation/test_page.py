"""Pages that need no other files."""

import re

import pytest

from tests.evaluation.pages import check_html


def test_saved_page_is_self_contained_and_accessible(report, tmp_path):
    path = tmp_path / "report.html"
    report.save(path)
    text = path.read_text(encoding="utf-8")
    page = check_html(text)
    assert not re.search(r"""(?:src|href|srcset)=["'](?!data:)""", text)
    assert not re.search(r"url\(|@import|<script|<link", text)
    images = [attributes for tag, attributes in page.attributes if tag == "img"]
    assert images
    assert all(len(image["alt"]) > 20 for image in images)
    assert all(attributes.get("scope") for tag, attributes in page.attributes if tag == "th")
    assert page.seen.count("caption") == page.seen.count("table")
    assert 'lang="en"' in text
    assert "prefers-color-scheme: dark" in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"], "nothing is left beside it"


def test_a_page_that_cannot_be_written_leaves_the_old_one(report, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        report.save(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_named(report, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.r\.html cannot be written: there is no folder"):
        report.save(tmp_path / "nowhere" / "r.html")


def test_the_header_names_file_split_date_and_settings(report, tmp_path):
    report.save(tmp_path / "report.html", {"file": "<a>.csv", "split": "by time, the last 20 %"})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    header = text.split("<header>")[1].split("</header>")[0]
    assert "<dt>file</dt><dd>&lt;a&gt;.csv</dd>" in header
    assert "<dt>split</dt><dd>by time, the last 20 %</dd>" in header
    assert re.search(r"<dt>date</dt><dd>\d{4}-\d\d-\d\d</dd>", header)
    for name in report.models:
        assert f"<dt>{name}</dt><dd>{report.settings[name]}" in header


def test_cells_say_what_they_are_where_a_phone_puts_them_below_each_other(report, tmp_path):
    report.save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "max-width: 36rem" in text
    assert all(f'<td data-label="{name}"' in text for name in report.models)
