import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import fastrec as fr

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from fastrec import plots  # noqa: E402


@pytest.fixture(autouse=True)
def _leave_nothing_open():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before, "rcParams were changed"


@pytest.fixture
def report():
    rng = np.random.default_rng(0)
    train, test = rng.random((40, 12)) < 0.3, rng.random((40, 12)) < 0.3
    first, second = fr.Popularity().fit(train), fr.Popularity().fit(train[::-1])
    second.fit(train)
    return fr.evaluate({"one": first, "two": second}, test, ["ndcg@5", "recall@5", "coverage@5", "novelty@5"])


def compressed():
    X = (np.random.default_rng(0).random((40, 30)) < 0.3).astype(np.float32)
    model = fr.ImplicitALS(factors=16, iterations=1, random_state=0).fit(X)
    return fr.compression_report(model, 1 - X, ["float16", "int8", "int4"], repeats=1)


CALLS = {
    "learning_curve": lambda report, **options: plots.learning_curve([5.0, 3.0, 2.5], **options),
    "metric_bars": lambda report, **options: plots.metric_bars(report, **options),
    "compression_tradeoff": lambda report, **options: plots.compression_tradeoff(compressed(), **options),
    "popularity_curve": lambda report, **options: plots.popularity_curve([90, 50, 10, 3, 1, 0], **options),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_plot_draws_on_the_axes_it_is_given_and_returns_them(name, theme, report, tmp_path):
    before = plt.get_fignums()
    figure = Figure(layout="constrained")
    ax = figure.add_subplot()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CALLS[name](report, ax=ax, theme=theme) is ax
        figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
    assert plt.get_fignums() == before, "no figure of pyplot's own"
    assert ax.get_title(loc="left")


@pytest.mark.parametrize("name", CALLS)
def test_without_axes_a_new_figure_is_made(name, report):
    ax = CALLS[name](report)
    assert ax.figure.number in plt.get_fignums()


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_theme_is_named(name, report):
    with pytest.raises(ValueError, match="theme must be one of 'light', 'dark'"):
        CALLS[name](report, theme="sepia")


def test_learning_curve_shows_the_losses_of_a_model():
    class Fitted:
        loss_curve_ = np.array([4.0, 2.0, 1.0])

    ax = plots.learning_curve(Fitted())
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [4.0, 2.0, 1.0])
    assert ax.get_legend() is None


def test_learning_curve_names_several_models():
    ax = plots.learning_curve({"ALS": [3, 2], "BPR": [5, 4, 3]})
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ALS", "BPR"]
    assert len(ax.lines) == 2


def test_learning_curve_of_a_single_epoch_is_a_point():
    plots.learning_curve([1.0]).figure.canvas.draw()


@pytest.mark.parametrize("nothing", [[], 3, fr])
def test_learning_curve_needs_losses(nothing):
    with pytest.raises(ValueError, match="loss_curve_"):
        plots.learning_curve(nothing)


def test_metric_bars_are_as_long_as_the_means_and_the_intervals_are_the_reports(report):
    ax = plots.metric_bars(report)
    widths = [bar.get_width() for bar in ax.patches]
    expected = [report.mean(metric, model) for model in report.models for metric in ("ndcg@5", "recall@5")]
    np.testing.assert_allclose(widths, expected)
    segments = ax.collections[0].get_segments()
    estimate = report.estimate("ndcg@5", "one")
    np.testing.assert_allclose(sorted(segments[0][:, 0]), [estimate.low, estimate.high])


def test_metric_bars_leave_out_what_has_another_scale_unless_asked(report):
    assert [t.get_text() for t in plots.metric_bars(report).get_yticklabels()] == ["ndcg@5", "recall@5"]
    labels = plots.metric_bars(report, metrics=["novelty@5"]).get_yticklabels()
    assert [t.get_text() for t in labels] == ["novelty@5"]
    with pytest.raises(ValueError, match="metrics must be one of"):
        plots.metric_bars(report, metrics=["mrr@5"])


