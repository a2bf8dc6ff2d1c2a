"""The view of objects in a notebook: tables with notes below, in one style, in the colours of the notebook."""

from collections.abc import Mapping, Sequence
from html import escape

from fastrec.tables import Table

# Half-transparent grey is visible on light and dark ground; everything else inherits the notebook's colours.
STYLE = """
.fastrec-view { font-size: .93em; line-height: 1.45; overflow-x: auto; }
.fastrec-view table { border-collapse: collapse; margin: .2em 0 .4em; font-variant-numeric: tabular-nums; }
.fastrec-view caption { caption-side: top; text-align: left; font-weight: 600; white-space: nowrap;
  color: inherit; padding: .2em 0 .4em; }
.fastrec-view th, .fastrec-view td { border: 0; padding: .25em 1.2em .25em 0; vertical-align: top; max-width: 42em; }
.fastrec-view tr, .fastrec-view tbody tr:nth-child(odd) { background: none; }
.fastrec-view thead th { font-weight: 500; opacity: .75; border-bottom: 1px solid rgb(127 127 127 / .5); }
.fastrec-view tbody th { font-weight: 500; }
.fastrec-view tbody tr + tr > * { border-top: 1px solid rgb(127 127 127 / .2); }
.fastrec-view .interval, .fastrec-view .below { opacity: .7; font-size: .86em; white-space: nowrap; }
.fastrec-view .below { display: block; }
.fastrec-view ul { margin: .2em 0 .4em; padding-left: 1.2em; opacity: .8; }
"""


def show(table: Table, notes: Sequence[str] = ()) -> str:
    """Returns the HTML of an object for a notebook.

    Parameters
    ----------
    table
        The table of its content; the caption is the title.
    notes
        Sentences below the table.

    Examples
    --------
    >>> "<li>a &amp; b</li>" in show(Table(["n"], [["1"]], "Numbers"), ["a & b"])
    True
    """
    below = "".join(f"<li>{escape(note)}</li>" for note in notes)
    body = table.html() + (f"<ul>{below}</ul>" if below else "")
    return f'<div class="fastrec-view"><style>{STYLE}</style>{body}</div>'


def show_facts(title: str, facts: Mapping[str, str]) -> str:
    """Returns `show` for facts by their names."""
    return show(Table(["", ""], [list(pair) for pair in facts.items()], title, (0, 1)))
