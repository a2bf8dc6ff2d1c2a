"""IVFIndex: nearly all of the k vectors with the best scores, from the most promising lists of vectors."""

import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from fastrec.fields import Fields, check_range
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.matrix.arrays import check_codes
from fastrec.options import Choice, Integer, Jobs, Number, Options, Seed
from fastrec.parallel import effective_jobs, run_pieces
from fastrec.retrieval.exact import (
    LARGEST_NORM,
    MOST_DIMENSIONS,
    read_queries,
    read_vectors,
)
from fastrec.retrieval.files import Arrays, Filed, Record, check_codes_once, check_norms
from fastrec.retrieval.filters import read_filters
from fastrec.retrieval.ivf_search import QueryBatch, SearchEffort, SingleSearch, rank_all, scan_allowed, scan_lists
from fastrec.retrieval.ivf_state import (
    METRICS,
    SURENESS,
    IndexState,
    Workspaces,
    build_state,
    check_lengths,
    directions_of,
    guide,
    ivf_fields,
    make_margin,
    power_of,
    restore_state,
)
from fastrec.retrieval.packed import ROTATION, packed_width
from fastrec.retrieval.partition import (
    Floats,
    exact_rows,
    find_clusters,
)
from fastrec.retrieval.topk import TopK, plain_top, widen
from fastrec.validation import check_integer, check_number, check_size, name_options

FLOAT32, INT32 = np.dtype(np.float32), np.dtype(np.int32)  # a dtype is compared faster than a type
STORED = {"float32": np.float32, "float16": np.float16}
PIECE = 3072  # queries that a thread takes at a time: more of them share a list
ROOM_AT_ONCE = 2**20  # candidates of one thread
WORTH_THREADS = 2**22  # products below which a second thread costs more than it gains
LEARNED = 1024  # queries that guides are learned from
CALIBRATION = 2000  # queries for measuring a recall
DEPTH = 10  # the k of that recall
SMALLEST_LIST = 32
CHANGING = threading.Lock()  # held by a change of any index: two changes at a time would undo each other
WORTH_EXPECTING = 800  # panels times their width: the cost of computing expectations for a batch
RUNGS = 100  # rungs of the ladder of smallest expectations


