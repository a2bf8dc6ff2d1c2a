"""`AutoRecommender`: a good model for data whose best family is unknown."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastrec.data import Interactions, TiedTimesWarning
from fastrec.evaluation.automatic.compromise import find_compromise
from fastrec.evaluation.automatic.contest import Contest, Entry, Part
from fastrec.evaluation.automatic.families import Shape, families_for, forms_of
from fastrec.evaluation.automatic.planning import parse_budget, plan_trials
from fastrec.evaluation.automatic.report import AutomaticReport
from fastrec.evaluation.automatic.winner import Winner, find_winner
from fastrec.evaluation.search.trial import LOWEST
from fastrec.matrix.code_matrix import check_matrix
from fastrec.metrics.naming import parse_metric
from fastrec.notices import warn_once_of_a_kind
from fastrec.options import Choice, Flag, Integer, Jobs, Options, OptionsMixin, Other, Seed, Verbosity
from fastrec.parallel import effective_jobs


def _check_budget(name: str, budget: Any) -> None:
    parse_budget(budget)


def _check_metric(name: str, metric: Any) -> None:
    if parse_metric(metric).name in LOWEST:
        raise ValueError(f"{name} must be a metric of rankings that is best when high, got {metric!r}")


@contextlib.contextmanager
def _without_tied_times() -> Iterator[None]:
    """Keeps models that are only tried from warning about tied times; the winner's own fit still warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiedTimesWarning)
        yield


