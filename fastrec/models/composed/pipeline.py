"""Pipeline: scikit-learn's Pipeline as a recommender, which is saved and served with its steps."""

import copy
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import sklearn.pipeline
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if

from fastrec.data import Interactions
from fastrec.fields import Fields, Value
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.cells import common_entries
from fastrec.matrix.code_matrix import CodeMatrix, Policy, check_matrix
from fastrec.matrix.rows import pick_rows
from fastrec.matrix.sequences import drop_from_order
from fastrec.models.base import fields
from fastrec.models.base.asking import Rows, Scores
from fastrec.models.base.audience import Audience, find_audience, read_histories
from fastrec.models.base.explanation import Explanation
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.learned_values import Steps
from fastrec.models.base.persistence import LastStep, freeze, restore_member
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.updating import Change, How, Updating, resize, splice
from fastrec.models.composed.ensemble import OfMembers
from fastrec.models.implicit_als import ImplicitALS
from fastrec.notices import warn_once_of_a_kind
from fastrec.options import Flag, Options, Other
from fastrec.preprocessing import Binarize, LogWeight
from fastrec.retrieval import TopK

NOTHING = (None, "passthrough")  # scikit-learn's marks of a step that does nothing


def _check_steps(name: str, steps: Any) -> None:
    if not isinstance(steps, Sequence) or not all(isinstance(step, tuple) and len(step) == 2 for step in steps):
        raise TypeError(f"{name} must be pairs of a name and an estimator, as [('log', LogWeight()), …], got {steps!r}")
    last = steps[-1][1] if steps else None
    if not isinstance(last, Recommender):
        raise TypeError(f"{name} must end in a recommender of fastrec, got {last!r}")
    if not type(last).keeps_users:  # a stripped model keeps none either, but its class could
        raise ValueError(f"{name} must not end in a {type(last).__name__}: it keeps no users, but a Pipeline does")


def _last_has(name: str) -> Callable[["Pipeline"], bool]:
    """Tells whether the model at the end has a method."""

    def check(pipeline: "Pipeline") -> bool:
        if not hasattr(pipeline.last, name):
            raise AttributeError(f"{type(pipeline.last).__name__}, the last step of the Pipeline, has no {name}")
        return True

    return check


def _weighs_events(step: tuple[str, Any]) -> bool:
    return bool(getattr(step[1], "weighs_events", False))


def _transform(X: Any, steps: Iterable[tuple[str, Any]]) -> Any:
    for _, step in steps:
        X = step.transform(X)
    return X


