"""Arrays in the form for kernels: int32 codes within bounds, float32 values, read-only and aligned memory."""

import numbers
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.int32]
Floats: TypeAlias = NDArray[np.float32]

SMALLEST = np.finfo(np.float32).tiny  # the smallest normal number, above 0
LARGEST_CODE = 2**31 - 1

# Flags of arrays as NumPy numbers them: C-contiguous and aligned; and these with writeable.
AS_READ = 0x0001 | 0x0100
FORM = AS_READ | 0x0400


def check_codes(name: str, codes: Any, size: int) -> NDArray[np.int32]:
    """Returns `codes` as one-dimensional int32, all from 0 to `size` - 1; an error names the first bad one.

    Raises
    ------
    TypeError
        If the codes are not integers.
    ValueError
        If one is below 0 or not below `size`, or the codes are not one-dimensional.

    Examples
    --------
    >>> check_codes("users", [0, 7], 5)
    Traceback (most recent call last):
    ...
    ValueError: users must be codes from 0 to 4, got 7 at position 1
    """
    array = np.asarray(codes)
    if array.ndim != 1:
        got = f"{array.ndim} dimensions" if array.ndim else type(codes).__name__
        raise ValueError(f"{name} must be one-dimensional, a list or an array of codes, got {got}")
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integer codes, got {_kind_of(array)}")
    # One pass: a negative number without its sign is a large one.
    unsigned = array.view(array.dtype.str.replace("i", "u"))
    if np.maximum.reduce(unsigned, axis=None) >= size:
        position = int(np.argmax((array < 0) | (array >= size)))
        span = f"codes from 0 to {size - 1}" if size else "empty, since there is nothing to point at"
        raise ValueError(f"{name} must be {span}, got {array[position]} at position {position}")
    return array.astype(np.int32, copy=False)


def _kind_of(array: NDArray[Any]) -> str:
    first = next((item for item in array.flat if not isinstance(item, numbers.Integral)), array.flat[0])
    return f"{first!r}" if array.dtype.kind in "OUST" else f"an array of {array.dtype}"


def starts_of(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """The starts of lists that lie one after the other, with the end of the last one, of shape (n + 1,).

    >>> starts_of(np.array([2, 0, 1]))
    array([0, 2, 2, 3])
    """
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def readonly(array: NDArray[Any]) -> NDArray[Any]:
    """Returns `array` or a view of it, read-only, C-contiguous and aligned; a copy only if it was neither.

    Kernels are compiled only for read-only arrays, such as those of memory-mapped models, so they get all arrays as
    such.

    >>> readonly(np.zeros(3)).flags.writeable
    False
    """
    flags = array.flags.num
    if flags & FORM == AS_READ:
        return array
    view = array.view() if flags & AS_READ == AS_READ else np.require(array, requirements=["C", "A"]).view()
    view.setflags(write=False)
    return view


def to_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers as float32; a nonzero number too small for float32 becomes the smallest normal number of its sign.

    >>> to_float32(np.array([1e-50, -1e-50, 0.0, 0.5]))
    array([ 1.1754944e-38, -1.1754944e-38,  0.0000000e+00,  5.0000000e-01],
          dtype=float32)
    """
    with np.errstate(over="ignore", under="ignore"):
        narrow: NDArray[np.float32] = values.astype(np.float32, copy=False)
    if narrow is values or values.dtype.kind != "f":
        return narrow
    return keep_nonzero(narrow, values)


def keep_nonzero(values: NDArray[np.float32], before: NDArray[Any]) -> NDArray[np.float32]:
    """The values, with a tiny number of the old sign where a nonzero value became 0.

    >>> keep_nonzero(np.array([0, 0, 2], "f4"), np.array([-3.0, 0.0, 1.0]))
    array([-1.1754944e-38,  0.0000000e+00,  2.0000000e+00], dtype=float32)
    """
    lost = (values == 0) & (before != 0)
    return np.where(lost, np.copysign(SMALLEST, before), values).astype(np.float32) if lost.any() else values


def aligned_zeros(rows: int, width: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Zeros of shape (rows, width) that start at a cache line."""
    size = rows * width * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.__array_interface__["data"][0] % 64
    aligned: NDArray[Any] = raw[start : start + size].view(dtype).reshape(rows, width)
    return aligned


def inverse_order(order: Codes) -> Codes:
    """The place of each code in a permutation of all codes.

    >>> inverse_order(np.array([2, 0, 1], np.int32))
    array([1, 2, 0], dtype=int32)
    """
    places = np.empty_like(order)
    places[order] = np.arange(len(order), dtype=order.dtype)
    return places


def reorder(matrix: Floats, order: Codes) -> None:
    """Moves each number of a square matrix, in its own memory: that at (i, j) to (order[i], order[j]).

    >>> matrix = np.array([[1, 2], [3, 4]], np.float32)
    >>> reorder(matrix, np.array([1, 0], np.int32))
    >>> matrix
    array([[4., 3.],
           [2., 1.]], dtype=float32)
    """
    columns, targets = inverse_order(order), order.tolist()
    moved = np.zeros(len(order), bool)
    # Rows go round in cycles: each takes the place of the next one, which is held until it has found its own.
    for start in range(len(order)):
        if moved[start]:
            continue
        place, held = start, matrix[start][columns]
        while not moved[place]:
            moved[place] = True
            place = targets[place]
            held, matrix[place] = matrix[place][columns], held
