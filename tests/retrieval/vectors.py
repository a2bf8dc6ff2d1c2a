"""Provides vectors and queries for tests of indexes, and the bounds of their answers."""

import numpy as np

from fastrec.retrieval import IVFIndex

STORAGES = ("float32", "int8", "float16")
RERANKS = ("float32", "float16")


def lognormal(n, d, seed, spread=0.5):
    random = np.random.default_rng(seed)
    return (random.normal(size=(n, d)) * random.lognormal(0, spread, (n, 1))).astype(np.float32)


def groups(n, d, seed, spread=0.4):
    """Returns vectors around some centers, with norms that differ as popularity does."""
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(40, d))
    vectors = centers[random.integers(40, size=n)] + spread * random.normal(size=(n, d))
    return (vectors * random.lognormal(0, 0.3, (n, 1))).astype(np.float32)


def all_lists(metric="ip", n_lists=8, **options):
    """Returns an index that looks at all lists, so that its answer is known."""
    return IVFIndex(metric, n_lists=n_lists, n_probe=n_lists, random_state=0, **options)


def recall(truth, found):
    return np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(truth, found, strict=True)])


VECTORS = groups(3000, 20, 0)
QUERIES = groups(300, 20, 1)


def unpacked(packed, d):
    """Returns the rotated vectors that bytes stand for, in their places."""
    quads = np.ascontiguousarray(packed.panels.panels.swapaxes(1, 2)).reshape(-1, packed.panels.panels.shape[1])
    levels = quads.view(np.uint8).astype(int) - 128
    return levels[:, : max(d, 16)] * packed.panels.steps[:, None].astype(np.float64)
