"""The cost of privacy: NDCG@20 of a hidden fifth by epsilon, beside models that are not private, and the time of a fit.

It also audits what is given away: by private models, by one with half the noise, and by models that are not private.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy.sparse as sp
from data import Folder, hide

from fastrec.evaluation import Audit, audit, evaluate
from fastrec.models import EASE, ImplicitALS, ItemKNN, Popularity, PrivateEASE, PrivatePopularity
from fastrec.privacy import spending

Record = dict[str, Any]
PAGE = "explanation/privacy.md"
DELTA = 1e-5
EPSILONS = (1.0, 2.0, 5.0, 10.0)
SEEDS = 5  # draws of the noise, which is drawn anew for each fit
AUDITS = 20
K = "ndcg@20"
OTHERS = {
    "EASE": EASE(n_jobs=1),
    "ImplicitALS": ImplicitALS(random_state=0),
    "Popularity": Popularity(),
}  # at their defaults: nothing is tuned here


def data_sets(folder: Folder) -> Iterator[tuple[str, sp.csr_array]]:
    """Returns the matrices, and the first 12 000 users of Gowalla, with its items of five users and more among them."""
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
    """Returns NDCG@20 over the users of a test part."""
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
    """Returns the seconds of all processors."""
    began = time.process_time()
    work()
    return time.process_time() - began


def audits(folder: Folder, repeats: int) -> Iterator[Record]:
    """Twenty audits each at epsilon 5, delta 1e-6: bounds of μ as shares of what the model claims."""
    model = PrivatePopularity(5.0, 1e-6)
    yield audited("as it is", model, releases=10_000)
    yield audited("half the noise", model, releases=1000, noise=halved())
    yield audited("as it is", model, releases=1000, through_file=True)


def pair_audits(folder: Folder, repeats: int) -> Iterator[Record]:
    """Twenty audits each at epsilon 5, delta 1e-6: bounds of μ as shares of what the model claims."""
    model = PrivateEASE(5.0, 1e-6, n_jobs=1)
    yield audited("as it is", model, releases=500, through_file=True)
    yield audited("half the noise", model, releases=250, through_file=True, noise=halved())


def audited(what: str, model: Any, noise: AbstractContextManager[Any] | None = None, **options: Any) -> Record:
    """Returns bounds of twenty audits, beside the claim, among 4 000 users of whom each has one of twenty items."""
    users = np.repeat(np.eye(20, dtype=np.float32), 200, axis=0)
    with noise or nullcontext():
        found = [audit(model, users, **options) for _ in range(AUDITS)]
    bounds = np.array([one.mu / one.claimed_mu for one in found])
    sure = np.array([one.mu_at(0.9999) / one.claimed_mu for one in found])
    return {
        "model": type(model).__name__, "what": what, "through a file": "yes" if "through_file" in options else "no",
        "releases": f"2 × {options['releases']:,}", "median of 95 % bounds": float(np.median(bounds)),
        "above the claim": f"{np.sum(bounds > 1)} of {AUDITS}", "largest of 99.99 % bounds": float(sure.max()),
        "epsilon by Clopper-Pearson, median": float(np.median([one.epsilon for one in found])),
    }  # fmt: skip


def halved() -> AbstractContextManager[Any]:
    """Halves the noise in each release."""
    draw = spending.draw_gaussian
    return patch.object(spending, "draw_gaussian", lambda n, source: draw(n, source) // 2)


def leaks(folder: Folder, repeats: int) -> Iterator[Record]:
    """A canary of 20 rare items among ML-100k's users: how surely models that are not private give it away."""
    matrix = folder.matrix("ml-100k")
    for model, releases, others in ((ItemKNN(n_jobs=1), 100, 0.5), (ImplicitALS(n_jobs=1), 60, 1.0)):
        found: Audit = audit(model, matrix, releases=releases, others=others)
        yield {
            "model": type(model).__name__, "releases": f"2 × {releases}", "share of the other users": others,
            "AUC": found.auc, "epsilon": found.epsilon, "mu": found.mu, "epsilon by mu": found.epsilon_by_mu,
        }  # fmt: skip


PARTS = (published, fits, audits, pair_audits, leaks)
