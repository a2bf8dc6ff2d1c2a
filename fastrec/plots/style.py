"""The style of pictures: colours, axes, titles, legends, numbers."""

from typing import Any, Literal, NamedTuple

from fastrec.validation import check_choice

Theme = Literal["light", "dark"]


class Colors(NamedTuple):
    """The colours of a theme."""

    ink: str
    muted: str
    grid: str
    paper: str
    series: tuple[str, ...]


# The series are ordered by lightness, for readers who cannot distinguish the hues.
THEMES = {
    "light": Colors(
        "#1b2430", "#5d6876", "#e3e7ec", "#ffffff", ("#1f5fd0", "#e0861a", "#168a6a", "#8a5bd1", "#c23b5a")
    ),
    "dark": Colors("#e6eaf0", "#9aa5b4", "#333d4b", "#12161c", ("#6ea8ff", "#f2a54a", "#4cc9a0", "#b795f0", "#f0819b")),
}


def shorten(text: str, width: int) -> str:
    """Shortens a text to a number of letters."""
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def annotate(
    ax: Any, text: str, point: tuple[float, float], offset: tuple[int, int], color: str, align: str = "left"
) -> None:
    """Writes beside a point."""
    ax.annotate(text, point, xytext=offset, textcoords="offset points", color=color, fontsize=9, va="center", ha=align)


def plain_ticks(axis: Any) -> None:
    """Writes the numbers of an axis as they are."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def no_ticks() -> Any:
    """A locator that places no ticks."""
    from matplotlib.ticker import NullLocator

    return NullLocator()


def make_axes(ax: Any, theme: str, size: tuple[float, float]) -> tuple[Any, Colors]:
    """Returns the given axes, or those of a new figure, in the common style; and the colours."""
    check_choice("theme", theme, tuple(THEMES))
    colors = THEMES[theme]
    if ax is None:
        ax = _load_pyplot().subplots(figsize=size, layout="constrained", facecolor=colors.paper)[1]
    ax.set_facecolor("none")
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colors.muted)
    ax.tick_params(which="both", colors=colors.muted, length=0, labelsize=9)
    ax.grid(axis="both", color=colors.grid, linewidth=0.8)
    ax.grid(axis="x", visible=True)
    ax.set_axisbelow(True)
    return ax, colors


def _load_pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt  # an extra, and slow to import
    except ImportError as error:
        raise ImportError("fastrec.plots needs matplotlib: pip install 'fastrec[report]'") from error
    return plt


def cycle_colors(colors: Colors, n: int) -> list[str]:
    """A colour for each of n series: the theme's own, then the same ones paler and then darker."""
    rounds = ((0.0, colors.paper), (0.5, colors.paper), (0.45, colors.ink))
    shades = [_mix(color, other, share) for share, other in rounds for color in colors.series]
    return [shades[i % len(shades)] for i in range(n)]


def _mix(color: str, other: str, share: float) -> str:
    """A colour moved towards another one, both as "#rrggbb"."""
    parts = [[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in (color, other)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*parts, strict=True))


def set_title(ax: Any, text: str, colors: Colors, n: int = 1) -> None:
    """Puts a title above, and above a legend."""
    # Above several series there is a legend below the title.
    pad = 11 + 15 * _legend_rows(ax) if n > 1 else 9
    ax.set_title(text, loc="left", color=colors.ink, fontsize=11, fontweight="bold", pad=pad)


def plain_numbers(ax: Any) -> None:
    """Whole numbers along x, short ones along y."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def short_number(value: float) -> str:
    """A number in few digits."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def plain_powers(ax: Any) -> None:
    """Writes powers of ten as they are."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.0f} %" if share >= 0.0095 else f"{100 * share:.1g} %"


def add_legend(ax: Any, colors: Colors, n: int) -> None:
    """Puts a legend above several series."""
    if n > 1:
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles,
            [shorten(label, _LONGEST) for label in labels],
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=_legend_columns(ax),
            frameon=False,
            labelcolor=colors.ink,
            fontsize=9,
            handlelength=1.1,
            handleheight=0.9,
            columnspacing=1.4,
            borderaxespad=0.2,
        )


_LONGEST = 44  # letters of a name in a legend


def _legend_columns(ax: Any) -> int:
    """The number of names side by side in the width of the axes: a letter takes about 5 points, its surroundings
    30.
    """
    widths = [30 + 5 * min(len(label), _LONGEST) for label in ax.get_legend_handles_labels()[1]]
    room = ax.get_window_extent().width * 72 / ax.figure.dpi
    return len(widths) if sum(widths) <= room else max(1, int(room // max(widths)))


def _legend_rows(ax: Any) -> int:
    return -(-len(ax.get_legend_handles_labels()[1]) // max(1, _legend_columns(ax)))
