"""The output of commands: results to stdout as a table, JSON or CSV, notes to stderr."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from fastrec.cli.options import Format

if TYPE_CHECKING:
    from fastrec.evaluation import Report
    from fastrec.retrieval import TopK

Record: TypeAlias = Mapping[str, Any]


def note(text: str) -> None:
    """Prints a note, which is no part of the result, to stderr."""
    print(text, file=sys.stderr, flush=True)


def count_in_words(n: int, what: str) -> str:
    """Returns a number of things in words.

    >>> count_in_words(1, "user"), count_in_words(1200, "user")
    ('1 user', '1,200 users')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def as_plain(value: Any) -> Any:
    """Returns a value of Python's own types in place of NumPy's."""
    return value.item() if hasattr(value, "item") else value


def list_rows(top: "TopK", asked: str) -> Iterator[Record]:
    """Returns a row for each valid place of a TopK."""
    titles = top.titles()
    for row, label in enumerate(top.users.tolist()):
        for place in range(top.codes.shape[1]):
            if top.codes[row, place] < 0:
                break
            found = {
                asked: label,
                "rank": place + 1,
                "item": as_plain(top.items[row, place]),
                "score": float(str(top.scores[row, place])),  # the digits that float32 has, no more
            }
            if titles is not None:
                found["title"] = str(titles[row, place])
            yield found


def write_rows(rows: Iterable[Record], output_format: Format) -> None:
    """Writes rows as they come; a table is written once all rows are there."""
    if output_format is Format.json:
        _write_json(rows)
    elif output_format is Format.csv:
        _write_csv(rows)
    else:
        _write_table(list(rows))


def _write_json(rows: Iterable[Record]) -> None:
    opened = False
    for row in rows:
        # JSON has no NaN.
        clean = {name: None if value != value else value for name, value in row.items()}
        sys.stdout.write((",\n " if opened else "[") + json.dumps(clean, ensure_ascii=False))
        opened = True
    sys.stdout.write("]\n" if opened else "[]\n")


def _write_csv(rows: Iterable[Record]) -> None:
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(sys.stdout, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: "" if value != value else value for name, value in row.items()})


def _write_table(rows: Sequence[Record]) -> None:
    if not rows:
        note("nothing to show")
        return
    from fastrec.tables import Table

    names = list(rows[0])
    texts = [[_format_cell(row[name]) for name in names] for row in rows]
    left = {c for c, name in enumerate(names) if isinstance(rows[0][name], str)}
    print(Table(names, texts, left=left).text())


def _format_cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def write_report(report: "Report", output_format: Format) -> None:
    """Writes the results of an evaluation, and notes about users who were left out."""
    if output_format is Format.table:
        print(report.table().text())
    else:
        write_rows((estimate._asdict() for estimate in report.estimates), output_format)
    for text in report.notes:
        note(text)