class IVFIndex(Filed, BaseEstimator):
    """Finds nearly all of the best k vectors for each query, several times as fast as an exact search.

    k-means deals the vectors into lists. A query reads only the most promising lists: their vectors are scored by
    bytes, and likely candidates again by the vectors themselves.

    Parameters
    ----------
    metric : {"ip", "cosine"}
        The score: the inner product, or the cosine (0 if either vector is zero).
    n_lists : int or "auto"
        The number of lists; "auto" is 2.5 √n, with at least 32 vectors in each.
    n_probe : int or None
        The number of lists that each query reads. None: the number for `recall_target`, which differs between queries.
    recall_target : float or None
        The share of the true best 10 to find, from 0 to 1; searches read the fewest lists that reach it for the queries
        given to `fit`. Not used if n_probe is given.
    rerank : {"float32", "float16"} or None
        The form of the vectors kept for exact scores: unchanged, or rounded to float16. None: none are kept, so scores
        are those of the bytes.
    n_jobs : int or None
        Threads; None is all cores. A single query is answered without threads.
    random_state : int, RandomState or None
        The seed of k-means, and of the choice of queries for measuring.

    Attributes
    ----------
    n_lists_, n_probe_ : int
        The number of lists, and the largest number that a query reads.
    least_ : float
        The smallest expected number of the best k in each 16 vectors of a list that is read. It is 0 if a query reads
        all of its lists, because `n_probe` was given, or because that takes less time.
    recall_ : float
        The recall of the best 10 for the queries that had no part in the choice, except to add lists until the target
        was reached; NaN without queries. It is that of the fit: `audit` measures again.
    centers_ : float32 array of shape (n_lists, d)
        The means of the lists; under the cosine, of vectors of length 1.
    vectors_ : float32 or float16 array of shape (n, d), or None
        The vectors kept for `rerank`. Rows of removed vectors stay.
    n_features_in_ : int
        Their dimensions, d.

    Notes
    -----
    The answer holds the best of all vectors in the lists read, in the order and with the scores of `ExactIndex`, except
    for about one vector in ten thousand that the bytes misjudge. It is the same for any number of threads, any batch
    and any CPU. If filters leave fewer than k vectors, a query reads more lists, until there are k or all have been
    read.

    References
    ----------
    Jégou, Douze, Schmid: Product quantization for nearest neighbor search. PAMI 2011 (inverted lists).
    Guo et al.: Accelerating large-scale inference with anisotropic vector quantization. ICML 2020.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> vectors, queries = random.normal(size=(5000, 16)), random.normal(size=(400, 16))
    >>> index = IVFIndex(recall_target=0.9, random_state=0).fit(vectors, queries=queries)
    >>> index.search(queries[:2], k=3).codes.shape, index.recall_ >= 0.9, index.n_probe_ < index.n_lists_
    ((2, 3), True, True)
    """

    _options: ClassVar[Options] = {
        "metric": Choice(tuple(METRICS)),
        "n_lists": Integer(1, memory=True, log=True, also=("auto",)),
        "n_probe": Integer(1, log=True, also=(None,)),
        "recall_target": Number(0, 1, also=(None,)),
        "rerank": Choice((*STORED, None)),
        "n_jobs": Jobs(),
        "random_state": Seed(),
    }

    @name_options
    def __init__(
        self,
        metric: str = "ip",
        *,
        n_lists: int | str = "auto",
        n_probe: int | None = None,
        recall_target: float | None = 0.95,
        rerank: str | None = "float32",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.metric = metric
        self.n_lists = n_lists
        self.n_probe = n_probe
        self.recall_target = recall_target
        self.rerank = rerank
        self.n_jobs = n_jobs
        self.random_state = random_state

    @name_options
    def fit(self, vectors: ArrayLike, y: Any = None, *, queries: ArrayLike | None = None) -> "IVFIndex":
        """Deals vectors of shape (n, d) into lists, and finds the number of lists that a query must read.

        Parameters
        ----------
        vectors
            The vectors. They are not copied if they are kept unchanged: float32 (or float16) and C-contiguous. Such an
            array must not be changed while the index is in use.
        y
            Not used; accepted because scikit-learn passes it.
        queries
            Typical queries, of shape (n_queries, d): at least 2, better 1000 or more. They are needed for a recall
            target. A third of them, at most 1024, teach how good the best of a list is. Up to 2000 of the others are
            drawn, half to find the number of lists, half to measure `recall_`. If that half finds less than the target,
            lists are added until it reaches it.

        Raises
        ------
        ValueError
            If vectors or queries are not two-dimensional, of other dimensions or not finite; if there are no
            queries for the recall target, or it cannot be reached without a re-rank.
        """
        self._check_options()
        self._check_queries(queries)
        metric, jobs = METRICS[self.metric], effective_jobs(self.n_jobs)
        random = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        dtype = STORED.get(self.rerank or "float32", np.float32)
        vectors = read_vectors("vectors", vectors, dtype)
        if vectors.shape[1] > MOST_DIMENSIONS:
            raise ValueError(f"vectors must have at most {MOST_DIMENSIONS} dimensions, got {vectors.shape[1]}")
        asked = None if queries is None else read_queries(queries, vectors.shape[1])
        exact = exact_rows("vectors", vectors, metric)
        n_lists = self._count_lists(len(vectors))
        power = power_of(exact)
        clusters = find_clusters(partial(directions_of, vectors, exact, power), len(vectors), n_lists, random, jobs)
        state = build_state(exact, clusters.times(-power), jobs)
        if asked is not None and len(vectors):
            order, share = random.permutation(len(asked)), min(LEARNED, len(asked) // 3)
            state = guide(state, asked[order[:share]], jobs)
            asked = asked[np.sort(order[share : share + CALIBRATION])]
        effort, recall = self._choose_effort(state, asked)
        self._adopt(state if self.rerank else state.without_vectors(), effort, recall)
        return self

    def _check_options(self) -> None:
        super()._check_options()
        if self.n_probe is None and self.recall_target is None:
            raise ValueError(f"{type(self).__name__} needs n_probe or recall_target, got None for both")

    def _check_queries(self, queries: Any) -> None:
        if self.n_probe is None and queries is None:
            raise ValueError(
                f"{type(self).__name__}.recall_target={self.recall_target} needs queries to be measured with: call "
                "fit(vectors, queries=...), or give n_probe"
            )

    def _count_lists(self, n: int) -> int:
        if self.n_lists == "auto":
            return max(1, min(round(2.5 * math.sqrt(n)), n // SMALLEST_LIST))
        return max(1, min(int(self.n_lists), n))

    def _choose_effort(self, state: IndexState, sample: Floats | None) -> tuple[SearchEffort, float]:
        """Chooses the lists to read; returns the choice and its recall for queries that had no part in it."""
        n_lists = state.n_lists
        if sample is None or len(state.exact.norms) == 0:
            return SearchEffort(min(self.n_probe or n_lists, n_lists), 0.0), math.nan
        if len(sample) < 2 and self.n_probe is None:
            raise ValueError(f"queries must be at least 2 to measure a recall with, got {len(sample)}: give n_probe")
        k, searched = min(DEPTH, len(state.exact.norms)), state if self.rerank else state.without_vectors()
        truth = self._run(state, sample, k, SearchEffort(n_lists, 0.0)).codes

        def try_out(effort: SearchEffort, part: slice) -> tuple[float, float]:
            batch = self._run(searched, sample[part], k, effort)
            return _recall(truth[part], batch.codes), sum(piece[0] for piece in batch.tally) / len(batch.codes)

        chosen, held_out = slice(0, None, 2), slice(1, None, 2)
        if self.n_probe is not None:
            effort = SearchEffort(min(self.n_probe, n_lists), 0.0)
            return effort, try_out(effort, slice(None))[0]
        target = float(self.recall_target or 0)
        few = _bisect(lambda n: try_out(SearchEffort(n, 0.0), chosen)[0] >= target, n_lists)
        recall, panels = try_out(effort := SearchEffort(few, 0.0), held_out)
        while recall < target and effort.n_probe < n_lists:
            effort = SearchEffort(min(n_lists, effort.n_probe + max(1, effort.n_probe // 8)), 0.0)
            recall, panels = try_out(effort, held_out)
        most = min(n_lists, padded_width(2 * few))
        rung = _bisect(lambda rung: try_out(SearchEffort(most, _least(rung)), chosen)[0] >= target, RUNGS)
        other = try_out(SearchEffort(most, _least(rung)), held_out)
        while other[0] < target and rung < RUNGS:
            other = try_out(SearchEffort(most, _least(rung := rung + 1)), held_out)
        if other[0] >= target and (panels - other[1]) * packed_width(state.shape()[1]) > WORTH_EXPECTING:
            return SearchEffort(most, _least(rung)), other[0]
        if recall < target and not self.rerank:
            raise ValueError(
                f"IVFIndex.recall_target={target} cannot be reached by bytes alone, which find {recall:.3f} in all "
                "lists: take rerank='float16' or 'float32'"
            )
        return effort, recall

    def _adopt(self, state: IndexState, effort: SearchEffort, recall: float) -> None:
        self._state = state
        self.n_probe_ = effort.n_probe
        self.least_ = effort.least
        self.recall_ = recall
        self.n_lists_, self.n_features_in_ = state.clusters.centers.shape
        self.centers_ = state.clusters.centers
        self.vectors_ = state.vectors()

    def _effort(self) -> SearchEffort:
        # the attributes may have been set since
        n_probe = check_integer("IVFIndex.n_probe_", self.n_probe_, minimum=1, maximum=self.n_lists_)
        return SearchEffort(n_probe, check_number("IVFIndex.least_", self.least_, minimum=0))

    # -- searching

    @name_options
    def search(self, queries: ArrayLike, k: int, exclude: Any = None, *, allow: Any = None) -> TopK:
        """Finds nearly all of the best k vectors of each query; parameters and result are those of `ExactIndex.search`.

        Allowed codes, or a matrix of them, are ranked exactly if they are fewer than the vectors of the lists.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            If a shape does not fit, a query is not finite, a code is out of range or k is below 1.
        """
        state = self._check_fitted()
        if exclude is None and allow is None and (top := self._search_one(state, queries, k)) is not None:
            return top
        batch = self._run(state, queries, k, self._effort(), exclude, allow)
        return TopK(*widen(batch.codes, batch.scores, int(k)))

    def _search_one(self, state: IndexState, queries: Any, k: int) -> TopK | None:
        """Answers a single query of float32 in as few steps as possible, after an earlier one of the same kind.

        Returns None without an earlier one, or if the answer takes more than one scan.
        """
        single: SingleSearch | None = getattr(state.workspaces.own, "single", None)
        if single is None or type(k) is not int or type(queries) is not np.ndarray:
            return None
        key, shape, query, work, run, given = single
        if queries.dtype != FLOAT32 or queries.shape != shape or key != (k, self.n_probe_, self.least_):
            return None
        query[...] = queries
        codes, scores = np.empty((1, k), INT32), np.empty((1, k), FLOAT32)
        bad = run(*given, codes, scores)
        return plain_top(codes, scores) if bad < 0 and not work[1] else None

    @name_options
    def audit(self, queries: ArrayLike, k: int = 10) -> dict[str, float]:
        """Reports the recall of a search of these queries, and the vectors that it reads.

        Returns
        -------
        dict
            "recall": the share of the best k by exact scores that is found (without a re-rank: by the bytes' scores).
            "lists": the share of lists looked at. "scanned": the share of vectors that were scored by bytes. "ranked":
            the number of vectors that were scored exactly, for each query.

        Examples
        --------
        >>> vectors = np.random.default_rng(0).normal(size=(2000, 8))
        >>> index = IVFIndex(n_probe=10, random_state=0).fit(vectors)
        >>> report = index.audit(vectors[:100])
        >>> report["recall"] > 0.5, report["scanned"] < 0.5
        (True, True)
        """
        state = self._check_fitted()
        batch = self._run(state, queries, k, self._effort())
        margin = make_margin(self.n_features_in_, 2 * SURENESS, state.margin.ranked)
        sure = state._replace(margin=margin, workspaces=Workspaces())
        truth = self._run(sure, queries, k, SearchEffort(self.n_lists_, 0.0))
        n_queries, alive = max(1, len(batch.codes)), max(1, state.n_alive())
        panels, ranked, lists = np.sum(batch.tally, axis=0) if batch.tally else (0, 0, 0)
        return {
            "recall": _recall(truth.codes, batch.codes),
            "lists": min(1.0, float(lists / (n_queries * self.n_lists_))),
            "scanned": min(1.0, float(panels * LANES / (n_queries * alive))),
            "ranked": float(ranked / n_queries),
        }

    def _check_fitted(self) -> IndexState:
        if not hasattr(self, "_state"):
            raise NotFittedError("This IVFIndex instance is not fitted yet: call fit with the vectors first")
        return self._state

    def _run(
        self, state: IndexState, queries: Any, k: int, effort: SearchEffort, exclude: Any = None, allow: Any = None
    ) -> QueryBatch:
        k = check_size("k", k)
        n, d = state.shape()
        queries = read_queries(queries, d)
        n_queries = len(queries)
        filters = state.closed(read_filters(exclude, allow, n_queries, n))
        places = (n_queries, min(k, n))
        batch = QueryBatch(state, queries, filters, np.empty(places, np.int32), np.empty(places, np.float32), [])
        if n:
            self._answer(batch, effort)
        return batch

    def _answer(self, batch: QueryBatch, effort: SearchEffort) -> None:
        n_queries = len(batch.queries)
        answer, effort = self._plan(batch, effort)
        if n_queries == 1:
            answer(batch, effort, slice(0, 1))
        else:
            size, jobs = self._deal(batch, effort.n_probe)
            pieces = [slice(first, min(first + size, n_queries)) for first in range(0, n_queries, size)]
            run_pieces(partial(answer, batch, effort), pieces, jobs)

    def _plan(self, batch: QueryBatch, effort: SearchEffort) -> tuple[Any, SearchEffort]:
        """Chooses the way to answer: by lists, by all allowed vectors, or by exact scores of the allowed ones."""
        state, filters, k = batch.state, batch.filters, batch.codes.shape[1]
        (n, _), n_lists, n_probe = state.shape(), state.n_lists, effort.n_probe
        left = n if filters.allowed is None else len(filters.allowed)
        if state.margin.ranked:
            if len(filters.allow_starts) or 4 * k >= left or (left < n and left * n_lists <= n * n_probe):
                return rank_all, effort
        elif len(filters.allow_starts):
            return scan_allowed, SearchEffort(n_lists, 0.0)
        if left == n:
            return scan_lists, effort
        # the rarer the allowed vectors, the more lists hold the same number of them
        return scan_lists, SearchEffort(min(n_lists, -(-n_probe * n // max(1, left))), effort.least, n / max(1, left))

    def _deal(self, batch: QueryBatch, n_probe: int) -> tuple[int, int]:
        """The number of queries that a thread takes at a time, and the number of threads; answers do not depend on
        them.
        """
        (n, d), n_queries, k = batch.state.shape(), len(batch.queries), batch.codes.shape[1]
        n_lists = batch.state.n_lists
        jobs = effective_jobs(self.n_jobs) if n_queries * d * (n * n_probe // n_lists) > WORTH_THREADS else 1
        most = min(PIECE, max(16, ROOM_AT_ONCE // (4 * k)))
        pieces = jobs * max(1, -(-n_queries // (most * jobs)))
        return max(1, -(-n_queries // pieces)), jobs

    # -- changing

    @name_options
    def add(self, vectors: ArrayLike) -> NDArray[np.int32]:
        """Adds vectors of shape (m, d), which get the codes from n on; returns these. Existing vectors stay in their
        lists.

        Each change copies the packed vectors, so change many at a time. A running search continues with the vectors
        that it started with.
        """
        with CHANGING:
            state = self._check_fitted()
            n = len(state.alive)
            new = state.read(vectors)
            codes = np.arange(n, n + len(new), dtype=np.int32)
            self._change(state, codes, new)
        return codes

    @name_options
    def update(self, codes: ArrayLike, vectors: ArrayLike) -> None:
        """Gives the vectors of some codes new values, of shape (m, d); removed ones are restored.

        Raises
        ------
        ValueError
            If a code is unknown or given twice, or the vectors are not as many, or not finite.
        """
        with CHANGING:
            state = self._check_fitted()
            codes = _check_distinct(codes, len(state.alive))
            new = state.read(vectors)
            if len(new) != len(codes):
                raise ValueError(f"vectors must be as many as codes, {len(codes)}, got {len(new)}")
            self._change(state, codes, new)

    @name_options
    def remove(self, codes: ArrayLike) -> None:
        """Removes vectors; all other codes stay, and the removed codes are not used again.

        Raises
        ------
        ValueError
            If a code is unknown or given twice.
        """
        with CHANGING:
            state = self._check_fitted()
            codes = _check_distinct(codes, len(state.alive))
            self._adopt(state.without(codes), self._effort(), self.recall_)

    def _change(self, state: IndexState, codes: NDArray[np.int32], new: NDArray[Any]) -> None:
        if len(codes):
            self._adopt(state.changed(codes, new, effective_jobs(self.n_jobs)), self._effort(), self.recall_)

    # -- keeping

    def describe(self) -> tuple[Arrays, Record]:
        """The fitted index as named arrays, and as a record for JSON: what `save` writes."""
        state, seed = self._check_fitted(), self.random_state
        record = {
            "class": type(self).__name__,
            "options": self.get_params() | {"random_state": seed if isinstance(seed, int) else None} | state.options(),
            "n_probe": self.n_probe_,
            "least": self.least_,
            "recall": repr(self.recall_),
            "longest": state.packed.form.longest,
            "rotation": ROTATION,
        }
        return state.to_arrays(), record

    def _is_rotated(self) -> bool:
        return True

    def _fields(self) -> Fields:
        return ivf_fields(self.rerank)

    def _check(self, arrays: Arrays, record: Record, *, ranges: bool) -> None:
        (n_lists, d), n_panels = arrays["centers"].shape, len(arrays["panels"])
        if n_lists < 1 or not 1 <= d <= MOST_DIMENSIONS or arrays["panels"].shape[1] != packed_width(d):
            raise ValueError("its array 'centers' or 'panels' has the wrong shape")
        if ("guides" in arrays) != ("gains" in arrays):
            raise ValueError("its arrays 'guides' and 'gains' must come together")
        if len(arrays["order"]) != n_panels * LANES:
            raise ValueError("its array 'order' has the wrong length")
        check_number("longest", record["longest"], minimum=0, maximum=LARGEST_NORM)
        check_number("least", record["least"], minimum=0)
        if not isinstance(record["recall"], str):
            raise ValueError("recall must be text")
        if ranges:
            if arrays["norms"].max(initial=0.0) > record["longest"] * (1 + 1e-6):
                raise ValueError("longest must be the largest of the norms")
            reach = 2.1 * (
                1.0 if self.metric == "cosine" else record["longest"]
            )  # no vector is farther from another one
            for name in ("centers", "spreads", "depths"):
                check_range(name, arrays[name], -reach, reach)
            if ((arrays["nearest"] >= 0) != arrays["alive"].astype(bool)).any():
                raise ValueError("its array 'nearest' must be -1 for removed vectors, and for no others")
            check_codes_once(arrays["order"], arrays["alive"])
            check_lengths(arrays, METRICS[self.metric], record["longest"])
            if self.rerank:
                check_norms(arrays["vectors"], arrays["norms"])

    @property
    def shape(self) -> tuple[int, int]:
        """The number of vectors, removed ones among them, and their dimensions."""
        return self._check_fitted().shape()

    def _restore(self, arrays: Arrays, record: Record) -> None:
        state = restore_state(arrays, METRICS[self.metric], float(record["longest"]), self.rerank)
        n_probe = check_integer("n_probe", record["n_probe"], minimum=1, maximum=state.n_lists)
        self._adopt(state, SearchEffort(n_probe, float(record["least"])), float(record["recall"]))

    def __getstate__(self) -> dict[str, Any]:
        # The packed form is assembled again for the CPU that reads it.
        state = dict(super().__getstate__())
        if state.pop("_state", None) is not None:
            state["_described"] = self.describe()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        described = state.pop("_described", None)
        super().__setstate__(state)
        if described is not None:
            self._state = type(self).rebuild(*described)._state


def _least(rung: int) -> float:
    """The smallest expected number for a panel at a rung: the higher the rung, the smaller."""
    return float(2.0 ** (3 - rung / 4)) if rung < RUNGS else 0.0


def _bisect(enough: Callable[[int], bool], most: int) -> int:
    """The smallest number from 1 to `most` that is enough; `most` if none is."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check_distinct(given: Any, n: int) -> NDArray[np.int32]:
    codes = check_codes("codes", given, n)
    if len(np.unique(codes)) != len(codes):
        raise ValueError("codes must not be given twice")
    return codes


def _recall(truth: NDArray[np.int32], found: NDArray[np.int32]) -> float:
    """The share of the codes in rows of `truth`, without -1, that occur in the same rows of `found`."""
    hits = sum((truth == found[:, [place]])[truth >= 0].sum() for place in range(found.shape[1]))
    return float(hits / max(1, np.count_nonzero(truth >= 0)))
