"""`score_on_spark`: recommendations of any fitted model for the users of a DataFrame, computed in executors."""

import os
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fastrec.distributed.asking import lists_schema
from fastrec.distributed.engine import Frame, PySparkException, Session, arrow_type, map_batches, sql
from fastrec.distributed.events import ID_KINDS
from fastrec.models import Recommender, load
from fastrec.permissions import PRIVATE
from fastrec.validation import check_size


def score_on_spark(
    model: Recommender | str | os.PathLike[str],
    users_df: Frame,
    k: int = 10,
    *,
    user: str = "user",
    items: str | None = None,
    file: str | os.PathLike[str] | None = None,
    mode: int = PRIVATE,
    **options: Any,
) -> Frame:
    """Recommends the `k` best items for each user of a DataFrame, with a model that every executor maps into memory.

    Parameters
    ----------
    model
        A fitted recommender; or the path of its file, which all executors see.
    users_df
        A DataFrame of users.
    k
        The number of items for each user.
    user
        The column of their ids.
    items
        The column of their histories, lists of item ids, the oldest first: users are then folded in, known or not.
        None asks for users of the training data.
    file
        Where to save a fitted model so that all executors see it. None ships the file through the engine, once to each
        node; Sail does not do that.
    mode
        The permissions of that file: by default its owner alone may read it; 0o640 lets executors of the group read it.
    **options
        Further options of `Recommender.recommend`.

    Returns
    -------
    DataFrame
        user, item, score and rank (from 1). Nothing is computed before it is needed.

    Raises
    ------
    ValueError, TypeError
        If a column is missing or has another type, or the engine ships no files. Unknown ids are an error when lists
        are computed, unless `on_unknown` is given.
    """
    k = check_size("k", k)
    types = dict(users_df.dtypes)
    for role, name in (("user", user), ("items", items)):
        if name is not None and name not in types:
            raise ValueError(f"{role} must name a column of the frame, {', '.join(types)}, got {name!r}")
    if types[user] not in ID_KINDS:
        raise TypeError(f"user must be a column of integers, strings or dates, but {user!r} is of type {types[user]}")
    known = load(model) if isinstance(model, str | os.PathLike) else model
    place = _place_file(model, users_df.sparkSession, file, mode)
    kind = pa.string() if known.item_vocabulary.kind == "str" else pa.int64()
    scoring = Scoring(place, k, options, items is not None, lists_schema(arrow_type(types[user]), kind))
    columns = [sql.col(name) for name in (user, items) if name is not None]
    return map_batches(users_df.select(*columns), partial(_score_batches, scoring), scoring.schema)


class FilePlace(NamedTuple):
    """The place of a model's file for executors."""

    name: str
    shipped: bool  # through the engine: `name` is the engine's name, not a path


class Scoring(NamedTuple):
    """The questions to executors."""

    place: FilePlace
    k: int
    options: dict[str, Any]
    by_history: bool
    schema: pa.Schema


def _place_file(model: Any, spark: Session, file: Any, mode: int) -> FilePlace:
    if isinstance(model, str | os.PathLike):
        return FilePlace(os.path.abspath(model), False)
    if file is not None:
        model.save(file, mode=mode)
        return FilePlace(os.path.abspath(file), False)
    path = Path(_shipped_files().name) / f"model-{os.urandom(8).hex()}.fastrec"
    model.save(path)
    try:
        spark.addArtifacts(str(path), file=True)
    except PySparkException as error:
        raise ValueError(f"this engine ships no files: give a `file` that all executors see ({error})") from error
    return FilePlace(path.name, True)


@cache
def _shipped_files() -> "tempfile.TemporaryDirectory[str]":
    """The folder of files given to the engine, kept as long as this process: Spark fetches them later."""
    return tempfile.TemporaryDirectory(prefix="fastrec-")


# --- in executors ----------------------------------------------------------------------------------------------------


def _score_batches(scoring: Scoring, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    model = _load_once(scoring.place)
    for batch in batches:
        users = batch.column(0)
        asked = model.histories(batch.column(1).to_pylist()) if scoring.by_history else users.to_pylist()
        top = model.recommend(asked, scoring.k, **scoring.options)
        rows, places = np.nonzero(top.valid)
        owners = users.take(pa.array(rows)) if scoring.by_history else pa.array(top.users[rows].tolist(), users.type)
        ids = top.items[top.valid]
        columns = [owners, pa.array(ids.tolist(), scoring.schema.field("item").type), pa.array(top.scores[top.valid])]
        yield from pa.table([*columns, pa.array((places + 1).astype(np.int32))], schema=scoring.schema).to_batches()


@cache
def _load_once(place: FilePlace) -> Any:
    """The model of a file, mapped into memory: processes of one node share it."""
    if not place.shipped:
        return load(place.name, verify="header")
    from pyspark import SparkFiles

    return load(SparkFiles.get(place.name), verify="header")
