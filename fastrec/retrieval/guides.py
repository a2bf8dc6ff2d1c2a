"""Guides of lists, learned from typical queries: a query's product with a guide predicts the best score of a list."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.lists import find_best_scores
from fastrec.kernels.topk import COSINE
from fastrec.matrix.arrays import readonly
from fastrec.parallel import run_pieces
from fastrec.retrieval.packed import Packed, make_space
from fastrec.retrieval.partition import Clusters, Floats

PRIOR = 100.0  # the weight of center and expected lead, in queries of length 1
QUERIES_AT_ONCE = 96


def learn_guides(
    packed: Packed,
    starts: NDArray[np.int64],
    clusters: Clusters,
    sizes: NDArray[np.int64],
    queries: Floats,
    metric: int,
    n_jobs: int,
) -> Clusters:
    """The clusters with guides and gains learned from some queries; queries of no length teach nothing.

    What the best score of a list has above the product with its center and its expected lead is fitted by ridge
    regression on the query's direction and a constant (Vecchiato et al. 2024: A learning-to-rank formulation of
    clustering-based approximate nearest neighbor search). Few queries leave a guide near the center.
    """
    best = score_lists(packed, starts, queries, metric, n_jobs)
    taught = np.isfinite(best[:, sizes > 0]).all(axis=1)
    rows = queries[taught].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores = best[taught] / (1.0 if metric == COSINE else packed.form.scale)
    more = np.where(sizes > 0, scores - rows @ clusters.centers.T.astype(np.float64) - clusters.leads(sizes), 0.0)
    # A direction has d parts of about 1 / √d, so a part of the guide has a d-th of the prior's weight; the constant has
    # a weight of 1.
    features = np.column_stack([rows * np.sqrt(rows.shape[1] / PRIOR), np.ones(len(rows))])
    # The equations are as many as the dimensions, or in the dual form as the queries, whichever are fewer.
    n, size = features.shape
    if size <= n:
        weights = np.linalg.solve(features.T @ features + np.eye(size), features.T @ more)
    else:
        weights = features.T @ np.linalg.solve(features @ features.T + np.eye(n), more)
    guides = clusters.centers + weights[:-1].T * np.sqrt(rows.shape[1] / PRIOR)
    return clusters._replace(guides=readonly(guides.astype(np.float32)), gains=readonly(weights[-1].astype(np.float32)))


def score_lists(packed: Packed, starts: NDArray[np.int64], queries: Floats, metric: int, n_jobs: int) -> Floats:
    """The best score of each list for each query, by bytes, in units of the packed vectors and for length 1.

    It is -inf for an empty list, and NaN for a query without length.
    """
    errors = np.where(packed.panels.order < 0, np.float32(-np.inf), np.float32(0))
    panels, best = packed.panels._replace(errors=readonly(errors)), np.empty((len(queries), len(starts) - 1), "f4")

    def score(start: int) -> None:
        part = slice(start, start + QUERIES_AT_ONCE)
        own = readonly(queries[part])
        space = make_space(packed, queries.shape[1], len(own), 1, 1)
        find_best_scores(packed.way, panels, packed.form, metric, starts, own, space, best[part])

    run_pieces(score, range(0, len(queries), QUERIES_AT_ONCE), n_jobs)
    return best
