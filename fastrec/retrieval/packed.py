"""Vectors as a scan reads them: in panels of 16, the longest first, as float32 or rounded to bytes."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import Static
from fastrec.kernels.scan import GROUP, ULP, UP, Form, Panels, Space
from fastrec.kernels.simd import AVX2, FLOAT, NEON, byte_way
from fastrec.kernels.topk import COSINE, SQUARED_DISTANCE
from fastrec.validation import readonly

LANES = 16
ROWS_AT_ONCE = 16 * 1024
ROTATED_AT_ONCE = 256  # dimensions; a rotation of more costs more than it gains


class Packed(NamedTuple):
    """The vectors of an index as a scan reads them."""

    way: Static  # how products are added
    panels: Panels
    form: Form


def pack_vectors(
    vectors: NDArray[np.float32],
    norms: NDArray[np.float64],
    metric: int,
    storage: str,
    codes: NDArray[np.int32] | None = None,
) -> Packed:
    """Vectors of shape (n, d) in panels, or only those with the given codes.

    Under the cosine they are divided by their norms; for the distance each has -‖x‖²/2 as one more dimension, so that
    its product with (q, 1) falls with the distance. For storage in bytes they are rotated at random, so that no element
    stands out, and rounded to 255 levels, each vector by its own step.
    """
    chosen = norms if codes is None else norms[codes]
    longest = float(chosen.max(initial=0.0))
    scale = 2.0 ** -math.frexp(longest)[1]
    dimensions = vectors.shape[1] + (metric == SQUARED_DISTANCE)
    lengths = _scaled_norms(chosen, metric, scale)
    falling = np.argsort(-lengths, kind="stable")
    order = falling if codes is None else codes[falling]
    n = -(-len(order) // LANES) * LANES

    def blocks() -> Any:
        for start in range(0, len(order), ROWS_AT_ONCE):
            rows = order[start : start + ROWS_AT_ONCE]
            yield start, _scaled_rows(vectors[rows], norms[rows], metric, scale)

    bounds, padded = np.zeros(n, np.float32), np.full(n, -1, np.int32)
    bounds[: len(order)] = lengths[falling] * UP
    padded[: len(order)] = order
    # (d + 1) fused steps, and a few roundings before and after: Higham, Accuracy and Stability, section 3.1.
    gamma = 1.01 * (dimensions + 8) * ULP
    if storage == "float32":
        panels = _pack_floats(blocks(), dimensions, readonly(bounds), readonly(padded))
        return Packed(Static(FLOAT), panels, Form(scale, longest, gamma, NO_ROTATION, 0, 0, 0))
    way, rotation = byte_way(), make_rotation(dimensions)
    panels = _pack_bytes(blocks(), rotation, readonly(bounds), readonly(padded))
    block, strips = rotation.shape[1], in_strips(rotation)
    levels, shift = 63 if way == AVX2 else 127, 0 if way == NEON else 128
    return Packed(Static(way), panels, Form(scale, longest, gamma, strips, block, levels, shift))


def _pack_floats(blocks: Any, d: int, norms: NDArray[np.float32], order: NDArray[np.int32]) -> Panels:
    panels = np.zeros((len(order) // LANES, d, LANES), np.float32)
    for start, rows in blocks:
        panels[start // LANES :][: -(-len(rows) // LANES)] = _in_panels(rows.astype(np.float32))
    return Panels(readonly(panels), readonly(np.ones(len(order), np.float32)), norms, norms, norms, order)


def _pack_bytes(
    blocks: Any, rotation: NDArray[np.float64], norms: NDArray[np.float32], order: NDArray[np.int32]
) -> Panels:
    n, width = len(order), -(-len(rotation) // 4)
    panels = np.zeros((n // LANES, width, LANES, 4), np.uint8)
    steps, errors, lengths = np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
    for start, rows in blocks:
        rotated = np.pad(_rotated(rows, rotation), [(0, 0), (0, 4 * width - len(rotation))])
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


def _rotated(rows: NDArray[np.float64], rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    blocks = [slice(first, first + ROTATED_AT_ONCE) for first in range(0, len(rotation), ROTATED_AT_ONCE)]
    parts = [rows[:, block] @ rotation[block, : rows[:, block].shape[1]] for block in blocks]
    return np.concatenate(parts, axis=1)


NO_ROTATION = readonly(np.empty((0, 0, 0), np.float32))


def in_strips(rotation: NDArray[np.float64]) -> NDArray[np.float32]:
    """A rotation by strips of sixteen columns, the last one filled with zeros: shape (n_strips, d, 16)."""
    padded = np.pad(rotation, [(0, 0), (0, -rotation.shape[1] % LANES)]).astype(np.float32)
    return readonly(np.ascontiguousarray(padded.reshape(len(padded), -1, LANES).swapaxes(0, 1)))


@functools.cache
def make_rotation(d: int) -> NDArray[np.float64]:
    """Random rotations of up to 256 dimensions each, beneath each other: shape (d, min(d, 256))."""
    random = np.random.default_rng(0)
    blocks = np.zeros((d, min(d, ROTATED_AT_ONCE)))
    for first in range(0, d, ROTATED_AT_ONCE):
        size = min(ROTATED_AT_ONCE, d - first)
        blocks[first : first + size, :size] = np.linalg.qr(random.normal(size=(size, size)))[0]
    return readonly(blocks)


def _in_panels(rows: NDArray[Any]) -> NDArray[Any]:
    """Rows of shape (n, width, …), the last ones filled with zeros, as (n_panels, width, 16, …)."""
    whole = np.zeros((-(-len(rows) // LANES) * LANES, *rows.shape[1:]), rows.dtype)
    whole[: len(rows)] = rows
    return whole.reshape(-1, LANES, *rows.shape[1:]).swapaxes(1, 2)


def _scaled_norms(norms: NDArray[np.float64], metric: int, scale: float) -> NDArray[np.float64]:
    if metric == COSINE:
        return (norms > 0).astype(np.float64)
    if metric == SQUARED_DISTANCE:
        return np.hypot(norms * scale, (norms * scale) ** 2 / 2)
    return norms * scale


def _scaled_rows(
    rows: NDArray[np.float32], norms: NDArray[np.float64], metric: int, scale: float
) -> NDArray[np.float64]:
    if metric == COSINE:
        return np.divide(rows, norms[:, None], where=norms[:, None] > 0, out=np.zeros(rows.shape))
    scaled = rows * np.float64(scale)
    if metric == SQUARED_DISTANCE:
        return np.column_stack([scaled, -((norms * scale) ** 2) / 2])
    return scaled


def make_space(packed: Packed, dimensions: int, n: int, k: int, room: int) -> Space:
    """Room for a search of n queries, of so many dimensions in the scan, for the best k."""
    rounded = packed.form.levels > 0
    return Space(
        scaled=np.empty((n + 1, dimensions), np.float32),
        rotated=np.empty((n + 1, -(-dimensions // LANES) * LANES) if rounded else (0, 0), np.float32),
        quads=np.empty((n + 1, packed.panels.panels.shape[1]) if rounded else (0, 0), np.int32),
        offsets=np.empty(n + 1, packed.panels.panels.dtype),
        norms=np.empty(n),
        margins=np.empty(n),
        reaches=np.empty(n, np.float32),
        limits=np.empty(n + 1, np.float32),
        k=k,
        best=np.empty((n, LANES + -(-k // LANES) * LANES), np.float32),
        bounds=np.empty((n, room), np.float32),
        codes=np.empty((n, room), np.int32),
        counts=np.empty(n, np.int64),
        starts=np.empty(n, np.int64),
        alive=np.empty(n + GROUP, np.int64),
        uppers=np.empty(LANES * (GROUP + 1), np.float32),
        work=np.zeros(3, np.int64),
    )
