"""Audits: how well an attacker can tell that a user was in the data, from models fitted with and without the user."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from fastrec.data.recognition import refuse_table
from fastrec.matrix.arrays import Codes
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix
from fastrec.matrix.rows import pick_rows, rows_of_lists, with_data
from fastrec.models import load, save
from fastrec.notices import warn_once_of_a_kind
from fastrec.privacy import epsilon_of
from fastrec.privacy.accountant import check_delta
from fastrec.privacy.bounds import area_under_curve, bound_epsilon, bound_mu
from fastrec.progress import epoch_progress
from fastrec.validation import check_integer, check_number, name_options

FEWEST = 20  # the fewest releases that give a bound
UNSEEDED = {
    "budget": None,
    "noise_seed": None,
}  # releases of an audit stay unpublished: each draws noise of its own


@name_options
@warn_once_of_a_kind()
def audit(
    model: Any,
    data: Any,
    *,
    canary: str | ArrayLike = "auto",
    size: int = 20,
    releases: int = 1000,
    others: float = 1.0,
    through_file: bool = False,
    delta: float | None = None,
    confidence: float = 0.95,
    random_state: int = 0,
    verbose: bool | int = False,
) -> "Audit":
    """Computes lower bounds of a model's epsilon from how surely it gives away a made-up user, the canary.

    The model is fitted to the data with the canary and without it, many times each. Each fitted model scores each item
    of the canary, given all its other items. The sum of these scores is high if the model knows that somebody had these
    items. A threshold of that sum tells the two kinds of models apart. Its errors bound epsilon and μ from below, for
    any model. A bound above what a private model claims shows a fault; one below shows nothing, since there may be a
    better attack.

    The scores come from the data: audit made-up data, or keep the result secret.

    Parameters
    ----------
    model
        A recommender; clones of it are fitted, without a budget, and with noise of their own.
    data
        Interactions, or a matrix of shape (n_users, n_items): the other users.
    canary
        The items that the canary has had: ids of Interactions, codes of a matrix. Or "rare" and "popular": the `size`
        items of the fewest and of the most users. "auto" is "popular" for private models, which do not recommend rare
        items, and "rare" for all others, which give away rare items first.
    size
        The number of items that "rare" and "popular" take.
    releases
        The number of models fitted with the canary, and of those fitted without, at least 20.
    others
        The share of the other users that each model is fitted to, chosen anew, above 0 and at most 1: less than 1 is
        for models that have no noise, whose scores would be the same each time.
    through_file
        Whether each model is saved and loaded before it is asked, as an attacker who has the file would do.
    delta
        The delta at which epsilon is bounded; None is the model's own delta, or 1e-6.
    confidence
        The confidence of the bounds, from 0 to below 1.
    random_state
        The seed of the choice of `others`.
    verbose
        Whether to show progress.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError, TypeError
        If an option has a wrong value, or an item is unknown.

    Examples
    --------
    >>> import fastrec as fr
    >>> rng = np.random.default_rng(0)
    >>> X = (rng.random((200, 60)) < np.linspace(0.3, 0.02, 60)).astype(np.float32)
    >>> leaky = audit(fr.ItemKNN(), X, releases=30, others=0.5)
    >>> leaky.auc, bool(leaky.mu > 2)
    (1.0, True)
    >>> audit(fr.PrivatePopularity(1.0, 1e-6), X, releases=30, confidence=0.9999).exceeds_claim
    False
    """
    releases = check_integer("releases", releases, minimum=FEWEST)
    check_number("others", others, minimum=0, maximum=1, above=True)
    check_number("confidence", confidence, minimum=0, maximum=1, below=True)
    check_integer("size", size, minimum=1)
    delta = check_delta(getattr(model, "delta", 1e-6) if delta is None else delta)
    refuse_table(data, "data")
    matrix = check_matrix(data, name="data", negative="accept", minimum_rows=1)
    codes = _choose_items(model, data, matrix, canary, size)
    history = _make_history(model, codes, matrix)
    options = {name: value for name, value in UNSEEDED.items() if name in model.get_params(deep=False)}
    fresh, rng = clone(model).set_params(**options), np.random.default_rng(random_state)
    questions = _leave_each_out(history)
    worlds = history, rows_of_lists(codes[:0], [0], matrix.shape[1])
    scores = np.empty((2, releases))
    with TemporaryDirectory() as folder, epoch_progress("audit", 2 * releases, bool(verbose)) as advance:
        path = Path(folder) / "released" if through_file else None
        for release, world in product(range(releases), range(2)):
            training = _append(_sample_rows(matrix, others, rng), worlds[world])
            released = _release(clone(fresh).fit(training), path)
            scores[world, release] = released.predict_pairs(questions, codes).sum(dtype=np.float64)
            advance("")
    claim = getattr(released, "privacy_", None)
    return Audit(scores[0], scores[1], delta, confidence, claim and claim["epsilon"], claim and claim["mu"])


@dataclass(frozen=True)
class Audit:
    """The result of an audit: bounds that hold with its confidence, each by itself.

    Parameters
    ----------
    scores_with, scores_without
        The sum of the canary's scores for its items, of models that were fitted with it and without, float64 of shape
        (releases,).
    delta
        The delta at which epsilon is bounded.
    confidence
        The confidence of the bounds.
    claimed_epsilon, claimed_mu
        The values that the model itself claims; None if it is not private.
    """

    scores_with: NDArray[np.float64]
    scores_without: NDArray[np.float64]
    delta: float
    confidence: float = 0.95
    claimed_epsilon: float | None = None
    claimed_mu: float | None = None

    def mu_at(self, confidence: float) -> float:
        """The bound of μ at another confidence."""
        return bound_mu(self.scores_with, self.scores_without, confidence)

    @cached_property
    def mu(self) -> float:
        """The lower bound of μ, if the releases are μ-GDP, as sums with Gaussian noise are."""
        return self.mu_at(self.confidence)

    @property
    def epsilon_by_mu(self) -> float:
        """The epsilon at the delta that follows from `mu`."""
        return epsilon_of(self.mu, self.delta)

    @cached_property
    def epsilon(self) -> float:
        """The lower bound of epsilon at the delta for any model, by Clopper and Pearson's intervals alone."""
        return bound_epsilon(self.scores_with, self.scores_without, self.delta, self.confidence)

    @property
    def auc(self) -> float:
        """The chance that a model with the canary has a higher score than one without."""
        return area_under_curve(self.scores_with, self.scores_without)

    @property
    def exceeds_claim(self) -> bool:
        """Tells whether a bound is above what the model claims: then it is not as private as it says.

        Each of the two bounds is above by chance one time in twenty at a confidence of 0.95: take more for an alarm.
        """
        if self.claimed_epsilon is None or self.claimed_mu is None:
            return False
        return self.mu > self.claimed_mu or self.epsilon > self.claimed_epsilon

    def __str__(self) -> str:
        claim = (
            ""
            if self.claimed_mu is None
            else f"\nclaimed: epsilon {self.claimed_epsilon:.4g}, mu {self.claimed_mu:.4g}"
        )
        return (
            f"{len(self.scores_with)} releases with the canary and as many without: AUC {self.auc:.3f}\n"
            f"at least epsilon {self.epsilon:.4g} at delta {self.delta:g} (Clopper-Pearson), "
            f"mu {self.mu:.4g} or epsilon {self.epsilon_by_mu:.4g} (GDP), confidence {self.confidence:g}{claim}"
        )


