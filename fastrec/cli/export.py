"""``fastrec export``: a part of a model as a table for other programs."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from fastrec.cli.app import app, examples
from fastrec.cli.models import load_model
from fastrec.cli.options import FileMode, Length, ModelFile, check_table_output
from fastrec.cli.output import note
from fastrec.cli.working import working
from fastrec.permissions import open_anew, parse_mode

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns: TypeAlias = "dict[str, NDArray[Any]]"


class Part(StrEnum):
    """The part of a model that is exported."""

    item_factors = "item-factors"
    user_factors = "user-factors"
    similar_items = "similar-items"
    history = "history"


@app.command(
    epilog=examples(
        "fastrec export model.fastrec item-factors -o vectors.parquet",
        "fastrec export model.fastrec similar-items -k 20 -o similar.csv",
    )
)
def export(
    model_file: ModelFile,
    part: Annotated[Part, typer.Argument(metavar="PART", help=f"One of {', '.join(Part)}.")],
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="The .parquet or .csv file to write.")],
    k: Length = 10,
    mode: FileMode = "600",
) -> None:
    """Write a part of a model as a table.

    The part is vectors, the items most similar to each item, or the histories of the users. Each vector is a row: an
    id and a column for each factor.
    """
    check_table_output(output)
    import narwhals as nw

    from fastrec.data.frames import make_frame

    model = load_model(model_file)
    with working(f"writing {output}"):
        columns = _collect(model, part, k)
        frame = nw.from_native(make_frame(columns), eager_only=True)
        os.close(open_anew(output, parse_mode(mode)))
        (frame.write_parquet if output.suffix == ".parquet" else frame.write_csv)(str(output))
    note(f"{output}: {len(frame):,} rows, {len(columns)} columns")


def _collect(model: Any, part: Part, k: int) -> Columns:
    if part is Part.history:
        return _history(model)
    return _similar_items(model, k) if part is Part.similar_items else _factors(model, part.removesuffix("-factors"))


def _factors(model: Any, side: str) -> Columns:
    import numpy as np

    factors = getattr(model, f"{side}_factors_", None)
    if factors is None:
        raise ValueError(f"{type(model).__name__} has no vectors of {side}s")
    vocabulary = getattr(model, f"{side}_vocabulary")
    columns: Columns = {side: vocabulary.ids} | _titles(model, np.arange(len(vocabulary)), side)
    return columns | {f"factor_{place}": np.ascontiguousarray(factor) for place, factor in enumerate(factors.T)}


def _titles(model: Any, codes: "NDArray[Any]", side: str = "item") -> Columns:
    titles = (model.item_info_ or {}).get("title") if side == "item" else None
    return {} if titles is None else {"title": titles[codes]}


def _similar_items(model: Any, k: int) -> Columns:
    import numpy as np

    ids = model.item_vocabulary.ids
    top = model.similar_items(ids, k)
    rows, places = np.nonzero(top.codes >= 0)
    found = top.codes[rows, places]
    return {
        "item": ids[rows],
        "rank": places + 1,
        "similar_item": ids[found],
        "score": top.scores[rows, places],
    } | _titles(model, found)


def _history(model: Any) -> Columns:
    from fastrec.matrix.cells import row_numbers

    seen = model.seen_
    users, items = model.user_vocabulary.ids[row_numbers(seen)], model.item_vocabulary.ids[seen.indices]
    columns: Columns = {"user": users, "item": items, "value": seen.data}
    order = getattr(model, "order_", None)
    return columns if order is None else columns | {"place": order}
