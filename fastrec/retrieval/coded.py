"""CodedIndex: the best k of coded vectors for each query, read from rows of bytes."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastrec.compression import ResidualCodec, VectorCodec
from fastrec.kernels._jit import Static
from fastrec.kernels.codes import BYTES, CENTROIDS, FEW_CENTROIDS, NOTHING, Coded, measure_codes
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.products import AVX2, FLOAT, NEON, byte_way
from fastrec.kernels.scan import ULP, UP
from fastrec.kernels.scan_codes import (
    TOO_MANY,
    DecodedChunk,
    Kept,
    Queries,
    Weights,
    rank_codes,
    scan_bytes,
    scan_decoded,
    scan_rows,
    scan_tables,
)
from fastrec.matrix.arrays import readonly
from fastrec.parallel import effective_jobs, run_pieces
from fastrec.retrieval.exact import PIECE, ROOM_AT_ONCE, WORTH_THREADS, read_queries
from fastrec.retrieval.filters import Filters, candidate_lists, read_filters
from fastrec.retrieval.topk import TopK, widen
from fastrec.validation import check_size

CHUNK_BYTES = 2**18  # bytes of decoded vectors, which stay in the second-level cache while all queries read them
FEW_QUERIES = 4  # up to this number, panels are slower than single vectors or tables of products
SMALLEST, LARGEST = 1e-30, 1e30  # scores beyond these are computed in float64
NO_NORMS = readonly(np.empty(0))


class CodedIndex:
    """Finds the best k of coded vectors by the inner product with the decoded vectors, or by the cosine.

    It keeps only the codes: a few hundred vectors are decoded at a time. The answer is exact for the decoded vectors,
    as in `ExactIndex`; with a `ResidualCodec` it is exact among the best `depth` by the coarse codes.

    Parameters
    ----------
    codec
        A fitted codec.
    rows
        The output of its `transform`, of shape (n, bytes_per_vector_).
    norms
        float32, of shape (n,): the norms of the vectors, if scores are cosines; None for inner products.
    n_jobs
        Threads; None is all cores. A single query is answered without threads.

    Examples
    --------
    >>> from fastrec.compression import Int8Codec
    >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    >>> codec = Int8Codec().fit(vectors)
    >>> CodedIndex(codec, codec.transform(vectors)).search([[1.0, 0.5]], k=2).codes
    array([[2, 0]], dtype=int32)
    """

    def __init__(
        self, codec: VectorCodec, rows: ArrayLike, norms: NDArray[np.float32] | None = None, n_jobs: int | None = None
    ) -> None:
        self.codec = codec
        self.n_jobs = n_jobs
        self.coded: Coded = codec.coded(codec.check_rows(rows))
        self.norms = NO_NORMS if norms is None else readonly(norms.astype(np.float64))
        self._weights, self._longest = self._weigh()
        self._depth = codec.depth if isinstance(codec, ResidualCodec) else 0
        straight = self.coded.coarse.kind == BYTES and self.coded.rows.shape[1] % 4 == 0
        self._way = byte_way() if straight else FLOAT
        self._words = self.coded.rows.view(np.int32) if straight else None

    def search(self, queries: ArrayLike, k: int, exclude: Any = None, *, allow: Any = None) -> TopK:
        """Finds the best k vectors of each query.

        Parameters
        ----------
        queries
            Of shape (n_queries, d), in the vectors' own coordinates, taken as float32.
        k
            The number of vectors, at least 1. Rows with fewer candidates end in -1 / -inf.
        exclude, allow
            As in `ExactIndex.search`.

        Returns
        -------
        TopK
            codes and scores of shape (n_queries, k).

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit, a query is not finite, a code is out of range or k is below 1.
        """
        k = check_size("k", k)
        vectors = read_queries(queries, self.coded.dimensions)
        norms = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))
        if not np.isfinite(norms).all():
            raise ValueError(f"queries must be finite, got another one in row {int(np.argmin(np.isfinite(norms)))}")
        n = len(self.coded.rows)
        asked = _Asked(self.codec.turn(vectors), readonly(norms), read_filters(exclude, allow, len(vectors), n))
        most = min(k, max(1, n))  # further places are filled at the end
        codes, scores = np.empty((len(vectors), most), np.int32), np.empty((len(vectors), most), np.float32)
        listed = len(asked.filters.allow_starts) > 0 or asked.filters.allowed is not None or 4 * most >= n
        answer = partial(self._rank if listed else self._scan, asked, codes, scores)
        size, jobs = self._deal(len(vectors), most)
        run_pieces(answer, [slice(at, min(at + size, len(vectors))) for at in range(0, len(vectors), size)], jobs)
        return TopK(*widen(codes, scores, k))

    def _weigh(self) -> tuple[Weights, float]:
        """The factors of scores, bounds of lengths, and the largest of these bounds."""
        lengths = np.empty(len(self.coded.rows))
        coarse = self.coded._replace(fine=self.coded.fine._replace(kind=NOTHING))
        measure_codes(coarse, np.empty(coarse.dimensions, np.float32), lengths)
        if not np.isfinite(lengths).all():
            raise ValueError("the codes decode to vectors that are not finite")
        factors = np.ones(1)
        if len(self.norms):
            factors = np.divide(1.0, self.norms, where=self.norms > 0, out=np.zeros(len(self.norms)))
            lengths *= factors
        longest = float(lengths.max(initial=0.0))
        straight = self.coded.coarse.kind == BYTES
        reaches = lengths if straight else np.full(1, longest)
        return Weights(_up(factors), _up(reaches)), longest

    def _buffer(self) -> NDArray[np.float32]:
        return np.empty(self.coded.dimensions, np.float32)

    def _deal(self, n_queries: int, k: int) -> tuple[int, int]:
        """The number of queries that a thread takes at a time, and the number of threads; answers do not depend on
        them.
        """
        work = n_queries * len(self.coded.rows) * self.coded.dimensions
        jobs = effective_jobs(self.n_jobs) if n_queries > 1 and work > WORTH_THREADS else 1
        most = min(PIECE, max(LANES, ROOM_AT_ONCE // (4 * max(k, self._depth))))
        pieces = jobs * -(-n_queries // (most * jobs))
        return LANES * max(1, -(-n_queries // (LANES * max(1, pieces)))), jobs

    def _rank(self, asked: "_Asked", codes: NDArray[np.int32], scores: NDArray[np.float32], rows: slice) -> None:
        """Answers queries by the exact score of each candidate that the filters leave."""
        starts, counts, listed = candidate_lists(asked.filters, rows)
        rank_codes(
            self.coded, self.norms, asked.queries[rows], asked.norms[rows], rows.start, starts, counts, listed, False,
            asked.filters.closed, self._buffer(), codes[rows], scores[rows],
        )  # fmt: skip

    def _scan(self, asked: "_Asked", codes: NDArray[np.int32], scores: NDArray[np.float32], rows: slice) -> None:
        """Answers queries by a scan, and the exact scores of the vectors that it keeps."""
        queries, norms, closed = asked.queries[rows], asked.norms[rows], asked.filters.closed
        n, (b, k) = len(self.coded.rows), codes[rows].shape
        depth = min(max(k, self._depth), n)
        bounded = (norms * self._longest > SMALLEST) & (norms * self._longest < LARGEST)
        # An infinite score would reach any limit, and so would the score of a query that this call does not answer.
        scanned = queries if bounded.all() else readonly(np.where(bounded[:, None], queries, np.float32(0)))
        panels = _panels(scanned, self._way, self.coded.exact)
        kept = _nothing_kept(b, depth, min(4 * depth + 128, 2 * n))
        kept.limits[:b][bounded] = -np.inf
        kept.counts[~bounded] = TOO_MANY
        chunk = max(LANES, CHUNK_BYTES // (4 * self.coded.dimensions))
        room = DecodedChunk(*(np.empty(size, np.float32) for size in (chunk * self.coded.dimensions, chunk, 2 * LANES)))
        few = b <= FEW_QUERIES and self._depth == 0  # their coarse scores would differ in the last bit
        if few and self.coded.coarse.kind in (CENTROIDS, FEW_CENTROIDS):
            table = np.empty(self.coded.coarse.parts * self.coded.coarse.centroids, np.float32)
            scan_tables(self.coded, self._weights, panels, scanned, table, rows.start, closed, room, kept)
        elif few and self._words is None:
            scan_rows(self.coded, self._weights, panels, scanned, self._buffer(), rows.start, closed, room, kept)
        elif self._words is None:
            scan_decoded(Static(FLOAT), self.coded, self._weights, panels, rows.start, closed, room, kept)
        else:
            scan_bytes(
                Static(self._way), self.coded, self._words, self._weights, panels, rows.start, closed, room, kept
            )  # fmt: skip
        starts = np.arange(b, dtype=np.int64) * kept.codes.shape[1]
        rank_codes(
            self.coded, self.norms, queries, norms, rows.start, starts, kept.counts, kept.codes.reshape(-1), True,
            closed, self._buffer(), codes[rows], scores[rows],
        )  # fmt: skip
        for row in np.flatnonzero(kept.counts == TOO_MANY):
            self._rank(asked, codes, scores, slice(rows.start + row, rows.start + row + 1))


class _Asked(NamedTuple):
    queries: NDArray[np.float32]  # in the coordinates of the codes
    norms: NDArray[np.float64]
    filters: Filters


def _up(bounds: NDArray[np.float64]) -> NDArray[np.float32]:
    return readonly((bounds * UP).astype(np.float32))


def _nothing_kept(b: int, depth: int, room: int) -> Kept:
    """Space for what b queries keep; none of them is to be answered yet."""
    best = np.full((b, LANES + padded_width(depth)), -np.inf, np.float32)
    best[:, LANES - 1] = np.inf
    return Kept(
        limits=np.full(padded_width(b), np.inf, np.float32),
        depth=depth,
        best=best,
        bounds=np.empty((b, room), np.float32),
        codes=np.empty((b, room), np.int32),
        counts=np.zeros(b, np.int64),
    )


def _panels(queries: NDArray[np.float32], way: int, n_exact: int) -> Queries:
    """Queries side by side, 16 in a panel, with bounds of the error of a score in float32, or of rounding to bytes."""
    d = queries.shape[1]
    wide = np.zeros((padded_width(len(queries)), d), np.float32)
    wide[: len(queries)] = queries
    lengths = np.sqrt(np.square(wide, dtype=np.float64).sum(axis=1))
    # (d + 1) fused steps, and a few roundings before and after: Higham, Accuracy and Stability, section 3.1.
    gamma = 1.01 * (d + 16) * ULP
    if way == FLOAT:
        side = np.ascontiguousarray(wide.reshape(-1, LANES, d).swapaxes(1, 2))
        offsets, ones = np.zeros(len(wide), np.float32), np.ones(len(wide), np.float32)
        none = np.empty((0, 0, LANES), np.float32)
        return Queries(*map(readonly, (side, offsets, ones, none, _up(gamma * lengths))))
    exact = np.ascontiguousarray(wide[:, d - n_exact :].reshape(len(wide) // LANES, LANES, n_exact).swapaxes(1, 2))
    wide = wide[:, : d - n_exact]
    d -= n_exact
    most, shift = 63 if way == AVX2 else 127, 0 if way == NEON else 128
    steps = (np.abs(wide).max(axis=1) / most).astype(np.float32)
    whole = np.where(steps > 0, steps, 1).astype(np.float64)[:, None]
    levels = np.zeros((len(wide), -(-d // 4) * 4), np.int8)
    levels[:, :d] = np.clip(np.rint(wide / whole), -most, most)
    errors = np.linalg.norm(wide - whole * levels[:, :d], axis=1) + 32 * ULP * lengths
    quads = np.ascontiguousarray(levels.reshape(len(wide) // LANES, LANES, -1, 4).swapaxes(1, 2)).view(np.int32)[..., 0]
    return Queries(*map(readonly, (quads, -shift * levels.sum(axis=1, dtype=np.int32), steps, exact, _up(errors))))
