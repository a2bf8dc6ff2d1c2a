"""A table of texts, for terminals and for pages."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

_INTERVAL = re.compile(r"([-+]?[0-9.]+) (\[[-+0-9., ]+\])")


@dataclass(frozen=True)
class Table:
    """Rows of texts under named columns.

    Parameters
    ----------
    columns
        The names of the columns; if all are empty, a page shows no head.
    rows
        The rows, each with one text per column. The first text names the row. A page shows the text after a line break
        below it.
    caption
        The text above the table.
    left
        Positions of the columns whose texts are aligned left; the others hold numbers, aligned right.
    strong
        The cells (row, column) to highlight.
    wrap
        Whether the cells hold texts that a page may break into lines.

    Examples
    --------
    >>> print(Table(["metric", "ALS"], [["ndcg@10", "0.31"], ["recall@20", "0.4"]]).text())
    metric      ALS
    ndcg@10    0.31
    recall@20   0.4
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    left: Iterable[int] = (0,)
    strong: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    wrap: bool = False

    @property
    def wide(self) -> bool:
        """Tells whether a page gives the table its whole width."""
        return len(self.columns) > 3 and not self.wrap

    def text(self, indent: str = "") -> str:
        """Returns the table in plain characters, columns two blanks apart."""
        lines = [list(self.columns), *map(list, self.rows)]
        widths = [max(len(line[c]) for line in lines) for c in range(len(self.columns))]
        left = set(self.left)
        padded = [
            [cell.ljust(width) if c in left else cell.rjust(width) for c, (cell, width) in enumerate(zip(line, widths))]  # noqa: B905
            for line in lines
        ]
        return "\n".join((indent + "  ".join(line)).rstrip() for line in padded)

    def html(self) -> str:
        """Returns the table as HTML with headers for columns and rows; all texts are escaped."""
        left = set(self.left)
        align = ["text-align:left" if c in left else "text-align:right" for c in range(len(self.columns))]
        head = "".join(
            f'<th scope="col" style="{a}">{escape(c)}</th>' for c, a in zip(self.columns, align, strict=True)
        )
        body = "".join(f"<tr>{self._html_row(r, row, align)}</tr>" for r, row in enumerate(self.rows))
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        kind = ' class="wrap"' if self.wrap else ""
        top = f"<thead><tr>{head}</tr></thead>" if any(self.columns) else ""
        return f"<table{kind}>{caption}{top}<tbody>{body}</tbody></table>"

    def _html_row(self, r: int, row: Sequence[str], align: Sequence[str]) -> str:
        cells = []
        for c, text in enumerate(row):
            above, _, below = text.partition("\n")
            inner = _INTERVAL.sub(r'\1 <span class="interval">\2</span>', escape(above))  # a page may put it below
            inner += f'<span class="below">{escape(below)}</span>' if below else ""
            inner = f"<strong>{inner}</strong>" if (r, c) in self.strong else inner
            tag, told = ("th", ' scope="row"') if c == 0 else ("td", "")
            if c > 0 and self.columns[c]:  # for pages that put the cells of a row below each other
                told = f' data-label="{escape(self.columns[c])}"'
            cells.append(f'<{tag}{told} style="{align[c]}">{inner}</{tag}>')
        return "".join(cells)
