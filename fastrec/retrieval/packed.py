"""Vectors as a scan reads them: in panels of 16, the longest first, as float32 or rounded to bytes."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import Static
from fastrec.kernels.scan import Panels, Queries, quantize_queries, rotate_rows, scale_queries
from fastrec.kernels.simd import AVX2, FLOAT, NEON, byte_way
from fastrec.kernels.topk import COSINE, SQUARED_DISTANCE
from fastrec.validation import readonly

LANES = 16
ROWS_AT_ONCE = 16 * 1024
ROTATED_AT_ONCE = 256  # dimensions; a rotation of more costs more than it gains
ULP = 2.0**-24  # the largest relative error of rounding to float32
UP = 1 + 2.0**-21  # makes a bound out of a rounded float32


class Packed(NamedTuple):
    """The vectors of an index for `scan_panels`, and what queries need to be asked of them."""

    way: Static  # how products are added
    panels: Panels  # read-only arrays
    scale: float  # what vectors were multiplied by: a power of two that makes the longest at most 1
    longest: float  # the largest norm before
    dimensions: int  # of a query: one more than the vectors' for the distance
    rotation: NDArray[np.float32]  # (dimensions, width): square blocks beneath each other; empty: none
    levels: int  # queries are rounded to integers within ±levels; 0: not at all
    shift: int  # what was added to each byte


class Asked(NamedTuple):
    """Queries in the form of the vectors that they are asked of."""

    queries: Queries
    counts: NDArray[np.int64]  # -1 where a query was given up before, else 0
    error_share: float
    length_share: float


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
    if storage == "float32":
        panels = _pack_floats(blocks(), dimensions, readonly(bounds), readonly(padded))
        return Packed(Static(FLOAT), panels, scale, longest, dimensions, NO_ROTATION, 0, 0)
    way, rotation = byte_way(), make_rotation(dimensions)
    panels = _pack_bytes(blocks(), rotation, readonly(bounds), readonly(padded))
    padded_rotation = np.pad(rotation, [(0, 0), (0, -rotation.shape[1] % LANES)]).astype(np.float32)
    levels, shift = 63 if way == AVX2 else 127, 0 if way == NEON else 128
    return Packed(Static(way), panels, scale, longest, dimensions, readonly(padded_rotation), levels, shift)


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


NO_ROTATION = readonly(np.empty((0, 0), np.float32))


def make_rotation(d: int) -> NDArray[np.float64]:
    """Random rotations of up to 256 dimensions each, beneath each other: shape (d, min(d, 256))."""
    random = np.random.default_rng(0)
    blocks = np.zeros((d, min(d, ROTATED_AT_ONCE)))
    for first in range(0, d, ROTATED_AT_ONCE):
        size = min(ROTATED_AT_ONCE, d - first)
        blocks[first : first + size, :size] = np.linalg.qr(random.normal(size=(size, size)))[0]
    return blocks


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


def ask(packed: Packed, queries: NDArray[np.float32], norms: NDArray[np.float64], metric: int) -> Asked:
    """Queries of shape (n, d), with their norms, made ready for a scan of `packed`."""
    n, d = len(queries), packed.dimensions
    scaled, counts = np.zeros((n + 1, d), np.float32), np.empty(n, np.int64)
    asked = Queries(
        scaled, np.zeros(n + 1, np.float32), np.empty(n, np.float32), np.empty(n), np.empty(n + 1, np.float32)
    )
    scale_queries(queries, norms, metric, packed.scale, packed.longest, scaled, asked, counts)
    if packed.levels == 0:
        # (d + 1) fused steps, and a few roundings before and after: Higham, Accuracy and Stability, section 3.1.
        return Asked(asked, counts, 1.01 * (d + 8) * ULP, 0.0)
    block, width = min(d, ROTATED_AT_ONCE), packed.panels.panels.shape[1]
    rotated = np.empty((n + 1, -(-d // LANES) * LANES), np.float32)
    rotate_rows(scaled, packed.rotation, block, rotated)
    quads, shares = np.zeros((n + 1, width), np.int32), np.empty(2)
    asked = asked._replace(queries=quads, starts=np.zeros(n + 1, np.int32))
    blur = 2 * (block + 4) * math.sqrt(block) * ULP
    quantize_queries(rotated, d, packed.levels, packed.shift, blur, quads.view(np.int8), asked, shares)
    error_share, length_share = shares * UP
    # Of the sum, its float32 form, the product with the step and the bound: roundings of 4 ULP together.
    return Asked(asked, counts, error_share, length_share + 16 * ULP * error_share)
