"""Windows of labels: lists of candidates at a cut in time, and those that users took after it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec import preprocessing
from fastrec.data import Interactions
from fastrec.matrix.arrays import Codes
from fastrec.matrix.cells import cell_keys, cell_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.composed.weighing import CUT, NOTHING, Judgement, ndcg_of_scores
from fastrec.models.ranking.pairs import Pairs
from fastrec.notices import warn_caller

WINDOWS, SHARE = 3, 0.1  # the default number of windows, and the share of all events in each
HIDDEN = 0.2  # the hidden share of each user's items without times


class Lists(NamedTuple):
    """Lists of candidates with their labels: of n users, c places each, p of which have a candidate.

    Parameters
    ----------
    columns
        The features of the candidates, float32, of shape (n_features, p).
    there
        A mask of the places with a candidate, of shape (n, c).
    judged
        The members' scores for all places, the hits, and the number of hits in the best list.
    """

    columns: NDArray[np.float32]
    there: NDArray[np.bool_]
    judged: Judgement

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Marks the candidates that are hits, of shape (p,)."""
        return self.judged.hits[self.there]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The number of candidates of each list, of shape (n,)."""
        sizes: NDArray[np.int64] = self.there.sum(axis=1)
        return sizes

    def can_teach(self) -> bool:
        """Tells whether some candidates are hits and others are not."""
        return bool(self.labels.any() and not self.labels.all())

    def quality(self, scores: NDArray[np.float64]) -> float:
        """The mean NDCG of the lists by the scores of their candidates, of shape (p,)."""
        dense = np.full(self.there.shape, NOTHING, np.float32)
        dense[self.there] = scores
        return ndcg_of_scores(dense, self.judged.hits, self.judged.ideal)

    def with_hits(self) -> "Lists":
        """The lists that have a hit."""
        return self.pick(np.flatnonzero(self.judged.hits.any(axis=1)))

    def pick(self, rows: NDArray[np.int64]) -> "Lists":
        """Some of the lists."""
        kept = np.zeros(len(self.there), bool)
        kept[rows] = True
        said, hits, ideal = self.judged
        columns = self.columns[:, np.repeat(kept, self.sizes)]
        return Lists(columns, self.there[kept], Judgement(said[:, kept], hits[kept], ideal[kept]))


def make_lists(codes: Codes, pairs: Pairs, columns: NDArray[np.float32], hidden: CodeMatrix) -> Lists:
    """Makes the lists of some users' candidates; hidden items that are not among them are not added."""
    there = codes >= 0
    said = np.full((len(pairs.scores), *codes.shape), NOTHING, np.float32)
    said[:, there] = pairs.scores
    cells = cell_keys(np.arange(len(codes))[:, None], codes, hidden.shape[1])
    hits = np.isin(cells, cell_numbers(hidden)) & there
    return Lists(columns, there, Judgement(said, hits, np.minimum(np.diff(hidden.indptr), CUT)))


def join_lists(parts: Sequence[Lists]) -> Lists:
    """Joins lists, one part after the other, with as many places as the longest has."""
    width = max(part.there.shape[1] for part in parts)

    def pad(array: NDArray[Any], value: Any) -> NDArray[Any]:
        room = [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])]
        return np.pad(array, room, constant_values=value)

    judged = Judgement(
        np.concatenate([pad(part.judged.said, NOTHING) for part in parts], axis=1),
        np.concatenate([pad(part.judged.hits, False) for part in parts]),
        np.concatenate([part.judged.ideal for part in parts]),
    )
    there = np.concatenate([pad(part.there, False) for part in parts])
    return Lists(np.concatenate([part.columns for part in parts], axis=1), there, judged)


def apart(windows: Sequence[Lists]) -> tuple[Lists, Lists]:
    """Splits windows for a trial: the last one judges the others; of one window, every other list judges."""
    if len(windows) > 1:
        return join_lists(windows[:-1]), windows[-1]
    numbers = np.arange(len(windows[0].there))
    return windows[0].pick(numbers[::2]), windows[0].pick(numbers[1::2])


def choose_validation(data: Any) -> Any:
    """Chooses the default validation: windows cut in time, or a share of each user's items."""
    if isinstance(data, Interactions) and data.times is not None:
        windows = preprocessing.RollingTime(WINDOWS, share=SHARE)
        try:
            for _ in windows.split(data):
                pass
        except ValueError:  # too few different times
            return HIDDEN
        return windows
    return HIDDEN


def warn_of_few_labels() -> None:
    """Warns that no ranker can be learned and judged."""
    warn_caller(
        "TwoStage found too few users with a label and a history before it to learn a ranker and to judge it: "
        "ranker_scores_ are NaN, and the members answer together, as a Blend with weights_"
    )
