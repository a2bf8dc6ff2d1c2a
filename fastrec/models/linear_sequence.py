"""A linear sequence model: the regression of every prefix's future on its past, in closed form."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import Codes, Floats, inverse_order, reorder
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.sequences import Sequences, read_sequences
from fastrec.models.base.audience import Audience
from fastrec.models.base.item_weights import ItemWeights, is_dense, is_finite
from fastrec.options import Choice, Integer, Jobs, Number, Options, Verbosity
from fastrec.parallel import effective_jobs
from fastrec.progress import epoch_progress
from fastrec.solvers.inversion import NotPositiveDefiniteError, count_tiles
from fastrec.solvers.prefixes import Series, has_few_pairs, list_over_prefixes, regress, sum_over_prefixes
from fastrec.solvers.supports import gramian_of, join_weights, regress_on_supports

Doubles = NDArray[np.float64]


class LinearSequence(ItemWeights):
    """Item-to-item weights for the next items, by ridge regression over every prefix of every history, in closed form.

    After each event t of a history, s_t sums the items up to t and y_t the later ones, both faded by distance:
    Σ memory^(events since) and Σ ahead^(events until, less one) over items. The weights B minimise

        Σ w ‖y_t - s_t B‖² + regularization · ‖B‖²,      B = (Σ w s_t s_tᵀ + regularization)⁻¹ Σ w s_t y_tᵀ,

    over all t of all histories, with w the number of a history's prefixes to the power of -`power`. It is EASE with
    order, and the closed form of SLIST's transitions (Choi, Kim, Lee, Shim, Lee 2021). Prefixes are never built: pairs
    of events at most `window` apart add geometric series. No constraint on the diagonal is needed, since no event is in
    its own past. Time and memory are those of dense EASE: n² numbers and n³ operations for n items.

    Interactions need times. The values of a plain matrix are places in an order: the largest is the newest. Values of
    events are not read.

    Parameters
    ----------
    regularization : float
        λ, above 0. Tune it by factors of three.
    memory : float
        The fading of the past: the share of an event that is left one event later, from 0 to 1; answers use it, too.
    ahead : float
        The fading of the future: the share that an event counts for each further event away, from 0 to 1; with 0 only
        the next event counts.
    window : int
        The largest distance of the events of a pair, at least 1.
    before : float
        The weight of a pair in Σ w s_t y_tᵀ in reversed order, from 0 to 1. If items have few users, much of their
        order is chance: try 0.35.
    power : float
        0 gives every prefix the same weight, 1 every history; from 0 to 1.
    source_exponent, target_exponent : float
        The strength with which items with many users are lowered, from 0 to 2. In the history, λ_i lowers them with
        regularization · (1 + n_i)^source_exponent for the n_i users of item i. As recommendations, their weights are
        divided by (1 + n_j)^target_exponent. With a large regularization the weights become those of `SequenceRules`.
        If items have few users, try 0.5 and 0.2.
    method : {"auto", "dense", "sparse"}
        "dense" solves for all items at once: n² numbers and n³ operations, for n items. "sparse" solves for each item
        among the `neighbors` items that would predict it best alone. "auto" is dense up to 20 000 items.
    neighbors : int
        The number of other items that may predict an item in the sparse method, at least 1.
    threshold : float
        For the sparse method: entries g_ij of Σ w s_t s_tᵀ below this share of √(g_ii + λ_i) √(g_jj + λ_j) count as 0,
        from 0 to below 1. It bounds the memory on large data.
    n_jobs : int or None
        Threads; see `fastrec.ImplicitALS`.
    verbose : bool or int
        Whether to show progress in the dense method.

    Attributes
    ----------
    weights_ : ndarray or csr_array of shape (n_items, n_items)
        float32: the entry in row i and column j is what item i, as the newest event, adds to item j's score.
    order_ : ndarray of shape (nnz,)
        int32: the place of each entry of `seen_` in its user's order, the oldest first.

    Raises
    ------
    ValueError
        In `fit`, if Interactions have no times.
    FloatingPointError
        In `fit`, if the regularization is too small for float32.

    Examples
    --------
    >>> import numpy as np
    >>> places = np.array([[1, 2, 3, 0], [1, 2, 0, 3], [0, 1, 2, 0]])  # after 0 comes 1, then 2 or 3
    >>> model = LinearSequence(regularization=1).fit(places)
    >>> model.recommend([[1, 0, 0, 0]], k=2).codes
    array([[1, 3]], dtype=int32)
    """

    reads_order: ClassVar[bool] = True
    needs_order: ClassVar[bool] = True

    _options: ClassVar[Options] = {
        "regularization": Number(0, above=True, log=True),
        "memory": Number(0, 1),
        "ahead": Number(0, 1),
        "window": Integer(1, memory=True, log=True),
        "before": Number(0, 1),
        "power": Number(0, 1),
        "source_exponent": Number(0, 2),
        "target_exponent": Number(0, 2),
        "method": Choice(("auto", "dense", "sparse")),
        "neighbors": Integer(1, memory=True, log=True),
        "threshold": Number(0, 1, below=True),
        "n_jobs": Jobs(),
        "verbose": Verbosity(),
    }

    def __init__(
        self,
        regularization: float = 100.0,
        *,
        memory: float = 0.8,
        ahead: float = 0.5,
        window: int = 20,
        before: float = 0.0,
        power: float = 0.0,
        source_exponent: float = 0.0,
        target_exponent: float = 0.0,
        method: str = "auto",
        neighbors: int = 256,
        threshold: float = 0.01,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.regularization = regularization
        self.memory = memory
        self.ahead = ahead
        self.window = window
        self.before = before
        self.power = power
        self.source_exponent = source_exponent
        self.target_exponent = target_exponent
        self.method = method
        self.neighbors = neighbors
        self.threshold = threshold
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, matrix: CodeMatrix) -> None:
        sequences = read_sequences(matrix, self._training_order())
        window = min(self.window, max(1, int(np.diff(sequences.starts).max(initial=0)) - 1))
        series = Series(self.memory, self.ahead, window, self.power, self.before)
        jobs = effective_jobs(self.n_jobs)
        dense = is_dense(self.method, matrix.shape[1])
        self.weights_ = (self._fit_dense if dense else self._fit_sparse)(sequences, series, jobs)
        if not is_finite(self.weights_ if dense else self.weights_.data):
            raise self._singular()

    def _penalties(self) -> Doubles:
        """The penalties λ_i, of shape (n_items,)."""
        penalties = self.regularization * (self.item_counts_ + 1.0) ** self.source_exponent
        return penalties.astype(np.float64, copy=False)

    def _shares(self) -> Floats:
        """The factor that lowers each item as a recommendation, of shape (n_items,)."""
        shares: Floats = ((self.item_counts_ + 1.0) ** -self.target_exponent).astype(np.float32)
        return shares

    def _by_popularity(self) -> Codes:
        """The items, the most popular first."""
        return np.argsort(-self.item_counts_, kind="stable").astype(np.int32)

    def _fit_dense(self, sequences: Sequences, series: Series, jobs: int) -> Floats:
        if has_few_pairs(sequences, len(self.item_counts_), series):
            weights = self._regress(sequences, self._penalties(), series, jobs)
        else:
            # Rare items come last, since the last rows of the system are eliminated if they are sparse.
            order = self._by_popularity()
            weights = self._regress(_ranked(sequences, order), self._penalties()[order], series, jobs)
            reorder(weights, order)
        if self.target_exponent:
            weights *= self._shares()
        return weights

    def _regress(self, sequences: Sequences, penalties: Doubles, series: Series, jobs: int) -> Floats:
        n = len(penalties)
        future, past = sum_over_prefixes(sequences, n, series, jobs)
        past[np.arange(n), np.arange(n)] += penalties.astype(np.float32)
        with epoch_progress(type(self).__name__, 3 * count_tiles(n), bool(self.verbose)) as advance:
            try:
                return regress(past, future, jobs, lambda: advance("tiles"))
            except NotPositiveDefiniteError:
                raise self._singular() from None

    def _fit_sparse(self, sequences: Sequences, series: Series, jobs: int) -> CodeMatrix:
        order = self._by_popularity()  # so that rows of the Gramian below its diagonal are short
        n = len(order)
        future, lower = list_over_prefixes(_ranked(sequences, order), n, series, jobs)
        gramian = gramian_of(lower, self._penalties()[order], self.threshold)
        if not (gramian.diagonal > 0).all():
            raise self._singular()
        supports, weights = regress_on_supports(gramian, future, min(self.neighbors, n - 1), jobs)
        if self.target_exponent:
            weights *= self._shares()[order, None]
        return join_weights(supports, weights, None, order, jobs)

    def _singular(self) -> FloatingPointError:
        return FloatingPointError(
            f"LinearSequence.regularization of {self.regularization} is too small: float32 cannot tell the system from "
            "a singular one. Take a larger one"
        )

    def _weigh(self, audience: Audience) -> CodeMatrix:
        return audience.faded(self.memory)


def _ranked(sequences: Sequences, order: Codes) -> Sequences:
    """The sequences with the place of each item in an order as its code."""
    return sequences._replace(items=inverse_order(order)[sequences.items])