class AutoRecommender(OptionsMixin, BaseEstimator):  # type: ignore[misc]
    """The best model that a contest of families finds within a budget.

    A part of the events is hidden (`validation`). Families of models that suit the size of the data are tried; those
    that read values are tried with each form of the values (`weighting`). The better half of the families gets twice
    the trials, mostly near its best options, and then once more (successive halving, Jamieson and Talwalkar 2016). The
    best trial wins, or its family's defaults if they are within a standard error of it. A `Blend` of the best families
    is taken if it is clearly better. The winner is fitted on all of the data: `model_`, a plain model, which is saved,
    served and updated like any other.

    Every method of the winner can be called on this object, too.

    Parameters
    ----------
    budget : float or str
        The approximate wall time of `fit`, in seconds or as "1min". It is converted to a number of trials before the
        first one, so the result does not depend on the speed of the machine.
    trials : int or None
        The number of trials of each family in the first round, in place of the budget: `n_trials_` of an earlier fit
        gives the same model again, on any machine.
    metric : str
        The metric that decides, such as "ndcg@10" or "recall@20".
    validation : {"auto", "last", "random", "both"}
        The events that are hidden. "last" hides the last events of each user, so the winner finds what users do next.
        "random" hides any events, so the winner finds what else they like, and the order of events does not count.
        "both" runs one contest for each within the budget. The result is a winner that is good in both, if there is
        one. Otherwise it is a Blend that keeps 95 % of the best score for last events, and serves random ones as well
        as that allows. "auto" is "both" if there are times, else "random".
    blend : bool
        Whether a `Blend` of the best families may win a contest.
    random_state : int or None
        The seed of all random draws.
    n_jobs : int or None
        Threads; None is all cores. The model does not depend on it if `trials` is given.
    verbose : bool or int
        Whether to show each trial.

    Attributes
    ----------
    model_ : Recommender
        The winner, fitted on all of the data.
    form_ : {"raw", "log", "binary"}
        The form of the values that the best single model learns from. It is the model's `weighting`, so histories and
        updates are given with their raw values.
    trials_ : list of Entry
        All trials: family, form, options, round, share of the users, score, seconds, and the hidden events.
    n_trials_ : int
        The number of trials of each family in the first round.
    report_ : AutomaticReport
        The trials, the winner, its lead, and the reason.

    Raises
    ------
    ValueError, TypeError
        In `fit`: if an option or a value of X is invalid, no user has three interactions, or `validation` needs times
        and there are none.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.kron(np.eye(3), np.ones((8, 5))) * (np.random.default_rng(0).random((24, 15)) < 0.7)
    >>> auto = AutoRecommender(trials=2, random_state=0).fit(X)
    >>> auto.recommend(0, k=2).codes.shape
    (1, 2)
    >>> auto.report_.metric
    'ndcg@10'
    """

    _options: ClassVar[Options] = {
        "budget": Other("float or str", _check_budget),
        "trials": Integer(1, 1000, also=(None,)),
        "metric": Other("str", _check_metric),
        "validation": Choice(("auto", "last", "random", "both")),
        "blend": Flag(),
        "random_state": Seed(),
        "n_jobs": Jobs(),
        "verbose": Verbosity(),
    }

    model_: Any

    def __init__(
        self,
        budget: float | str = "1min",
        *,
        trials: int | None = None,
        metric: str = "ndcg@10",
        validation: str = "auto",
        blend: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.budget = budget
        self.trials = trials
        self.metric = metric
        self.validation = validation
        self.blend = blend
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @warn_once_of_a_kind()
    def fit(self, X: Any, y: None = None) -> Self:
        """Tries models on a hidden part of X, and fits the best one on all of X.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.

        Raises
        ------
        ValueError, TypeError
            If an option or a value of X is invalid, or no user has three interactions.
        """
        self._check_options()
        data = X if isinstance(X, Interactions) else Interactions.from_matrix(check_matrix(X))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        contests = self._prepare(data, seed)
        with _without_tied_times():
            self.trials_, self.n_trials_ = [], contests[0].plan.trials
            for contest in contests:
                self.trials_ += contest.run()
            winner = (
                find_winner(contests[0], self.blend) if len(contests) == 1 else find_compromise(contests, self.blend)
            )
        self.form_ = winner.entry.form
        self.model_ = winner.model.fit(X)
        self.report_ = self._report(contests, winner)
        return self

    def _parts(self, data: Interactions) -> list[Part]:
        """Returns the kind of hidden events of each contest."""
        if self.validation == "random" or (self.validation == "auto" and data.times is None):
            return ["random"]
        if data.times is None:
            raise ValueError(f'validation={self.validation!r} needs interactions with times; "random" needs none')
        return ["last"] if self.validation == "last" else ["last", "random"]

    def _prepare(self, data: Interactions, seed: int) -> list[Contest]:
        """Makes the contests, with as many trials as the budget pays for."""
        parts = self._parts(data)
        shapes = [Shape(*data.shape, data.n_interactions, part == "last") for part in parts]
        families = list(map(families_for, shapes))
        pairs = list(zip(families, shapes, strict=True))
        plan = plan_trials(pairs, parse_budget(self.budget), effective_jobs(self.n_jobs))
        if self.trials is not None:
            plan = plan._replace(trials=self.trials)
        options: dict[str, Any] = {"metric": self.metric, "seed": seed, "n_jobs": self.n_jobs, "tell": self._tell}
        forms = forms_of(data)
        return [
            Contest(data, tried, forms, plan, part=part, **options) for tried, part in zip(families, parts, strict=True)
        ]

    def _tell(self, entry: Entry) -> None:
        if self.verbose:
            options = ", ".join(f"{name}={value}" for name, value in entry.options.items())
            print(f"{entry.score:.4f}  {entry.family}({options}) on {entry.form} values", file=sys.stderr, flush=True)

    def _report(self, contests: list[Contest], winner: Winner) -> AutomaticReport:
        names = {"last": "the last events", "random": "random events"}
        users = len(np.unique(contests[0].whole.test.user_codes))
        hidden = f"{' and '.join(names[contest.part] for contest in contests)} of {users:,} users"
        return AutomaticReport(self.trials_, self.metric, hidden, repr(winner.model), winner.reason)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Writes the winner to a file, as its own `save` does."""
        check_is_fitted(self, "model_")
        self.model_.save(path, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "model_" or "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; fit it first, if it is the model's")
        return getattr(self.model_, name)
