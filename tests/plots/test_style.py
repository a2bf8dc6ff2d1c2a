"""The properties that all pictures share."""

import subprocess
import sys
import textwrap
import warnings

import pytest

matplotlib = pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from fastrec import plots  # noqa: E402
from tests.plots.models import compressed, many  # noqa: E402

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
