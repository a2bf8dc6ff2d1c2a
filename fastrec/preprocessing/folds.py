"""Splitters: many splits of the same data, over users as in scikit-learn, or over interactions."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator

from fastrec.data import Interactions
from fastrec.data.durations import check_duration, parse_duration
from fastrec.options import Flag, Integer, Number, Options, OptionsMixin, Other
from fastrec.preprocessing.splitting import Split, pairs_of, times_of

RowNumbers = NDArray[np.int64]


# The options of splitters that draw at random.
DRAWN: Options = {"n_splits": Integer(2), "random_state": Integer(0, also=(None,))}


class UserKFold(OptionsMixin, BaseCrossValidator):
    """K folds over users, as in scikit-learn: the rows to train on, and rows never trained on.

    Users of the test rows are unknown to the model (strong generalization): it gets a part of their history and must
    find the rest, as in `score` and `cross_validate`. It works as ``cv=…`` in scikit-learn's tools.

    Parameters
    ----------
    n_splits
        The number of folds, at least 2.
    shuffle
        Whether users are dealt at random; otherwise in their order.
    random_state
        The seed of the shuffle: the same one gives the same folds, in every call.

    Examples
    --------
    >>> for train, test in UserKFold(2, shuffle=False).split(np.ones((4, 3))):
    ...     print(train, test)
    [2 3] [0 1]
    [0 1] [2 3]
    """

    _options: ClassVar[Options] = {**DRAWN, "shuffle": Flag()}

    def __init__(self, n_splits: int = 5, *, shuffle: bool = True, random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self._check_options()

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[RowNumbers, RowNumbers]]:
        """Yields the rows to train on, and those to test, for each fold.

        Parameters
        ----------
        X
            Interactions or a matrix of shape (n_users, n_items).
        y
            Not used.
        groups
            A label per user: users of one group (a household, a country) are always on the same side.

        Raises
        ------
        ValueError
            If there are fewer users, or groups, than folds.
        """
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        labels, kind = np.arange(n), "users"
        if groups is not None:
            labels, kind = np.unique(np.asarray(groups), return_inverse=True)[1], "groups"
            if labels.shape != (n,):
                raise ValueError(f"groups must have one label for each of {n} users, got shape {labels.shape}")
        fold = _deal(labels, self.n_splits, kind, self.random_state if self.shuffle else None)
        for number in range(self.n_splits):
            yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of folds."""
        return int(self.n_splits)

    def __repr__(self) -> str:
        return f"UserKFold({self.n_splits}, shuffle={self.shuffle}, random_state={self.random_state})"


def _deal(labels: NDArray[Any], folds: int, kind: str, random_state: int | None) -> NDArray[np.int64]:
    """Returns the fold of each label's bearer; labels are dealt as a whole, so that folds have about equal numbers."""
    n = int(labels.max()) + 1 if len(labels) else 0
    if n < folds:
        raise ValueError(f"{folds} folds need at least as many {kind}, got {n}")
    sizes = np.bincount(labels, minlength=n)
    order = np.arange(n) if random_state is None else np.random.default_rng(random_state).permutation(n)
    if sizes.min() == sizes.max():
        cuts = np.linspace(0, n, folds + 1).astype(np.int64)
        of_label = np.empty(n, np.int64)
        of_label[order] = np.repeat(np.arange(folds), np.diff(cuts))
        return np.asarray(of_label[labels])
    # The largest first, each to the smallest fold so far.
    order = order[np.argsort(-sizes[order], kind="stable")]
    of_label, filled = np.empty(n, np.int64), np.zeros(folds, np.int64)
    for label in order.tolist():
        of_label[label] = fold = int(np.argmin(filled))
        filled[fold] += sizes[label]
    return np.asarray(of_label[labels])


