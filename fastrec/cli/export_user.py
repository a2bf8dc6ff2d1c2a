"""``fastrec export-user``: all that is held about one person."""

import json
from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.ids import parse_people
from fastrec.cli.models import load_model
from fastrec.cli.options import JournalPlace, KeyFile, ModelFile


@app.command(name="export-user", epilog=examples("fastrec export-user model.fastrec --user u17 --journal events.db"))
def export_user(
    model_file: ModelFile,
    user: Annotated[str, typer.Option("-u", "--user", help="The user's id.")],
    journal: JournalPlace = None,
    pseudonym_key_file: KeyFile = None,
) -> None:
    """Print all that is kept about one user.

    The output is JSON, of a model and of a journal.
    """
    from fastrec.forgetting import export_user as collect

    model = load_model(model_file)
    (name,) = parse_people([user], model, journal, pseudonym_key_file)
    typer.echo(json.dumps(collect(model, name, journal) | {"user": user}, ensure_ascii=False))