def test_a_report_draws_itself(report):
    assert len(report.plot().patches) == 4


def test_popularity_curve_takes_interactions_models_and_counts():
    data = fr.Interactions([0, 0, 1, 2], [0, 1, 0, 0])
    expected = [3, 1]
    for source in (data, fr.Popularity().fit(data), [1, 3, 0]):
        np.testing.assert_array_equal(plots.popularity_curve(source).lines[0].get_ydata(), expected)


def test_popularity_curve_states_the_share_of_the_head():
    ax = plots.popularity_curve([80, 10, 5, 3, 2])
    assert ax.texts[0].get_text() == "20 % of the items\nhave 80 % of the interactions"


@pytest.mark.parametrize("counts", [[0, 0], []])
def test_popularity_curve_needs_interactions(counts):
    with pytest.raises(ValueError, match="no item has an interaction"):
        plots.popularity_curve(counts)


@pytest.mark.parametrize("counts", [[-1, 2], [np.nan], [[1, 2]]])
def test_popularity_curve_refuses_what_are_no_counts(counts):
    with pytest.raises(ValueError, match="counts per item"):
        plots.popularity_curve(counts)


def test_without_matplotlib_the_error_names_the_extra():
    code = """
    import sys
    sys.modules["matplotlib"] = None
    from fastrec import plots
    try:
        plots.learning_curve([1, 2])
    except ImportError as error:
        print(error)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "pip install 'fastrec[report]'" in run.stdout


# -- curves over cut-offs, splits, searches, maps, users


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    titles = [f"Film {n}" for n in range(30)]
    genres = np.array(["Drama|War", "Comedy", "Crime"])[np.arange(30) % 3]
    return fr.Interactions(
        rng.integers(0, 40, 600),
        rng.integers(0, 30, 600),
        users=[f"u{n}" for n in range(40)],
        items=range(100, 130),
        item_info={"title": titles, "genres": genres},
        duplicates="sum",
    )


@pytest.fixture(scope="module")
def als(small):
    return fr.ImplicitALS(4, iterations=2, random_state=0).fit(small)


def test_a_metric_curve_shows_each_cut_off_with_its_interval(small):
    train, test = fr.split_random(small, 0.3, random_state=0)
    models = {"als": fr.ImplicitALS(4, iterations=1, random_state=0).fit(train), "pop": fr.Popularity().fit(train)}
    report = fr.evaluate(models, test, ["recall@20", "recall@1", "recall@5", "ndcg@5"])
    ax = fr.plots.metric_curve(report)
    assert len(ax.lines) == 2
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 5, 20])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [report.mean(f"recall@{k}", "pop") for k in (1, 5, 20)])
    assert len(ax.collections) == 2
    with pytest.raises(ValueError, match="needs 'ndcg' at two cut-offs or more"):
        fr.plots.metric_curve(report, metric="ndcg")


def test_splits_are_dots(small):
    found = fr.cross_validate({"a": fr.Popularity(), "b": fr.Popularity()}, small, 3)
    ax = found.plot()
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 0], found.scores("ndcg@10", "a"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_a_slice_shows_every_trial_and_marks_the_best(small):
    model = fr.ImplicitALS(2, iterations=1, random_state=0)
    space = {"dtype": ["float16", "float32"], "factors": [1, 2, 16]}
    found = fr.search(model, space, small, method="grid", cv=0.2, refit=False)
    ax = found.plot("factors")
    assert ax.get_xscale() == "log"
    dots, ring = ax.collections
    np.testing.assert_allclose(dots.get_offsets()[:, 1], [trial.score for trial in found.trials])
    np.testing.assert_allclose(ring.get_offsets()[0], [found.best_options["factors"], found.best_score])
    assert [label.get_text() for label in found.plot().get_xticklabels()] == ["float16", "float32"]
    with pytest.raises(ValueError, match="option must be one of 'dtype', 'factors', got 'alpha'"):
        found.plot("alpha")


def test_a_map_colours_the_first_label_and_names_items(als):
    ax = fr.plots.embedding_map(als, color_by="genres", label=[100, 105])
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"Drama", "Comedy", "Crime"}
    assert [text.get_text() for text in ax.texts] == ["Film 0", "Film 5"]
    again = fr.plots.embedding_map(als, n=10)
    assert len(again.collections[0].get_offsets()) == 10
    with pytest.raises(ValueError, match="no column of the model's item_info; there are 'title', 'genres'"):
        fr.plots.embedding_map(als, color_by="year")
    with pytest.raises(ValueError, match="one label for each of 30 items, got 2"):
        fr.plots.embedding_map(als, color_by=["a", "b"])
    with pytest.raises(ValueError, match="vectors of two factors or more"):
        fr.plots.embedding_map(np.ones((5, 1)))


def test_a_map_is_a_projection_that_keeps_what_differs_most():
    rng = np.random.default_rng(0)
    # Unit vectors about two orthogonal axes: the plane of the map must tell them apart.
    vectors = np.eye(6)[np.repeat([0, 3], 20)] + rng.normal(0, 0.05, (40, 6))
    points = fr.plots.embedding_map(vectors).collections[0].get_offsets()
    assert abs(points[:20, 0].mean() - points[20:, 0].mean()) > 5 * points[:20, 0].std()


def test_a_user_is_shown_with_titles_beside_the_history(als):
    ax = fr.plots.user_panel(als, "u3", k=4, history=3)
    texts = [text.get_text() for text in ax.texts]
    top = als.recommend(["u3"], 4)
    titles = als.item_info_["title"]
    assert texts[0].startswith("had (3 of ")
    assert texts[1] == "recommended"
    assert texts[5:] == [titles[code] for code in top.codes[0]]
    assert len(ax.patches) == 4
    with pytest.raises(ValueError, match="unknown id"):
        fr.plots.user_panel(als, "nobody")


# -- many models, long names


def many(n):
    train, test = np.eye(4)[[0, 0, 1, 2]], np.eye(4)[[1, 2, 0, 3]]
    model = fr.Popularity().fit(train)
    return fr.evaluate({f"a model with a long name {i}": model for i in range(n)}, test, ["recall@1", "ndcg@2"])


@pytest.mark.parametrize("n", [3, 8, 14])
def test_legends_of_many_models_stay_within_the_picture_and_colours_differ(n):
    ax = plots.metric_bars(many(n))
    ax.figure.canvas.draw()  # warnings are errors: the layout was applied
    legend, whole = ax.get_legend().get_window_extent(), ax.figure.bbox
    assert whole.x0 <= legend.x0 < legend.x1 <= whole.x1
    assert len(ax.get_legend().get_texts()) == n
    assert ax.get_window_extent().width > 0.6 * whole.width
    assert len({bars[0].get_facecolor() for bars in ax.containers if hasattr(bars, "patches")}) == n
    assert ax.get_ylim() == (1.5, -0.5)
    title = ax.title, ax._left_title
    assert not any(one.get_text() and one.get_window_extent().overlaps(legend) for one in title)


def test_metric_bars_take_one_name(report):
    assert [label.get_text() for label in plots.metric_bars(report, metrics="recall@5").get_yticklabels()] == [
        "recall@5"
    ]


@pytest.mark.parametrize("head", [2, 0, "much"])
def test_popularity_curve_needs_a_share(head):
    with pytest.raises((ValueError, TypeError), match="head must be"):
        plots.popularity_curve([3, 2, 1], head=head)


def test_a_map_needs_factors():
    with pytest.raises(TypeError, match=r"embedding_map needs a fitted model with item_factors_, .* got Popularity"):
        plots.embedding_map(fr.Popularity().fit(np.eye(3)))
    with pytest.raises(ValueError, match="n must be an integer of at least 1"):
        plots.embedding_map(np.eye(3), n=0)
