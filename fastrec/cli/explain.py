"""``fastrec explain``: the reasons for a recommendation."""

from typing import Annotated, Any

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.ids import parse_items, parse_users
from fastrec.cli.models import load_model
from fastrec.cli.options import Format, KeyFile, Length, ModelFile, Output
from fastrec.cli.output import as_plain, note, write_rows


@app.command(epilog=examples("fastrec explain model.fastrec --history 50,181 --title Empire"))
def explain(
    model_file: ModelFile,
    user: Annotated[str | None, typer.Option("-u", "--user", help="A user's id.")] = None,
    history: Annotated[
        str | None, typer.Option(metavar="ITEM,…", help="The items of a person's history, in place of a user.")
    ] = None,
    item: Annotated[str | None, typer.Option("-i", "--item", help="The recommended item's id.")] = None,
    title: Annotated[
        str | None, typer.Option("-t", "--title", help="A part of the item's title, in place of its id.")
    ] = None,
    k: Length = 10,
    pseudonym_key_file: KeyFile = None,
    output_format: Output = Format.table,
) -> None:
    """Explain the score of an item.

    The table shows how much each item of a history adds to the score. A two-stage model shows its features, too.
    """
    if (user is None) == (history is None):
        raise typer.BadParameter("give either --user or --history", param_hint="--user")
    if (item is None) == (title is None):
        raise typer.BadParameter("give either --item or --title", param_hint="--item")
    model = load_model(model_file)
    if not hasattr(model, "explain") and not hasattr(model, "explain_features"):
        raise ValueError(f"{type(model).__name__} cannot explain its recommendations")
    (wanted,) = parse_items(model, [item] if item is not None else [], [title] if title is not None else [])
    if user is not None:
        (asked,), _ = parse_users([user], model, pseudonym_key_file)
    else:
        asked = model.histories([parse_items(model, [part for part in (history or "").split(",") if part.strip()])])
    by_items = hasattr(model, "explain")
    reasons = model.explain(asked, wanted, k) if by_items else model.explain_features(asked, wanted, k)
    note(f"the score of {wanted!r} is {float(str(reasons.score))}, of which:")
    write_rows(_rows_of(reasons, _titles_by_id(model)) if by_items else _features_of(reasons), output_format)


def _features_of(reasons: Any) -> list[dict[str, Any]]:
    columns = reasons.features, reasons.values, reasons.contributions
    return [
        {"feature": name, "value": float(str(value)), "contribution": float(str(part))}
        for name, value, part in zip(*columns, strict=True)
    ]


def _titles_by_id(model: Any) -> dict[Any, str]:
    titles = (model.item_info_ or {}).get("title")
    return {} if titles is None else dict(zip(model.item_vocabulary.ids.tolist(), map(str, titles), strict=True))


def _rows_of(reasons: Any, titles: dict[Any, str]) -> list[dict[str, Any]]:
    rows = []
    for item, part in zip(reasons.items, reasons.contributions, strict=True):
        row = {"item": as_plain(item), "contribution": float(str(part))}
        rows.append(row | ({"title": titles[as_plain(item)]} if titles else {}))
    return rows
