"""The loop of a training by epochs: loss, validation, early stopping, callback, progress, divergence."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from fastrec.matrix.arrays import Floats
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import hide_part, pick_rows, spread_evenly
from fastrec.metrics import ndcg
from fastrec.progress import epoch_progress
from fastrec.retrieval.select import select_topk

Callback = Callable[[int, float, float], bool | None]

# The maximum number of rows ranked to validate an epoch.
VALIDATION_ROWS = 10_000


@dataclass
class EpochLoop:
    """The loop of epochs, until a condition ends it.

    Parameters
    ----------
    name
        The name of the estimator.
    iterations
        The maximum number of epochs.
    tol, patience
        Without validation, stop when an epoch lowers the loss by less than this share of it; with it, when no epoch
        has been better than the best by more than `tol` for `patience` epochs.
    callback
        Called with (epoch, elapsed seconds, loss); True stops.
    verbose
        Whether to show progress.
    advice
        Advice for a loss that is no longer finite.
    measure
        The measure of validation: "NDCG@10", or "RMSE", for which less is better.
    """

    name: str
    iterations: int
    tol: float
    patience: int
    callback: Callback | None
    verbose: bool
    advice: str
    measure: str = "NDCG@10"
    losses: list[float] = field(default_factory=list)
    validations: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, model: Any, advice: str, measure: str = "NDCG@10") -> Self:
        """Makes the loop that a model's options ask for."""
        patience = getattr(model, "n_iter_no_change", 1)
        shown = bool(model.verbose)
        return cls(type(model).__name__, model.iterations, model.tol, patience, model.callback, shown, advice, measure)

    def record(self, model: Any) -> None:
        """Records the curves and the number of epochs in the model."""
        model.loss_curve_ = np.array(self.losses)
        model.n_iter_ = len(self.losses)
        if hasattr(model, "validation_fraction"):
            model.validation_curve_ = np.array(self.validations) if self.validations else None

    def run(
        self,
        step: Callable[[int], float],
        validate: Callable[[], float] | None = None,
        snapshot: Callable[[], Any] = lambda: None,
    ) -> Any:
        """Runs `step(epoch)`, which returns the loss; returns the best epoch's `snapshot()`, None without
        validation.
        """
        began, best = time.perf_counter(), None
        with epoch_progress(self.name, self.iterations, self.verbose) as advance:
            for epoch in range(self.iterations):
                self.losses.append(step(epoch))
                if not math.isfinite(self.losses[-1]):
                    what = f"the loss is {self.losses[-1]} after epoch {epoch + 1}"
                    raise FloatingPointError(f"{what}: {self.name} has diverged. {self.advice}")
                note = f"loss {self.losses[-1]:.6g}"
                if validate is not None:
                    self.validations.append(validate())
                    if self._best() == epoch:
                        best = snapshot()
                    note += f", validation {self.measure} {self.validations[-1]:.4f}"
                advance(note)
                if self._is_enough(epoch, time.perf_counter() - began):
                    break
        return best

    def _best(self, tol: float = 0.0) -> int:
        sign = -1 if self.measure == "RMSE" else 1
        best = 0
        for later in range(1, len(self.validations)):
            if sign * self.validations[later] > sign * self.validations[best] + tol:
                best = later
        return best

    def _is_enough(self, epoch: int, elapsed: float) -> bool:
        if self.callback is not None and self.callback(epoch + 1, elapsed, self.losses[-1]):
            return True
        if self.validations:
            return epoch - self._best(self.tol) >= self.patience
        if self.tol == 0 or epoch == 0:
            return False
        return self.losses[-2] - self.losses[-1] < self.tol * abs(self.losses[-2])


def seed_of(random_state: Any) -> int:
    """Returns a seed for NumPy's generators from scikit-learn's `random_state`."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def update_seed(model: Any) -> list[int]:
    """Returns the seed of an update: `random_state`, if that is a number, with the number of entries of the model.

    It is not random, so that a replay of a model's updates repeats their steps.
    """
    given = model.random_state
    return [int(given) if isinstance(given, Integral) else 0, int(model.seen_.nnz)]


def hold_out(matrix: CodeMatrix, hidden: CodeMatrix | None, fraction: float) -> tuple[CodeMatrix, CodeMatrix | None]:
    """Splits off the rows to validate on: the given `hidden`, or a fraction of each row; None without validation."""
    if hidden is not None:
        if hidden.shape != matrix.shape:
            raise ValueError(f"X_val must be of the shape of X, {matrix.shape}, got {hidden.shape}")
        return matrix, hidden
    if fraction > 0:
        return hide_part(matrix, fraction)
    return matrix, None


def validation_ndcg(
    score: Callable[[NDArray[np.int64]], Floats],
    trained: CodeMatrix,
    hidden: CodeMatrix,
    most: int = VALIDATION_ROWS,
    at_once: int = 1024,
) -> float:
    """The mean NDCG@10 over rows with hidden items, at most `most` of them, evenly spread.

    `score` returns all items' scores for some rows; `at_once` is the number of rows in a call.
    """
    rows = spread_evenly(np.flatnonzero(np.diff(hidden.indptr)), most)
    total = 0.0
    for first in range(0, len(rows), at_once):
        some = rows[first : first + at_once]
        codes, _ = select_topk(score(some), 10, exclude=pick_rows(trained, some))
        total += float(ndcg(codes, pick_rows(hidden, some), 10).sum())
    return total / len(rows) if len(rows) else 0.0


def validate_in_batches(score: Callable[[NDArray[np.int64]], Floats], trained: CodeMatrix, hidden: CodeMatrix) -> float:
    """Runs `validation_ndcg` for expensive scores of a network: at most four million pairs, a million at a time."""
    n_items = hidden.shape[1]
    return validation_ndcg(score, trained, hidden, max(100, 4_000_000 // n_items), max(1, 1_000_000 // n_items))


def validation_rmse(users: Floats, items: Floats, hidden: CodeMatrix) -> float:
    """The root of the mean squared error over the hidden entries."""
    rows, total = row_numbers(hidden), 0.0
    for first in range(0, hidden.nnz, 1 << 18):
        part = slice(first, first + (1 << 18))
        scores = np.einsum("ij,ij->i", users[rows[part]], items[hidden.indices[part]])
        total += float(np.square(scores.astype(np.float64) - hidden.data[part]).sum())
    return math.sqrt(total / max(1, hidden.nnz))
