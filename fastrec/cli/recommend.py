"""``fastrec recommend`` and ``fastrec similar``: a model asked."""

import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from fastrec.cli.app import app
from fastrec.cli.options import FileMode, Format, Length, ModelFile, Output
from fastrec.cli.output import list_rows, note, write_rows
from fastrec.permissions import parse_mode


@app.command(epilog="Example:  fastrec recommend model.fastrec --user 42 --user 43 -k 10 --format json")
def recommend(
    model_file: ModelFile,
    user: Annotated[list[str] | None, typer.Option("-u", "--user", help="A user's id; may be repeated.")] = None,
    users_from: Annotated[
        Path | None,
        typer.Option("--users-from", allow_dash=True, dir_okay=False, help="A file with an id per line; - is stdin."),
    ] = None,
    all_users: Annotated[bool, typer.Option("--all", help="All users of the training data.")] = False,
    k: Length = 10,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Do not leave out what the user has had.")
    ] = False,
    skip_unknown: Annotated[bool, typer.Option("--skip-unknown", help="Leave out users that are unknown.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", dir_okay=False, help="A .parquet or .csv file to write; goes on after a kill."),
    ] = None,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Recommend items to users of the training data."""
    if (user is None) + (users_from is None) + (not all_users) != 2:
        raise typer.BadParameter("give either --user, --users-from or --all", param_hint="--user")
    from fastrec import load

    model = load(model_file)
    if all_users:
        users: Any = model.user_vocabulary.ids
    else:
        texts = user if users_from is None else _read_lines(users_from)
        users = _parse_ids(texts or [], model.user_vocabulary, "user", skip_unknown)
    unknown = "skip" if skip_unknown else "error"
    if output is not None:
        options: dict[str, Any] = {"exclude_seen": not include_seen, "on_unknown": unknown, "mode": parse_mode(mode)}
        options["verbose"] = sys.stderr.isatty()
        note(f"{output}: {model.recommend_to(output, users, k, **options):,} rows")
        return
    batches = (
        model.recommend(list(users[start : start + 4096]), k, exclude_seen=not include_seen, on_unknown=unknown)
        for start in range(0, len(users), 4096)
    )
    write_rows(chain.from_iterable(list_rows(top, "user") for top in batches), output_format)


@app.command(epilog='Example:  fastrec similar model.fastrec --item 50 --title "Toy Story" -k 5')
def similar(
    model_file: ModelFile,
    item: Annotated[list[str] | None, typer.Option("-i", "--item", help="An item's id; may be repeated.")] = None,
    title: Annotated[list[str] | None, typer.Option("-t", "--title", help="A part of an item's title.")] = None,
    k: Length = 10,
    output_format: Output = Format.table,
) -> None:
    """List the items most similar to some items."""
    if not item and not title:
        raise typer.BadParameter("give --item or --title", param_hint="--item")
    from fastrec import load

    model = load(model_file)
    items = _parse_ids(item or [], model.item_vocabulary, "item") + [_find_title(model, part) for part in title or []]
    write_rows(list_rows(model.similar_items(items, k), "similar_to"), output_format)


def _read_lines(path: Path) -> list[str]:
    """The lines of a list of ids: each ends at a line feed, blanks around it do not count, as in a table."""
    content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None
    lines = (line.removesuffix("\r").strip(" \t") for line in text.split("\n"))
    return [line for line in lines if line]


def _parse_ids(texts: Iterable[str], vocabulary: Any, side: str, skip: bool = False) -> list[Any]:
    """The ids that texts stand for, of the kind that the model's are; what stands for none is unknown."""
    from fastrec.data.ids import parse_id

    ids = []
    for text in texts:
        parsed = parse_id(text, vocabulary.kind)
        if parsed is not None:
            ids.append(parsed)
        elif not skip:
            digits = text.removeprefix("-")
            beyond = ", which is beyond 64 bits" if digits.isascii() and digits.isdecimal() and len(digits) > 18 else ""
            raise ValueError(f"the model's {side} ids are integers, got {text!r}{beyond}")
    return ids


def _find_title(model: Any, part: str) -> Any:
    titles = (model.item_info_ or {}).get("title")
    if titles is None:
        raise ValueError("the model has no titles: use --item (train with --items to give it titles)")
    lowered = [str(title).lower() for title in titles]
    exact = [code for code, title in enumerate(lowered) if title == part.lower()]
    found = exact or [code for code, title in enumerate(lowered) if part.lower() in title]
    if not found:
        raise ValueError(f"no title has {part!r} in it")
    if len(found) > 1 and not exact:
        some = ", ".join(repr(str(titles[code])) for code in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise ValueError(f"{part!r} is in several titles: {some}{more}")
    return model.item_vocabulary.decode(found[:1])[0]
