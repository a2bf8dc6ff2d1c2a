"""The Typer application, to which all commands belong."""

from typing import Annotated

import typer

from fastrec import __version__


def examples(*commands: str) -> str:
    """Returns the end of a help text: examples, one a line, which neither a terminal nor the site breaks."""
    heading = "Example" if len(commands) == 1 else "Examples"
    return "\n\n".join([f"{heading}:", *(f"    {command}" for command in commands)])


app = typer.Typer(
    name="fastrec",
    help="Train recommenders on a table of interactions and serve them, on an ordinary CPU machine.",
    epilog=examples("fastrec train ratings.csv -o model.fastrec", "fastrec recommend model.fastrec --user 42"),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain text: at 80 columns, the tables of rich cut names and examples
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _common(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        print(f"fastrec {__version__}")
        raise typer.Exit
