"""The form of values in learning and in histories: raw values, logarithms, or ones."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.fields import LARGEST, Fields, Value
from fastrec.matrix.arrays import keep_nonzero
from fastrec.matrix.code_matrix import CodeMatrix, drop_zeros
from fastrec.matrix.rows import with_data
from fastrec.models.base.recommender import Recommender
from fastrec.notices import warn_caller
from fastrec.options import Choice, Options

Form = Literal["raw", "log", "binary"]

# Values have a heavy tail if their deviation is above their mean, as in no exponential distribution. Fewer values, or
# fewer different ones, are too few to tell. With a mean below 1 they have been weighted down on purpose.
ENOUGH, DIFFERENT, LOOKED_AT = 100, 20, 100_000


class HeavyTailWarning(UserWarning):
    """A warning about values of which a few outweigh all others, such as counts and durations."""


class Weighted(Recommender):
    """A recommender with the option `weighting`: the form of values in learning and in histories.

    `seen_` keeps the raw values, so that updates add to them.

    Attributes
    ----------
    weighting_ : {"raw", "log", "binary"}
        The form that was used: the option, or the choice of "auto".
    unit_ : float
        The value that counts 1 in the form "log": the median of the training values.
    """

    _options: ClassVar[Options] = {"weighting": Choice(("auto", "raw", "log", "binary"))}
    _learned: ClassVar[Fields] = {
        "weighting_": Value(str, choices=("raw", "log", "binary"), absent=True),
        "unit_": Value(float, least=0, above=True, most=LARGEST, absent=True),
    }
    _former_options: ClassVar[dict[str, object]] = {"weighting": "raw"}

    weighting: str
    weighting_: Form = "raw"
    unit_: float = 1.0

    def _adopt(self, X: Any) -> None:
        super()._adopt(X)
        values = np.abs(drop_zeros(self.seen_).data)
        self.weighting_ = self._choose_form(values, X)
        self.unit_ = float(np.median(values)) if self.weighting_ == "log" and len(values) else 1.0
        self.clear_derived()  # derived values of the training data in the old form

    def _choose_form(self, values: NDArray[np.float32], X: Any) -> Form:
        """The form that the option names.

        "auto" takes values as they are, where a step such as `BM25Weight` has weighed them or they have no heavy tail.
        Else a warning says what becomes of them: logarithms where they are sums of weights that were chosen, so that
        these still count, and ones elsewhere.
        """
        if self.weighting != "auto":
            return self.weighting  # type: ignore[return-value]
        weighed = isinstance(X, Interactions) and X.weighed
        if weighed or (self.takes_negatives and (self.seen_.data < 0).any()) or not has_heavy_tail(values):
            return "raw"
        chosen = are_chosen_weights(X)
        self._tell_tail(values, "their logarithms" if chosen else "each as 1", "log" if chosen else "binary")
        return "log" if chosen else "binary"

    def _tell_tail(self, values: NDArray[np.float32], taken: str, form: Form) -> None:
        middle, mean = np.median(values), values.mean(dtype=np.float64)
        others = {"binary": "to take each as 1", "log": "for logarithms", "raw": "for the values as they are"}
        said = ", ".join(f'"{name}" {words}' for name, words in others.items() if name != form)
        warn_caller(
            f"a few values outweigh all others: they reach from {values.min():g} to {values.max():g}, half of them up "
            f"to {middle:g}, and their mean is {mean:.3g}. {type(self).__name__} takes {taken}. Say "
            f'weighting="{form}" if that is right, {said}',
            HeavyTailWarning,
            kind=(HeavyTailWarning, form),
        )

    def _to_form(self, rows: CodeMatrix) -> CodeMatrix:
        if self.weighting_ == "raw":
            return rows
        if self.weighting_ == "binary":
            return with_data(rows, np.sign(rows.data))
        sizes = np.log2(1 + np.abs(rows.data.astype(np.float64)) / self.unit_)
        return with_data(rows, keep_nonzero((np.sign(rows.data) * sizes).astype(np.float32), rows.data))


def are_chosen_weights(X: Any) -> bool:
    """Tells whether X has events of a few different values, such as weights of kinds of events.

    >>> views = Interactions([0, 0, 1], [0, 0, 1], [1, 5, 1])
    >>> are_chosen_weights(views), are_chosen_weights(views._replace(values=None)), are_chosen_weights(views.matrix)
    (True, False, False)
    """
    if not isinstance(X, Interactions) or X.values is None:
        return False
    return 1 < len(np.unique(X.values[:LOOKED_AT])) <= DIFFERENT


def has_heavy_tail(values: NDArray[np.float32]) -> bool:
    """Tells whether a few of the positive values outweigh all others.

    >>> rng = np.random.default_rng(0)
    >>> has_heavy_tail(rng.lognormal(3, 2, 1000)), has_heavy_tail(rng.integers(1, 6, 1000))
    (True, False)
    """
    if len(values) < ENOUGH or len(np.unique(values[:LOOKED_AT])) <= DIFFERENT:
        return False
    mean = values.mean(dtype=np.float64)
    return bool(mean >= 1 and values.std(dtype=np.float64) > mean)
