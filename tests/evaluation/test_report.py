import html.parser
import re

import numpy as np
import pytest

import fastrec as fr
from fastrec.evaluation import Comparison


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(7)
    cells = np.kron(np.eye(2), np.ones((40, 20))) * (rng.random((80, 40)) < 0.6)
    cells[:5] = 0
    hidden = cells * (rng.random((80, 40)) < 0.3)
    hidden[:5, 3] = 1
    models = {"als": fr.ImplicitALS(factors=4, random_state=0), "popular": fr.Popularity()}
    fitted = {name: model.fit(cells - hidden * (cells > 0)) for name, model in models.items()}
    return fr.evaluate(fitted, hidden, ["ndcg@5", "recall@10", "coverage@5"])


def test_estimates_are_means_and_t_intervals(report):
    values = report.per_user("ndcg@5", "als")
    found = report.estimate("ndcg@5", "als")
    assert found.mean == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert found.high - found.mean == pytest.approx(half, rel=0.03)
    assert found.users == len(report.users)


def test_a_metric_over_all_lists_has_no_interval_and_no_values_per_user(report):
    assert np.isnan(report.estimate("coverage@5", "als").low)
    with pytest.raises(ValueError, match="no value per user"):
        report.per_user("coverage@5", "als")


def test_names_are_checked(report):
    with pytest.raises(ValueError, match="several models: name one of 'als', 'popular'"):
        report.mean("ndcg@5")
    with pytest.raises(ValueError, match="model must be one of"):
        report.mean("ndcg@5", "bpr")
    with pytest.raises(ValueError, match="metric must be one of"):
        report.mean("ndcg@50", "als")


def test_intervals_stay_within_the_range_of_the_metric():
    train, test = np.eye(6)[[0, 0, 0, 1, 1]], np.eye(6)[[1, 1, 1, 0, 5]]
    found = fr.evaluate(fr.Popularity().fit(train), test, "hit_rate@1").estimate("hit_rate@1")
    assert found.high == 1.0
    assert found.low > 0


def test_bootstrap_and_analytic_intervals_agree_for_many_users():
    rng = np.random.default_rng(0)
    train, test = rng.random((500, 30)) < 0.2, rng.random((500, 30)) < 0.2
    model = fr.Popularity().fit(train)
    one, other = (fr.evaluate(model, test, "ndcg@5", interval=how) for how in ("analytic", "bootstrap"))
    a, b = one.estimate("ndcg@5"), other.estimate("ndcg@5")
    assert a.mean == b.mean
    assert b.low == pytest.approx(a.low, abs=0.1 * (a.high - a.low))
    assert b.high == pytest.approx(a.high, abs=0.1 * (a.high - a.low))
    assert "2000 bootstrap resamples" in other.notes[-1]
    again = fr.evaluate(model, test, "ndcg@5", interval="bootstrap")
    assert again.estimate("ndcg@5") == b


