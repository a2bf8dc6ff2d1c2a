"""Plain NumPy twins of the ranking kernels."""

from functools import reduce

import numpy as np

LARGEST = np.finfo(np.float32).max


def sum_lanes(terms):
    """Sums over the last axis in the kernels' order: 16 running sums, then the upper half onto the lower."""
    width = -terms.shape[-1] % 16
    padded = np.concatenate([terms, np.zeros((*terms.shape[:-1], width))], axis=-1)
    lanes = reduce(np.add, np.split(padded, padded.shape[-1] // 16, axis=-1), np.zeros((*terms.shape[:-1], 16)))
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def score_exactly(queries, vectors, metric="ip"):
    """Returns scores of shape (n_queries, n): summed in float64, rounded to float32, kept within its range."""
    queries = np.asarray(queries, np.float32).astype(np.float64)[:, None, :]
    vectors = np.asarray(vectors, np.float32).astype(np.float64)[None, :, :]
    if metric == "l2":
        exact = -sum_lanes((vectors - queries) ** 2)
    else:
        exact = sum_lanes(queries * vectors)
    if metric == "cosine":
        length = np.sqrt(sum_lanes(vectors * vectors)) * np.sqrt(sum_lanes(queries * queries))
        exact = np.divide(exact, length, out=np.zeros_like(exact), where=length > 0)
    return np.clip(exact, -LARGEST, LARGEST).astype(np.float32)


def select_topk(scores, k, exclude=None, allow=None):
    """Returns codes and scores of the best k of each row: score falling, then code rising.

    `exclude` and `allow` are bool (b, n).
    """
    b = len(scores)
    closed = ~(scores > -np.inf)
    if exclude is not None:
        closed = closed | exclude
    if allow is not None:
        closed = closed | ~allow
    codes, best = np.full((b, k), -1, np.int32), np.full((b, k), -np.inf, np.float32)
    for row in range(b):
        open_codes = np.flatnonzero(~closed[row])
        order = open_codes[np.lexsort((open_codes, -scores[row, open_codes].astype(np.float64)))][:k]
        codes[row, : len(order)] = order
        best[row, : len(order)] = scores[row, order]
    return codes, best
