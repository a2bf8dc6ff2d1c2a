"""`evaluate`: takes models, a test set and names of metrics, and returns a `Report`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.recognition import refuse_table
from fastrec.evaluation.item_features import check_item_features
from fastrec.evaluation.item_groups import group_items
from fastrec.evaluation.models import check_models, recommender_of
from fastrec.evaluation.report import Report
from fastrec.evaluation.scoring import Measurement, ModelScores, score_model
from fastrec.evaluation.task import Task, add_pairs, label_users, prepare_histories, set_task, training_of
from fastrec.metrics.formulas import RANKING
from fastrec.metrics.naming import parse_metric
from fastrec.metrics.pairs import PAIRS
from fastrec.models.base.showing import describe_options
from fastrec.notices import warn_once_of_a_kind
from fastrec.parallel import effective_jobs
from fastrec.preprocessing.next_events import NextEvents
from fastrec.validation import check_choice, check_flag, check_integer, check_number, check_size, name_options


@name_options
@warn_once_of_a_kind()
def evaluate(
    models: Any,
    test: Any,
    metrics: Sequence[str] | str = ("ndcg@10", "recall@20"),
    *,
    exclude_seen: bool | None = None,
    seen: Any = None,
    cold_users: Literal["keep", "skip"] = "keep",
    histories: Any = None,
    item_features: Any = None,
    item_groups: Any = None,
    n_sampled: int = 100,
    interval: Literal["analytic", "bootstrap"] = "analytic",
    confidence: float = 0.95,
    random_state: int = 0,
    batch_size: int = 8192,
    n_jobs: int | None = None,
) -> Report:
    """Measures how well fitted models find the items that users turned to later, with intervals, side by side.

    Every model recommends as many items as the largest k, and all metrics at all k come from that one ranking. Users
    are ranked in batches: no array of the size users × items is made.

    Parameters
    ----------
    models
        A fitted recommender, a fitted `Pipeline` that ends in one, or a dictionary of them by the names for the report.
    test
        The interactions to find: `Interactions` (vocabularies other than the model's are matched by id), or a sparse or
        dense matrix of the training data's shape. Values above zero are relevant. Or the `NextEvents` of `next_events`,
        which contain the histories. Then intervals and tests are by user, however many events each user has.
    metrics
        Names with a cut-off, as ``"ndcg@10"``. Per user: ``recall, recall_capped, precision, f1, hit_rate, ndcg,
        graded_ndcg, average_precision`` (``map``), ``average_precision_capped, reciprocal_rank`` (``mrr``),
        ``r_precision, auc, novelty, average_popularity, tail_share, serendipity`` (beside popularity), and by
        `item_features` ``diversity, calibration``. Over all lists: ``coverage, gini``. Over the test set's pairs,
        their values beside `predict_pairs`: ``rmse, mae``, without a cut-off. The equations are in `fastrec.metrics`.
        ``biased_sampled_`` before a metric that has a truth: see the notes.
    exclude_seen
        Recommend and count only items that the user has not had in training. Test items in the user's training part are
        left out, and their number is reported. None is True, but False if a model here recommends what users have again
        (`TIFUKNN`): all models have the same task.
    seen
        The users' items in training, `Interactions` or a matrix of the training data's shape; None is the data that
        each model was fitted on. A `Pipeline` that drops or samples interactions needs it. Its model knows only the
        output of the steps, so a dropped item would count as new.
    cold_users
        Users with test items but no training item: "keep" scores the model's recommendations (popular items, as a
        rule), "skip" leaves these users out. The report says how many they are.
    histories
        The known items of users who were not trained on (strong generalization): `Interactions` or a matrix with the
        rows of `test` and the model's items, as `split_users` returns them. The model folds them in, a `Pipeline` after
        its steps. `Interactions` with times give sequence models the order.
    item_groups
        Groups of the items to find, for ranking metrics by group in `Report.segments("items")`. "popularity" makes
        groups of the items that hold the upper, middle and lower third of the training events. Otherwise the name of a
        column of the model's `item_info`, or a label per item.
    n_sampled
        Candidates drawn for the ``biased_sampled_`` metrics, beside the items to find.
    item_features
        For diversity and calibration: a matrix (n_items × n_features), or the name of a column of the model's
        `item_info` with labels between "|", as in ``"genres"``.
    interval
        The method of the confidence intervals of means over users: "analytic" (Student's t) or "bootstrap" (2000
        resamples of users, percentile method).
    confidence
        The confidence of the intervals, between 0 and 1.
    random_state
        Seed, at least 0, of the bootstrap, of the candidates drawn for ``biased_sampled_`` metrics, and of
        `Report.compare`.
    batch_size
        Users ranked at a time.
    n_jobs
        Threads of the metrics; the models use their own.

    Returns
    -------
    Report
        Means with intervals, values per user, and the numbers of users left out with the reasons.

    Raises
    ------
    ValueError
        For an unknown metric, a test set of another shape, with no user that the model knows, or with nothing to find.

    Notes
    -----
    Relevant items without any training event cannot be found by most models; they count as missed and are counted in
    the report. Users without relevant items are left out of the means.

    ``biased_sampled_ndcg@10`` ranks each user's items to find among `n_sampled` other items drawn at random, not among
    all. Papers have reported such numbers. They are far higher than the true ones and can rank models in another order
    (Krichene and Rendle, On sampled metrics for item recommendation, KDD 2020). Use them to compare with those papers,
    not to choose a model. All models rank the same draws.

    Examples
    --------
    >>> import numpy as np, fastrec as fr
    >>> rng = np.random.default_rng(0)
    >>> data = fr.Interactions(rng.integers(0, 50, 900), rng.integers(0, 30, 900), duplicates="sum")
    >>> train, test = fr.split_random(data, 0.2, random_state=0)
    >>> report = fr.evaluate(fr.Popularity().fit(train), test, ["recall@10", "coverage@10"])
    >>> report.metrics
    ('recall@10', 'coverage@10')
    """
    given = check_models(models)
    named = {name: recommender_of(model) for name, model in given.items()}
    wanted = [parse_metric(label) for label in _check_labels(metrics)]
    test, histories, asked = _unpack_test(test, histories)
    refuse_table(test, "test")
    exclude_seen = _excludes_seen(named) if exclude_seen is None else check_flag("exclude_seen", exclude_seen)
    check_choice("cold_users", cold_users, ("keep", "skip"))
    check_choice("interval", interval, ("analytic", "bootstrap"))
    check_number("confidence", confidence, minimum=0, maximum=1, above=True)
    if confidence == 1:
        raise ValueError("confidence must be below 1: an interval of confidence 1 is the whole range")
    random_state = check_integer("random_state", random_state, minimum=0)
    batch_size = check_size("batch_size", batch_size)
    n_jobs = effective_jobs(n_jobs)
    n_sampled = check_size("n_sampled", n_sampled)
    first = next(iter(named.values()))
    features = check_item_features(item_features, first, wanted)
    task = set_task(named, test, exclude_seen, seen, cold_users, histories, needed=any(m.k for m in wanted))
    if any(metric.name in PAIRS for metric in wanted):
        task = add_pairs(task, named, test, exclude_seen)
    if any(metric.sampled for metric in wanted):
        task.counts["sampled" if n_sampled < task.truth.shape[1] else "sampled_all"] = n_sampled
    trained = training_of(first, task)
    groups = None if item_groups is None else group_items(item_groups, trained, first.item_info_, task.truth.shape[1])
    plan = Measurement(wanted, exclude_seen, batch_size, n_jobs, features, groups, n_sampled, random_state)
    results = {name: score_model(model, prepare_histories(given[name], task), plan) for name, model in named.items()}
    report = Report(
        models=tuple(named),
        metrics=tuple(metric.label for metric in wanted),
        users=_name_users(first, task, histories) if asked is None else asked[task.users],
        history=task.history,
        values={name: result.values for name, result in results.items()},
        totals={name: result.totals for name, result in results.items()},
        counts=task.counts,
        seconds={name: result.seconds for name, result in results.items()},
        interval=interval,
        confidence=float(confidence),
        exclude_seen=exclude_seen,
        random_state=random_state,
        settings={name: describe_options(model) for name, model in given.items()},
    )
    return report if groups is None else replace(report, by_items=_group_report(report, results, plan))


def _excludes_seen(named: Mapping[str, Any]) -> bool:
    """Tells whether all models leave out what users have had, unless told otherwise."""
    return all(model.excludes_seen for model in named.values())


def _unpack_test(test: Any, histories: Any) -> tuple[Any, Any, NDArray[Any] | None]:
    """Returns the items to find, the histories and their users, if `next_events` gave all of them."""
    if not isinstance(test, NextEvents):
        return test, histories, None
    if histories is not None:
        raise ValueError("test contains histories, since next_events made it: leave out histories=")
    return test.truth, test.histories, test.users


def _name_users(model: Any, task: Task, histories: Any) -> NDArray[Any]:
    if task.histories is None:
        return label_users(model, task.users)
    if isinstance(histories, Interactions):
        return histories.users.decode(task.users)
    return task.users


def _group_report(report: Report, results: Mapping[str, ModelScores], plan: Measurement) -> dict[str, Report]:
    """Makes a report on the ranking metrics for each group of items to find."""
    assert plan.groups is not None
    labels = tuple(metric.label for metric in plan.of(RANKING))
    if not labels:
        raise ValueError("item_groups needs a ranking metric with a truth, such as 'recall@20'")
    return {
        group: replace(
            report,
            metrics=labels,
            values={name: result.by_items[group] for name, result in results.items()},
            totals={name: {} for name in results},
            counts={},
        )
        for group in plan.groups.names
    }


def _check_labels(metrics: Sequence[str] | str) -> list[str]:
    labels = [metrics] if isinstance(metrics, str) else list(metrics)
    if not labels:
        raise ValueError("metrics is empty: name at least one, as in ['ndcg@10']")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"metrics names {twice[0]!r} more than once")
    return labels