def test_confidence_widens_the_interval():
    rng = np.random.default_rng(0)
    train, test = rng.random((50, 30)) < 0.2, rng.random((50, 30)) < 0.2
    model = fr.Popularity().fit(train)
    wide, narrow = (fr.evaluate(model, test, "ndcg@5", confidence=c).estimate("ndcg@5") for c in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert "99 % confidence" in fr.evaluate(model, test, "ndcg@5", confidence=0.99).notes[-1]


def test_compare_is_paired_and_corrected(report):
    comparison = report.compare()
    assert isinstance(comparison, Comparison)
    row = comparison.rows[0]
    difference = report.per_user("ndcg@5", "als") - report.per_user("ndcg@5", "popular")
    assert row.difference == pytest.approx(difference.mean())
    assert row.low < row.difference < row.high
    assert [row.metric for row in comparison.rows] == ["ndcg@5", "recall@10"]
    assert all(row.p_corrected >= row.p_value for row in comparison.rows)


def test_both_tests_find_a_clear_difference(report):
    for test in ("wilcoxon", "randomization"):
        assert report.compare(test).rows[1].p_value < 0.01
    with pytest.raises(ValueError, match="test must be one of"):
        report.compare("t-test")


def test_compare_needs_two_models():
    single = fr.evaluate(fr.Popularity().fit(np.eye(3)), np.eye(3)[[1, 2, 0]], "ndcg@1")
    with pytest.raises(ValueError, match="at least two models"):
        single.compare()


def test_equal_models_differ_by_nothing():
    rng = np.random.default_rng(0)
    train, test = rng.random((50, 30)) < 0.2, rng.random((50, 30)) < 0.2
    report = fr.evaluate({"a": fr.Popularity().fit(train), "b": fr.Popularity().fit(train)}, test)
    for test_name in ("wilcoxon", "randomization"):
        for row in report.compare(test_name).rows:
            assert (row.difference, row.low, row.high, row.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert "<strong>" not in report._repr_html_(), "no best among equals"


def test_segments_part_the_users(report):
    parts = report.segments()
    assert sum(len(part.users) for part in parts.values()) == len(report.users)
    assert len(parts["no history"].users) == 5
    for part in parts.values():
        assert part.metrics == ("ndcg@5", "recall@10")
    assert len(parts) == 5
    weights = [len(part.users) for part in parts.values()]
    means = [part.mean("ndcg@5", "als") for part in parts.values()]
    assert np.average(means, weights=weights) == pytest.approx(report.mean("ndcg@5", "als"))


def test_segments_by_any_label(report):
    labels = np.where(np.arange(len(report.users)) < 30, "first", "rest")
    parts = report.segments(labels)
    assert list(parts) == ["first", "rest"]
    np.testing.assert_array_equal(parts["first"].users, report.users[:30])
    with pytest.raises(ValueError, match="one label for each"):
        report.segments(labels[:3])


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_frames(report, backend):
    pytest.importorskip(backend)
    frame = report.to_frame(backend)
    columns = frame.column_names if backend == "pyarrow" else list(frame.columns)
    assert columns == ["model", "metric", "mean", "low", "high", "users"]
    assert len(frame) == 6
    users = report.per_user_frame(backend)
    assert len(users) == 2 * len(report.users)
    assert len(report.compare().to_frame(backend)) == 2


def test_repr_shows_means_intervals_and_who_was_left_out(report):
    text = repr(report)
    assert re.search(r"ndcg@5 +0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]", text)
    assert "users evaluated" in text
    assert "Student's t" in text
    assert text.encode("ascii"), "any terminal can show it"
    assert "Holm" in repr(report.compare())


class _Checker(html.parser.HTMLParser):
    """Every opened element is closed, in order."""

    VOID = frozenset({"meta", "img", "source", "link", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_html(text):
    checker = _Checker()
    checker.feed(text)
    assert checker.open == []
    return checker


def test_html_escapes_names():
    model = fr.Popularity().fit(np.eye(3))
    report = fr.evaluate({"<script>alert(1)</script>": model}, np.eye(3)[[1, 2, 0]], "ndcg@1")
    assert "<script>" not in report._repr_html_()
    check_html(report._repr_html_())


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


def test_a_page_of_one_model_has_no_comparison(tmp_path):
    report = fr.evaluate(fr.Popularity().fit(np.eye(3)), np.eye(3)[[1, 2, 0]], ["ndcg@1", "coverage@1"])
    report.save(tmp_path / "r.html")
    assert "differences" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_reports_cannot_be_changed(report):
    with pytest.raises(AttributeError):
        report.models = ()


def test_a_page_gives_wide_tables_its_width_and_keeps_columns_few(tmp_path):
    rng = np.random.default_rng(0)
    data = fr.Interactions(rng.integers(0, 60, 900), rng.integers(0, 30, 900), duplicates="sum")
    train, test = fr.split_random(data, 0.3, 0)
    model = fr.Popularity().fit(train)
    metrics = ["ndcg@5", "recall@5", "recall@10", "map@5", "auc@5", "novelty@5"]
    fr.evaluate({"a": model, "b": model, "c": model}, test, metrics, item_groups="popularity").save(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    body = page[page.index("<main>") :]
    grids = re.findall(r'<div class="grid">(.*?)</div>', body, flags=re.DOTALL)
    assert not any("<table" in grid for grid in grids)  # all of these tables are wide
    for table in re.findall("<table.*?</table>", body, flags=re.DOTALL):
        assert table.count('scope="col"') <= 5
    assert '<span class="interval">[' in page


def test_a_folder_that_is_not_there_is_named(report, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.r\.html cannot be written: there is no folder"):
        report.save(tmp_path / "nowhere" / "r.html")
