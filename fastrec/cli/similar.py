"""``fastrec similar``: the items most similar to others."""

from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.ids import parse_items
from fastrec.cli.models import load_model
from fastrec.cli.options import Format, Length, ModelFile, Output
from fastrec.cli.output import list_rows, write_rows
from fastrec.cli.working import working


@app.command(epilog=examples('fastrec similar model.fastrec --item 50 --title "Toy Story" -k 5'))
def similar(
    model_file: ModelFile,
    item: Annotated[list[str] | None, typer.Option("-i", "--item", help="An item's id; may be repeated.")] = None,
    title: Annotated[list[str] | None, typer.Option("-t", "--title", help="A part of an item's title.")] = None,
    k: Length = 10,
    output_format: Output = Format.table,
) -> None:
    """List the items most similar to some items."""
    if not item and not title:
        raise typer.BadParameter("give --item or --title, at least once", param_hint="--item")
    model = load_model(model_file)
    items = parse_items(model, item or [], title or [])
    with working("finding similar items"):
        top = model.similar_items(items, k)
    write_rows(list_rows(top, "similar_to"), output_format)
