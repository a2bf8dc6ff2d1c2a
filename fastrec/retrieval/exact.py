"""ExactIndex: the k vectors with the best scores, none missed."""

from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from fastrec.fields import Array, Field, Fields
from fastrec.kernels.lanes import LANES
from fastrec.kernels.scan import GIVEN_UP, GROUP, OVERFULL, Panels, search_bytes, search_floats
from fastrec.kernels.topk import (
    COSINE,
    INNER_PRODUCT,
    SQUARED_DISTANCE,
    Exact,
    measure_rows,
    rank_candidates,
    score_rows,
)
from fastrec.matrix.arrays import readonly
from fastrec.options import Choice, Jobs, Options
from fastrec.parallel import effective_jobs, run_pieces
from fastrec.retrieval.files import Arrays, Filed, Record, check_codes_once, check_norms
from fastrec.retrieval.filters import NO_MASK, ExcludedCodes, Filters, Mask, candidate_lists, read_filters
from fastrec.retrieval.packed import (
    ROTATION,
    Packed,
    make_space,
    move_queries,
    pack_vectors,
    packed_width,
    room_for,
    scan_form,
    scanned_dimensions,
)
from fastrec.retrieval.single_scan import SingleScan
from fastrec.retrieval.topk import TopK, widen
from fastrec.validation import check_number, check_size, name_options

METRICS = {"ip": INNER_PRODUCT, "cosine": COSINE, "l2": SQUARED_DISTANCE}
STORAGES = ("float32", "int8", "float16")
PIECE = 240  # queries that a thread takes at a time
ROOM_AT_ONCE = 2**20  # candidates of one thread
ROOMIER = 32  # the factor by which a query with too many candidates gets more space
WORTH_THREADS = 2**26  # products below which a second thread costs more than it gains
SCANNED_IN_TIME_OF_ONE = 16  # the number of vectors that a scan reads in the time of one exact score
MOST_DIMENSIONS = 2**15  # beyond it, sums of bytes may leave int32, and the bound of float32's error is useless


REACH = float(np.finfo(np.float32).max)  # vectors may be of any finite numbers
LARGEST_NORM = 1e42
SCALED = 2.0  # the longest of packed vectors are scaled to a length near 1

# The arrays of packed vectors in a file, by the fields of Panels.
_PACKED = {"float32": {"panels": "panels", "bounds": "norms", "order": "order"}}
_PACKED["float16"] = _PACKED["float32"]
_PACKED["int8"] = _PACKED["float32"] | {name: name for name in ("steps", "errors", "lengths")}


