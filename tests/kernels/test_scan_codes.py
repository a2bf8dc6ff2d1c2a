"""Scans of rows of bytes: each of them keeps the best of the vectors that the codes stand for."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.compression import Float16Codec, Int4Codec, Int8Codec, ProductQuantizer
from fastrec.kernels._jit import Static
from fastrec.kernels.lanes import LANES
from fastrec.kernels.products import FLOAT, runnable_ways
from fastrec.kernels.scan_codes import (
    TOO_MANY,
    DecodedChunk,
    rank_codes,
    scan_bytes,
    scan_decoded,
    scan_rows,
    scan_tables,
)
from fastrec.matrix.arrays import readonly
from fastrec.retrieval.coded import CodedIndex, _nothing_kept, _panels
from fastrec.retrieval.filters import candidate_lists, read_filters
from tests.compression.codecs import vectors

N, D, B, K = 900, 37, 20, 6
CHUNK = 100  # vectors at a time: the last chunk has fewer
NO_NORMS = readonly(np.zeros(0))


class Scanned:
    """An index, queries and filters, as each scan takes them, and the best by the vectors that rows stand for."""

    def __init__(self, codec):
        rng = np.random.default_rng(0)
        codec.fit(vectors(N, D), exact_columns=1)
        self.index = CodedIndex(codec, codec.transform(vectors(N, D)))
        self.queries = codec.turn(vectors(B, D, 1))
        self.norms = readonly(np.linalg.norm(self.queries.astype(np.float64), axis=1))
        self.closed = rng.random((B, N)) < 0.3
        self.filters = read_filters(sp.csr_array(self.closed), None, B, N)
        self.coded, self.weights = self.index.coded, self.index._weights
        self.buffer = np.empty(D, np.float32)
        self.room = DecodedChunk(*(np.empty(size, np.float32) for size in (CHUNK * D, CHUNK, 2 * LANES)))
        self.kept = _nothing_kept(B, K, N)
        self.kept.limits[:B] = -np.inf

    def panels(self, way):
        return _panels(self.queries, way, self.coded.exact)

    def rank(self, starts, counts, codes, filtered):
        found, scores = np.empty((B, K), np.int32), np.empty((B, K), np.float32)
        rank_codes(
            self.coded, NO_NORMS, self.queries, self.norms, 0, starts, counts, codes, filtered, self.filters.closed,
            self.buffer, found, scores,
        )  # fmt: skip
        return found, scores

    def best(self):
        return self.rank(*candidate_lists(self.filters, slice(0, B)), False)

    def check(self):
        """Checks that the kept codes are allowed, and that their best are the best of all."""
        kept = self.kept
        assert (kept.counts != TOO_MANY).all()
        assert (kept.counts < N // 2).all(), "a scan that keeps most has skipped nothing"
        for row, (codes, count) in enumerate(zip(kept.codes, kept.counts, strict=True)):
            assert not self.closed[row, codes[:count]].any()
        starts = np.arange(B, dtype=np.int64) * kept.codes.shape[1]
        for found, expected in zip(
            self.rank(starts, kept.counts, kept.codes.reshape(-1), True), self.best(), strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def decoding():
    return [Float16Codec(), Int4Codec(), Int8Codec(symmetric=False), ProductQuantizer(iterations=1, rotation=None)]


every = pytest.mark.parametrize("codec", decoding(), ids=repr)


@every
def test_a_scan_of_decoded_vectors_keeps_the_best(codec):
    one = Scanned(codec)
    scan_decoded(Static(FLOAT), one.coded, one.weights, one.panels(FLOAT), 0, one.filters.closed, one.room, one.kept)
    one.check()


@every
def test_a_scan_of_one_row_at_a_time_keeps_the_best(codec):
    one = Scanned(codec)
    scan_rows(
        one.coded, one.weights, one.panels(FLOAT), one.queries, one.buffer, 0, one.filters.closed, one.room, one.kept
    )
    one.check()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("subvectors", [4, 9])
def test_a_scan_by_tables_of_products_keeps_the_best(bits, subvectors):
    one = Scanned(ProductQuantizer(subvectors=subvectors, bits=bits, iterations=1, rotation=None))
    table = np.empty(one.coded.coarse.parts * one.coded.coarse.centroids, np.float32)
    scan_tables(
        one.coded, one.weights, one.panels(FLOAT), one.queries, table, 0, one.filters.closed, one.room, one.kept
    )
    one.check()


@pytest.mark.parametrize("way", runnable_ways())
def test_a_scan_of_bytes_keeps_the_best_in_every_way_to_multiply_them(way):
    one, number = Scanned(Int8Codec()), runnable_ways()[way]
    words = one.coded.rows.view(np.int32)
    scan_bytes(
        Static(number), one.coded, words, one.weights, one.panels(number), 0, one.filters.closed, one.room, one.kept
    )
    one.check()
