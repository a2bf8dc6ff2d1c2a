"""The scores of an ensemble's member for some users: its list, and comparable scores of any items."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.candidates import count_above, divide_by_spans
from fastrec.matrix.arrays import Codes, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.answering import check_scores
from fastrec.models.base.asking import Asked
from fastrec.models.base.audience import Audience
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.tracing import Step, end_in_list, find_place
from fastrec.retrieval import TopK

Numbers = NDArray[np.float64]


class View:
    """The scores of one member for some users: its best items, and comparable scores of any items.

    Parameters
    ----------
    member
        A fitted recommender.
    audience
        The users, each with a history.
    length
        The length of the member's list, with which scores are compared.
    histories
        The users' items, if they are at hand.
    """

    def __init__(self, member: Asked, audience: Audience, length: int, histories: CodeMatrix | None = None) -> None:
        self.scores = member.scores(audience)
        self.open = ItemFilter(allow=member.recommendable_items())
        had = audience.histories() if histories is None else histories
        self.usual = self.open._replace(exclude=had if len(audience) > 1 else had.indices)
        self.codes, scores = self.scores.best(length, self.usual)
        self.list = readonly(np.sort(scores, axis=1))
        check_scores(self.list)

    def best(self, n: int, wanted: ItemFilter) -> Codes:
        """The codes of the member's `n` best items in each row, of those that it can recommend."""
        wanted = wanted.within(self.open.allow)
        if n == self.codes.shape[1] and wanted.is_same(self.usual):
            return self.codes
        return self.scores.best(n, wanted)[0]

    def at(self, codes: Codes) -> Numbers:
        """The scores of codes, of shape (n, c)."""
        return self.scores.at(np.maximum(codes, 0)).astype(np.float64)

    def in_spans(self, scores: Numbers) -> Numbers:
        """Scores in units of the range of the list; 0 if the range is 0, a list of ties."""
        relative = np.empty(scores.shape)
        divide_by_spans(self.list, readonly(scores), relative)
        return relative

    def count_above(self, scores: Numbers) -> NDArray[np.int64]:
        """Counts the items of the list that have a greater score than each score; returns the scores' shape."""
        above = np.empty(scores.shape, np.int64)
        count_above(self.list, readonly(scores), above)
        return above


def trace_ranked(
    stage: str, views: Iterable[tuple[str, View]], item: int, k: int, wanted: ItemFilter, top: TopK
) -> list[Step]:
    """The steps of an item through the members' lists, as long as `top`, and into the first `k` places of this one."""
    n = top.codes.shape[1]
    steps = []
    for name, view in views:
        place = find_place(view.best(n, wanted)[0], item)
        said = f"place {place}" if place else f"below the first {n}"
        steps.append(Step(f"candidates of {name}", bool(place), said))
    if not any(step.passes for step in steps):
        return [*steps, Step(stage, False, "no member lists it")]
    return [*steps, end_in_list(stage, top.codes[0], top.scores[0], item, k)]


def each_once(codes: Codes) -> Codes:
    """The codes of each row, sorted, with -1 in place of repeated ones; of a single row, each code once."""
    codes = np.sort(codes, axis=1)
    codes[:, 1:][codes[:, 1:] == codes[:, :-1]] = -1
    return codes[:, codes[0] >= 0] if len(codes) == 1 else codes


def best_of(codes: Codes, scores: Numbers, k: int) -> tuple[Codes, NDArray[np.float32]]:
    """The `k` best codes of each row, ties by code; codes below 0 are empty."""
    rounded = np.where(codes >= 0, scores, -np.inf).astype(np.float32)
    order = np.lexsort((codes, -rounded), axis=1)[:, :k]
    rows = np.arange(len(codes))[:, None]
    best, values = codes[rows, order], rounded[rows, order]
    short = k - best.shape[1]
    if short > 0:
        best = np.pad(best, ((0, 0), (0, short)), constant_values=-1)
        values = np.pad(values, ((0, 0), (0, short)), constant_values=-np.inf)
    return np.where(np.isfinite(values), best, -1).astype(np.int32), values
