"""Vectors as a scan reads them: in panels of 16, the longest first."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.topk import COSINE, SQUARED_DISTANCE
from fastrec.validation import readonly

LANES = 16
ROWS_AT_ONCE = 16 * 1024


class Packed(NamedTuple):
    """The vectors of an index for `scan_float32`; read-only arrays."""

    panels: NDArray[np.float32]  # (n_panels, dimensions, 16)
    norms: NDArray[np.float32]  # (16 · n_panels,), falling, rounded up; 0 behind the last vector
    order: NDArray[np.int32]  # their codes; -1 behind the last
    gamma: float  # a score's error is at most gamma · norm, for a query of length 1
    scale: float  # what the vectors were multiplied by: a power of two that makes the longest at most 1
    longest: float  # the largest norm before


def pack_vectors(
    vectors: NDArray[np.float32], norms: NDArray[np.float64], metric: int, codes: NDArray[np.int32] | None = None
) -> Packed:
    """Vectors of shape (n, d) in panels, or only those with the given codes.

    Under the cosine they are divided by their norms; for the distance each has -‖x‖²/2 as one more dimension, so that
    its product with (q, 1) falls with the distance.
    """
    chosen = norms if codes is None else norms[codes]
    longest = float(chosen.max(initial=0.0))
    scale = 2.0 ** -math.frexp(longest)[1]
    d = vectors.shape[1] + (metric == SQUARED_DISTANCE)
    lengths = _packed_norms(chosen, metric, scale)
    falling = np.argsort(-lengths, kind="stable")
    order = falling if codes is None else codes[falling]
    n_panels = -(-len(order) // LANES)
    panels = np.zeros((n_panels, d, LANES), np.float32)
    for start in range(0, len(order), ROWS_AT_ONCE):
        rows = order[start : start + ROWS_AT_ONCE]
        block = np.zeros((-(-len(rows) // LANES) * LANES, d), np.float32)
        block[: len(rows)] = _packed_rows(vectors[rows], norms[rows], metric, scale)
        first = start // LANES
        panels[first : first + len(block) // LANES] = block.reshape(-1, LANES, d).transpose(0, 2, 1)
    padded = np.full(n_panels * LANES, -1, np.int32)
    padded[: len(order)] = order
    bounds = np.zeros(n_panels * LANES, np.float32)
    bounds[: len(order)] = lengths[falling] * (1 + 2.0**-22)
    # (d + 1) fused steps, and a rounding or two of each element before: Higham, Accuracy and Stability, section 3.1.
    gamma = 1.01 * (d + 8) * 2.0**-24
    return Packed(readonly(panels), readonly(bounds), readonly(padded), gamma, scale, longest)


def _packed_norms(norms: NDArray[np.float64], metric: int, scale: float) -> NDArray[np.float64]:
    if metric == COSINE:
        return (norms > 0).astype(np.float64)
    if metric == SQUARED_DISTANCE:
        return np.hypot(norms * scale, (norms * scale) ** 2 / 2)
    return norms * scale


def _packed_rows(
    rows: NDArray[np.float32], norms: NDArray[np.float64], metric: int, scale: float
) -> NDArray[np.float32]:
    if metric == COSINE:
        return np.divide(rows, norms[:, None], where=norms[:, None] > 0, out=np.zeros(rows.shape)).astype(np.float32)
    scaled = (rows * np.float64(scale)).astype(np.float32)
    if metric == SQUARED_DISTANCE:
        lift: Any = -((norms * scale) ** 2) / 2
        return np.hstack([scaled, lift[:, None].astype(np.float32)])
    return scaled
