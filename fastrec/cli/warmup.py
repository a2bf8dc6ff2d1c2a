"""``fastrec warmup``: compile the kernels ahead of time."""

from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.output import note


@app.command(epilog=examples("fastrec warmup --factors 64 --factors 128 --model SGDFactorization"))
def warmup(
    factors: Annotated[
        list[int] | None,
        typer.Option("-f", "--factors", min=1, help="Number of factors; may be repeated. [default: 64]"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Name of a model; may be repeated. [default: ImplicitALS]"),
    ] = None,
) -> None:
    """Compile the kernels now.

    Later commands then need not compile them.
    """
    from fastrec import warmup as compile_kernels

    note(f"kernels compiled in {compile_kernels(factors or 64, model or 'ImplicitALS'):.1f} s")