class InteractionSplitter(OptionsMixin, BaseEstimator, ABC):
    """The base of splitters over interactions: ``split(data)`` yields pairs of `Interactions`, (train, test).

    Both parts have the vocabularies of the whole. They do not split rows, so scikit-learn's tools cannot use them, and
    get an error.
    """

    @abstractmethod
    def _masks(self, data: Interactions, groups: Any) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """Yields, for each split, the masks of the interactions to train on and to test."""

    def split(self, data: Interactions, *others: Any, groups: ArrayLike | None = None) -> Iterator[Split]:
        """Yields the parts to train on and to test, for each split.

        Parameters
        ----------
        data : Interactions
        *others
            An error: scikit-learn passes its y here.
        groups
            Only for `InteractionGroupKFold`: a label per interaction.

        Yields
        ------
        train, test : Interactions
            With the vocabularies of the whole, so with its shape and codes.

        Raises
        ------
        TypeError
            If it is called as scikit-learn calls its own splitters, or `data` is not Interactions.
        """
        if others or not isinstance(data, Interactions):
            raise self._refusal(data if not others else None)
        self._check_options()
        return self._split(data, groups)

    def _split(self, data: Interactions, groups: Any) -> Iterator[Split]:
        for trained, tested in self._masks(data, groups):
            yield data.select(trained), data.select(tested)

    def get_n_splits(self, *others: Any, groups: Any = None) -> int:
        """The number of splits."""
        if others:
            raise self._refusal(None)
        return int(self.n_splits)

    n_splits: int

    def _refusal(self, data: Any) -> TypeError:
        name = type(self).__name__
        if data is not None:
            return TypeError(f"{name} splits Interactions, got {type(data).__name__}")
        return TypeError(
            f"{name} splits interactions, not rows, so scikit-learn's tools cannot use it: use fastrec.cross_validate "
            "or fastrec.search, or UserKFold as cv"
        )


