"""Vectors in the form of a scan: in panels of 16, the longest first, as float32 or rounded to bytes."""

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard

from fastrec.kernels._jit import Static
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.products import AVX2, FLOAT, NEON, byte_way
from fastrec.kernels.scan import GROUP, SPARE, ULP, UP, Form, Panels, Space
from fastrec.kernels.topk import COSINE, SQUARED_DISTANCE
from fastrec.matrix.arrays import readonly

ROWS_AT_ONCE = 16 * 1024
ROTATED_AT_ONCE = 256  # the largest block of a rotation: larger ones cost more than they gain
ROTATION = "walsh-hadamard"  # the rotation of packed vectors in files
TURNS = 4  # the maximum number of turns of a rotation: enough to make elements nearly normal
Rotation = tuple[NDArray[np.float64], ...]


class Packed(NamedTuple):
    """The vectors of an index in the form of a scan."""

    way: Static  # the way in which products are added
    panels: Panels
    form: Form
    center: NDArray[np.float64] | None = None  # subtracted from vectors and queries


def pack_vectors(
    vectors: NDArray[np.float32],
    norms: NDArray[np.float64],
    metric: int,
    storage: str,
) -> Packed:
    """Packs vectors of shape (n, d) into panels.

    Under the cosine they are divided by their norms. For the distance, all are moved to their center, which changes no
    distance. Each has -‖x‖²/2 as one more dimension, so that its product with (q, 1) falls with the distance.
    For storage in bytes they are rotated at random, so that no element stands out, and rounded to 255 levels, each
    vector with its own step.
    """
    dimensions = scanned_dimensions(vectors.shape[1], metric)
    center = find_center(vectors) if metric == SQUARED_DISTANCE else None
    if center is not None:
        norms = np.concatenate([np.linalg.norm(part - center, axis=1) for part in _parts(vectors)])
    way, form = scan_form(storage, dimensions, float(norms.max(initial=0.0)))
    lengths, scale = scaled_norms(norms, metric, form.scale), form.scale
    order = np.argsort(-lengths, kind="stable")
    n = padded_width(len(order))

    def blocks() -> Any:
        for start in range(0, len(order), ROWS_AT_ONCE):
            rows = order[start : start + ROWS_AT_ONCE]
            moved = vectors[rows] if center is None else vectors[rows] - center
            yield start, _scaled_rows(moved, norms[rows], metric, scale)

    bounds, padded = np.zeros(n, np.float32), np.full(n, -1, np.int32)
    bounds[: len(order)] = lengths[order] * UP
    padded[: len(order)] = order
    if storage == "int8":
        panels = _pack_bytes(blocks(), dimensions, make_rotation(dimensions), readonly(bounds), readonly(padded))
    else:
        panels = _pack_floats(blocks(), dimensions, readonly(bounds), readonly(padded))
    return Packed(way, panels, form, center)


