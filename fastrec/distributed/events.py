"""Events on an engine: the choice of their columns, and their checks."""

from typing import Any, NamedTuple

import numpy as np

from fastrec.distributed.engine import Frame, sql

ID_KINDS = ("tinyint", "smallint", "int", "bigint", "string", "date")
NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "boolean")
LARGEST = float(np.finfo(np.float32).max)
HALF_HASH = 1 << 29  # sums of ten billion such numbers stay below 2⁶³


class Digest(NamedTuple):
    """The number of events and the sum of their hashes: the same for the same rows in any order."""

    events: int
    content: str


def choose_columns(frame: Frame, user: str, item: str, value: str | None) -> Frame:
    """Selects the columns `user`, `item` and `value`; with no value column, each event has value 1.

    Raises a ValueError if there is no such column, and a TypeError if its type is unsuitable.
    """
    types = dict(frame.dtypes)
    for role, name, kinds in (("user", user, ID_KINDS), ("item", item, ID_KINDS), ("value", value, NUMBERS)):
        if name is None and role == "value":
            continue
        if name not in types:
            raise ValueError(f"{role} must name a column of the frame, {', '.join(types)}, got {name!r}")
        if types[name] not in kinds and not (role == "value" and types[name].startswith("decimal")):
            what = "integers, strings or dates" if role != "value" else "numbers"
            raise TypeError(f"{role} must be a column of {what}, but {name!r} is of type {types[name]}")
    number = sql.lit(1.0) if value is None else sql.col(value).cast("double")
    return frame.select(sql.col(user).alias("user"), sql.col(item).alias("item"), number.alias("value"))


def check_events(frame: Frame, takes_negatives: bool = False) -> Digest:
    """Returns the digest of all events; a ValueError names the user and the item of an invalid one.

    `frame` comes from `choose_columns`.
    """
    bad = _bad_events(takes_negatives)
    hashed = sql.xxhash64("user", "item", "value")
    high, low = sql.pmod(sql.shiftright(hashed, 29), sql.lit(HALF_HASH)), sql.pmod(hashed, sql.lit(HALF_HASH))
    found = frame.agg(
        sql.count(sql.lit(1)).alias("events"),
        sql.sum(sql.when(bad, 1).otherwise(0)).alias("bad"),
        sql.sum(high).alias("high"),
        sql.sum(low).alias("low"),
    ).first()
    if not found["events"]:
        raise ValueError("the frame of events is empty: there is nothing to learn from")
    if found["bad"]:
        raise ValueError(_say_what_is_wrong(frame.where(bad).first(), int(found["bad"])))
    return Digest(int(found["events"]), f"{found['high']:x}-{found['low']:x}")


def _bad_events(takes_negatives: bool) -> Any:
    value = sql.col("value")
    missing = sql.col("user").isNull() | sql.col("item").isNull() | value.isNull()
    return missing | sql.isnan(value) | (value < (-LARGEST if takes_negatives else 0)) | (value > LARGEST)


def _say_what_is_wrong(event: Any, many: int) -> str:
    user, item, value = event["user"], event["item"], event["value"]
    others = f"; {many - 1:,} more events are wrong" if many > 1 else ""
    if user is None or item is None:
        missing, known, id = ("user", "item", item) if user is None else ("item", "user", user)
        return f"an event has no {missing} (its {known} is {id!r}){others}"
    if value is None or value != value:
        what = "missing" if value is None else "not a number"
    else:
        what = f"negative, {value}" if -LARGEST <= value < 0 else f"too large for float32, {value}"
    return f"the value of user {user!r} and item {item!r} is {what}{others}"
