"""A model whose lists are re-ranked by a rule: a recommender like any other."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from fastrec.fields import Fields, Value
from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import CodeMatrix, Policy
from fastrec.models.base.answering import seen_rows
from fastrec.models.base.asking import Rows, Scores
from fastrec.models.base.audience import Audience
from fastrec.models.base.explanation import Explanation
from fastrec.models.base.fields import Members, Rule
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.persistence import Team, freeze, restore_member
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.tracing import Step, find_place
from fastrec.options import Integer, Options, Other
from fastrec.retrieval import TopK
from fastrec.retrieval.diversity import Calibration, bound_rule, check_rule, data_of_rule, field_of_rule


def _has(name: str) -> Callable[["Reranked"], bool]:
    """Tells whether the re-ranked model has a method."""

    def check(model: "Reranked") -> bool:
        inner = vars(model).get("inner_", (model.model,))[0]
        if not hasattr(inner, name):
            raise AttributeError(f"{type(inner).__name__}, which is re-ranked, has no {name}")
        return True

    return check


def _check_recommender(name: str, model: Any) -> None:
    if not isinstance(model, Recommender):
        raise TypeError(f"{name} must be a recommender of fastrec, got {model!r}")


class Reranked(Recommender):
    """A model whose recommendations a rule re-ranks, wherever they go: to a file, a score, a report or a server.

    The rule makes the lists for users: those of `recommend`, `predict`, `score` and `recommend_to`. Answers about pairs
    and items are the model's own: `predict_pairs`, `similar_items`, `explain`, `transform`, and the scores of
    recommended items. Attributes of the model that end in an underscore can be read here, too.

    Parameters
    ----------
    model
        A recommender. With a fitted one the result answers at once; `fit` fits a clone.
    rule
        An `MMR`, a `Calibration` or a `GroupCap`. A name of a column stands for that of the model's `item_info`. An
        `MMR` without vectors uses the model's `item_factors_` without biases. Or a function of (top, k, histories) that
        returns a TopK of k columns; then the model cannot be saved.
    depth
        The number of items that the model lists for the rule to choose from.

    Attributes
    ----------
    inner_ : tuple of one recommender
        The fitted model.
    rule_ : rule
        The rule with the vectors or labels of the model's items.

    Raises
    ------
    TypeError, ValueError
        If the model is no recommender, the rule is none, or it does not fit the model: with a fitted model at once,
        otherwise in `fit`.

    Examples
    --------
    >>> from fastrec.models import Popularity
    >>> from fastrec.retrieval.diversity import GroupCap
    >>> model = Popularity().fit(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]]))
    >>> model.recommend([0], k=2, exclude_seen=False).codes
    array([[0, 1]], dtype=int32)
    >>> capped = Reranked(model, GroupCap(1, groups=["a", "a", "b", "c"]))
    >>> capped.recommend([0], k=2, exclude_seen=False).codes
    array([[0, 2]], dtype=int32)
    """

    learns: ClassVar[bool] = False  # the shared checks would need a default model
    _options: ClassVar[Options] = {
        "model": Other("recommender", _check_recommender),
        "rule": Other("MMR, Calibration, GroupCap or callable", check_rule, answers=True),
        "depth": Integer(1, memory=True, answers=True),
    }
    _learned: ClassVar[Fields] = {
        "inner_": Members(1),
        "rule_": Rule("n_items"),
        "named_": Value((list, type(None)), optional=True),
    }
    _rebuilt_options: ClassVar[frozenset[str]] = frozenset({"model", "rule"})

    inner_: Team
    rule_: Any
    named_: list[str | None] | None  # the names of columns that the option `rule` holds in place of values

    def __init__(self, model: Any, rule: Any, depth: int = 100) -> None:
        self.model = model
        self.rule = rule
        self.depth = depth
        if isinstance(model, Recommender) and model.__sklearn_is_fitted__():
            self._check_options()
            self._take(copy.copy(model))

    def fit(self, X: Any, y: Any = None, **options: Any) -> Self:
        """Fits a clone of the model, and binds the rule to its items.

        Parameters
        ----------
        X, y, **options
            As in the model's `fit`.

        Returns
        -------
        The fitted model itself.
        """
        self._check_options()
        return self._take(clone(self.model).fit(X, y, **options))

    def _fit(self, matrix: CodeMatrix) -> None:
        raise NotImplementedError("`fit` fits the model that is re-ranked")

    def set_params(self, **params: Any) -> Self:
        """Sets options, which act at once: a fitted model stays, with another rule for example."""
        super().set_params(**params)
        if not isinstance(self.model, Recommender):
            return self
        self._check_options()
        if self.model.__sklearn_is_fitted__() and "model" in params:
            self._take(copy.copy(self.model))
        elif "inner_" in vars(self):
            self._take(self._inner)
        return self

    def _take(self, inner: Recommender) -> Self:
        """Takes over a fitted model, with its lists re-ranked."""
        inner.settle()
        rule = bound_rule(self.rule, _innermost(inner))
        value = data_of_rule(self.rule)
        self.rule_, self.named_ = rule, [value] if value is None or isinstance(value, str) else None
        for name in (*Team.SHARED, "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if name in vars(inner):
                setattr(self, name, vars(inner)[name])
        self.inner_ = Team((inner,))
        self.clear_derived()
        self._take_manners()
        freeze(self)
        return self

    def _take_manners(self) -> None:
        manners = (
            *("takes_negatives", "keeps_zeros", "needs_history", "reads_order", "needs_order", "capabilities"),
            *("min_support", "excludes_seen", "reads_events"),
        )
        self.__dict__.update({name: getattr(self._inner, name) for name in manners})

    def _restore(self, *, check: bool) -> None:
        super()._restore(check=check)
        inner = self._inner
        restore_member(inner, {name: getattr(self, name) for name in Team.SHARED}, check=check)
        self.model, self.rule = inner, self.rule_
        if self.named_ is not None:
            if len(self.named_) != 1 or not isinstance(self.named_[0], str | None):
                raise ValueError(f"named_ must be the name of one column, or of none, got {self.named_!r}")
            self.rule = replace(self.rule_, **{str(field_of_rule(self.rule_)): self.named_[0]})
        self._take_manners()

    @property
    def _inner(self) -> Recommender:
        """The fitted model."""
        inner: Recommender = self.inner_[0]
        return inner

    # -- the lists

    def answer(self, audience: Audience, k: int, wanted: ItemFilter | None = None, on_empty: str = "popular") -> TopK:
        """See `Asked.answer`."""
        # No model has more items than this, and a shorter list needs less memory.
        length = max(k, min(self.depth, self.n_features_in_))
        longer = self._inner.answer(self._for_inner(audience), length, wanted, on_empty)
        histories = seen_rows(audience) if isinstance(self.rule_, Calibration) or self._is_function else None
        top: TopK = self.rule_(longer, k, histories)
        return top

    def trace_item(self, audience: Audience, item: int, k: int, wanted: ItemFilter) -> list[Step]:
        """See `Asked.trace_item`: the stages of the model, and what the rule makes of its list."""
        length = max(k, min(self.depth, self.n_features_in_))
        steps = self._inner.trace_item(self._for_inner(audience), item, length, wanted)
        if not steps[-1].passes:
            return steps
        place = find_place(self.answer(audience, k, wanted).codes[0], item)
        rule = "a function" if self._is_function else type(self.rule_).__name__
        return [
            *steps,
            Step(f"re-ranked by {rule}", bool(place), f"place {place}" if place else "the rule takes others"),
        ]

    @property
    def _is_function(self) -> bool:
        return field_of_rule(self.rule_) is None

    def _for_inner(self, audience: Audience) -> Audience:
        return replace(audience, model=self._inner)

    def exact_model(self) -> Self:
        """See `Asked.exact_model`."""
        twin = copy.copy(self)
        twin.inner_ = Team((self._inner.exact_model(),))
        return twin

    # -- what is said about pairs and items

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """See `Asked.fold_in`."""
        return self._inner.fold_in(self._for_inner(audience), users)

    def scores(self, audience: Audience) -> Scores:
        """See `Asked.scores`: the model's own, from which the rule chooses, too."""
        return self._inner.scores(self._for_inner(audience))

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        return self._inner.pair_scores(self._for_inner(audience), rows, items)

    def recommendable_items(self) -> NDArray[np.bool_] | None:
        """See `Asked.recommendable_items`."""
        return self._inner.recommendable_items()

    @property
    def fades(self) -> bool:
        """See `Answering.fades`."""
        return self._inner.fades

    @property
    def duplicate_policy(self) -> Policy:
        """See `Asked.duplicate_policy`."""
        return self._inner.duplicate_policy

    def similar_items(self, items: Any, k: int = 10) -> TopK:
        """Answers with the model's own `similar_items`."""
        self._check_fitted()
        return self._inner.similar_items(items, k)

    @available_if(_has("transform"))  # type: ignore[untyped-decorator]
    def transform(self, X: Any) -> NDArray[np.float32]:
        """Answers with the model's own `transform`."""
        self._check_fitted()
        factors: NDArray[np.float32] = self._inner.transform(X)
        return factors

    @available_if(_has("similar_users"))  # type: ignore[untyped-decorator]
    def similar_users(self, users: Any, k: int = 10) -> TopK:
        """Answers with the model's own `similar_users`."""
        self._check_fitted()
        top: TopK = self._inner.similar_users(users, k)
        return top

    @available_if(_has("explain"))  # type: ignore[untyped-decorator]
    def explain(self, user: Any, item: Any, k: int | None = None) -> Explanation:
        """Answers with the model's own `explain`, of the score from which the rule chooses, too."""
        self._check_fitted()
        explanation: Explanation = self._inner.explain(user, item, k)
        return explanation

    # -- updates

    @property
    def needs_times(self) -> bool:
        """Tells whether the model needs times."""
        return bool(getattr(self._inner, "needs_times", False))

    @property
    def takes_new_items(self) -> bool:
        """Tells whether the model takes new items."""
        return bool(getattr(self._inner, "takes_new_items", True))

    @available_if(_has("partial_fit"))  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None, **options: Any) -> Self:
        """Adds interactions to the model, as its own `partial_fit`; the rule is bound to its new items."""
        return (
            self._update_inner("partial_fit", X, y, **options) if "inner_" in vars(self) else self.fit(X, y, **options)
        )

    @available_if(_has("update_users"))  # type: ignore[untyped-decorator]
    def update_users(self, users: Any, histories: Any, *options: Any, **named: Any) -> Self:
        """Gives users a longer or another history, as the model's own `update_users`."""
        return self._update_inner("update_users", users, histories, *options, **named)

    @available_if(_has("update_items"))  # type: ignore[untyped-decorator]
    def update_items(self, items: Any, histories: Any, *options: Any, **named: Any) -> Self:
        """Gives items other users, as the model's own `update_items`."""
        return self._update_inner("update_items", items, histories, *options, **named)

    @available_if(_has("build_index"))  # type: ignore[untyped-decorator]
    def build_index(self, index: Any = None) -> Self:
        """Builds the model's index, as its own `build_index`."""
        return self._update_inner("build_index", index)

    def _update_inner(self, method: str, *arguments: Any, **options: Any) -> Self:
        """Updates a copy of the model and takes it over; after an error or interrupt nothing has changed."""
        self._check_fitted()
        inner = copy.copy(self._inner)
        getattr(inner, method)(*arguments, **options)
        return self._take(inner)

    def _list_names(self) -> set[str]:
        """See `Learner._list_names`; learned values of the model are its own."""
        inner = dir(self.inner_[0]) if "inner_" in vars(self) else ()
        return super()._list_names() | {name for name in inner if name.endswith("_")}

    def __getattr__(self, name: str) -> Any:
        """Gets a learned value of the model; its methods are not passed on, since the rule changes their answers."""
        if name.endswith("_") and not name.startswith("_") and "inner_" in vars(self):
            return getattr(self.inner_[0], name)
        raise self._no_attribute(name)


def _innermost(model: Any) -> Any:
    return _innermost(model.inner_[0]) if isinstance(model, Reranked) else model
