"""``fastrec demo``: train, evaluate and recommend on MovieLens 100K."""

from pathlib import Path
from typing import Annotated

import typer

from fastrec.cli.app import app, examples


@app.command(epilog=examples("fastrec demo --folder /tmp"))
def demo(
    folder: Annotated[
        Path, typer.Option("-o", "--folder", file_okay=False, help="Folder for demo.fastrec and demo-report.html.")
    ] = Path(),
) -> None:
    """Try the library on MovieLens 100K.

    The demo trains, evaluates, recommends and saves a model, and writes demo-report.html.
    """
    from fastrec.demo import run_demo

    folder.mkdir(parents=True, exist_ok=True)
    run_demo(folder, say=lambda text: print(text, flush=True))
