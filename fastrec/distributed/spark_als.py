"""`SparkImplicitALS`: ImplicitALS for data that do not fit one machine."""

import os
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from fastrec.distributed import questions
from fastrec.distributed.engine import Frame
from fastrec.distributed.events import check_events, choose_columns
from fastrec.distributed.opening import open_run
from fastrec.distributed.part_model import Learned
from fastrec.distributed.run import Run
from fastrec.distributed.whole_model import collect_model
from fastrec.models.implicit_als import RELAXATION, ImplicitALS
from fastrec.options import Choice, Integer, Options, OptionsMixin, Other, options_of
from fastrec.solvers.als import Solver
from fastrec.solvers.epochs import Callback, EpochLoop
from fastrec.validation import check_flag, check_size, name_options

EXCHANGES = ("auto", "files", "all", "wanted")
MODEL_OPTIONS = ("factors", "regularization", "alpha", "regularization_exponent", "solver", "cg_steps", "dtype")
"""The options of `ImplicitALS` that change its factors; all others control stopping and display.

Values are taken as they are (`weighting` "raw"): the engine weighs them better, in a column.
"""
SHARED = (*MODEL_OPTIONS, "iterations", "tol", "random_state", "verbose", "callback")


def _check_path(name: str, value: Any) -> None:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise TypeError(f"{name} must name a folder that driver and executors can write to, got {value!r}")


