"""IVFIndex: nearly all of the k vectors with the best scores, from the few lists of vectors that promise most."""

import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from fastrec.fields import Array, Field, Fields, check_range
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.lists import READIED, Partition, Slack, Visits, search_lists
from fastrec.kernels.scan import GIVEN_UP, OVERFULL, Space
from fastrec.kernels.topk import COSINE, INNER_PRODUCT, Exact, Filter
from fastrec.matrix.arrays import check_codes, readonly
from fastrec.parallel import effective_jobs, run_pieces
from fastrec.retrieval.exact import (
    LARGEST_NORM,
    MOST_DIMENSIONS,
    REACH,
    SCALED,
    rank_listed,
    read_queries,
    read_vectors,
    refuse_nonfinite,
)
from fastrec.retrieval.files import Arrays, Filed, Record, check_codes_once, check_norms
from fastrec.retrieval.filters import NOTHING_CLOSED, Filters, read_filters
from fastrec.retrieval.packed import ROTATION, Packed, make_space, packed_width
from fastrec.retrieval.partition import (
    LEVELS,
    Clusters,
    Floats,
    assemble,
    assign,
    exact_rows,
    find_clusters,
    make_form,
    make_partition,
    make_visits,
    merge_lists,
    order_lists,
    pack_rows,
    write_book,
)
from fastrec.retrieval.topk import TopK, widen
from fastrec.validation import check_choice, check_integer, check_number, check_size, name_options

METRICS = {"ip": INNER_PRODUCT, "cosine": COSINE}
STORED = {"float32": np.float32, "float16": np.float16}
PIECE = 3072  # queries that one thread takes at a time: the more, the more of them meet in a list
ROOM_AT_ONCE = 2**20  # candidates of one thread
WORTH_THREADS = 2**22  # products below which a second thread costs more than it gains
CALIBRATION = 2000  # queries that a recall is measured with
DEPTH = 10  # the k of that recall
SMALLEST_LIST = 32
CHANGING = threading.Lock()  # of any index: two changes at a time would undo each other
NEARLY_NOTHING = 1e-4
WORTH_EXPECTING = 800  # panels times their width: what working out expectations takes in a batch
RUNGS = 100  # of the ladder of least expectations
SURENESS = 1.25  # E in standard deviations of what rounding does to a score: what is off by 2 E and more is lost


