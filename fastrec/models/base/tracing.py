"""Trace: the way of one item through the stages of a model, to its place in a list or to where it is lost."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastrec.data.frames import Backend, make_frame
from fastrec.matrix.arrays import Codes, Floats
from fastrec.notebook import show
from fastrec.tables import Table

COLUMNS = ["stage", "passes", "why"]


class Step(NamedTuple):
    """One stage on the way of an item to a list.

    Parameters
    ----------
    stage
        The model, and what of it.
    passes
        Whether the item goes on from here.
    why
        The place that it has, or the reason for which it is lost.
    """

    stage: str
    passes: bool
    why: str


class Trace:
    """The stages that an item comes through on the way to a user's list.

    Parameters
    ----------
    user, item
        The ids, or codes, asked about; of a history its number.
    k
        The length of the list.
    steps
        The result of each stage for the item, in their order.

    Attributes
    ----------
    lost : Step or None
        The stage that lost the item; None if the item is in the list.
    """

    def __init__(self, user: Any, item: Any, k: int, steps: Sequence[Step]) -> None:
        self.user, self.item, self.k, self.steps = user, item, k, tuple(steps)

    @property
    def lost(self) -> Step | None:
        """The last stage, where it let the item go."""
        return None if self.steps[-1].passes else self.steps[-1]

    def to_frame(self, backend: Backend | None = None) -> Any:
        """A table of the stages.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            None: the first one that is installed.

        Returns
        -------
        DataFrame or Table
            The columns stage, passes and why.

        Examples
        --------
        >>> Trace("ann", "Alien", 10, [Step("filters", False, "seen")]).to_frame()
             stage  passes   why
        0  filters   False  seen
        """
        arrays = [np.array(column, bool if name == "passes" else object) for name, column in self._columns()]
        return make_frame(dict(zip(COLUMNS, arrays, strict=True)), backend)

    def _columns(self) -> list[tuple[str, tuple[Any, ...]]]:
        return list(zip(COLUMNS, zip(*self.steps, strict=True), strict=True))

    @property
    def _title(self) -> str:
        end = "is in the list" if self.lost is None else f"is lost: {self.lost.why}"
        return f"{self.item} for {self.user}, a list of {self.k}: {end}"

    def __repr__(self) -> str:
        lines = [f"  {step.stage}: {'passes' if step.passes else 'lost'}, {step.why}" for step in self.steps]
        return "\n".join([f"Trace of {self._title}", *lines])

    def _repr_html_(self) -> str:
        """A table of the stages."""
        rows = [[step.stage, "yes" if step.passes else "no", step.why] for step in self.steps]
        return show(Table(COLUMNS, rows, self._title))


def find_place(codes: Codes, item: int) -> int:
    """Returns the place of an item in a list, from 1; 0 if it is not in the list.

    >>> find_place(np.array([5, 3, -1], np.int32), 3)
    2
    """
    found = np.flatnonzero(codes == item)
    return int(found[0]) + 1 if len(found) else 0


def end_in_list(stage: str, codes: Codes, scores: Floats, item: int, k: int) -> Step:
    """The step of an item into the first `k` places of a longer list, or below them."""
    place = find_place(codes, item)
    if not place:
        return Step(stage, False, f"below the first {int(np.count_nonzero(codes >= 0))}")
    said = f"place {place}, score {float(scores[place - 1]):.4g}"
    return Step(stage, True, said) if place <= k else Step(stage, False, f"below the k: {said}")