def _make_history(model: Any, codes: Codes, matrix: CodeMatrix) -> CodeMatrix:
    """Makes the canary's row: with the data's usual value, or with places if the model reads values as places."""
    row = rows_of_lists(codes, [len(codes)], matrix.shape[1])
    if getattr(model, "needs_order", False):
        return with_data(row, np.arange(1, len(codes) + 1, dtype=np.float32))
    usual = np.median(matrix.data) if matrix.nnz else 1.0
    return with_data(row, np.full(len(codes), usual, np.float32))


def _choose_items(model: Any, data: Any, matrix: CodeMatrix, canary: str | ArrayLike, size: int) -> Codes:
    """The codes of the canary's items, ascending."""
    if isinstance(canary, str) and canary in ("auto", "rare", "popular"):
        if canary == "auto":
            canary = "rare" if getattr(model, "keeps_users", True) else "popular"
        counts = count_codes(matrix.indices, matrix.shape[1])
        order = np.argsort(counts if canary == "rare" else -counts, kind="stable")
        codes = order[counts[order] > 0][:size]
    elif hasattr(data, "items") and data.items is not None:
        codes = data.items.encode(np.atleast_1d(canary))
    else:
        codes = np.asarray(canary)
    if codes.ndim != 1 or not codes.size or codes.dtype.kind not in "iu":
        raise ValueError(f'canary must be "auto", "rare", "popular" or at least one item, got {canary!r}')
    if codes.min() < 0 or codes.max() >= matrix.shape[1]:
        raise ValueError(f"canary must be codes of items from 0 to {matrix.shape[1] - 1}, got {canary!r}")
    return np.unique(codes).astype(np.int32)


def _leave_each_out(history: CodeMatrix) -> CodeMatrix:
    """Makes a row for each item of the history, without that item; the history itself if it has no other item."""
    n = history.nnz
    if n == 1:
        return history
    places = np.flatnonzero(~np.eye(n, dtype=bool)) % n
    indptr = np.arange(n + 1) * (n - 1)
    return assemble_csr(history.data[places], history.indices[places], indptr, (n, history.shape[1]))


def _sample_rows(matrix: CodeMatrix, share: float, rng: np.random.Generator) -> CodeMatrix:
    """A share of the rows, chosen at random; at least one."""
    if share == 1:
        return matrix
    n = matrix.shape[0]
    return pick_rows(matrix, np.sort(rng.choice(n, max(1, round(share * n)), replace=False)))


def _append(matrix: CodeMatrix, row: CodeMatrix) -> CodeMatrix:
    """The matrix with one row more."""
    data, indices = np.concatenate([matrix.data, row.data]), np.concatenate([matrix.indices, row.indices])
    indptr = np.append(matrix.indptr, matrix.nnz + row.nnz)
    return assemble_csr(data, indices, indptr, (matrix.shape[0] + 1, matrix.shape[1]))


def _release(fitted: Any, path: Path | None) -> Any:
    """Returns the model that an attacker has: the model itself, or the one loaded from its file."""
    if path is None:
        return fitted
    save(fitted, path)
    return load(path, mapped=False)