class IVFIndex(Filed, BaseEstimator):
    """Nearly all of the best k vectors for each query, several times as fast as all of them.

    Vectors are dealt into lists by k-means. A query looks only at the lists that promise most to it: their vectors are
    scored by bytes, and what may be among the best is scored again by the vectors themselves.

    Parameters
    ----------
    metric : {"ip", "cosine"}
        What is largest for the best: the inner product, or the cosine (0 where either vector is zero).
    n_lists : int or "auto"
        How many lists; "auto" is 2.5 √n, with 32 vectors in each at least.
    n_probe : int, optional
        How many lists each query looks at. None: as many as `recall_target` takes, for some more than for others.
    recall_target : float, optional
        The share of the true best 10 to find, from 0 to 1; the fewest lists that find it for the queries given to
        `fit` are looked at. Not used where n_probe is given.
    rerank : {"float32", "float16"}, optional
        What the index keeps of the vectors for exact scores: themselves, or rounded to float16. None: nothing, so that
        scores are those of the bytes.
    n_jobs : int, optional
        Threads; None is all cores. A single query is answered without threads.
    random_state : int, RandomState instance or None
        Of k-means, and of the choice of queries to measure with.

    Attributes
    ----------
    n_lists_, n_probe_ : int
        How many lists there are, and how many a query looks at, at most.
    least_ : float
        Of these lists a query looks at those of which it expects as many of its best k, at least, in each 16 vectors;
        0 where it looks at all of them: since `n_probe` was given, or that takes less time.
    recall_ : float
        The recall of the best 10 for those of the queries given that had no part in the choice, but to look at more
        until they reached the target; NaN without queries. Of the index as it was fitted: `audit` measures again.
    centers_ : float32 array of shape (n_lists, d)
        The means of the lists; under the cosine, of vectors of length 1.
    vectors_ : float32 or float16 array of shape (n, d), or None
        What `rerank` keeps. Rows of removed vectors are as they were.
    n_features_in_ : int
        Their dimensions, d.

    Notes
    -----
    The answer holds the best of all vectors in the lists looked at, in the order of `ExactIndex` and with its scores,
    but for about one vector in ten thousand which the bytes misjudge. It is the same for any number of threads, any
    batch and any of the CPU's instructions. Where the lists hold fewer than k, filters being why, a query looks at more
    of them, until there are k or all have been seen.

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
        """Deals vectors of shape (n, d) into lists, and finds how many of these a query must look at.

        Parameters
        ----------
        vectors
            Not copied where they are kept as they are: float32 (or float16) and C-contiguous. Such an array must not be
            changed while the index is in use.
        y
            Not used; there because scikit-learn passes it.
        queries
            Queries such as will be asked, of shape (n_queries, d): at least 2, better 1000 or more. Needed for a
            recall target: 2000 of them at most are drawn, half to find the number of lists, half to measure `recall_`;
            should that half find less than the target, lists are added until it does not.

        Raises
        ------
        ValueError
            Where vectors or queries are not two-dimensional, of other dimensions or not finite; where there are no
            queries for the recall target, or it cannot be reached without a re-rank.
        """
        metric = self._check_options(queries)
        jobs = effective_jobs(self.n_jobs)
        random = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        dtype = STORED.get(self.rerank or "float32", np.float32)
        vectors = read_vectors("vectors", vectors, dtype)
        if vectors.shape[1] > MOST_DIMENSIONS:
            raise ValueError(f"vectors must have at most {MOST_DIMENSIONS} dimensions, got {vectors.shape[1]}")
        asked = None if queries is None else read_queries(queries, vectors.shape[1])
        exact = exact_rows("vectors", vectors, metric)
        n_lists = self._count_lists(len(vectors))
        power = _power_of(exact)
        clusters = find_clusters(partial(_unit_rows, vectors, exact, power), len(vectors), n_lists, random, jobs)
        state = _build(exact, clusters.times(-power), jobs)
        effort, recall = self._choose_effort(state, asked, random)
        self._adopt(state if self.rerank else state.without_vectors(), effort, recall)
        return self

    def _check_options(self, queries: Any) -> int:
        metric = METRICS[check_choice("IVFIndex.metric", self.metric, tuple(METRICS))]
        check_choice("IVFIndex.rerank", self.rerank, (*STORED, None))
        effective_jobs(self.n_jobs)
        if self.n_lists != "auto":
            check_size("IVFIndex.n_lists", self.n_lists)
        if self.n_probe is not None:
            check_integer("IVFIndex.n_probe", self.n_probe, minimum=1)
            return metric
        if self.recall_target is None:
            raise ValueError("IVFIndex needs n_probe or recall_target, got None for both")
        check_number("IVFIndex.recall_target", self.recall_target, minimum=0, maximum=1)
        if queries is None:
            raise ValueError(
                f"IVFIndex.recall_target={self.recall_target} needs queries to be measured with: call "
                "fit(vectors, queries=...), or give n_probe"
            )
        return metric

    def _count_lists(self, n: int) -> int:
        if self.n_lists == "auto":
            return max(1, min(round(2.5 * math.sqrt(n)), n // SMALLEST_LIST))
        return max(1, min(int(self.n_lists), n))

    def _choose_effort(
        self, state: "_State", queries: Floats | None, random: np.random.Generator
    ) -> tuple["Effort", float]:
        """What to look at, and the recall that this had for queries which had no part in the choice."""
        n_lists = state.n_lists
        if queries is None or len(state.exact.norms) == 0:
            return Effort(min(self.n_probe or n_lists, n_lists), 0.0), math.nan
        if len(queries) < 2 and self.n_probe is None:
            raise ValueError(f"queries must be at least 2 to measure a recall with, got {len(queries)}: give n_probe")
        sample = queries[np.sort(random.permutation(len(queries))[:CALIBRATION])]
        k, searched = min(DEPTH, len(state.exact.norms)), state if self.rerank else state.without_vectors()
        truth = self._run(state, sample, k, Effort(n_lists, 0.0)).codes

        def try_out(effort: Effort, part: slice) -> tuple[float, float]:
            batch = self._run(searched, sample[part], k, effort)
            return _recall(truth[part], batch.codes), sum(piece[0] for piece in batch.tally) / len(batch.codes)

        chosen, held_out = slice(0, None, 2), slice(1, None, 2)
        if self.n_probe is not None:
            effort = Effort(min(self.n_probe, n_lists), 0.0)
            return effort, try_out(effort, slice(None))[0]
        target = float(self.recall_target or 0)
        few = _bisect(lambda n: try_out(Effort(n, 0.0), chosen)[0] >= target, n_lists)
        recall, panels = try_out(effort := Effort(few, 0.0), held_out)
        while recall < target and effort.n_probe < n_lists:
            effort = Effort(min(n_lists, effort.n_probe + max(1, effort.n_probe // 8)), 0.0)
            recall, panels = try_out(effort, held_out)
        most = min(n_lists, padded_width(2 * few))
        rung = _bisect(lambda rung: try_out(Effort(most, _least(rung)), chosen)[0] >= target, RUNGS)
        other = try_out(Effort(most, _least(rung)), held_out)
        while other[0] < target and rung < RUNGS:
            other = try_out(Effort(most, _least(rung := rung + 1)), held_out)
        if other[0] >= target and (panels - other[1]) * packed_width(state.shape()[1]) > WORTH_EXPECTING:
            return Effort(most, _least(rung)), other[0]
        if recall < target and not self.rerank:
            raise ValueError(
                f"IVFIndex.recall_target={target} cannot be reached by bytes alone, which find {recall:.3f} in all "
                "lists: take rerank='float16' or 'float32'"
            )
        return effort, recall

    def _adopt(self, state: "_State", effort: "Effort", recall: float) -> None:
        self._state = state
        self.n_probe_ = effort.n_probe
        self.least_ = effort.least
        self.recall_ = recall
        self.n_lists_, self.n_features_in_ = state.clusters.centers.shape
        self.centers_ = state.clusters.centers
        self.vectors_ = state.vectors()

    def _effort(self) -> "Effort":
        # Someone may have set them.
        n_probe = check_integer("IVFIndex.n_probe_", self.n_probe_, minimum=1, maximum=self.n_lists_)
        return Effort(n_probe, check_number("IVFIndex.least_", self.least_, minimum=0))

    # -- searching

    @name_options
    def search(self, queries: ArrayLike, k: int, exclude: Any = None, *, allow: Any = None) -> TopK:
        """Nearly all of the best k vectors of each query; parameters and result are those of `ExactIndex.search`.

        A list of codes or a matrix of what each query may choose is ranked exactly, at the cost of its own size, where
        it is smaller than the lists that would be looked at.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            Where a shape does not fit, a query is not finite, a code is out of range or k is below 1.
        """
        state = self._fitted()
        if exclude is None and allow is None and (top := self._search_one(state, queries, k)) is not None:
            return top
        batch = self._run(state, queries, k, self._effort(), exclude, allow)
        return TopK(*widen(batch.codes, batch.scores, int(k)))

    def _search_one(self, state: "_State", queries: Any, k: int) -> TopK | None:
        """A single query of float32 answered in as few steps as can be, where one like it has been asked before.

        None where that is not so, or where the answer takes more than one scan.
        """
        desk = state.desk.own
        if not (
            state.whole
            and type(k) is int
            and getattr(desk, "key", None) == (k, (self.n_probe_, self.least_, 1.0), _room_for(state, k))
            and isinstance(queries, np.ndarray)
            and queries.dtype == np.float32
            and queries.shape == desk.query.shape
        ):
            return None
        desk.query[:] = queries
        codes, scores = np.empty((1, k), np.int32), np.empty((1, k), np.float32)
        space, _, book = desk.kept
        vectors = state.exact.vectors
        bad = search_lists(state.packed.way, book, vectors, desk.asked, 0, *NOTHING_CLOSED, codes, scores)
        return TopK(codes, scores) if bad < 0 and not space.work[1] else None

    @name_options
    def audit(self, queries: ArrayLike, k: int = 10) -> dict[str, float]:
        """What a search of these queries finds, and what it looks at.

        Returns
        -------
        dict
            "recall": the share of the best k by exact scores that is found (without a re-rank: by the bytes' scores);
            "lists": the share of lists looked at; "scanned": the share of vectors that were scored by bytes;
            "ranked": how many vectors were scored exactly, for each query.

        Examples
        --------
        >>> vectors = np.random.default_rng(0).normal(size=(2000, 8))
        >>> index = IVFIndex(n_probe=10, random_state=0).fit(vectors)
        >>> report = index.audit(vectors[:100])
        >>> report["recall"] > 0.5, report["scanned"] < 0.5
        (True, True)
        """
        state = self._fitted()
        batch = self._run(state, queries, k, self._effort())
        slack = _slack(self.n_features_in_, 2 * SURENESS, state.slack.ranked)
        sure = state._replace(slack=slack, desk=_Desk())
        truth = self._run(sure, queries, k, Effort(self.n_lists_, 0.0))
        n_queries, alive = max(1, len(batch.codes)), max(1, state.n_alive())
        panels, ranked, lists = np.sum(batch.tally, axis=0) if batch.tally else (0, 0, 0)
        return {
            "recall": _recall(truth.codes, batch.codes),
            "lists": min(1.0, float(lists / (n_queries * self.n_lists_))),
            "scanned": min(1.0, float(panels * LANES / (n_queries * alive))),
            "ranked": float(ranked / n_queries),
        }

    def _fitted(self) -> "_State":
        if not hasattr(self, "_state"):
            raise NotFittedError("This IVFIndex instance is not fitted yet: call fit with the vectors first")
        return self._state

    def _run(
        self, state: "_State", queries: Any, k: int, effort: "Effort", exclude: Any = None, allow: Any = None
    ) -> "_Batch":
        k = check_size("k", k)
        n, d = state.shape()
        queries = read_queries(queries, d)
        n_queries = len(queries)
        filters = state.closed(read_filters(exclude, allow, n_queries, n))
        places = (n_queries, min(k, n))
        batch = _Batch(state, queries, filters, np.empty(places, np.int32), np.empty(places, np.float32), [])
        if n:
            self._answer(batch, effort)
        return batch

    def _answer(self, batch: "_Batch", effort: "Effort") -> None:
        n_queries = len(batch.queries)
        answer, effort = self._plan(batch, effort)
        if n_queries == 1:
            answer(batch, effort, slice(0, 1))
        else:
            size, jobs = self._deal(batch, effort.n_probe)
            pieces = [slice(first, min(first + size, n_queries)) for first in range(0, n_queries, size)]
            run_pieces(partial(answer, batch, effort), pieces, jobs)

    def _plan(self, batch: "_Batch", effort: "Effort") -> tuple[Any, "Effort"]:
        """How to answer: by lists, by all that may be chosen, or by exact scores of what the filters leave."""
        state, filters, k = batch.state, batch.filters, batch.codes.shape[1]
        (n, _), n_lists, n_probe = state.shape(), state.n_lists, effort.n_probe
        left = n if filters.allowed is None else len(filters.allowed)
        if state.slack.ranked:
            if len(filters.allow_starts) or 4 * k >= left or (left < n and left * n_lists <= n * n_probe):
                return _rank, effort
        elif len(filters.allow_starts):
            return _scan_allowed, Effort(n_lists, 0.0)
        if left == n:
            return _scan, effort
        # The rarer the allowed, the more lists hold as many of them.
        return _scan, Effort(min(n_lists, -(-n_probe * n // max(1, left))), effort.least, n / max(1, left))

    def _deal(self, batch: "_Batch", n_probe: int) -> tuple[int, int]:
        """How many queries one thread takes at a time, and how many threads; the answer does not depend on it."""
        (n, d), n_queries, k = batch.state.shape(), len(batch.queries), batch.codes.shape[1]
        n_lists = batch.state.n_lists
        jobs = effective_jobs(self.n_jobs) if n_queries * d * (n * n_probe // n_lists) > WORTH_THREADS else 1
        most = min(PIECE, max(16, ROOM_AT_ONCE // (4 * k)))
        pieces = jobs * max(1, -(-n_queries // (most * jobs)))
        return max(1, -(-n_queries // pieces)), jobs

    # -- changing

    @name_options
    def add(self, vectors: ArrayLike) -> NDArray[np.int32]:
        """Adds vectors of shape (m, d), which get the codes from n on; returns these. No list is dealt anew.

        Each of the changing methods copies what is packed, so change many at a time. A search that is under way goes on
        with what it began with.
        """
        with CHANGING:
            state = self._fitted()
            n = len(state.alive)
            new = state.read(vectors)
            codes = np.arange(n, n + len(new), dtype=np.int32)
            self._change(state, codes, new)
        return codes

    @name_options
    def update(self, codes: ArrayLike, vectors: ArrayLike) -> None:
        """Gives the vectors of some codes new values, of shape (m, d); removed ones are there again.

        Raises
        ------
        ValueError
            Where a code is unknown or given twice, or the vectors are not as many, or not finite.
        """
        with CHANGING:
            state = self._fitted()
            codes = _distinct_codes(codes, len(state.alive))
            new = state.read(vectors)
            if len(new) != len(codes):
                raise ValueError(f"vectors must be as many as codes, {len(codes)}, got {len(new)}")
            self._change(state, codes, new)

    @name_options
    def remove(self, codes: ArrayLike) -> None:
        """Takes vectors out; other codes stay what they are, and these are not given out again.

        Raises
        ------
        ValueError
            Where a code is unknown or given twice.
        """
        with CHANGING:
            state = self._fitted()
            codes = _distinct_codes(codes, len(state.alive))
            self._adopt(state.without(codes), self._effort(), self.recall_)

    def _change(self, state: "_State", codes: NDArray[np.int32], new: NDArray[Any]) -> None:
        if len(codes):
            self._adopt(state.changed(codes, new, effective_jobs(self.n_jobs)), self._effort(), self.recall_)

    # -- keeping

    def describe(self) -> tuple[Arrays, Record]:
        """The fitted index as named arrays, and as a record for JSON: what `save` writes."""
        state, seed = self._fitted(), self.random_state
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
        return fields_by(check_choice("rerank", self.rerank, (*STORED, None)))

    def _check(self, arrays: Arrays, record: Record, *, ranges: bool) -> None:
        self._check_options(())
        check_random_state(self.random_state)
        (n_lists, d), n_panels = arrays["centers"].shape, len(arrays["panels"])
        if n_lists < 1 or not 1 <= d <= MOST_DIMENSIONS or arrays["panels"].shape[1] != packed_width(d):
            raise ValueError("its array 'centers' or 'panels' is not of the shape that it must be")
        if len(arrays["order"]) != n_panels * LANES:
            raise ValueError("its array 'order' is not as long as it must be")
        check_number("longest", record["longest"], minimum=0)
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
                raise ValueError("its array 'nearest' must be -1 for what is not alive, and for nothing else")
            check_codes_once(arrays["order"], arrays["alive"])
            if self.rerank:
                check_norms(arrays["vectors"], arrays["norms"])

    @property
    def shape(self) -> tuple[int, int]:
        """How many vectors there are, removed ones among them, and their dimensions."""
        return self._fitted().shape()

    def _restore(self, arrays: Arrays, record: Record) -> None:
        state = _restore(arrays, METRICS[self.metric], float(record["longest"]), self.rerank)
        n_probe = check_integer("n_probe", record["n_probe"], minimum=1, maximum=state.n_lists)
        self._adopt(state, Effort(n_probe, float(record["least"])), float(record["recall"]))

    def __getstate__(self) -> dict[str, Any]:
        # What is packed is put together anew for the CPU that reads it.
        state = dict(super().__getstate__())
        if state.pop("_state", None) is not None:
            state["_described"] = self.describe()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        described = state.pop("_described", None)
        super().__setstate__(state)
        if described is not None:
            self._state = type(self).rebuild(*described)._state


class Effort(NamedTuple):
    """What a search looks at."""

    n_probe: int  # lists at most
    least: float  # of the best k to be expected of 16 vectors of a list; 0: all those lists are looked at
    rarity: float = 1.0  # of how many vectors one may be chosen

    def more(self, n_lists: int) -> "Effort":
        """What to look at where that held fewer than k."""
        least = self.least / 64 if self.least > NEARLY_NOTHING else 0.0
        return Effort(self.n_probe if self.least else min(n_lists, 4 * self.n_probe), least, self.rarity)


def _least(rung: int) -> float:
    """What to expect of a panel: the higher the rung, the less."""
    return float(2.0 ** (3 - rung / 4)) if rung < RUNGS else 0.0


def _bisect(enough: Callable[[int], bool], most: int) -> int:
    """The smallest number from 1 to `most` that is enough; `most` where none is."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


_Room = tuple[Space, Visits, NDArray[np.int64]]  # what a search works in, and its Book


class _Desk:
    """What searches of one state work in, kept for the next ones: fresh memory costs more than a short search."""

    def __init__(self) -> None:
        self.own = threading.local()  # each thread's, for single queries
        self.shelf: list[tuple[Any, _Room]] = []  # for batches, as many as have been answered at a time

    def take(self) -> tuple[Any, _Room] | None:
        try:
            return self.shelf.pop()
        except IndexError:
            return None


class _State(NamedTuple):
    """A fitted index: never changed, but replaced."""

    exact: Exact  # the vectors kept, and the norms of all
    packed: Packed
    partition: Partition
    clusters: Clusters  # `nearest` is -1 for what was removed
    alive: NDArray[np.uint8]
    whole: bool  # whether all are alive
    slack: Slack
    desk: "_Desk"
    n_lists: int
    whole_room: int  # for more candidates than there can be

    def shape(self) -> tuple[int, int]:
        return len(self.alive), self.clusters.centers.shape[1]

    def n_alive(self) -> int:
        return int(np.count_nonzero(self.alive))

    def vectors(self) -> NDArray[Any] | None:
        if not self.slack.ranked:
            return None
        kept: NDArray[Any] = self.exact.vectors
        return kept.view(np.float16) if kept.dtype == np.uint16 else kept

    def without_vectors(self) -> "_State":
        exact = self.exact._replace(vectors=readonly(np.empty((0, self.shape()[1]), np.float32)))
        return self._replace(exact=exact, slack=_slack(self.shape()[1], 0, False), desk=_Desk())

    def read(self, given: Any) -> NDArray[Any]:
        """Vectors to be added, in the type of those kept."""
        dtype = np.float16 if self.exact.vectors.dtype == np.uint16 else np.float32
        vectors: NDArray[Any] = read_vectors("vectors", given, dtype)
        if vectors.shape[1] != self.shape()[1]:
            raise ValueError(f"vectors have {vectors.shape[1]} dimensions, the index has {self.shape()[1]}")
        return vectors

    def options(self) -> dict[str, Any]:
        """What the index was fitted with, whatever its parameters have been set to since."""
        stored = "float16" if self.exact.vectors.dtype == np.uint16 else "float32"
        return {"metric": tuple(METRICS)[self.exact.metric], "rerank": stored if self.slack.ranked else None}

    def closed(self, filters: Filters) -> Filters:
        """Filters that leave out what was removed, too."""
        if self.whole:
            return filters
        mask, starts, codes = filters.closed
        allowed = filters.allowed if filters.allowed is None else filters.allowed[self.alive[filters.allowed] > 0]
        return filters._replace(
            closed=Filter(readonly(mask & self.alive if len(mask) else self.alive), starts, codes), allowed=allowed
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        panels = self.packed.panels
        kept = self.vectors()
        return {
            "centers": self.clusters.centers,
            "spreads": self.clusters.spreads,
            "depths": self.clusters.depths,
            "nearest": self.clusters.nearest,
            "starts": self.partition.starts,
            "order": panels.order,
            "steps": panels.steps,
            "lengths": panels.lengths,
            "panels": panels.panels,
            "norms": self.exact.norms,
            "alive": self.alive,
        } | ({} if kept is None else {"vectors": kept})

    def without(self, codes: NDArray[np.int32]) -> "_State":
        nearest, alive, order = self.clusters.nearest.copy(), self.alive.copy(), self.packed.panels.order.copy()
        nearest[codes], alive[codes] = -1, 0
        order[(order >= 0) & (alive[order] == 0)] = -1
        panels = self.packed.panels._replace(order=readonly(order))
        return self._replace(
            packed=self.packed._replace(panels=panels),
            clusters=self.clusters._replace(nearest=readonly(nearest)),
            alive=readonly(alive),
            whole=bool(alive.all()),
            desk=_Desk(),
        )

    def changed(self, codes: NDArray[np.int32], new: NDArray[Any], n_jobs: int) -> "_State":
        """The index with other vectors for these codes; codes from n on are new."""
        old, fresh = self.without(codes[codes < len(self.alive)]), exact_rows("vectors", new, self.exact.metric)
        n, power = max(len(self.alive), int(codes.max()) + 1), _power_of(self.exact)
        centers = self.clusters.times(power).centers
        lists, _ = assign(partial(_unit_rows, new, fresh, power), len(new), centers, n_jobs)
        nearest, alive = _grown(old.clusters.nearest, n, -1), _grown(old.alive, n, 0)
        nearest[codes], alive[codes] = lists, 1
        norms = _grown(self.exact.norms, n, 0)
        norms[codes] = fresh.norms
        kept = self.exact.vectors
        if self.slack.ranked:
            kept = _grown(kept, n, 0)
            kept[codes] = fresh.vectors
        longest = max(self.packed.form.longest, float(fresh.norms.max()))
        packed, starts = merge_lists(old.packed, old.partition.starts, fresh, codes, lists, longest)
        clusters = self.clusters._replace(nearest=readonly(nearest))
        exact = Exact(readonly(kept), readonly(norms), self.exact.metric)
        sizes = np.bincount(nearest[nearest >= 0], minlength=len(clusters.centers))
        partition = make_partition(clusters, sizes, starts)
        return _assemble(exact, packed, partition, clusters, readonly(alive), self.slack)


def _assemble(
    exact: Exact, packed: Packed, partition: Partition, clusters: Clusters, alive: NDArray[np.uint8], slack: Slack
) -> _State:
    whole, n_lists, room = bool(alive.all()), len(clusters.centers), 2 * len(packed.panels.order)
    return _State(exact, packed, partition, clusters, alive, whole, slack, _Desk(), n_lists, room)


class _Batch(NamedTuple):
    state: _State
    queries: Floats
    filters: Filters
    codes: NDArray[np.int32]
    scores: NDArray[np.float32]
    tally: list[tuple[Any, ...]]  # of each piece: pairs of a query and a panel, vectors ranked, lists looked at


# -- answering


def _rank(batch: _Batch, effort: Effort, rows: slice) -> None:
    rank_listed(batch.state.exact, batch.queries, batch.filters, rows, batch.codes, batch.scores)


def _scan(batch: _Batch, effort: Effort, rows: slice, room: int | None = None) -> None:
    """Answers queries by the lists that promise most."""
    state, queries, filters, codes, scores, tally = batch
    first, k = rows.start, codes.shape[1]
    room = room or _room_for(state, k)
    n = rows.stop - first
    made = _take_room(state, n, k, effort, room)
    space, _, book = made
    bad = search_lists(
        state.packed.way, book, state.exact.vectors, queries[rows], first, *filters.closed, codes[rows], scores[rows]
    )
    refuse_nonfinite("queries", queries, first, bad)
    looked_at, short, ranked, lists = space.work.tolist()
    tally.append((looked_at, ranked, lists))
    missed = np.flatnonzero(codes[rows, -1] < 0) if short else ()
    counts = space.counts[missed] if short else ()
    if n > 1:
        state.desk.shelf.append(((k, effort, room), made))
    for row, count in zip(missed, counts, strict=True):
        one = slice(first + row, first + row + 1)
        if count == OVERFULL:
            _scan(batch, effort, one, state.whole_room)
        elif count == GIVEN_UP:
            _answer_alike(batch, one.start)
        elif effort.n_probe < state.n_lists or effort.least:
            _scan(batch, effort.more(state.n_lists), one)


def _room_for(state: _State, k: int) -> int:
    """How many candidates there is room for at first."""
    return min(4 * k + 72, state.whole_room)


def _take_room(state: _State, n: int, k: int, effort: Effort, room: int) -> _Room:
    """What a search of n queries works in: what an earlier one has left, where it fits."""
    desk, key = state.desk, (k, effort, room)
    if n == 1 and getattr(desk.own, "key", None) == key:
        own: _Room = desk.own.kept
        return own
    if n > 1 and (left := desk.take()) is not None and left[0] == key and len(left[1][0].norms) >= n:
        return left[1]
    n_lists, d = state.clusters.centers.shape
    space, visits = make_space(state.packed, d, n, k, room, READIED), make_visits(n_lists, n, effort.n_probe)
    work, asked = (state.exact, state.packed, state.partition, state.slack), (effort.least, k * effort.rarity)
    made = space, visits, write_book(*work, space, visits, *asked)
    if n == 1:
        desk.own.key, desk.own.kept = key, made
        desk.own.query = np.empty((1, d), np.float32)
        desk.own.asked = readonly(desk.own.query)
    return made


def _slack(d: int, sureness: float, ranked: bool) -> Slack:
    """So many standard deviations of what rounding does to a score.

    The error of an element is anywhere within half a step, so its standard deviation is 1/√12 of the step, and the
    rotation has made it independent of the other side. A rotated query is LEVELS √d / 2 of its steps long at most,
    since its largest element is hardly ever less than two of its standard deviations.
    """
    if not ranked:
        return Slack(0.0, 0.0, False)
    part = sureness / math.sqrt(12)
    return Slack(part * LEVELS * math.sqrt(d) / 2, part, True)


def _scan_allowed(batch: _Batch, effort: Effort, rows: slice) -> None:
    """Answers queries that may each choose from codes of their own, by a scan of all."""
    starts, codes, closed = batch.filters.allow_starts, batch.filters.allow_codes, batch.filters.closed
    for row in range(rows.start, rows.stop):
        mask = np.zeros(len(batch.state.alive), np.uint8)
        mask[codes[starts[row] : starts[row + 1]]] = 1
        mask &= closed.mask if len(closed.mask) else 1
        filters = batch.filters._replace(closed=closed._replace(mask=readonly(mask)))
        _scan(batch._replace(filters=filters), effort, slice(row, row + 1))


def _answer_alike(batch: _Batch, row: int) -> None:
    """Answers a query of zeros by the first codes: all have the score 0."""
    if batch.queries[row].any():
        raise ValueError(f"queries must have scores that float32 can hold, got {batch.queries[row]} in row {row}")
    mask, starts, codes = batch.filters.closed
    opened = mask.copy() if len(mask) else batch.state.alive.copy()
    if len(starts):
        opened[codes[starts[row] : starts[row + 1]]] = 0
    found = np.flatnonzero(opened)[: batch.codes.shape[1]]
    batch.codes[row, : len(found)], batch.scores[row, : len(found)] = found, 0


# -- building


def _build(exact: Exact, clusters: Clusters, n_jobs: int) -> _State:
    n_lists = len(clusters.centers)
    order, starts = order_lists(clusters.nearest, exact.norms, n_lists)
    packed = pack_rows(exact, order, n_jobs)
    partition = make_partition(clusters, np.bincount(clusters.nearest, minlength=n_lists), starts)
    alive = readonly(np.ones(len(exact.norms), np.uint8))
    slack = _slack(exact.vectors.shape[1], SURENESS, True)
    return _assemble(exact, packed, partition, clusters, alive, slack)


def _restore(arrays: dict[str, NDArray[Any]], metric: int, longest: float, rerank: str | None) -> _State:
    """The index of these arrays, which fit each other."""
    vectors = arrays["vectors"] if rerank else np.empty((0, arrays["centers"].shape[1]), np.float32)
    n_lists, d = arrays["centers"].shape
    packed = assemble(
        make_form(longest, d), *(readonly(arrays[name]) for name in ("panels", "steps", "lengths", "order"))
    )
    clusters = Clusters(*(readonly(arrays[name]) for name in Clusters._fields))
    sizes = np.bincount(clusters.nearest[clusters.nearest >= 0], minlength=n_lists)
    stored = vectors.view(np.uint16) if vectors.dtype == np.float16 else vectors
    exact = Exact(readonly(stored), readonly(arrays["norms"]), metric)
    partition = make_partition(clusters, sizes, arrays["starts"])
    alive = readonly(arrays["alive"])
    return _assemble(exact, packed, partition, clusters, alive, _slack(d, SURENESS, rerank is not None))


def fields_by(rerank: str | None) -> Fields:
    """The arrays of an index: `n` vectors of `d` dimensions in lists, and what a scan reads of them."""
    fields: dict[str, Field] = {
        "centers": Array(("n_lists", "d"), least=-REACH, most=REACH),
        "spreads": Array(("n_lists",), least=0, most=REACH),
        "depths": Array(("n_lists",), least=0, most=REACH),
        "nearest": Array(("n",), "int32", least=-1, below="n_lists"),
        "starts": Array(("n_lists + 1",), "int64", below="n_panels", order="ends"),
        "order": Array(("n_places",), "int32", least=-1, below="n"),
        "steps": Array(("n_places",), least=0, most=SCALED),
        "lengths": Array(("n_places",), least=0, most=SCALED),
        "panels": Array(("n_panels", "width", LANES), "int32"),
        "norms": Array(("n",), "float64", least=0, most=LARGEST_NORM),
        "alive": Array(("n",), "uint8", least=0, most=1),
    }
    return fields | ({"vectors": Array(("n", "d"), rerank, least=-REACH, most=REACH)} if rerank else {})


# -- small things


def _power_of(exact: Exact) -> int:
    """The power of two that makes the longest vector about as long as 1, so that no square leaves float32's range."""
    return 0 if exact.metric == COSINE else -math.frexp(float(exact.norms.max(initial=0.0)))[1]


def _unit_rows(vectors: NDArray[Any], exact: Exact, power: int, part: Any) -> Floats:
    """Some vectors as k-means sees them, times a power of two; of length 1 under the cosine."""
    rows: Floats = np.ldexp(vectors[part].astype(np.float32), power)
    if exact.metric == COSINE:
        norms = exact.norms[part, None]
        rows = np.divide(rows, norms, where=norms > 0, out=np.zeros_like(rows, np.float64)).astype(np.float32)
    return rows


def _grown(array: NDArray[Any], n: int, value: int) -> NDArray[Any]:
    grown = np.full((n, *array.shape[1:]), value, array.dtype)
    grown[: len(array)] = array
    return grown


def _distinct_codes(given: Any, n: int) -> NDArray[np.int32]:
    codes = check_codes("codes", given, n)
    if len(np.unique(codes)) != len(codes):
        raise ValueError("codes must not be given twice")
    return codes


def _recall(truth: NDArray[np.int32], found: NDArray[np.int32]) -> float:
    """The share of the codes in rows of `truth`, those of -1 left out, that are in the same rows of `found`."""
    hits = sum((truth == found[:, [place]])[truth >= 0].sum() for place in range(found.shape[1]))
    return float(hits / max(1, np.count_nonzero(truth >= 0)))
