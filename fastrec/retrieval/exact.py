"""ExactIndex: the k vectors with the best scores, all of them looked at, none missed."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from fastrec.kernels.topk import COSINE, INNER_PRODUCT, SQUARED_DISTANCE, measure_rows, rank_candidates
from fastrec.parallel import effective_jobs, run_pieces
from fastrec.retrieval.filters import candidate_lists, read_filters
from fastrec.retrieval.topk import TopK
from fastrec.validation import check_choice, check_integer, name_options, readonly

METRICS = {"ip": INNER_PRODUCT, "cosine": COSINE, "l2": SQUARED_DISTANCE}
PIECE = 240  # queries that one thread takes at a time


class ExactIndex(BaseEstimator):
    """The exact best k of all vectors for each query, in less time than the matrix product takes.

    Parameters
    ----------
    metric : {"ip", "cosine", "l2"}
        What is largest for the best: the inner product, the cosine (0 where either vector is zero), or the negative
        squared distance.
    storage : {"float32"}
        What is scanned. The answer is the same, to the bit, for all of them.
    n_jobs : int, optional
        Threads; None is all cores. A single query is answered without threads.

    Attributes
    ----------
    vectors_ : float32 array of shape (n, d)
        The vectors that were given.
    n_features_in_ : int
        Their dimensions, d.

    Notes
    -----
    Scores are summed in float64 and rounded to float32 (what float32 cannot hold is its largest number); vectors are
    ordered by that score, equal ones by their code. So the answer is the same for any number of threads, any batch and
    any CPU.

    Examples
    --------
    >>> index = ExactIndex().fit([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    >>> index.search([[1.0, 0.5]], k=2).codes
    array([[2, 0]], dtype=int32)
    """

    @name_options
    def __init__(self, metric: str = "ip", storage: str = "float32", n_jobs: int | None = None) -> None:
        self.metric = metric
        self.storage = storage
        self.n_jobs = n_jobs

    @name_options
    def fit(self, vectors: ArrayLike, y: Any = None) -> "ExactIndex":
        """Takes the vectors, of shape (n, d), in; they are not copied where they are float32 and C-contiguous.

        Raises
        ------
        ValueError
            Where the vectors are not two-dimensional, or hold NaN or an infinite value (its row and column are named).
        """
        metric = METRICS[check_choice("ExactIndex.metric", self.metric, tuple(METRICS))]
        check_choice("ExactIndex.storage", self.storage, ("float32",))
        vectors = read_vectors("vectors", vectors)
        norms = np.empty(len(vectors))
        refuse_nonfinite("vectors", vectors, measure_rows(vectors, norms))
        self._metric, self._norms = metric, readonly(norms)
        self.vectors_ = vectors
        self.n_features_in_ = vectors.shape[1]
        return self

    @name_options
    def search(self, queries: ArrayLike, k: int, exclude: Any = None, *, allow: Any = None) -> TopK:
        """The best k vectors of each query.

        Parameters
        ----------
        queries : array of shape (n_queries, d)
            Taken as float32.
        k : int
            How many, at least 1. Rows with fewer to choose from end in -1 / -inf.
        exclude
            A sparse matrix of shape (n_queries, n) whose stored entries are left out, zeros included; codes, left out
            of every answer; or None.
        allow
            A sparse matrix of that shape with all that each query may choose; codes, or a bool mask of shape (n,), for
            all queries; or None.

        Returns
        -------
        TopK
            codes and scores of shape (n_queries, k).

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            Where a shape does not fit, a query is not finite, a code is out of range or k is below 1.
        """
        if not hasattr(self, "vectors_"):
            raise NotFittedError("This ExactIndex instance is not fitted yet: call fit with the vectors first")
        check_integer("k", k, minimum=1)
        queries = read_vectors("queries", queries)
        n, d = self.vectors_.shape
        if queries.shape[1] != d:
            raise ValueError(f"queries have {queries.shape[1]} dimensions, the index has {d}")
        filters = read_filters(exclude, allow, len(queries), n)
        codes, scores = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)
        norms = np.empty(len(queries))
        refuse_nonfinite("queries", queries, measure_rows(queries, norms))
        starts, counts, listed = candidate_lists(filters, len(queries))

        def answer(first: int) -> None:
            rows = slice(first, first + PIECE)
            rank_candidates(
                self.vectors_, self._norms, self._metric, queries[rows], norms[rows], first, starts[rows], counts[rows],
                listed, False, filters.mask, filters.exclude_starts, filters.exclude_codes, codes[rows], scores[rows],
            )  # fmt: skip

        run_pieces(answer, range(0, len(queries), PIECE), effective_jobs(self.n_jobs) if len(queries) > 1 else 1)
        return TopK(codes, scores)


def read_vectors(name: str, vectors: ArrayLike) -> NDArray[np.float32]:
    """`vectors` as a read-only, C-contiguous float32 array of two dimensions."""
    array = np.asarray(vectors)
    if array.ndim != 2:
        raise ValueError(f"{name} must be of shape (n, dimensions), got {array.ndim} dimensions")
    if array.shape[1] == 0:
        raise ValueError(f"{name} must have at least one dimension, got shape {array.shape}")
    if array.dtype != np.float32:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    return readonly(array)


def refuse_nonfinite(name: str, vectors: NDArray[np.float32], row: int) -> None:
    """Raises a ValueError about `row`, unless it is -1."""
    if row >= 0:
        column = int(np.argmin(np.isfinite(vectors[row])))
        value = vectors[row, column]
        raise ValueError(f"{name} must be finite in float32, got {value} in row {row}, column {column}")
