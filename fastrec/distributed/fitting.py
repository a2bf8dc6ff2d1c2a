"""`fit_on_spark`: models in closed form, from sums over users that executors make."""

import os
from typing import Any

import pyarrow as pa

from fastrec.distributed.engine import Frame, count_tasks, read_frame, settings, write_frame
from fastrec.distributed.events import check_events, choose_columns
from fastrec.distributed.item_products import PRODUCTS, collect_products, multiply_items
from fastrec.distributed.journal import Journal
from fastrec.distributed.opening import place_folder
from fastrec.distributed.preparing import BATCHES, prepare_users
from fastrec.distributed.whole_model import vocabulary_of
from fastrec.models.ease import EASE
from fastrec.validation import check_size


def fit_on_spark(
    model: EASE,
    df: Frame,
    *,
    path: str | os.PathLike[str],
    user: str = "user",
    item: str = "item",
    value: str | None = None,
    shards: int | str = "auto",
) -> EASE:
    """Fits an EASE on a frame's events: executors multiply the items of their users, and the driver solves for the
    weights.

    The model is an ordinary one, without users: it answers histories, as a stripped model does, and `score_on_spark`
    asks it for all users. Driver and tasks must hold n² float32 numbers for n items; the tasks also hold the events of
    a shard. The weights are those of `EASE.fit` for the same table: the same bits if all products are whole numbers
    below 2²⁴, otherwise to rounding.

    Parameters
    ----------
    model
        The model; its method is the dense one, and values are taken as they are.
    df
        A DataFrame of events. Values of one user and item add up.
    path
        A folder that the engine's executors can write to; its content is replaced.
    user, item
        The columns of ids: integers, strings or dates. Items need integers or strings.
    value
        The column of values; None is 1 for each event.
    shards
        The number of parts of the users; "auto" is the number of tasks that the engine runs at a time.

    Returns
    -------
    EASE
        The fitted model itself.

    Raises
    ------
    TypeError
        If the model is no EASE.
    ValueError
        If an event is invalid, or the options name the sparse method, or another form of values than "raw".
    """
    _check_model(model)
    events, spark, folder = choose_columns(df, user, item, value), df.sparkSession, place_folder(path)
    check_events(events, takes_negatives=True)
    dealt = count_tasks(spark) if shards == "auto" else check_size("shards", shards)
    Journal(spark, folder).begin()
    blocks, items, (_, n_items), _ = prepare_users(events, folder, keeps_zeros=False, adds_up=True)
    with settings(spark, BATCHES):
        write_frame(multiply_items(blocks, n_items, dealt, model.min_support > 1), f"{folder}/products")
    products = collect_products(read_frame(spark, f"{folder}/products", PRODUCTS), n_items)
    return model.fit_products(products, vocabulary_of(_ids_in_order(items), "item"))


def _check_model(model: Any) -> None:
    """Raises an error unless the model can be fitted from sums over users."""
    if not isinstance(model, EASE):
        raise TypeError(
            f"fit_on_spark takes an EASE, got {type(model).__name__}: it learns from sums over users, which executors "
            "make. SparkImplicitALS and SparkExplicitALS are models of factors on an engine"
        )
    if model.method == "sparse":
        raise ValueError("fit_on_spark solves for all items at once: take method='dense' or 'auto'")
    if model.weighting not in ("auto", "raw"):
        raise ValueError(
            f"fit_on_spark takes values as they are, not weighting={model.weighting!r}: weigh them in a column"
        )


def _ids_in_order(ids: Frame) -> pa.Array:
    table = ids.select("code", "id").toArrow().sort_by("code")
    return table["id"].combine_chunks()
