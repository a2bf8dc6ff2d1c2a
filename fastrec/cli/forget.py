"""``fastrec forget``: remove users from a model, its versions and the journal."""

from pathlib import Path
from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.ids import parse_people
from fastrec.cli.options import JournalPlace, KeyFile
from fastrec.cli.output import count_in_words, note
from fastrec.cli.working import working


@app.command(epilog=examples("fastrec forget model.fastrec --user u17 --journal events.db"))
def forget(
    place: Annotated[Path, typer.Argument(exists=True, help="A model file, or a folder of versions.")],
    user: Annotated[list[str], typer.Option("-u", "--user", help="The id of a user; may be repeated.")],
    journal: JournalPlace = None,
    look_at: Annotated[
        list[Path] | None,
        typer.Option("--look-at", exists=True, help="A file of a batch export, which loses the users' rows, too."),
    ] = None,
    pseudonym_key_file: KeyFile = None,
    missing_ok: Annotated[
        bool, typer.Option("--missing-ok", help="Exit with 0 though neither the model nor the journal knows a user.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be done, and do nothing.")] = False,
) -> None:
    """Remove users from a model.

    The model is fitted again without them. Older versions and the users' events are removed. The exit code is 1 if an
    id still stands in a file, or if neither the model nor the journal knows a user.
    """
    from fastrec.forgetting import forget as forget_users
    from fastrec.online import Versions
    from fastrec.online.versions import load_published

    folder = Versions(place) if place.is_dir() else None
    with working(f"loading {place}"):
        loaded = load_published(place, verify="header") if folder is None else folder.load(verify="header")
    model = loaded.model
    ids = parse_people(user, model, journal, pseudonym_key_file)
    file, files = (place if folder is None else None), look_at or ()
    with working(f"forgetting {count_in_words(len(ids), 'user')}"):
        receipt = forget_users(file, ids, journal=journal, versions=folder, files=files, dry_run=dry_run)
    typer.echo(receipt.to_json())
    if receipt.traces:
        note(f"the bytes of an id still occur in {', '.join(receipt.traces)}")
        raise typer.Exit(1)
    if receipt.unknown:
        note(f"{count_in_words(receipt.unknown, 'user')} of {len(ids)}: known to neither the model nor a journal")
        raise typer.Exit(0 if missing_ok else 1)