def find_center(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of vectors as float32 numbers, so that differences from it are exact in float64."""
    if len(vectors) == 0:
        return np.zeros(vectors.shape[1])
    center: NDArray[np.float64] = np.mean(vectors, axis=0, dtype=np.float64)
    return center.astype(np.float32).astype(np.float64)


def move_queries(queries: NDArray[np.float32], center: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Queries in the form for a scan of centered vectors, clipped to float32's range."""
    if center is None:
        return queries
    moved = queries - center
    largest = np.finfo(np.float32).max
    return readonly(np.where(np.isfinite(queries), np.clip(moved, -largest, largest), moved).astype(np.float32))


def _parts(vectors: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (vectors[start : start + ROWS_AT_ONCE] for start in range(0, max(1, len(vectors)), ROWS_AT_ONCE))


def scanned_dimensions(d: int, metric: int) -> int:
    """The number of dimensions of a scan, for vectors of d dimensions."""
    return d + (metric == SQUARED_DISTANCE)


def scan_form(storage: str, dimensions: int, longest: float) -> tuple[Static, Form]:
    """The form in which a scan adds products and prepares queries on this CPU, for vectors up to that norm."""
    scale = 2.0 ** -math.frexp(longest)[1]
    # (d + 1) fused steps, and a few roundings before and after: Higham, Accuracy and Stability, section 3.1.
    gamma = 1.01 * (dimensions + 9) * ULP
    if storage != "int8":
        return Static(FLOAT), Form(scale, longest, gamma, NO_SIGNS, 0, 0, 0)
    way = byte_way()
    levels, shift = 63 if way == AVX2 else 127, 0 if way == NEON else 128
    return Static(way), Form(scale, longest, gamma, *make_signs(dimensions), levels, shift)


def _pack_floats(blocks: Any, d: int, norms: NDArray[np.float32], order: NDArray[np.int32]) -> Panels:
    panels = np.zeros((len(order) // LANES, d, LANES), np.float32)
    for start, rows in blocks:
        panels[start // LANES :][: -(-len(rows) // LANES)] = _in_panels(rows.astype(np.float32))
    return Panels(readonly(panels), readonly(np.ones(len(order), np.float32)), norms, norms, norms, order)


def _pack_bytes(
    blocks: Any, d: int, rotation: Rotation, norms: NDArray[np.float32], order: NDArray[np.int32]
) -> Panels:
    n, width = len(order), packed_width(d)
    panels = np.zeros((n // LANES, width, LANES, 4), np.uint8)
    steps, errors, lengths = np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
    for start, rows in blocks:
        rotated = np.zeros((len(rows), 4 * width))
        rotated[:, : max(d, LANES)] = rotate(rows, rotation)
        here = slice(start, start + len(rows))
        steps[here] = np.abs(rotated).max(axis=1) / 127
        step = steps[here, None].astype(np.float64)
        levels = np.rint(np.divide(rotated, step, where=step > 0, out=np.zeros_like(rotated)))
        errors[here] = np.linalg.norm(rotated - step * levels, axis=1) * UP
        lengths[here] = np.linalg.norm(step * levels, axis=1) * UP
        packed = _in_panels((levels + 128).astype(np.uint8).reshape(len(rows), width, 4))
        panels[start // LANES :][: len(packed)] = packed
    quads = readonly(panels.view(np.int32)[..., 0])
    return Panels(quads, readonly(steps), readonly(errors), readonly(lengths), norms, order)


NO_SIGNS = readonly(np.empty((0, 0), np.float32))


def packed_width(d: int) -> int:
    """The number of words of four bytes of a vector of d dimensions after rotation."""
    return -(-max(d, LANES) // 4)


@functools.cache
def make_signs(d: int) -> tuple[NDArray[np.float32], int]:
    """Draws the signs with which `rotate_rows` rotates vectors of d dimensions, and the number of blocks."""
    wide = max(d, LANES)
    # NumPy promises never to change this stream, and LAPACK is not used: the rotation of saved vectors stays
    # reproducible.
    signs = 2.0 * np.random.RandomState(0).randint(2, size=(TURNS, wide)) - 1
    for block in _blocks(d):
        signs[:, block] /= math.sqrt(_span(block))
    return readonly(signs.astype(np.float32)), len(_blocks(d))


@functools.cache
def make_rotation(d: int) -> Rotation:
    """The same rotation as matrices, one for each block: elements times matrix equal the result of `rotate_rows`."""
    signs, matrices = make_signs(d)[0], []
    for block in _blocks(d):
        size, span = block.stop - block.start, _span(block)
        mixed, matrix = hadamard(span) / math.sqrt(span), np.eye(size)
        for turn in range(3 if span == size else TURNS):
            part = slice(size - span, size) if turn % 2 else slice(0, span)
            matrix[:, part] = (matrix[:, part] * np.sign(signs[turn, block][part])) @ mixed
        matrices.append(readonly(matrix[:d]))
    return tuple(matrices)


def rotate(rows: NDArray[np.float64], rotation: Rotation) -> NDArray[np.float64]:
    """Rotates rows of shape (n, d); returns shape (n, d, at least 16)."""
    cuts = np.cumsum([0, *map(len, rotation)])
    parts = [rows[:, cuts[i] : cuts[i + 1]] @ matrix for i, matrix in enumerate(rotation)]
    return np.concatenate(parts, axis=1)


def _blocks(d: int) -> list[slice]:
    wide = max(d, LANES)
    sizes = [len(part) for part in np.array_split(np.empty(wide), -(-wide // ROTATED_AT_ONCE))]
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _span(block: slice) -> int:
    """Rows of shape (n, width, …) as panels (n_panels, width, 16, …), the last one filled with zeros."""
    return int(2 ** math.floor(math.log2(block.stop - block.start)))


def _in_panels(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows of shape (n, width, …), the last ones filled with zeros, as (n_panels, width, 16, …)."""
    whole = np.zeros((padded_width(len(rows)), *rows.shape[1:]), rows.dtype)
    whole[: len(rows)] = rows
    return whole.reshape(-1, LANES, *rows.shape[1:]).swapaxes(1, 2)


def scaled_norms(norms: NDArray[np.float64], metric: int, scale: float) -> NDArray[np.float64]:
    """The norms of vectors as a scan sees them."""
    if metric == COSINE:
        return (norms > 0).astype(np.float64)
    if metric == SQUARED_DISTANCE:
        return np.hypot(norms * scale, (norms * scale) ** 2 / 2)
    return norms * scale


def _scaled_rows(rows: NDArray[Any], norms: NDArray[np.float64], metric: int, scale: float) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = np.zeros(rows.shape)
    if metric == COSINE:
        np.divide(rows, norms[:, None], where=norms[:, None] > 0, out=scaled)
        return scaled
    np.multiply(rows, np.float64(scale), out=scaled)
    if metric == SQUARED_DISTANCE:
        return np.column_stack([scaled, -((norms * scale) ** 2) / 2])
    return scaled


def room_for(k: int, n: int, roomier: int = 1) -> int:
    """The number of candidates that a scan of n vectors for the best k has room for."""
    return min(roomier * (4 * k + 128), 2 * n)


def make_space(packed: Packed, dimensions: int, n: int, k: int, room: int, readied: int | None = None) -> Space:
    """Makes the work arrays of a search of n queries with so many dimensions, for the best k among `room` candidates.

    Queries are prepared all at once, or so many at a time.
    """
    rounded, room, readied = packed.form.levels > 0, room + SPARE, min(n, readied or n)
    return Space(
        scaled=np.empty((readied + 1, dimensions), np.float32),
        rotated=np.empty((readied + 1, padded_width(max(dimensions, LANES))) if rounded else (0, 0), np.float32),
        quads=np.empty((n + 1, packed.panels.panels.shape[1]) if rounded else (0, 0), np.int32),
        offsets=np.empty(n + 1, packed.panels.panels.dtype),
        norms=np.empty(n),
        margins=np.empty(n),
        reaches=np.empty(n, np.float32),
        limits=np.empty(n + 1, np.float32),
        k=k,
        lowers=np.empty((n, room), np.float32),
        bounds=np.empty((n, room), np.float32),
        codes=np.empty((n, room), np.int32),
        counts=np.empty(n, np.int64),
        dues=np.empty(n, np.int64),
        starts=np.empty(n, np.int64),
        alive=np.empty(n + GROUP, np.int64),
        uppers=np.empty(LANES * (GROUP + 1), np.float32),
        work=np.zeros(4, np.int64),
    )
