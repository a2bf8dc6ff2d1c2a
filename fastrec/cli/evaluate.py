"""``fastrec evaluate`` and ``fastrec compare``: measure how well models find held-out interactions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.estimators import ModelPlan, model_plan, parse_model
from fastrec.cli.groups import groups_options
from fastrec.cli.measures import MeasureOptions, measure, measure_options
from fastrec.cli.models import load_model
from fastrec.cli.options import BasketGap, Format, Fraction, Jobs, Seed, Split, SplitBy, TableFile
from fastrec.cli.output import note
from fastrec.cli.tables import TableOptions, choose_split, describe_split, read_table, split_table, table_options

if TYPE_CHECKING:
    from fastrec.data import Interactions


@app.command(
    name="evaluate",
    epilog=examples(
        "fastrec evaluate ratings.csv --model EASE --split time --report page.html",
        "fastrec evaluate model.fastrec later.csv --metrics ndcg@10,recall@50",
    ),
)
@groups_options(table=table_options, plan=model_plan, measures=measure_options)
def evaluate_command(
    source: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A table to split, or a model file (then give TEST, too)."),
    ],
    table: TableOptions,
    plan: ModelPlan,
    measures: MeasureOptions,
    test: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="The table with the interactions that the model should find."),
    ] = None,
    split: SplitBy = Split.auto,
    basket_gap: BasketGap = None,
    fraction: Fraction = 0.2,
) -> None:
    """Evaluate a model on held-out data.

    A table is split: the model is fitted to one part, and compared with Popularity on the other. A saved model is
    evaluated on a second table. Means have 95 % confidence intervals; stderr reports the users that were left out.
    """
    if test is None:
        if source.suffix == ".fastrec":
            raise typer.BadParameter("a model needs a table to be evaluated on: give TEST", param_hint="TEST")
        data = read_table(source, table)
        fit_and_measure([plan], source, data, split, fraction, measures, basket_gap)
        return
    model = load_model(source)
    sides = (model.users_, model.items_)
    kinds = ["auto" if side is None else side.kind for side in sides]  # "7" in TEST is 7 where the model's are
    if table.key_file is not None:  # the model's are pseudonyms
        kinds[0] = table.kind_of_users
    about = {"model": source.name, "file": test.name, "split": "none: the whole file is the test set"}
    measure({type(model).__name__: model}, read_table(test, table, ids=tuple(kinds)), measures, plan.jobs, about)


@app.command(
    name="compare", epilog=examples("fastrec compare ratings.csv --model EASE --model ImplicitALS:factors=128")
)
@groups_options(table=table_options, measures=measure_options)
def compare_command(
    file: TableFile,
    table: TableOptions,
    measures: MeasureOptions,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="NAME[:OPTION=VALUE,…]",
            help="A model to fit; may be repeated.",
            show_default="ItemKNN, EASE, ImplicitALS, GraphFilter, and SequenceRules if there are times",
        ),
    ] = None,
    split: SplitBy = Split.auto,
    basket_gap: BasketGap = None,
    fraction: Fraction = 0.2,
    seed: Seed = 0,
    jobs: Jobs = None,
) -> None:
    """Compare several models on one split.

    They are fitted to one part of a table, and compared with each other and with Popularity on the other.
    Differences are paired by user, and p-values are corrected for the number of comparisons.
    """
    plans = [parse_model(text, seed, jobs) for text in models or []]
    twice = [plan for place, plan in enumerate(plans) if repr(plan) in map(repr, plans[:place])]
    if twice:
        raise typer.BadParameter(f"{twice[0]} is given twice: give it once", param_hint="--model")
    data = read_table(file, table)
    if not plans:
        names = ["ItemKNN", "EASE", "ImplicitALS", "GraphFilter"] + ["SequenceRules"] * (data.times is not None)
        plans = [parse_model(name, seed, jobs) for name in names]
    report = fit_and_measure(plans, file, data, split, fraction, measures, basket_gap)
    if measures.output_format is Format.table:
        comparison = report.compare().table()
        print(f"\n{comparison.caption}\n{comparison.text()}")


def fit_and_measure(
    plans: Sequence[ModelPlan],
    file: Path,
    data: "Interactions",
    split: Split,
    fraction: float,
    measures: MeasureOptions,
    basket_gap: str | None,
) -> Any:
    """Fits models and Popularity on a part of the data, and evaluates them on the rest."""
    from fastrec import Popularity

    split = choose_split(data, split)
    train_part, test_part = split_table(data, split, fraction, plans[0].seed, basket_gap)
    models: dict[str, Any] = {}
    for plan in plans:
        options = ", ".join(f"{name}={value}" for name, value in plan.options.items())
        alone = [other.kind for other in plans].count(plan.kind) == 1
        named = plan.name if alone else f"{plan.name}({options})"
        if len(plans) > 1:
            note(f"fitting {named}")
        models[named] = plan.judged_as(split).fit(train_part)
    models.setdefault("Popularity", Popularity().fit(train_part))
    described = describe_split(split, fraction, plans[0].seed)
    about = {"file": file.name, "interactions": f"{data.n_interactions:,}", "split": described}
    return measure(models, test_part, measures, plans[0].jobs, about)
