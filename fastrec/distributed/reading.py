"""Reads events of an engine as Interactions on one machine."""

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
    """Reads the events of a DataFrame as `Interactions`, which the driver must hold: `fastrec.read_interactions` over
    Arrow.

    Parameters
    ----------
    df
        A DataFrame of events; only the named columns are fetched.
    user, item, value, time
        The columns of the frame.
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
