"""``fastrec recommend``: recommendations for users."""

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.ids import parse_items, parse_users, read_lines
from fastrec.cli.models import load_model
from fastrec.cli.options import (
    ExcludeSeen,
    FileMode,
    Format,
    KeyFile,
    Length,
    ModelFile,
    Output,
    check_table_output,
)
from fastrec.cli.output import Record, list_rows, note, write_rows
from fastrec.cli.working import working
from fastrec.permissions import parse_mode


@app.command(
    epilog=examples(
        "fastrec recommend model.fastrec --user 42 --user 43 -k 10 --format json",
        "fastrec recommend model.fastrec --history 50,181,172 --deny @sold_out.txt",
    )
)
def recommend(
    model_file: ModelFile,
    user: Annotated[list[str] | None, typer.Option("-u", "--user", help="A user's id; may be repeated.")] = None,
    users_from: Annotated[
        Path | None,
        typer.Option("--users-from", allow_dash=True, dir_okay=False, help="A file with one id per line; - is stdin."),
    ] = None,
    all_users: Annotated[bool, typer.Option("--all", help="All users of the training data.")] = False,
    history: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ITEM,…", help="Items of a person's history, oldest first, in place of a user; may be repeated."
        ),
    ] = None,
    k: Length = 10,
    allow: Annotated[str | None, typer.Option(metavar="ITEM,… or @FILE", help="Recommend only these items.")] = None,
    deny: Annotated[str | None, typer.Option(metavar="ITEM,… or @FILE", help="Never recommend these items.")] = None,
    exclude_seen: ExcludeSeen = None,
    skip_unknown: Annotated[bool, typer.Option("--skip-unknown", help="Leave out unknown users.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", dir_okay=False, help="A .parquet or .csv file to write; resumed after a kill."),
    ] = None,
    mode: FileMode = "600",
    pseudonym_key_file: KeyFile = None,
    output_format: Output = Format.table,
) -> None:
    """Recommend items to users.

    They are users of the training data, or anybody with a history.
    """
    if sum((user is not None, users_from is not None, all_users, history is not None)) != 1:
        raise typer.BadParameter("give exactly one of --user, --users-from, --all and --history", param_hint="--user")
    if output is not None and history is not None:
        raise typer.BadParameter("write a file for users; --history prints its answer", param_hint="--output")
    check_table_output(output)
    histories = [_split(text, "--history") for text in history or []]
    model = load_model(model_file)
    chosen = {name: _items_of(model, text, f"--{name}") for name, text in (("allow", allow), ("deny", deny))}
    options: dict[str, Any] = {name: items for name, items in chosen.items() if items is not None}
    options["exclude_seen"] = exclude_seen
    if history is not None:
        given = model.histories([parse_items(model, items) for items in histories])
        with working("recommending"):
            top = model.recommend(given, k, **options)
        write_rows(list_rows(top, "history"), output_format)
        return
    texts = (user or []) if users_from is None else read_lines(users_from)
    users, shown = parse_users(texts, model, pseudonym_key_file, skip_unknown)
    users = _all_users(model) if all_users else users
    options["on_unknown"] = "skip" if skip_unknown else "error"
    if output is not None:
        options |= {"mode": parse_mode(mode), "verbose": sys.stderr.isatty()}
        with working(f"writing {output}", bar=True):
            rows = model.recommend_to(output, users, k, **options)
        note(f"{output}: {rows:,} rows")
        return
    batches = (model.recommend(list(users[start : start + 4096]), k, **options) for start in range(0, len(users), 4096))
    found = chain.from_iterable(list_rows(top, "user") for top in batches)
    _write_with_progress(({**row, "user": shown.get(row["user"], row["user"])} for row in found), output_format)


def _write_with_progress(rows: Iterable[Record], output_format: Format) -> None:
    """Writes rows, with a line of progress if it takes long. On a terminal, rows that come one by one show it
    themselves.
    """
    if output_format is Format.table:
        with working("recommending"):
            rows = list(rows)
        write_rows(rows, output_format)
        return
    with nullcontext() if sys.stdout.isatty() else working("recommending"):
        write_rows(rows, output_format)


def _all_users(model: Any) -> Any:
    users = model.user_vocabulary.ids
    if not len(users):
        raise ValueError(f"this {type(model).__name__} keeps no users: give a history with --history ITEM,…")
    return users


def _items_of(model: Any, text: str | None, hint: str) -> list[Any] | None:
    """Returns the items of a list, or of a file with one item in each line."""
    if text is None:
        return None
    return parse_items(model, read_lines(Path(text[1:])) if text.startswith("@") else _split(text, hint))


def _split(text: str, hint: str) -> list[str]:
    items = [part.strip() for part in text.split(",") if part.strip()]
    if not items:
        raise typer.BadParameter(f"must name at least one item, got {text!r}", param_hint=hint)
    return items
