"""The cost of forgetting users, beside a fit, and the share of the Gramian in EASE's fit."""

import copy
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from data import Folder

from fastrec.data import Interactions
from fastrec.forgetting import forget
from fastrec.models import EASE, ImplicitALS, ItemKNN
from fastrec.solvers.gramian import fill_lower

Record = dict[str, Any]
PAGE = "explanation/privacy.md"
GONE = [17, 1234, 4321]
MODELS = (EASE(n_jobs=1), ItemKNN(n_jobs=1), ImplicitALS(n_jobs=1, random_state=0))


def refits(folder: Folder, repeats: int) -> Iterator[Record]:
    """CPU seconds of taking three users out of ML-1M and fitting to the rest, and of forgetting them; one thread."""
    matrix = folder.matrix("ml-1m")
    data = Interactions.from_matrix(matrix, users=[f"user {n}" for n in range(matrix.shape[0])])
    for model in MODELS:
        fitted = model.fit(data)
        for repeat in range(repeats):
            again, refitted = copy.copy(fitted), copy.copy(fitted)
            refit = computed(lambda: refitted.fit(data.select(np.flatnonzero(~np.isin(data.user_codes, GONE)))))
            spent = computed(lambda: forget(again, [f"user {n}" for n in GONE]))
            yield {
                "case": "forgetting", "data": "ml-1m", "model": type(model).__name__, "repeat": repeat,
                "taken out and fitted, s": refit, "forget, s": spent, "ratio": spent / refit,
            }  # fmt: skip


def shares(folder: Folder, repeats: int) -> Iterator[Record]:
    """CPU seconds of EASE's fit on ML-1M, and of its Gramian, which is all that a downdate would spare; one thread."""
    matrix = folder.matrix("ml-1m")
    n = matrix.shape[1]
    for repeat in range(repeats):
        fit = computed(lambda: EASE(n_jobs=1).fit(matrix))
        gramian = computed(lambda: fill_lower(matrix, np.ones(n), np.empty((n, n), np.float32), 1))
        yield {
            "case": "ease-shares", "data": "ml-1m", "items": n, "repeat": repeat,
            "fit, s": fit, "Gramian, s": gramian, "share": gramian / fit,
        }  # fmt: skip


def computed(work: Any) -> float:
    """Returns the CPU seconds of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


PARTS = (refits, shares)
