"""``fastrec demo``: the whole way once."""

from pathlib import Path
from typing import Annotated

import typer

from fastrec.cli.app import app


@app.command(epilog="Example:  fastrec demo --folder /tmp")
def demo(
    folder: Annotated[
        Path, typer.Option("-o", "--folder", file_okay=False, help="Where demo.fastrec and demo-report.html go.")
    ] = Path(),
) -> None:
    """Go the whole way once on MovieLens 100K: train, evaluate, recommend, save, and write demo-report.html."""
    from fastrec.demo import run_demo

    folder.mkdir(parents=True, exist_ok=True)
    run_demo(folder, say=lambda text: print(text, flush=True))