class _OfTheFit:
    """An attribute that only a fitted object has; scikit-learn's Pipeline would take it from its first step."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, asked: Any, kind: type) -> Any:
        raise AttributeError(f"{kind.__name__} has no attribute {self._name!r} until it is fitted")


class Pipeline(Updating, sklearn.pipeline.Pipeline):
    """scikit-learn's Pipeline with a recommender at its end: one model, which is asked, saved and served as a whole.

    The steps before the model are part of it. Histories pass through them like the training data, in `recommend`, in an
    evaluation, and on a server. The users' items are those given to `fit`, before any step: an item that a step dropped
    is not recommended again, and one that a step drew counts as unseen. Answers about pairs and items are the model's
    own. Attributes of the model that end in an underscore can be read here, too.

    `partial_fit` and updates pass through the fitted steps, and refit none: a `TfidfWeight` keeps its rarities. Steps
    with a value for each item (`TfidfWeight`, `BM25Weight`, `KCore`) take no new items. Steps that read times or draw
    (`TimeDecay`, `Cap`, `SampleNegatives`) allow no updates. If a `TimeDecay` comes first, the values of `seen_` are
    already faded. So a history without times, as on a server, counts as of now: training events keep their age at the
    end of training, and later events count in full.

    Parameters
    ----------
    steps : list of (str, estimator)
        Names, and transformers of fastrec or scikit-learn, "passthrough" among them; last a recommender. They are
        fitted in place, as in scikit-learn. None: `LogWeight` and `ImplicitALS`. A pipeline with transformers from
        elsewhere than fastrec cannot be saved.
    transform_input : list of str or None
        As in scikit-learn's Pipeline.
    memory : str or None
        A folder in which fitted transformers are kept, as in scikit-learn's Pipeline.
    verbose : bool
        Whether to print the time of each step.

    Attributes
    ----------
    steps_ : tuple of (str, transformer)
        The fitted steps before the model.
    inner_ : tuple of one recommender
        The fitted model.
    last_name_ : str
        The name of the model's step.

    Raises
    ------
    TypeError, ValueError
        In `fit`, if steps are no pairs, or the last one is no recommender of fastrec, or keeps no users.

    Examples
    --------
    >>> from fastrec.models import ItemKNN
    >>> X = np.array([[5, 4, 1, 0], [4, 5, 0, 1], [1, 0, 5, 4]])
    >>> model = Pipeline([("liked", Binarize(at=4)), ("knn", ItemKNN())]).fit(X)
    >>> model.recommend(0, k=1).codes  # item 2 was had, though it was not liked
    array([[3]], dtype=int32)
    >>> model.recommend([[5, 0, 0, 1]], k=1).codes
    array([[1]], dtype=int32)
    """

    capabilities: ClassVar[Any] = OfMembers(ImplicitALS.capabilities, lambda self: self._find_capabilities())
    takes_negatives: ClassVar[Any] = OfMembers(False, lambda self: self._find_takes_negatives())
    keeps_zeros: ClassVar[Any] = OfMembers(False, lambda self: self.last.keeps_zeros)
    needs_history: ClassVar[Any] = OfMembers(True, lambda self: self.last.needs_history)
    excludes_seen: ClassVar[Any] = OfMembers(True, lambda self: self.last.excludes_seen)
    reads_order: ClassVar[Any] = OfMembers(False, lambda self: self.last.reads_order)
    reads_others: ClassVar[Any] = OfMembers(False, lambda self: self.last.reads_others)
    needs_order: ClassVar[Any] = OfMembers(False, lambda self: self.last.needs_order)
    min_support: Any = OfMembers(1, lambda self: self.last.min_support)
    takes_new_items: ClassVar[Any] = OfMembers(True, lambda self: self._find_takes_new_items())
    reads_events = True

    n_features_in_: Any = _OfTheFit()
    feature_names_in_: Any = _OfTheFit()

    _options: ClassVar[Options] = {
        "steps": Other("list of (str, estimator)", _check_steps),
        "transform_input": Other("list of str", also=(None,)),
        "memory": Other("str", also=(None,)),
        "verbose": Flag(),
    }
    _learned: ClassVar[Fields] = {
        "steps_": fields.Steps(),
        "inner_": fields.Members(1, LastStep),
        "last_name_": Value(str),
    }
    _rebuilt_options: ClassVar[frozenset[str]] = frozenset({"steps"})

    steps_: Steps
    inner_: LastStep
    last_name_: str

    def __init__(
        self, steps: Any = None, *, transform_input: Any = None, memory: Any = None, verbose: bool = False
    ) -> None:
        self.steps = [("logweight", LogWeight()), ("implicitals", ImplicitALS())] if steps is None else steps
        self.transform_input = transform_input
        self.memory = memory
        self.verbose = verbose

    @property
    def last(self) -> Any:
        """The model at the end; the fitted one after a fit."""
        return vars(self)["inner_"][0] if "inner_" in vars(self) else self.steps[-1][1]

    def __getitem__(self, key: Any) -> Any:
        """Returns a step by its place or name; a slice is a Pipeline of scikit-learn itself."""
        if isinstance(key, slice):
            return sklearn.pipeline.Pipeline(self.steps, memory=self.memory, verbose=self.verbose)[key]
        return super().__getitem__(key)

    # -- what it is, by its steps

    def _find_capabilities(self) -> frozenset[str]:
        own: frozenset[str] = self.last.capabilities
        return own if self._find_obstacle() is None else own - Updating.capabilities

    def _transformers(self) -> Iterator[tuple[str, Any]]:
        """The steps before the model that do something."""
        pairs = vars(self)["steps_"] if "steps_" in vars(self) else self.steps[:-1]
        return ((name, step) for name, step in pairs if step not in NOTHING)

    def _find_takes_negatives(self) -> bool:
        """Tells whether a value below zero passes all steps, or changes its sign on the way."""
        for _, step in self._transformers():
            if step.__sklearn_tags__().input_tags.positive_only:
                return False
            if isinstance(step, Binarize):
                return True
        return bool(self.last.takes_negatives)

    def _find_takes_new_items(self) -> bool:
        steps = (getattr(step, "by_item", True) for _, step in self._transformers())
        return not any(steps) and bool(getattr(self.last, "takes_new_items", True))

    def _find_obstacle(self) -> str | None:
        """The reason why there are no updates; None if there are."""
        for name, step in self._transformers():
            if not getattr(step, "by_row", False):
                return f"the step {name!r}, {type(step).__name__}, makes other rows of an update than of all the data"
        if self.needs_times:
            return f"{type(self.last).__name__} reads the times of events, which steps may have changed"
        return None if hasattr(self.last, "partial_fit") else f"{type(self.last).__name__} has no partial_fit"

    @property
    def needs_times(self) -> bool:
        """Tells whether the model needs times, or a step reads them."""
        reads = (getattr(step, "reads_times", False) for _, step in self._transformers())
        return any(reads) or bool(getattr(self.last, "needs_times", False))

    @property
    def fades(self) -> bool:
        """See `Answering.fades`."""
        return bool(self.last.fades)

    @property
    def duplicate_policy(self) -> Policy:
        """See `Asked.duplicate_policy`."""
        return super().duplicate_policy

    # -- learning

    @warn_once_of_a_kind()
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fits the steps one after the other, and the model to their output.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; accepted because scikit-learn passes it.
        **params
            Further arguments of the steps' `fit`, as ``implicitals__item_features=…``.

        Returns
        -------
        The fitted pipeline itself.
        """
        self._check_options()
        began = time.perf_counter()
        with self._unless_stopped():
            self._adopt(X)
            sklearn.pipeline.Pipeline.fit(self, X, y, **params)
            if weighing := list(itertools.takewhile(_weighs_events, self._transformers())):
                self._adopt(_transform(X, weighing))
            *steps, (name, model) = self.steps
            self.last_name_ = name
            self._take([(name, None if step in NOTHING else step) for name, step in steps], model)
            self._note_seconds(time.perf_counter() - began)
        return self

    @contextmanager
    def _unless_stopped(self) -> Iterator[None]:
        """Restores the pipeline and its steps if the work within is stopped."""
        kept = [(one, dict(vars(one))) for one in (self, *(step for _, step in self.steps)) if hasattr(one, "__dict__")]
        try:
            for name in ("steps_", "inner_"):  # of another fit: the steps of this fit determine what is read
                self.__dict__.pop(name, None)
            yield
        except BaseException:
            for one, state in kept:
                vars(one).clear()
                vars(one).update(state)
            raise

    def _fit(self, matrix: Any, *arguments: Any, **named: Any) -> Any:
        """Fits the steps before the model; scikit-learn's `fit` calls it."""
        return sklearn.pipeline.Pipeline._fit(self, matrix, *arguments, **named)

    def _take(self, steps: Sequence[tuple[str, Any]], model: Any) -> None:
        """Keeps copies of fitted steps and a fitted model, which no later fit of a step changes."""
        self.steps_ = Steps((name, copy.copy(step)) for name, step in steps)
        self.inner_ = LastStep((copy.copy(model),))
        vars(self.inner_[0]).update(self._shared())
        self.inner_[0].clear_derived()
        freeze(self)

    def _shared(self) -> dict[str, Any]:
        return {name: vars(self).get(name) for name in LastStep.SHARED}

    def _restore(self, *, check: bool) -> None:
        super()._restore(check=check)
        restore_member(self.inner_[0], self._shared(), check=check)
        if self.inner_[0].seen_.shape != self.seen_.shape:
            raise ValueError(f"the model must be of the shape {self.seen_.shape}, got {self.inner_[0].seen_.shape}")
        self._tell_items()
        self._show_steps()

    def _tell_items(self) -> None:
        """Gives the steps the items' vocabulary."""
        names = vars(self).get("feature_names_in_")
        for _, step in self._transformers():
            step.n_features_in_, step._items = self.n_features_in_, self.items_
            if names is not None:
                step.feature_names_in_ = names

    def _show_steps(self) -> None:
        """Makes `steps` show the fitted steps."""
        fitted = [(name, "passthrough" if step is None else step) for name, step in self.steps_]
        self.steps = [*fitted, (self.last_name_, self.inner_[0])]

    # -- whom the model is asked about

    def _prepare(self, X: Any) -> Any:
        """Passes histories through the steps; in histories without times, events have their weights already."""
        steps = self._transformers()
        return _transform(X, steps if isinstance(X, Interactions) else itertools.dropwhile(_weighs_events, steps))

    def _for_last(self, audience: Audience) -> Audience:
        """The audience in the model's form: users by their codes, and histories after the steps."""
        if audience.given is None:
            return replace(audience, model=self.last)
        if not len(audience):
            return replace(audience, model=self.last, events=None)
        if audience.events is not None:
            after = read_histories(self.last, self._prepare(audience.events))
            assert after.given is not None
            rows, order, events = after.given, after.order, after.events
        else:
            rows, order, events = self._prepare_rows(audience.given), audience.order, None
            if order is not None:
                order = drop_from_order(audience.given, order, common_entries(audience.given, rows))
        return Audience(self.last, audience.labels, None, rows, audience.vectors, order, events)

    def _prepare_rows(self, rows: CodeMatrix) -> CodeMatrix:
        return check_matrix(self._prepare(rows), negative="accept", zeros="events") if len(rows.indptr) > 1 else rows

    def answer(self, audience: Audience, k: int, wanted: ItemFilter | None = None, on_empty: str = "popular") -> TopK:
        """See `Asked.answer`; the users' items before any step are left out."""
        wanted = self.item_filter(audience) if wanted is None else wanted
        top: TopK = self.last.answer(self._for_last(audience), k, wanted, on_empty)
        return top

    def exact_model(self) -> Self:
        """See `Asked.exact_model`."""
        twin = copy.copy(self)
        twin.inner_ = LastStep((self.last.exact_model(),))
        return twin

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """See `Asked.fold_in`."""
        vectors: Floats | None = self.last.fold_in(self._for_last(audience), users)
        return vectors

    def scores(self, audience: Audience) -> Scores:
        """See `Asked.scores`."""
        scores: Scores = self.last.scores(self._for_last(audience))
        return scores

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        scores: Floats = self.last.pair_scores(self._for_last(audience), rows, items)
        return scores

    def recommendable_items(self) -> NDArray[np.bool_] | None:
        """See `Asked.recommendable_items`."""
        mask: NDArray[np.bool_] | None = self.last.recommendable_items()
        return mask

    def row_bytes(self) -> int:
        """See `Asked.row_bytes`."""
        return int(self.last.row_bytes())

    # -- what is asked of the model itself

    def similar_items(self, items: Any, k: int = 10) -> TopK:
        """Answers with the model's own `similar_items`."""
        self._check_fitted()
        top: TopK = self.last.similar_items(items, k)
        return top

    @available_if(_last_has("similar_users"))  # type: ignore[untyped-decorator]
    def similar_users(self, users: Any, k: int = 10) -> TopK:
        """Answers with the model's own `similar_users`."""
        self._check_fitted()
        top: TopK = self.last.similar_users(users, k)
        return top

    @available_if(_last_has("explain"))  # type: ignore[untyped-decorator]
    def explain(self, user: Any, item: Any, k: int | None = None) -> Explanation:
        """Answers with the model's own `explain`, for a history after the steps."""
        audience, _ = find_audience(self, user, "error")
        explanation: Explanation = self.last.explain(self._for_last(audience), item, k)
        return explanation

    @available_if(_last_has("transform"))  # type: ignore[untyped-decorator]
    def transform(self, X: Any) -> NDArray[np.float32]:
        """Answers with the model's own `transform`, for histories after the steps."""
        self._read_histories(X)  # this checks X before any step reads it
        factors: NDArray[np.float32] = self.last.transform(self._prepare(X))
        return factors

    @available_if(_last_has("transform"))  # type: ignore[untyped-decorator]
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> NDArray[np.float32]:
        """Runs `fit`, and then `transform` of the same histories."""
        factors: NDArray[np.float32] = self.fit(X, y, **params).transform(X)
        return factors

    def _list_names(self) -> set[str]:
        """See `Learner._list_names`; learned values of the model are its own."""
        inner = dir(self.last) if "inner_" in vars(self) else ()
        return super()._list_names() | {name for name in inner if name.endswith("_")}

    def __getattr__(self, name: str) -> Any:
        """Gets a learned value of the model."""
        if name.endswith("_") and not name.startswith("_") and "inner_" in vars(self):
            return getattr(self.last, name)
        why = self._find_obstacle() if name in ("partial_fit", "update_users", "update_items") else None
        missing = self._no_attribute(name)
        raise AttributeError(f"{missing}: {why}") if why else missing

    # -- updates

    def _updates(self) -> bool:
        """Tells whether there are updates; `__getattr__` says why not."""
        return self._find_obstacle() is None

    @available_if(lambda self: self._updates())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Adds interactions to those of the fit, as `Updating.partial_fit`."""
        return super().partial_fit(X, y)

    @available_if(lambda self: self._updates() and _last_has("update_users")(self))  # type: ignore[untyped-decorator]
    def update_users(self, users: Any, histories: Any, how: How = "append") -> Self:
        """Gives users a longer or another history, as `Updating.update_users`."""
        return super().update_users(users, histories, how)

    @available_if(lambda self: self._updates() and _last_has("update_items")(self))  # type: ignore[untyped-decorator]
    def update_items(self, items: Any, histories: Any, how: How = "append") -> Self:
        """Gives items other users, as `Updating.update_items`."""
        return super().update_items(items, histories, how)

    @available_if(_last_has("build_index"))  # type: ignore[untyped-decorator]
    def build_index(self, index: Any = None) -> Self:
        """Builds the model's index, as its own `build_index`."""
        self._check_fitted()
        model = copy.copy(self.last)
        model.build_index(index)
        self._take(self.steps_, model)
        self._show_steps()
        return self

    def _update(self, change: Change) -> None:
        if self.n_features_in_ > self.last.n_features_in_:
            self._check_new_items()
        model = copy.copy(self.last)
        self.steps_ = Steps((name, copy.copy(step)) for name, step in self.steps_)
        self._tell_items()
        rows = self._prepare_rows(pick_rows(self.seen_, change.users))
        matrix = splice(resize(model.seen_, self.seen_.shape), change.users, rows, "replace")
        order = self.order_
        if order is not None:
            order = drop_from_order(self.seen_, order, common_entries(self.seen_, matrix))
        model.follow(self, matrix, order, replace(change, events=None))
        self._take(self.steps_, model)
        self._show_steps()

    def _check_new_items(self) -> None:
        for name, step in self._transformers():
            if getattr(step, "by_item", True):
                raise ValueError(
                    f"the step {name!r}, {type(step).__name__}, does not know items that came after its fit: fit "
                    "the Pipeline again, or leave them out"
                )
