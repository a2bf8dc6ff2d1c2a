"""`AutoRecommender`: a good model without knowing which."""

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastrec.data import Interactions, TiedTimesWarning
from fastrec.evaluation.automatic.contest import Contest, Entry
from fastrec.evaluation.automatic.families import Family, Shape, families_for, forms_of
from fastrec.evaluation.automatic.planning import parse_budget, plan_contest
from fastrec.evaluation.automatic.report import AutomaticReport
from fastrec.evaluation.search.trial import LOWEST
from fastrec.matrix.code_matrix import check_matrix
from fastrec.metrics.naming import parse_metric
from fastrec.models import Blend
from fastrec.options import Flag, Integer, Jobs, Options, OptionsMixin, Other, Seed, Verbosity
from fastrec.parallel import effective_jobs
from fastrec.preprocessing import split_last

# A Blend of the best families is taken where it is better than the best by this share of its score.
WORTH = 0.01
# Members of the Blend: families whose best score is at least this share of the best.
MEMBERS, NEAR = 3, 0.85


def _check_budget(name: str, budget: Any) -> None:
    parse_budget(budget)


def _check_metric(name: str, metric: Any) -> None:
    if parse_metric(metric).name in LOWEST:
        raise ValueError(f"{name} must be a metric of rankings that is best when high, got {metric!r}")


@contextlib.contextmanager
def _without_tied_times() -> Iterator[None]:
    """Keeps models that are only tried from warning of tied times; the winner's own fit still does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TiedTimesWarning)
        yield


class AutoRecommender(OptionsMixin, BaseEstimator):  # type: ignore[misc]
    """The best model that can be found within a budget, without knowing which family suits the data.

    A part of the events is hidden: each user's last ones where there are times, else random ones. Families of models
    that suit the size of the data are tried, those that read values in each of their forms (`weighting`). The better
    half of the families goes on with twice the trials, mostly near its best options, and so once more (successive
    halving, Jamieson and Talwalkar 2016). A `Blend` of the best families is taken where it is clearly better. The
    winner is fitted on all of the data: `model_`, a plain model, which is saved, served and updated like any other.

    Every method of the winner can be called on this object, too.

    Parameters
    ----------
    budget : float or str
        About how long `fit` may take by the clock, in seconds or as "1min". It is turned into a number of trials before
        the first one, so what is found does not depend on how fast the machine happens to be.
    trials : int or None
        The number of trials of each family in the first round, in place of the budget: `n_trials_` of an earlier fit
        gives the same model again, on any machine.
    metric : str
        What decides, such as "ndcg@10" or "recall@20".
    blend : bool
        Whether a `Blend` may win.
    random_state : int or None
        The seed of all that is drawn.
    n_jobs : int or None
        Threads; None is all cores. The model does not depend on it where `trials` is given.
    verbose : bool or int
        Whether to show each trial.

    Attributes
    ----------
    model_ : Recommender
        The winner, fitted on all of the data.
    form_ : {"raw", "log", "binary"}
        The form of the values that the best single model learns from: its `weighting`, so that histories and updates
        come with their values as they are.
    trials_ : list of Entry
        All trials: family, form, options, round, share of the users, score and seconds.
    n_trials_ : int
        The number of trials of each family in the first round.
    report_ : AutomaticReport
        What was tried, what won, by how much, and why.

    Raises
    ------
    ValueError, TypeError
        In `fit`, where an option or a value of X is not what it must be, or no user has three interactions.

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
        blend: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.budget = budget
        self.trials = trials
        self.metric = metric
        self.blend = blend
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: None = None) -> Self:
        """Try models on a hidden part of X, and fit the best one on all of X.

        Parameters
        ----------
        X : Interactions, sparse matrix or array-like, shape (n_users, n_items)
        y : None
            Not used.

        Raises
        ------
        ValueError, TypeError
            Where an option or a value of X is not what it must be, or no user has three interactions.
        """
        self._check_options()
        data = X if isinstance(X, Interactions) else Interactions.from_matrix(check_matrix(X))
        shape = Shape(*data.shape, data.n_interactions, data.times is not None)
        families, forms = families_for(shape), forms_of(data)
        plan = plan_contest(families, shape, parse_budget(self.budget), effective_jobs(self.n_jobs))
        if self.trials is not None:
            plan = plan._replace(trials=self.trials)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        contest = Contest(
            data, families, forms, plan, metric=self.metric, seed=seed, n_jobs=self.n_jobs, tell=self._tell
        )
        with _without_tied_times():
            self.trials_, self.n_trials_ = contest.run(), plan.trials
        self._choose(X, contest, {family.name: family for family in families}, seed, data)
        return self

    def _tell(self, entry: Entry) -> None:
        if self.verbose:
            options = ", ".join(f"{name}={value}" for name, value in entry.options.items())
            print(f"{entry.score:.4f}  {entry.family}({options}) on {entry.form} values", file=sys.stderr, flush=True)

    def _choose(self, X: Any, contest: Contest, families: dict[str, Family], seed: int, data: Interactions) -> None:
        """The winner, fitted on all of the data, and the reason."""
        best, *others = contest.ranked()
        self.form_ = best.form
        winner = families[best.family].make(best.options, best.form, seed, self.n_jobs)
        second = next((entry for entry in others if entry.family != best.family and entry.share == best.share), None)
        ahead = "" if second is None else f", {best.score / max(second.score, 1e-12) - 1:+.1%} beside {second.family}"
        reason = f"{self.metric} {best.score:.4f} on {best.form} values{ahead}"
        with _without_tied_times():
            blended = self._blend(contest, families, seed) if self.blend else None
        if blended is not None:
            winner, gain = blended
            reason = f"{reason}; a Blend of the best families is {gain:+.1%} better on the same part"
        self.model_ = winner.fit(X)
        hidden = "random events" if data.times is None else "the last events"
        self.report_ = AutomaticReport(
            self.trials_,
            self.metric,
            f"{hidden} of {len(np.unique(contest.whole.test.user_codes)):,} users",
            repr(winner),
            reason,
        )

    def _blend(self, contest: Contest, families: dict[str, Family], seed: int) -> tuple[Any, float] | None:
        """A Blend of the best families, weighed within the training part, and its gain; None where it loses."""
        chosen: dict[str, Entry] = {}
        best = contest.ranked()[0]
        for entry in contest.ranked():
            if entry.share == best.share and entry.score >= NEAR * best.score:
                chosen.setdefault(entry.family, entry)
        entries = list(chosen.values())[:MEMBERS]
        if len(entries) < 2:
            return None
        members = [families[entry.family].make(entry.options, entry.form, seed, self.n_jobs) for entry in entries]
        late = functools.partial(split_last, n=0.2)
        tried = Blend(members, validation=0.2 if contest.whole.train.times is None else late, n_jobs=self.n_jobs)
        gain = contest.score_new(tried) / max(best.score, 1e-12) - 1
        weights = tried.weights_.tolist()
        return (Blend(list(map(clone, members)), weights=weights, n_jobs=self.n_jobs), gain) if gain > WORTH else None

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the winner to a file, as its own `save` does."""
        check_is_fitted(self, "model_")
        self.model_.save(path, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "model_" or "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; fit it first, if it is the model's")
        return getattr(self.model_, name)