class InteractionKFold(InteractionSplitter):
    """K folds over interactions: every pair of user and item is tested once, and its user is known by the rest.

    Parameters
    ----------
    n_splits
        The number of folds, at least 2.
    random_state
        The seed: the same one gives the same folds.

    Examples
    --------
    >>> data = Interactions([0, 0, 1, 1], [0, 1, 0, 2])
    >>> [test.n_interactions for train, test in InteractionKFold(2).split(data)]
    [2, 2]
    """

    _options: ClassVar[Options] = DRAWN

    def __init__(self, n_splits: int = 5, *, random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.random_state = random_state

    def _masks(self, data: Interactions, groups: Any) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        _no_groups(self, groups)
        pair, n_pairs = pairs_of(data)
        fold = _deal(np.arange(n_pairs), self.n_splits, "distinct pairs of user and item", self.random_state)
        fold = fold if pair is None else fold[pair]
        for number in range(self.n_splits):
            yield fold != number, fold == number


class InteractionGroupKFold(InteractionSplitter):
    """K folds over groups of interactions, such as sessions or orders: a group is tested as a whole.

    ``split(data, groups=labels)`` takes a label per interaction.

    Parameters
    ----------
    n_splits
        The number of folds, at least 2.
    random_state
        The seed: the same one gives the same folds.

    Examples
    --------
    >>> data = Interactions([0, 0, 1, 1], [0, 1, 0, 2])
    >>> for train, test in InteractionGroupKFold(2).split(data, groups=["a", "a", "b", "b"]):
    ...     print(test.user_codes)
    [0 0]
    [1 1]
    """

    _options: ClassVar[Options] = DRAWN

    def __init__(self, n_splits: int = 5, *, random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.random_state = random_state

    def _masks(self, data: Interactions, groups: Any) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        if groups is None:
            raise ValueError(
                "InteractionGroupKFold needs groups: call split(data, groups=labels) with a label per interaction"
            )
        labels = np.unique(np.asarray(groups), return_inverse=True)[1]
        if labels.shape != (data.n_interactions,):
            raise ValueError(
                f"groups must have one label for each of {data.n_interactions} interactions, got shape {labels.shape}"
            )
        fold = _deal(labels, self.n_splits, "groups", self.random_state)
        for number in range(self.n_splits):
            yield fold != number, fold == number


class ColdItemKFold(InteractionSplitter):
    """K folds over items: training leaves out all interactions of the tested items.

    It suits models that know items by their features; others cannot recommend unseen items.

    Parameters
    ----------
    n_splits
        The number of folds, at least 2; every item with an interaction is cold in one of them.
    random_state
        The seed: the same one gives the same folds.

    Examples
    --------
    >>> data = Interactions([0, 0, 1, 1], [0, 1, 0, 2])
    >>> for train, test in ColdItemKFold(3).split(data):
    ...     print(train.item_codes, test.item_codes)
    [0 1 0] [2]
    [1 2] [0 0]
    [0 0 2] [1]
    """

    _options: ClassVar[Options] = DRAWN

    def __init__(self, n_splits: int = 5, *, random_state: int = 0) -> None:
        self.n_splits = n_splits
        self.random_state = random_state

    def _masks(self, data: Interactions, groups: Any) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        _no_groups(self, groups)
        met = np.unique(data.item_codes)
        place = np.searchsorted(met, data.item_codes)
        of_item = _deal(np.arange(len(met)), self.n_splits, "items with interactions", self.random_state)
        for number in range(self.n_splits):
            cold = of_item[place] == number
            yield ~cold, cold


class RollingTime(InteractionSplitter):
    """Windows that roll through time: a model trained on the events before a window is tested on it, as in use.

    The last window ends with the last interaction, and windows follow each other without a gap. Training uses the
    events strictly before the window's start (and at most `memory` earlier).

    Parameters
    ----------
    n_splits
        The number of windows.
    window
        The length of each window: a number in the unit of `data.times`, or a string such as "7d". None: the windows and
        one first training part of equal numbers of interactions, cut between times.
    memory
        The span before a window to train on, in the same forms. None is all.
    gap
        The span right before a window to leave out, for events that become known only later.
    share
        The share of all interactions in each window, in place of `window`: above 0, and below 1 for all windows
        together.

    Examples
    --------
    >>> data = Interactions([0, 0, 1, 1, 0, 1], [0, 1, 0, 2, 2, 1], times=[1, 2, 3, 4, 5, 6])
    >>> for train, test in RollingTime(2, window=2).split(data):
    ...     print(train.times, test.times)
    [1 2] [3 4]
    [1 2 3 4] [5 6]
    """

    _options: ClassVar[Options] = {
        "n_splits": Integer(1, memory=True),
        **dict.fromkeys(("window", "memory", "gap"), Other("float, str,", check_duration, also=(None,))),
        "share": Number(0, 1, above=True, below=True, also=(None,)),
    }

    def __init__(
        self,
        n_splits: int = 3,
        *,
        window: float | str | None = None,
        memory: float | str | None = None,
        gap: float | str | None = None,
        share: float | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.window = window
        self.memory = memory
        self.gap = gap
        self.share = share

    def _check_options(self) -> None:
        super()._check_options()
        if self.share is not None and self.window is not None:
            raise ValueError(
                "RollingTime.share and RollingTime.window both give the length of a window: give one of them"
            )
        if self.share is not None and not self.share * self.n_splits < 1:
            raise ValueError(f"RollingTime.share must leave a first training part, got {self.n_splits} of {self.share}")

    def _masks(self, data: Interactions, groups: Any) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        _no_groups(self, groups)
        times = times_of(data, "RollingTime")
        data.tell_far_times("RollingTime")
        memory, gap = self._span("memory", data), self._span("gap", data) or 0.0
        edges = self._edges(times, data, int(self.n_splits))
        for start, end in itertools.pairwise(edges):
            tested = (times >= start) & (times < end)
            trained = times < start - math.floor(gap)
            if memory is not None:
                trained &= times >= start - math.floor(gap + memory)
            for name, part in (("test", tested), ("training", trained)):
                if not part.any():
                    window = f"{_moment(start, data)} to {_moment(end, data)}"
                    raise ValueError(f"the {name} part of the window from {window} would be empty")
            yield trained, tested

    def _span(self, name: str, data: Interactions) -> float | None:
        value = getattr(self, name)
        return None if value is None else parse_duration(f"RollingTime.{name}", value, data.time_unit)

    def _edges(self, times: NDArray[np.int64], data: Interactions, n: int) -> list[int]:
        """Returns the starts of the windows, and the end of the last: exact, since nanoseconds are beyond float64."""
        end = int(times.max()) + 1
        window = self._span("window", data)
        if window is not None:
            return [end - round(window * left) for left in range(n, 0, -1)] + [end]
        share = 1 / (n + 1) if self.share is None else self.share
        places = np.round(len(times) * (1 - share * np.arange(n, 0, -1))).astype(np.int64)
        starts = np.unique(np.sort(times)[np.minimum(places, len(times) - 1)])
        if len(starts) < n or starts[0] == times.min():
            raise ValueError(f"the times are too few to be cut into {n} windows: give window=… or fewer splits")
        return [*starts.tolist(), end]


def _moment(time: int, data: Interactions) -> str:
    return str(time) if data.time_unit is None else str(np.datetime64(time, data.time_unit))


def _no_groups(splitter: InteractionSplitter, groups: Any) -> None:
    if groups is not None:
        raise ValueError(f"{type(splitter).__name__} takes no groups; InteractionGroupKFold and UserKFold do")
