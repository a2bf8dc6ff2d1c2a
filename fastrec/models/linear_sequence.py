"""A linear model of what comes next: the regression of every prefix's future on its past, in closed form."""

from typing import ClassVar

import numpy as np

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.sequences import read_sequences
from fastrec.models.base.audience import Audience
from fastrec.models.base.item_weights import ItemWeights, is_finite
from fastrec.options import Integer, Jobs, Number, Options, Verbosity
from fastrec.parallel import effective_jobs
from fastrec.progress import epoch_progress
from fastrec.solvers.inversion import NotPositiveDefiniteError, count_tiles
from fastrec.solvers.prefixes import regress, sum_over_prefixes


class LinearSequence(ItemWeights):
    """Weights from items to later items, by ridge regression over every prefix of every history, in closed form.

    After each event t of a history, s_t is what came up to then and y_t what came after, both faded by distance:
    Σ memory^(events since) and Σ ahead^(events until, less one) over items. The weights B minimise

        Σ w ‖y_t - s_t B‖² + regularization · ‖B‖²,      B = (Σ w s_t s_tᵀ + regularization)⁻¹ Σ w s_t y_tᵀ,

    over all t of all histories, with w the number of a history's prefixes to the power of -`power`. It is EASE's sister
    with order, and the closed form of SLIST's transitions (Choi, Kim, Lee, Shim, Lee 2021). No prefix is made: pairs of
    events at most `window` apart add geometric series. No constraint on the diagonal is needed, since no event is in
    its own past. Time and memory are those of dense EASE: n² numbers and n³ operations for n items.

    Interactions need times. The values of a plain matrix are places in an order: the largest is the newest. Values of
    events do not weigh.

    Parameters
    ----------
    regularization : float
        λ, above 0. Tune it by factors of three.
    memory : float
        How much of an event is left in the past one event later, from 0 to 1; also when a history is answered.
    ahead : float
        How much less an event counts in the future that is one event further away, from 0 to 1; 0 is the next event
        alone.
    window : int
        How far apart the events of a pair may be, at least 1.
    power : float
        0 counts every prefix alike, 1 every history, from 0 to 1.
    source_exponent, target_exponent : float
        How far items with many users are set back, from 0 to 2: in the history, by a λ_i of
        regularization · (1 + n_i)^source_exponent for the n_i users of item i; and as what is recommended, by weights
        divided by (1 + n_j)^target_exponent. With a large regularization the weights become those of `SequenceRules`.
        Where items have few users, try 0.5 and 0.2.
    n_jobs : int or None
        Threads; see `fastrec.ImplicitALS`.
    verbose : bool or int
        Whether to show progress.

    Attributes
    ----------
    weights_ : ndarray of shape (n_items, n_items)
        float32: in row i and column j, what item i, as the newest event, adds to the score of item j.
    order_ : ndarray of shape (nnz,)
        int32: the place of each entry of `seen_` in its user's order, the oldest first.

    Raises
    ------
    ValueError
        In `fit`, where Interactions have no times.
    FloatingPointError
        In `fit`, where the regularization is too small for float32.

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
        "power": Number(0, 1),
        "source_exponent": Number(0, 2),
        "target_exponent": Number(0, 2),
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
        power: float = 0.0,
        source_exponent: float = 0.0,
        target_exponent: float = 0.0,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.regularization = regularization
        self.memory = memory
        self.ahead = ahead
        self.window = window
        self.power = power
        self.source_exponent = source_exponent
        self.target_exponent = target_exponent
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, matrix: CodeMatrix) -> None:
        n, jobs = matrix.shape[1], effective_jobs(self.n_jobs)
        sequences = read_sequences(matrix, self._training_order())
        window = min(self.window, max(1, int(np.diff(sequences.starts).max(initial=0)) - 1))
        future, weights = sum_over_prefixes(sequences, n, self.memory, self.ahead, window, self.power, jobs)
        counts = self.item_counts_ + 1.0
        weights[np.arange(n), np.arange(n)] += (self.regularization * counts**self.source_exponent).astype(np.float32)
        with epoch_progress(type(self).__name__, 3 * count_tiles(n), bool(self.verbose)) as advance:
            try:
                self.weights_ = regress(weights, future, jobs, lambda: advance("tiles"))
            except NotPositiveDefiniteError:
                raise self._singular() from None
        if self.target_exponent:
            self.weights_ *= (counts**-self.target_exponent).astype(np.float32)
        if not is_finite(self.weights_):
            raise self._singular()

    def _singular(self) -> FloatingPointError:
        return FloatingPointError(
            f"LinearSequence.regularization of {self.regularization} is too small: float32 cannot tell the system from "
            "a singular one. Take a larger one"
        )

    def _weigh(self, audience: Audience) -> CodeMatrix:
        return audience.faded(self.memory)
