"""What privacy costs: NDCG@20 of a hidden fifth by epsilon, beside the same models without, and the time of a fit."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder, hide

from fastrec.evaluation import evaluate
from fastrec.models import EASE, Popularity, PrivateEASE, PrivatePopularity

Record = dict[str, Any]
PAGE = "privacy.md"
DELTA = 1e-5
EPSILONS = (1.0, 2.0, 5.0, 10.0)
SEEDS = 5  # of the noise, which is drawn anew for each fit
K = "ndcg@20"
OTHERS = {"EASE": EASE(n_jobs=1), "Popularity": Popularity()}  # at their defaults: nothing is tuned here


def data_sets(folder: Folder) -> Iterator[tuple[str, sp.csr_array]]:
    """The matrices, and the first 12 000 users of Gowalla, with its items of five users and more among them."""
    yield "ml-1m", folder.matrix("ml-1m")
    yield "ml-100k", folder.matrix("ml-100k")
    some = folder.matrix("gowalla")[:12_000]
    yield "gowalla, 12 000 users", sp.csr_array(some[:, np.flatnonzero(some.sum(axis=0) >= 5)])


def published(folder: Folder, repeats: int) -> Iterator[Record]:
    """NDCG@20 of a hidden fifth, mean of five fits with noise of their own, at a delta of 1e-5."""
    for name, matrix in data_sets(folder):
        train, test = hide(matrix, 0.2)
        for what, model in OTHERS.items():
            score = measure(model.fit(train), test)
            yield {"data": name, "model": what, "what": "not private", "head": "", K: score, "deviation": 0.0}
        for kind in (PrivateEASE, PrivatePopularity):
            for epsilon in EPSILONS:
                models = [kind(epsilon, DELTA).fit(train) for _ in range(SEEDS)]
                scores = [measure(model.with_users(train), test) for model in models]
                yield {
                    "data": name, "model": kind.__name__, "what": f"epsilon {epsilon:g}",
                    "head": len(getattr(models[0], "head_", ())) or "",
                    K: float(np.mean(scores)), "deviation": float(np.std(scores, ddof=1)),
                }  # fmt: skip


def measure(model: Any, test: sp.csr_array) -> float:
    """NDCG@20 over the users of a test part."""
    return float(evaluate(model, test, metrics=[K]).mean(K))


def fits(folder: Folder, repeats: int) -> Iterator[Record]:
    """CPU seconds of a fit on ML-1M, beside EASE of the items of the same head, cut out beforehand."""
    train, _ = hide(folder.matrix("ml-1m"), 0.2)
    for epsilon in EPSILONS:
        private = PrivateEASE(epsilon, DELTA, n_jobs=1).fit(train)
        head = sp.csr_array(train[:, private.head_])
        plain = EASE(200.0, n_jobs=1).fit(head)
        for repeat in range(max(5, repeats)):
            ours, theirs = computed(lambda: private.fit(train)), computed(lambda: plain.fit(head))
            yield {
                "case": "private-fits", "data": "ml-1m", "what": f"epsilon {epsilon:g}, head {len(private.head_)}",
                "repeat": repeat, "PrivateEASE, s": ours, "EASE, s": theirs, "ratio": ours / theirs,
            }  # fmt: skip


def computed(work: Any) -> float:
    """Seconds of all processors."""
    began = time.process_time()
    work()
    return time.process_time() - began


PARTS = (published, fits)
