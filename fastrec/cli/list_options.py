"""``fastrec options``: the options of a model and their values."""

import inspect
from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.options import Format, Output, find_estimator
from fastrec.cli.output import write_rows


@app.command("options", epilog=examples("fastrec options ImplicitALS"))
def list_options(
    model_name: Annotated[str, typer.Argument(metavar="MODEL", help="The estimator.")] = "ImplicitALS",
    output_format: Output = Format.table,
) -> None:
    """List the options of a model.

    The table has the type, range, default and meaning of each.
    """
    from fastrec.options import describe_parameters, options_of

    kind = find_estimator(model_name, "MODEL")
    defaults, texts = inspect.signature(kind).parameters, describe_parameters(kind)
    rows = [
        {
            "option": name,
            "type": option.kind(),
            "numbers": option.bounds(),
            "default": repr(defaults[name].default),
            "text": texts.get(name, ("", ""))[1],
        }
        for name, option in options_of(kind).items()
    ]
    write_rows(rows, output_format)