class SparkImplicitALS(OptionsMixin, BaseEstimator):
    """`ImplicitALS` on Spark, Spark Connect or Sail: the same factors for tables that one machine cannot hold.

    Loss, options and their defaults are those of `ImplicitALS`, and so are codes and first factors. The item factors
    are those of `ImplicitALS` for the same table, for any number of shards, bit for bit if all processors are of one
    kind. The driver holds k² numbers for each piece of a matrix, at most 64 per side, and never the data.

    Parameters
    ----------
    factors : int or "auto"
        As in `ImplicitALS`.
    path : str
        The folder of the run, which the engine's executors can write to: data, factors and journal. A run in it is
        resumed, or refused if it belongs to another job.
    regularization : float or "auto"
        As in `ImplicitALS`.
    alpha : float or "auto"
        As in `ImplicitALS`.
    regularization_exponent : float
        As in `ImplicitALS`.
    iterations : int
        The maximum number of epochs; an epoch solves all users, then all items.
    solver : {"auto", "cg", "cholesky"}
        As in `ImplicitALS`.
    cg_steps : int
        As in `ImplicitALS`.
    dtype : {"float16", "float32"}
        The type in which the other side's factors are sent and read.
    tol : float
        Training stops when an epoch lowers the loss by less than this share of it; 0 never stops.
    random_state : int, RandomState or None
        The seed of the first factors.
    shards : int or "auto"
        The number of parts of each side that are solved at a time, at most 64; "auto" is the number of tasks that the
        engine runs at a time.
    exchange : {"auto", "files", "all", "wanted"}
        The exchange of factors. "files": executors read and write the folder themselves, which they and the driver must
        see under the same path. "all": the engine sends all of them to every shard. "wanted": the engine sends only
        those that a shard's entries name. "auto": files if all of them see it, otherwise the way that moves less.
    verbose : bool or int
        Whether to show progress: epochs, loss, time left.
    callback : callable or None
        Called after each epoch with (epoch, elapsed seconds, loss); training stops when it returns True. A resumed run
        calls it for the earlier epochs, too.

    Attributes
    ----------
    n_users_, n_items_, n_entries_ : int
        The sizes of the matrix.
    factors_, alpha_, regularization_ : int, float, float
        The numbers that were used.
    loss_curve_ : ndarray of shape (n_iter_,)
        The loss after each epoch, float64.
    n_iter_ : int
        The epochs that were run.
    exchange_, shards_ : str, int
        The choices of "auto".

    Raises
    ------
    ValueError, TypeError
        In `fit`, if an option or an event is invalid; the message names user and item.
    FloatingPointError
        In `fit`, if the loss is no longer finite.

    Notes
    -----
    docs/how-to/spark.md describes the transfers and their costs.

    Examples
    --------
    >>> from pyspark.sql import SparkSession                                                        # doctest: +SKIP
    >>> spark = SparkSession.builder.getOrCreate()                                                  # doctest: +SKIP
    >>> events = spark.read.parquet("s3a://bucket/events")                                          # doctest: +SKIP
    >>> model = SparkImplicitALS(64, path="s3a://bucket/run1", random_state=0)                      # doctest: +SKIP
    >>> model.fit(events, user="user_id", item="sku", value="n")                                    # doctest: +SKIP
    >>> model.recommend_to("s3a://bucket/lists", k=20)                                              # doctest: +SKIP
    """

    _options: ClassVar[Options] = {
        **{name: options_of(ImplicitALS)[name] for name in SHARED},
        "path": Other("str", _check_path),
        "shards": Integer(1, 64, also=("auto",)),
        "exchange": Choice(EXCHANGES),
    }

    n_users_: int
    n_items_: int
    n_entries_: int
    factors_: int
    alpha_: float
    regularization_: float
    loss_curve_: NDArray[np.float64]
    n_iter_: int
    exchange_: str
    shards_: int
    _run: Run
    _columns: tuple[str, str, str | None]

    @name_options
    def __init__(
        self,
        factors: int | str = "auto",
        *,
        path: str,
        regularization: float | str = "auto",
        alpha: float | str = "auto",
        regularization_exponent: float = 1.0,
        iterations: int = 15,
        solver: str = "auto",
        cg_steps: int = 2,
        dtype: str = "float16",
        tol: float = 0.0,
        random_state: Any = None,
        shards: int | str = "auto",
        exchange: str = "auto",
        verbose: bool | int = False,
        callback: Callback | None = None,
    ) -> None:
        self.factors = factors
        self.path = path
        self.regularization = regularization
        self.alpha = alpha
        self.regularization_exponent = regularization_exponent
        self.iterations = iterations
        self.solver = solver
        self.cg_steps = cg_steps
        self.dtype = dtype
        self.tol = tol
        self.random_state = random_state
        self.shards = shards
        self.exchange = exchange
        self.verbose = verbose
        self.callback = callback

    @name_options
    def fit(
        self, df: Frame, *, user: str = "user", item: str = "item", value: str | None = None, resume: bool = True
    ) -> Self:
        """Learns the factors of a frame's events.

        Parameters
        ----------
        df
            A DataFrame of events. Values of one user and item add up; an event of value 0 marks the item as seen, and
            is not learned from.
        user, item
            The columns of ids: integers, strings or dates.
        value
            The column of weights, at least 0; None is 1 for each event.
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
        run = open_run(self, events, check_events(events), resume)
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
            The rows written. The answers are those of `ImplicitALS.recommend`: exact, and by popularity for a user
            without events that count.

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
        check_events(test)
        return questions.evaluate(run, self._learned(), test, metrics, exclude_seen, confidence)

    @property
    def user_factors_(self) -> Frame:
        """The factors of all users, as a DataFrame of `id` and `factors`."""
        return questions.user_factors(self._fitted(), self._learned())

    @property
    def item_factors_(self) -> Frame:
        """The factors of all items, as a DataFrame of `id` and `factors`."""
        return questions.item_factors(self._fitted(), self._learned())

    def to_model(self) -> ImplicitALS:
        """Returns the ordinary model, which the driver must hold: the one that `ImplicitALS` would learn from the same
        table.

        Raises
        ------
        TypeError
            If ids are neither integers nor strings.
        """
        run = self._fitted()
        model = collect_model(run, ImplicitALS(**self._model_options(), iterations=self.iterations))
        model.loss_curve_, model.n_iter_, model.validation_curve_ = self.loss_curve_, self.n_iter_, None
        return model

    def _model_options(self) -> dict[str, Any]:
        chosen = {name: getattr(self, f"{name}_") for name in ("factors", "regularization")}
        return {name: getattr(self, name) for name in MODEL_OPTIONS} | chosen | {"weighting": "raw"}

    def _learned(self) -> Learned:
        return Learned(self._fitted().final_turn(), self._model_options(), self.alpha_)

    def _run_epoch(self, run: Run, epoch: int) -> float:
        method = "cholesky" if self.solver == "cholesky" else "cg"
        solver = Solver(method, self.cg_steps, 0.0, RELAXATION if epoch else 1.0, 1)
        users, items = run.do(2 * epoch + 1, solver), run.do(2 * epoch + 2, solver)
        return float(items.facts["loss"] + users.facts["penalty"])

    def _adopt(self, run: Run) -> None:
        facts = run.lines[0].facts
        self.n_users_, self.n_items_ = run.layout.shape
        self.n_entries_, self.factors_ = facts["entries"], run.factors
        self.alpha_, self.regularization_ = run.weights.alpha, run.weights.regularization
        self.exchange_, self.shards_ = run.exchange.name, run.layout.shards
        self._run = run

    def _fitted(self) -> Run:
        if not hasattr(self, "_run"):
            raise NotFittedError("This SparkImplicitALS instance is not fitted yet. Call 'fit' with a DataFrame first.")
        return self._run
