"""When training by epochs ends: what is hidden to validate on, how it is ranked, and what counts as better."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.metrics import ndcg
from fastrec.models.rows import hide_part, pick_rows
from fastrec.retrieval.select import select_topk
from fastrec.validation import CodeMatrix

PAIRS = 4_000_000  # as many pairs at most are scored to validate an epoch
AT_ONCE = 1_000_000  # of them at a time


def held_out(
    matrix: CodeMatrix, validation: CodeMatrix | None, fraction: float
) -> tuple[CodeMatrix, CodeMatrix | None]:
    """What to train on, and what to validate on: `validation`, or a share of each row's items, or None.

    Raises
    ------
    ValueError
        Where `validation` is not of the matrix's shape.
    """
    if validation is not None:
        if validation.shape != matrix.shape:
            raise ValueError(f"X_val must be of the shape of X, {matrix.shape}, got {validation.shape}")
        return matrix, validation
    if fraction > 0:
        return hide_part(matrix, max(2, round(1 / fraction)))
    return matrix, None


def validate(
    score: Callable[[NDArray[np.int64]], NDArray[np.float32]], trained: CodeMatrix, hidden: CodeMatrix
) -> float:
    """The mean NDCG@10 over rows with hidden items, evenly spread over all; `score` gives all items' for some rows."""
    rows = np.flatnonzero(np.diff(hidden.indptr))
    most = max(100, PAIRS // hidden.shape[1])
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    total = 0.0
    step = max(1, AT_ONCE // hidden.shape[1])
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        codes, _ = select_topk(score(some), 10, exclude=pick_rows(trained, some))
        total += float(ndcg(codes, pick_rows(hidden, some), 10).sum())
    return total / len(rows) if len(rows) else 0.0


def is_enough(model: Any, epoch: int, elapsed: float, losses: Sequence[float], validations: Sequence[float]) -> bool:
    """Whether the model's options (`callback`, `tol`, `n_iter_no_change`) end the training after this epoch."""
    if model.callback is not None and model.callback(epoch + 1, elapsed, losses[-1]):
        return True
    if validations:
        best = 0
        for later in range(1, len(validations)):
            if validations[later] > validations[best] + model.tol:
                best = later
        return bool(epoch - best >= model.n_iter_no_change)
    return bool(model.tol > 0 and len(losses) > 1 and losses[-2] - losses[-1] < model.tol * abs(losses[-2]))
