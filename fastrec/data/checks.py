"""Checks of the parts of Interactions: values, times, facts about items, and the policy for repeated pairs."""

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.data.durations import UNITS_PER_SECOND, read_dates, round_times
from fastrec.data.ids import check_text, strings_in
from fastrec.data.vocabulary import frozen
from fastrec.matrix.arrays import to_float32
from fastrec.validation import check_choice

Duplicates = Literal["sum", "last", "max", "error"]
TimeUnit = Literal["s", "ms", "us", "ns"]
DUPLICATES = ("sum", "last", "max", "error")
TIME_UNITS = tuple(UNITS_PER_SECOND)
# From this many interactions on, times with only two values count as a flag: values 0 and 1, and any others.
FLAGS, PAIR_OF_TIMES = 20, 1000


def check_duplicates(duplicates: Any) -> Duplicates | None:
    """Returns a policy, or None, which leaves the choice to the model."""
    return None if duplicates is None else check_choice("duplicates", duplicates, DUPLICATES)


def check_values(values: ArrayLike, length: int, name: str = "values") -> NDArray[np.float32]:
    """Returns `values` as read-only float32, all of them finite.

    Raises
    ------
    TypeError
        If values are not numbers.
    ValueError
        If their number is not `length`, or one is NaN, infinite or beyond float32; the message names its row.
    """
    array = np.asarray(values)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    if array.dtype.kind not in "iufb":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    narrow = to_float32(array)
    if not np.isfinite(narrow).all():
        row = int(np.argmin(np.isfinite(narrow)))
        kind = "finite numbers" if not np.isfinite(array[row]) else "within float32"
        raise ValueError(f"{name} must be {kind}, got {array[row]} in row {row}")
    return cast(NDArray[np.float32], frozen(narrow))


def check_times(times: ArrayLike, unit: TimeUnit | None, length: int) -> tuple[NDArray[np.int64], TimeUnit | None]:
    """Returns `times` as read-only int64, and their unit.

    Raises
    ------
    TypeError, ValueError
        If times are neither integers nor dates, have another length, do not fit into int64, or are a flag.
    """
    array = np.asarray(times)
    array = array if array.size else array.astype(np.int64)  # NumPy makes an empty list float64
    if array.shape != (length,):
        raise ValueError(f"times must have shape ({length},), got {array.shape}")
    if array.dtype.kind == "M":
        array, own = read_dates("times", array)
        unit = unit or cast(TimeUnit, own)
        array = round_times("times", array, own, unit)
    elif array.dtype.kind in "iu":
        _refuse_flags(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array)))
        raise ValueError(f"times must be finite, got {array[row]} in row {row}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"times must be integers or datetime64, got {array.dtype}")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"times must fit in int64, got {array.max()} in row {int(np.argmax(array))}")
    return cast(NDArray[np.int64], frozen(array.astype(np.int64, copy=False))), unit


def _refuse_flags(times: NDArray[Any]) -> None:
    """Refuses two values that mean yes and no: 0 and 1 in some events, or any two in very many."""
    low, high = (times.min(), times.max()) if times.size else (0, 0)
    few = FLAGS if (low, high) == (0, 1) else PAIR_OF_TIMES
    if low == high or len(times) < few or not np.all((times == low) | (times == high)):
        return
    raise ValueError(
        f"times has two values only, {low} and {high}, in {len(times):,} interactions: that is a "
        "flag, not a time. Give the column of the times, or time=False; give days as datetime64"
    )


def as_datetimes(times: NDArray[np.int64], unit: TimeUnit | None) -> NDArray[Any]:
    """Returns times as datetime64 of their unit, or unchanged if no unit is known."""
    return times if unit is None else times.astype(f"datetime64[{unit}]")


def check_item_info(info: Mapping[str, ArrayLike], n_items: int) -> dict[str, NDArray[Any]]:
    """Returns facts about n items, each column as a read-only array of shape (n_items,)."""
    columns = {}
    check_text(map(str, info), "names of item_info")
    for name, column in info.items():
        array = np.asarray(column)
        if array.dtype.kind in "UT":
            array = array.astype(object)
        if array.dtype == object:
            check_text(strings_in(array.ravel().tolist()), f"item_info[{name!r}]")
        if array.shape != (n_items,):
            raise ValueError(f"item_info[{name!r}] must have one entry for each of {n_items} items, got {array.shape}")
        columns[str(name)] = frozen(array)
    return columns
