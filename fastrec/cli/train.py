"""``fastrec train``: a model from a table."""

from pathlib import Path
from typing import Annotated

import typer

from fastrec.cli.app import app
from fastrec.cli.groups import groups_options
from fastrec.cli.options import (
    Alpha,
    Factors,
    FileMode,
    Format,
    Iterations,
    Jobs,
    ModelOptions,
    Output,
    Regularization,
    Seed,
    TableFile,
    als_options,
    read_options,
)
from fastrec.cli.output import count_in_words, note, write_report
from fastrec.cli.tables import TableOptions, read_table, table_options
from fastrec.permissions import parse_mode


@app.command(epilog="Example:  fastrec train ratings.csv -o model.fastrec --factors 128 --k-core 5 --holdout 0.1")
@groups_options(table=table_options)
def train(
    file: TableFile,
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The model file to write.")],
    table: TableOptions,
    items: Annotated[
        Path | None, typer.Option("--items", exists=True, dir_okay=False, help="A table of facts about items (title).")
    ] = None,
    factors: Factors = None,
    regularization: Regularization = None,
    alpha: Alpha = None,
    iterations: Iterations = None,
    option: ModelOptions = None,
    seed: Seed = 0,
    jobs: Jobs = None,
    holdout: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.9, help="First train without this share, at random, and report how well it is found."
        ),
    ] = 0.0,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Train ImplicitALS on a table of interactions and save the model.

    Columns are recognised by their usual names. The saved model is trained on all of the data, with --holdout too.
    """
    from fastrec import ImplicitALS, Popularity, evaluate, split_random
    from fastrec.data.interactions import MOST_TIED
    from fastrec.options import parse_options
    from fastrec.storage import size_in_words

    if not output.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent}", param_hint="--output")
    chosen = read_options(lambda: parse_options(ImplicitALS, option or []))
    data = read_table(file, table, items)
    if data.tied_share() > MOST_TIED:
        note(f"times: {data.describe()['ties']}, so models of order would learn the order of the rows")
    options = als_options(factors, regularization, alpha, iterations, seed, jobs) | chosen
    if holdout > 0:
        part, hidden = split_random(data, holdout, random_state=seed)
        models = {"ImplicitALS": ImplicitALS(**options).fit(part), "Popularity": Popularity().fit(part)}
        report = evaluate(models, hidden, n_jobs=jobs)
        write_report(report, output_format)
    model = ImplicitALS(**options).fit(data)
    model.save(output, mode=parse_mode(mode))
    shape = data.shape
    size = size_in_words(output.stat().st_size)
    note(f"{output}: {count_in_words(shape[0], 'user')}, {count_in_words(shape[1], 'item')}, {size}")
