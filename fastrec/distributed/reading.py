"""Interactions on one machine, of events on an engine."""

from typing import Any

from fastrec.data import Interactions, reading
from fastrec.distributed.engine import Frame


def read_interactions(
    df: Frame,
    user: str = "user",
    item: str = "item",
    *,
    value: str | None = None,
    time: str | None = None,
    **options: Any,
) -> Interactions:
    """The events of a DataFrame as `Interactions`, which the driver must hold: `fastrec.read_interactions` by Arrow.

    Parameters
    ----------
    df
        A DataFrame of events; nothing but the named columns is fetched.
    user, item, value, time
        Its columns.
    **options
        Further options of `fastrec.read_interactions`.

    Returns
    -------
    Interactions
    """
    columns = [name for name in (user, item, value, time) if name is not None]
    return reading.read_interactions(
        df.select(*columns).toArrow(), user=user, item=item, value=value, time=time, **options
    )