class ExactIndex(Filed, BaseEstimator):
    """Finds the exact best k of all vectors for each query, in less time than a matrix product takes.

    Parameters
    ----------
    metric : {"ip", "cosine", "l2"}
        The score: the inner product, the cosine (0 if either vector is zero), or the negative squared distance.
    storage : {"float32", "int8", "float16"}
        The form that is scanned. With "int8" the vectors are rounded to bytes with a bound of the error, and all
        vectors within the bound are ranked by their float32 values. The answer is the same to the bit, several times as
        fast (for "l2", whose bound is wider, about as fast). "float16" is the same over vectors rounded to float16,
        which are kept instead of the float32 ones.
    n_jobs : int or None
        Threads; None is all cores. A single query is answered without threads.

    Attributes
    ----------
    vectors_ : float32 (or float16) array of shape (n, d)
        The given vectors.
    n_features_in_ : int
        Their dimensions, d.

    Notes
    -----
    Scores are summed in float64 and rounded to float32, clipped to its range; vectors are ordered by that score, ties
    by code. So the answer is the same for any number of threads, any batch and any CPU.

    Examples
    --------
    >>> index = ExactIndex().fit([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    >>> index.search([[1.0, 0.5]], k=2).codes
    array([[2, 0]], dtype=int32)
    """

    _options: ClassVar[Options] = {"metric": Choice(tuple(METRICS)), "storage": Choice(STORAGES), "n_jobs": Jobs()}

    @name_options
    def __init__(self, metric: str = "ip", storage: str = "float32", n_jobs: int | None = None) -> None:
        self.metric = metric
        self.storage = storage
        self.n_jobs = n_jobs

    @name_options
    def fit(self, vectors: ArrayLike, y: Any = None) -> "ExactIndex":
        """Takes in the vectors, of shape (n, d); float32, C-contiguous ones are not copied.

        Such an array must not be changed while the index is in use.

        Raises
        ------
        ValueError
            If the vectors are not two-dimensional, or hold NaN or an infinite value (its row and column are named).
        """
        self._check_options()
        return self._take(vectors, METRICS[self.metric], self.storage)

    def _take(self, vectors: ArrayLike, metric: int, storage: str) -> "ExactIndex":
        dtype = np.float16 if storage == "float16" else np.float32
        vectors = read_vectors("vectors", vectors, dtype)
        stored, norms = vectors if dtype is np.float32 else vectors.view(np.uint16), np.empty(len(vectors))
        refuse_nonfinite("vectors", vectors, 0, measure_rows(stored, norms))
        packed = pack_vectors(vectors, norms, metric, storage)
        self._adopt(vectors, Exact(stored, readonly(norms), metric), packed, storage)
        return self

    def _adopt(self, vectors: NDArray[Any], exact: Exact, packed: Packed, storage: str) -> None:
        self._exact = exact
        self._packed = packed
        self._single = None if exact.metric == SQUARED_DISTANCE else SingleScan(exact, packed)
        self._fitted_as = exact.metric, storage  # even if the parameters are changed later
        self.vectors_ = vectors
        self.n_features_in_ = vectors.shape[1]

    @name_options
    def search(self, queries: ArrayLike, k: int, exclude: Any = None, *, allow: Any = None) -> TopK:
        """Finds the best k vectors of each query.

        Parameters
        ----------
        queries : array of shape (n_queries, d)
            Taken as float32.
        k : int
            The number of vectors, at least 1. Rows with fewer candidates end in -1 / -inf.
        exclude
            A sparse matrix of shape (n_queries, n) whose stored entries are left out, zeros included; codes, or a bool
            mask of shape (n,), left out of every answer; or None.
        allow
            A sparse matrix of that shape with the vectors that each query may choose; codes, or a bool mask of shape
            (n,), for all queries; or None.

        Returns
        -------
        TopK
            codes and scores of shape (n_queries, k).

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            If a shape does not fit, a query is not finite, a code is out of range or k is below 1.
        """
        batch = self._answer(queries, k, exclude, allow)
        return TopK(*widen(batch.codes, batch.scores, int(k)))

    def search_one(
        self, query: NDArray[np.float32], k: int, closed: NDArray[np.int32], allowed: Mask | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Finds the codes and scores of `search` for one query, of shape (k,), in as few steps as possible.

        Nothing is checked: `query` is finite, float32 and read-only, of shape (d,), and `closed` are codes that are
        left out, ascending, int32 and read-only.
        """
        n, mask = len(self.vectors_), NO_MASK if allowed is None else allowed.mask
        left = n if allowed is None or allowed.allowed is None else len(allowed.allowed)
        if self._single is not None and self._is_scan_better(left, k):
            found = self._single.find(query, k, mask, closed)
            if found is not None:
                return found
        top = self.search(query[None], k, ExcludedCodes(np.array([0, len(closed)]), closed), allow=allowed)
        return top.codes[0], top.scores[0]

    @name_options
    def audit(self, queries: ArrayLike, k: int = 10, exclude: Any = None, *, allow: Any = None) -> dict[str, float]:
        """Reports how a search found its answer; the parameters are those of `search`.

        Returns
        -------
        dict
            "scanned": the share of all pairs of a query and a vector that were scored at all, the others are too short
            to matter. "ranked": the number of vectors that were scored exactly, for each query. "given up": the share
            of queries for which the scan excluded too few vectors, so that all were scored exactly.

        Examples
        --------
        >>> vectors = np.random.default_rng(0).normal(size=(5000, 8)) * np.linspace(0, 2, 5000)[:, None]
        >>> report = ExactIndex(storage="int8").fit(vectors).audit(vectors[100:200])
        >>> report["scanned"] < 1, report["ranked"] < 100, report["given up"]
        (True, True, 0.0)
        """
        batch = self._answer(queries, k, exclude, allow)
        n_queries = max(1, len(batch.queries))
        pairs, counts = zip(*batch.tally, strict=True) if batch.tally else ([0], [np.full(n_queries, GIVEN_UP)])
        found = np.concatenate(counts)
        ranked, given_up = np.maximum(found, 0).sum(), np.count_nonzero(found == GIVEN_UP)
        return {
            "scanned": min(1.0, float(sum(pairs) * LANES / (n_queries * max(1, len(self.vectors_))))),
            "ranked": float(ranked / n_queries),
            "given up": float(given_up / n_queries),
        }

    def describe(self) -> tuple[Arrays, Record]:
        """The fitted index as named arrays, and as a record for JSON: what `save` writes."""
        self._check_fitted()
        panels, (metric, storage) = self._packed.panels, self._fitted_as
        arrays = {"vectors": self.vectors_, "norms": self._exact.norms}
        arrays |= {name: getattr(panels, field) for name, field in _PACKED[storage].items()}
        options = self.get_params() | {"metric": tuple(METRICS)[metric], "storage": storage}
        record = {"class": type(self).__name__, "options": options}
        if self._packed.center is not None:
            arrays["center"], record["longest"] = self._packed.center, self._packed.form.longest
        return arrays, record | ({"rotation": ROTATION} if storage == "int8" else {})

    def _is_rotated(self) -> bool:
        return self.storage == "int8"

    def _fields(self) -> Fields:
        return exact_fields(METRICS[self.metric], self.storage)

    def _check(self, arrays: Arrays, record: Record, *, ranges: bool) -> None:
        (n, d), (n_panels, width, _) = arrays["vectors"].shape, arrays["panels"].shape
        dimensions = scanned_dimensions(d, METRICS[self.metric])
        if d < 1 or n_panels != -(-n // LANES) or (width != packed_width(dimensions) and self.storage == "int8"):
            raise ValueError("its array 'panels' has the wrong shape")
        if self.storage != "int8" and width != dimensions:
            raise ValueError("its array 'panels' has the wrong shape")
        if len(arrays["order"]) != n_panels * LANES:
            raise ValueError("its array 'order' has the wrong length")
        if ranges:
            check_codes_once(arrays["order"], np.ones(n, bool))
            check_norms(arrays["vectors"], arrays["norms"])

    def _restore(self, arrays: Arrays, record: Record) -> None:
        metric, storage = METRICS[self.metric], self.storage
        fields = {field: readonly(arrays[name]) for name, field in _PACKED[storage].items()}
        if storage != "int8":
            rest = {"steps": readonly(np.ones(len(fields["order"]), np.float32))}
            fields |= rest | {"errors": fields["norms"], "lengths": fields["norms"]}
        vectors, norms, center = readonly(arrays["vectors"]), readonly(arrays["norms"]), None
        longest = float(norms.max(initial=0.0))
        if metric == SQUARED_DISTANCE:
            center, longest = (
                readonly(arrays["center"]),
                check_number("longest", record["longest"], minimum=0, maximum=LARGEST_NORM),
            )
        way, form = scan_form(storage, scanned_dimensions(vectors.shape[1], metric), longest)
        stored = vectors.view(np.uint16) if vectors.dtype == np.float16 else vectors
        self._adopt(vectors, Exact(stored, norms, metric), Packed(way, Panels(**fields), form, center), storage)

    def __getstate__(self) -> dict[str, Any]:
        # The packed form suits this CPU; a CPU that reads the file packs the vectors again.
        return {
            name: value
            for name, value in super().__getstate__().items()
            if name not in ("_exact", "_packed", "_single")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "vectors_" in state:
            self._take(self.vectors_, *self._fitted_as)

    def _check_fitted(self) -> None:
        if not hasattr(self, "vectors_"):
            raise NotFittedError("This ExactIndex instance is not fitted yet: call fit with the vectors first")

    def _answer(self, queries: ArrayLike, k: int, exclude: Any, allow: Any) -> "_Batch":
        self._check_fitted()
        k = check_size("k", k)
        n, d = self.vectors_.shape
        queries = read_queries(queries, d)
        filters = read_filters(exclude, allow, len(queries), n)
        places = (len(queries), min(k, max(1, n)))
        batch = _Batch(queries, filters, np.empty(places, np.int32), np.empty(places, np.float32), [])
        left = n if filters.allowed is None else len(filters.allowed)
        scans = not len(filters.allow_starts) and self._is_scan_better(left, k)
        answer = partial(self._scan if scans else self._rank_listed, batch)
        if len(queries) == 1:
            answer(slice(0, 1))
        else:
            size, jobs = self._deal(*places)
            firsts = range(0, len(queries), size)
            run_pieces(answer, [slice(first, min(first + size, len(queries))) for first in firsts], jobs)
        return batch

    def _is_scan_better(self, left: int, k: int) -> bool:
        """Tells whether to scan all vectors, or to score each of the remaining ones alone."""
        n, d = self.vectors_.shape
        return d <= MOST_DIMENSIONS and 4 * k < left and n < SCANNED_IN_TIME_OF_ONE * left

    def _deal(self, n_queries: int, k: int) -> tuple[int, int]:
        """The number of queries that a thread takes at a time, and the number of threads; answers do not depend on
        them.
        """
        n, d = self.vectors_.shape
        jobs = effective_jobs(self.n_jobs) if n_queries * n * d > WORTH_THREADS else 1
        most = min(PIECE, max(GROUP, ROOM_AT_ONCE // (4 * k)))
        pieces = jobs * -(-n_queries // (most * jobs))
        return GROUP * max(1, -(-n_queries // (GROUP * max(1, pieces)))), jobs

    def _rank_listed(self, batch: "_Batch", rows: slice) -> None:
        """Answers queries by the exact score of each candidate that the filters leave."""
        rank_listed(self._exact, batch.queries, batch.filters, rows, batch.codes, batch.scores)

    def _scan(self, batch: "_Batch", rows: slice, roomier: int = 1) -> None:
        """Answers queries by a scan, and exact scores of the vectors that it cannot exclude."""
        packed = self._packed
        (n, d), (b, k) = self.vectors_.shape, (rows.stop - rows.start, batch.codes.shape[1])
        space = make_space(packed, d + (self._exact.metric == SQUARED_DISTANCE), b, k, room_for(k, n, roomier))
        search = search_floats if packed.form.levels == 0 else search_bytes
        bad = search(
            packed.way, packed.panels, packed.form, self._exact, batch.queries[rows],
            move_queries(batch.queries[rows], packed.center), rows.start, batch.filters.closed, space,
            batch.codes[rows], batch.scores[rows],
        )  # fmt: skip
        refuse_nonfinite("queries", batch.queries, rows.start, bad)
        overfull = np.flatnonzero(space.counts == OVERFULL) if space.work[1] else ()
        batch.tally.append((int(space.work[0]), space.counts))
        for row in overfull:
            one = slice(rows.start + row, rows.start + row + 1)
            if roomier == 1:
                self._scan(batch, one, ROOMIER)
            else:
                batch.tally.append((0, np.array([GIVEN_UP])))
                self._rank_listed(batch, one)


class _Batch(NamedTuple):
    queries: NDArray[np.float32]
    filters: Filters
    codes: NDArray[np.int32]
    scores: NDArray[np.float32]
    tally: list[tuple[int, NDArray[np.int64]]]  # for each piece: the scanned pairs, and the vectors ranked by query


def exact_fields(metric: int, storage: str) -> Fields:
    """The arrays of an index: `n` vectors of `d` dimensions, and what a scan reads of them."""
    number = Array(("n_places",), least=0, most=SCALED)
    shape = ("n_panels", "width", LANES)
    packed = Array(shape, "int32") if storage == "int8" else Array(shape, least=-SCALED, most=SCALED)
    fields: dict[str, Field] = {
        "vectors": Array(("n", "d"), "float16" if storage == "float16" else "float32", least=-REACH, most=REACH),
        "norms": Array(("n",), "float64", least=0, most=LARGEST_NORM),
        "panels": packed,
        "order": Array(("n_places",), "int32", least=-1, below="n"),
    }
    if metric == SQUARED_DISTANCE:
        fields["center"] = Array(("d",), "float64", least=-REACH, most=REACH)
    return fields | {name: number for name in _PACKED[storage] if name not in fields}


def rank_listed(
    exact: Exact,
    queries: NDArray[np.float32],
    filters: Filters,
    rows: slice,
    codes: NDArray[np.int32],
    scores: NDArray[np.float32],
) -> None:
    """Answers some rows of queries by the exact score of each candidate that the filters leave."""
    some, norms = queries[rows], np.empty(rows.stop - rows.start)
    refuse_nonfinite("queries", queries, rows.start, measure_rows(some, norms))
    starts, counts, listed = candidate_lists(filters, rows)
    rank_candidates(
        exact, some, norms, rows.start, starts, counts, listed, filters.closed, codes[rows], scores[rows]
    )  # fmt: skip


def score_pairs(
    queries: NDArray[np.float32], rows: NDArray[np.int64], vectors: NDArray[np.float32], codes: NDArray[np.int32]
) -> NDArray[np.float32]:
    """The inner products of the queries in some rows and the vectors of some codes, in pairs, of shape (n,), with the
    bits that an ExactIndex gives them. Nothing is checked.

    >>> queries, vectors = np.array([[1, 2]], "f4"), np.array([[3, 4], [5, 6]], "f4")
    >>> score_pairs(queries, np.array([0, 0]), vectors, np.array([1, 0], "i4"))
    array([17., 11.], dtype=float32)
    """
    scores = np.empty(len(rows), np.float32)
    score_rows(readonly(queries), readonly(rows), readonly(vectors), readonly(codes), scores)
    return scores


def read_vectors(name: str, vectors: ArrayLike, dtype: Any = np.float32) -> NDArray[Any]:
    """Returns `vectors` as a read-only, C-contiguous array of two dimensions, of float32 or float16."""
    if issparse(vectors) or np.ma.isMaskedArray(vectors):
        raise TypeError(f"{name} must be a dense array without a mask, got {type(vectors).__name__}")
    array = np.asarray(vectors)
    if array.ndim != 2:
        raise ValueError(f"{name} must be of shape (n, dimensions), got {array.ndim} dimensions")
    if array.shape[1] == 0:
        raise ValueError(f"{name} must have at least one dimension, got shape {array.shape}")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, got an array of {array.dtype}")
    if array.dtype != dtype:
        with np.errstate(over="ignore"):
            array = array.astype(dtype)
    return readonly(array)


def read_queries(queries: ArrayLike, dimensions: int) -> NDArray[np.float32]:
    """Returns `queries` as `read_vectors` does, with the dimensions of the index."""
    vectors = read_vectors("queries", queries)
    if vectors.shape[1] != dimensions:
        raise ValueError(f"queries have {vectors.shape[1]} dimensions, the index has {dimensions}")
    return vectors


def refuse_nonfinite(name: str, vectors: NDArray[Any], first: int, bad: int) -> None:
    """Raises a ValueError about row first + bad, unless bad is -1."""
    if bad >= 0:
        row = first + bad
        column = int(np.argmin(np.isfinite(vectors[row])))
        value = vectors[row, column]
        raise ValueError(f"{name} must be finite in {vectors.dtype}, got {value} in row {row}, column {column}")
