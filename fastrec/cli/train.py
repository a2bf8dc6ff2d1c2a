"""``fastrec train``: train a model on a table."""

from pathlib import Path
from typing import Annotated

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.estimators import ModelPlan, model_plan
from fastrec.cli.groups import groups_options
from fastrec.cli.models import save_model
from fastrec.cli.options import FileMode, Format, Output, TableFile, check_folder
from fastrec.cli.output import count_in_words, note, write_report
from fastrec.cli.tables import TableOptions, read_table, table_options


@app.command(
    epilog=examples(
        "fastrec train ratings.csv -o model.fastrec --factors 128 --holdout 0.1",
        "fastrec train events.csv -o model.fastrec --weights view=1,cart=3,purchase=5",
    )
)
@groups_options(table=table_options, plan=model_plan)
def train(
    file: TableFile,
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The model file to write.")],
    table: TableOptions,
    plan: ModelPlan,
    holdout: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.9, help="First train without this random share, and report how well the model finds it."
        ),
    ] = 0.0,
    mode: FileMode = "600",
    output_format: Output = Format.table,
) -> None:
    """Train a model on a table and save it.

    Columns are recognised by their usual names. The saved model is trained on all of the data, with --holdout too.
    """
    from fastrec import Popularity, evaluate, split_random
    from fastrec.data.interactions import MOST_TIED
    from fastrec.models.base.chosen import chosen_in_words
    from fastrec.storage import size_in_words

    check_folder(output, "--output")
    data = read_table(file, table)
    note(repr(data).replace("Interactions", str(file), 1))
    if data.tied_share() > MOST_TIED:
        note(f"times: {data.describe()['ties']}, so models of sequences would learn the order of the rows")
    if holdout > 0:
        part, hidden = split_random(data, holdout, random_state=plan.seed)
        models = {plan.name: plan.fit(part)}
        models.setdefault("Popularity", Popularity().fit(part))
        write_report(evaluate(models, hidden, n_jobs=plan.jobs), output_format)
    model = plan.fit(data)
    if chosen := chosen_in_words(getattr(model, "model_", model)):
        note(f"chosen by the data: {chosen}")
    if chosen := getattr(model, "model_", model).choice_in_words():
        note(f"answers come from: {chosen}")
    save_model(model, output, mode)
    sides = [count_in_words(number, side) for number, side in zip(data.shape, ("user", "item"), strict=True)]
    named = plan if plan.kind is not None else type(model).__name__
    note(f"{output}: {named}, {', '.join(sides)}, {size_in_words(output.stat().st_size)}")
