"""Self-contained HTML pages: sections of text, tables and pictures, in light and dark, with nothing from outside."""

import base64
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from fastrec.tables import Table

NARROW = 4.8  # inches: the width of a drawing for phones


@dataclass(frozen=True)
class Picture:
    """A drawing for a page.

    Parameters
    ----------
    draw
        Called as ``draw(ax=ax, theme=theme)``, once for "light" and once for "dark".
    alt
        A text in place of the picture, for those who cannot see it.
    size
        Width and height in inches.
    """

    draw: Callable[..., Any]
    alt: str
    size: tuple[float, float] = (6.4, 3.6)

    def source(self, theme: str, narrow: bool = False) -> str:
        """Returns the drawing as an SVG data URI on a transparent ground; a narrow one, for phones, has larger
        texts.
        """
        figure_class = _figure_class()
        width, height = self.size
        figure = figure_class(figsize=(min(width, NARROW), height) if narrow else self.size, layout="constrained")
        self.draw(ax=figure.add_subplot(), theme=theme)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Section:
    """A section of a page under a heading: paragraphs, then pictures and tables side by side, then wide tables."""

    heading: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """A page: a title, a sentence below it, facts and settings as pairs of a name and a value, and sections.

    Its header shows the date, too.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = field(default=())
    settings: Sequence[tuple[str, str]] = field(default=())
    made: date = field(default_factory=date.today)

    def html(self) -> str:
        """Returns the page as one HTML document without outside resources.

        Raises
        ------
        ImportError
            If matplotlib or jinja2 is missing (``pip install 'fastrec[report]'``).
        """
        from fastrec import __version__

        return str(_template().render(page=self, version=__version__))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page to a temporary file first, so that no half of a page is ever left behind."""
        text, target = self.html(), Path(path)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"{target} cannot be written: there is no folder {target.parent}")
        aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            aside.write_text(text, encoding="utf-8")
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)


def _template() -> Any:
    try:
        import jinja2  # an extra
    except ImportError as error:
        raise ImportError("an HTML report needs jinja2: pip install 'fastrec[report]'") from error
    source = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure  # an extra
    except ImportError as error:
        raise ImportError("an HTML report needs matplotlib: pip install 'fastrec[report]'") from error
    return Figure  # without pyplot: no window, no global list of figures
