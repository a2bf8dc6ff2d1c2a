"""`SparkALS`: the base of factor models that alternate between users and items on an engine."""

import os
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from fastrec.distributed import questions
from fastrec.distributed.alternation import Alternation
from fastrec.distributed.engine import Frame
from fastrec.distributed.events import check_events, choose_columns
from fastrec.distributed.opening import open_run
from fastrec.distributed.part_model import Learned
from fastrec.distributed.run import Run
from fastrec.distributed.whole_model import collect_model
from fastrec.models.base.factors import FactorRecommender
from fastrec.options import Choice, Integer, Options, OptionsMixin, Other
from fastrec.solvers.epochs import EpochLoop
from fastrec.validation import check_flag, check_size, name_options

Single = TypeVar("Single", bound=FactorRecommender)
"""The model of a single machine."""

EXCHANGES = ("auto", "files", "all", "wanted")


def _check_path(name: str, value: Any) -> None:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise TypeError(f"{name} must name a folder that driver and executors can write to, got {value!r}")


RUN_OPTIONS: Options = {
    "path": Other("str", _check_path),
    "shards": Integer(1, 64, also=("auto",)),
    "exchange": Choice(EXCHANGES),
}
"""The options of a run on an engine."""


class SparkALS(OptionsMixin, BaseEstimator, Generic[Single]):
    """The base of factor models on an engine: a class has options, and an `Alternation`."""

    _alternation: ClassVar[type[Alternation]]

    n_users_: int
    n_items_: int
    n_entries_: int
    loss_curve_: NDArray[np.float64]
    n_iter_: int
    exchange_: str
    shards_: int
    regularization: Any  # of every such model
    iterations: int
    _run: Run
    _columns: tuple[str, str, str | None]

    @name_options
    def fit(
        self, df: Frame, *, user: str = "user", item: str = "item", value: str | None = None, resume: bool = True
    ) -> Self:
        """Learns the factors of a frame's events.

        Parameters
        ----------
        df
            A DataFrame of events.
        user, item
            The columns of ids: integers, strings or dates.
        value
            The column of values; None is 1 for each event.
        resume
            Resume the same job in the folder, after its last finished half epoch. False starts again, and removes the
            content of the folder.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As in the class; or if the folder holds another job, and `resume` is True.
        """
        self._check_options()
        check_flag("resume", resume)
        events = choose_columns(df, user, item, value)
        kind = self._alternation
        run = open_run(self, kind, events, check_events(events, kind.takes_negatives), resume)
        try:
            loop = EpochLoop.of(self, f"Stronger regularization than {self.regularization} may help.")
            loop.run(lambda epoch: self._run_epoch(run, epoch))
        finally:
            run.exchange.close()
        if run.last_epoch() > len(loop.losses):
            raise ValueError(
                f"{run.layout.folder} holds {run.last_epoch()} epochs, more than the {len(loop.losses)} after which "
                "this model stops: ask for as many, or start again with resume=False"
            )
        loop.record(self)
        self._adopt(run)
        self._columns = (user, item, value)
        return self

    def recommend_to(
        self, path: str, k: int = 10, *, exclude_seen: bool = True, allow: Any = None, deny: Any = None
    ) -> Frame:
        """Writes the `k` best items for every user to a folder of Parquet files: user, item, scores and rank (from 1).

        Parameters
        ----------
        path
            The folder, whose content is replaced.
        k
            The number of items for each user.
        exclude_seen
            Leave out items that the user has had.
        allow, deny
            Only these items, and none of these: ids for all users, as a list or as a DataFrame of one column.

        Returns
        -------
        DataFrame
            The rows written. The answers are those of the ordinary model's `recommend`, and exact.

        Raises
        ------
        ValueError
            If an id of `allow` or `deny` is unknown, or `k` is below 1.
        """
        k, exclude_seen = check_size("k", k), check_flag("exclude_seen", exclude_seen)
        return questions.recommend_to(self._fitted(), self._learned(), path, k, exclude_seen, allow, deny)

    def evaluate(
        self, test_df: Frame, metrics: Any = ("ndcg@10", "recall@20"), *, exclude_seen: bool = True,
        confidence: float = 0.95,
    ) -> Frame:  # fmt: skip
        """Computes the means of ranking metrics over the users of a test set, on the engine.

        Parameters
        ----------
        test_df
            A DataFrame of the events to find, with the columns of `fit`. Users unknown to the model are left out; items
            unknown to it count as missed.
        metrics
            Names with a cut-off, as in `fastrec.evaluate`: ranking metrics with a truth, except `auc`.
        exclude_seen
            Recommend and count only items that the user has not had.
        confidence
            The confidence of Student's intervals, between 0 and 1.

        Returns
        -------
        DataFrame
            metric, mean, low, high, users: a row for each metric.
        """  # fmt: skip
        run, exclude_seen = self._fitted(), check_flag("exclude_seen", exclude_seen)
        test = choose_columns(test_df, *self._columns)
        check_events(test, self._alternation.takes_negatives)
        return questions.evaluate(run, self._learned(), test, metrics, exclude_seen, confidence)

    @property
    def user_factors_(self) -> Frame:
        """The factors of all users, as a DataFrame of `id` and `factors`."""
        return questions.user_factors(self._fitted(), self._learned())

    @property
    def item_factors_(self) -> Frame:
        """The factors of all items, as a DataFrame of `id` and `factors`."""
        return questions.item_factors(self._fitted(), self._learned())

    def to_model(self) -> Single:
        """Returns the ordinary model, which the driver must hold: the one that a single machine would learn from the
        same table.

        Raises
        ------
        TypeError
            If ids are neither integers nor strings.
        """
        run = self._fitted()
        model = collect_model(run, run.alternation.single(self.iterations))
        model.loss_curve_, model.n_iter_ = self.loss_curve_, self.n_iter_
        return cast("Single", model)

    def _learned(self) -> Learned:
        run = self._fitted()
        return Learned(run.final_turn(), run.alternation)

    def _run_epoch(self, run: Run, epoch: int) -> float:
        users, items = run.do(2 * epoch + 1), run.do(2 * epoch + 2)
        return float(items.facts["loss"] + users.facts["penalty"])

    def _adopt(self, run: Run) -> None:
        self.n_users_, self.n_items_ = run.layout.shape
        self.n_entries_ = run.lines[0].facts["entries"]
        for name, value in run.alternation.chosen().items():
            setattr(self, name, value)
        self.exchange_, self.shards_ = run.exchange.name, run.layout.shards
        self._run = run

    def _fitted(self) -> Run:
        if not hasattr(self, "_run"):
            name = type(self).__name__
            raise NotFittedError(f"This {name} instance is not fitted yet. Call 'fit' with a DataFrame first.")
        return self._run
