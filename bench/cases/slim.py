"""Measures the effect of SLIM's two penalties, beside EASE, on parts of training data."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from data import Folder, hide

import fastrec as fr
from fastrec.metrics import measure

Record = dict[str, Any]
PAGE = "explanation/slim.md"
# The data, the hidden share of them, and penalties (l1, l2); Gowalla uses the sparse method.
TRIALS = (
    ("ml-1m", 0.2, ((10, 50), (2, 2), (2, 50), (2, 200), (1, 300)), fr.EASE(500)),
    ("ml-100k", 0.1, ((2, 50), (2, 200), (1, 100)), fr.EASE(200)),
    ("gowalla", 0.1, ((2, 50), (1, 50), (0.5, 20)), fr.EASE(200)),
)


def penalties(folder: Folder, repeats: int) -> Iterator[Record]:
    """SLIM by its penalties: NDCG@10 on a hidden part of the training data, one draw, with 95 % intervals."""
    for name, share, settings, ease in TRIALS:
        train, hidden = hide(folder.matrix(name), share)
        models = {f"SLIM, l1 {l1:g}, l2 {l2:g}": fr.SLIM(l1, l2) for l1, l2 in settings}
        models[f"EASE, λ {ease.regularization:g}"] = ease
        for model_name, model in models.items():
            began = time.process_time()
            model.fit(train)
            took = time.process_time() - began
            rows = np.flatnonzero(np.diff(hidden.indptr) > 0)
            values = measure(model.recommend(rows, k=10).codes, hidden[rows], "ndcg@10")["ndcg@10"]
            weights = model.weights_
            yield {
                "data": name, "model": model_name,
                "ndcg@10": f"{values.mean():.4f} ± {1.96 * values.std() / np.sqrt(len(values)):.4f}",
                "weights an item": round(weights.nnz / train.shape[1]) if hasattr(weights, "nnz") else "all",
                "fit, CPU s": took,
            }  # fmt: skip


PARTS = (penalties,)
