"""``fastrec strip``: a model without its users."""

from pathlib import Path
from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.models import load_model, save_model
from fastrec.cli.options import FileMode, ModelFile, check_folder
from fastrec.cli.output import note


@app.command(epilog=examples("fastrec strip model.fastrec -o shipped.fastrec"))
def strip(
    model_file: ModelFile,
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The model file to write.")],
    mode: FileMode = "600",
) -> None:
    """Write a copy of a model without its users.

    The ids and histories of users are left out. The copy answers histories: fastrec recommend … --history.
    """
    from fastrec import strip as strip_model
    from fastrec.storage import size_in_words

    check_folder(output, "--output")
    save_model(strip_model(load_model(model_file)), output, mode)
    size, was = (size_in_words(file.stat().st_size) for file in (output, model_file))
    note(f"{output}: {size} (before: {was})")
