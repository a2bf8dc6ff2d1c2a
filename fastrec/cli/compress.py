"""``fastrec compress``: a smaller model."""

from pathlib import Path
from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.models import load_model, save_model
from fastrec.cli.options import FileMode, ModelFile, check_folder
from fastrec.cli.output import note
from fastrec.cli.working import working


@app.command(epilog=examples("fastrec compress model.fastrec --codec int8 -o small.fastrec"))
def compress(
    model_file: ModelFile,
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The model file to write.")],
    codec: Annotated[
        str,
        typer.Option(
            "-c",
            "--codec",
            help="The code: float16, int8, int4, pq or binary. Two are joined by +, such as binary+int8.",
        ),
    ] = "int8",
    user_codec: Annotated[
        str | None, typer.Option("--user-codec", help="The code of the users' factors; none: leave the users out.")
    ] = None,
    mode: FileMode = "600",
) -> None:
    """Write a smaller copy of a model.

    Its factors or weights take a half to a sixteenth of the bytes.
    """
    from fastrec import compress as compress_model
    from fastrec.storage import size_in_words

    check_folder(output, "--output")
    model = load_model(model_file)
    with working(f"compressing {model_file}"):
        small = compress_model(model, codec, user_codec=user_codec)
    save_model(small, output, mode)
    size, was = (size_in_words(file.stat().st_size) for file in (output, model_file))
    note(f"{output}: {size} (before: {was})")
