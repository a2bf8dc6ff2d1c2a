"""The base of all estimators that learn from interactions: what was learned, and from which data."""

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _check_feature_names

from fastrec.data import Interactions, Vocabulary
from fastrec.data.recognition import refuse_table
from fastrec.data.vocabulary import CodeVocabulary
from fastrec.fields import Array, Fields, Matrix, Sizes, Value, fields_of
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix, Policy, check_matrix, drop_zeros
from fastrec.matrix.rows import pick_rows, with_data
from fastrec.matrix.sequences import HistoryRow, Order, drop_zeros_from_order, is_order, order_entries
from fastrec.models.base.asking import ASKED
from fastrec.models.base.derived import Derived, Key
from fastrec.models.base.fields import Facts, Ids, Names
from fastrec.models.base.items import check_same_items
from fastrec.models.base.persistence import freeze
from fastrec.models.base.registry import register
from fastrec.models.base.showing import FIT_SECONDS, show_model
from fastrec.notices import warn_once_of_a_kind
from fastrec.options import OptionsMixin
from fastrec.validation import check_size, name_options, suggest_option

T = TypeVar("T")
TRAINING: Key[CodeMatrix] = Key("training")
OF_USERS = frozenset({"partial_fit", "similar_users"})
"""The capabilities that need users."""


def _name_options_of(cls: type) -> None:
    """Makes the constructor and the public methods of a class suggest the right option for a wrong one."""
    for name, function in list(vars(cls).items()):
        public = name == "__init__" or not (name.startswith("_") or name in ASKED)
        if public and inspect.isfunction(function) and not hasattr(function, "names_options"):
            setattr(cls, name, name_options(function))


class Learner(OptionsMixin, BaseEstimator, ABC):
    """The base of all estimators that learn from interactions; `Recommender` adds the questions."""

    takes_negatives: ClassVar[bool] = False
    """Whether values below zero are data; otherwise they are an error."""

    keeps_zeros: ClassVar[bool] = False
    """Whether the model learns from an event of value 0 (ratings); in implicit feedback it only "
    "marks the item as seen."""

    reads_order: ClassVar[bool] = False
    """Whether the model uses the order of a user's items: it is kept as `order_`, beside `seen_`."""

    needs_order: ClassVar[bool] = False
    """Whether an order is required: Interactions need times, and the values of a plain matrix are places."""

    reads_events: ClassVar[bool] = False
    """Whether histories that are Interactions are read event by event, with their times, not as a matrix."""

    reads_baskets: ClassVar[bool] = False
    """Whether the model reads baskets: repeated events and equal times are its data, and need no notice."""

    keeps_users: ClassVar[bool] = True
    """Whether a fitted model knows the users that it was fitted with, or none (private and stripped models)."""

    reads_others: ClassVar[bool] = False
    """Whether answers come from the histories or features of other users: without its users the "
    "model has no answers."""

    min_support: int = 1
    """The minimum number of users behind each item in an answer, and behind each pair of items."""

    _learned: ClassVar[Fields] = {
        "n_features_in_": Value(int, equal="n_items"),
        "feature_names_in_": Names("n_items", absent=True),
        "users_": Ids("n_users", optional=True),
        "items_": Ids("n_items", optional=True),
        "item_info_": Facts("n_items", optional=True),
        "seen_": Matrix(("n_users", "n_items")),
        "order_": Array(("entries",), "int32", least=0, optional=True, absent=True),
        "item_counts_": Array(("n_items",), "int64", least=0),
        "duplicates_": Value(str, choices=("sum", "last", "max"), absent=True),
    }
    """The fields that this class adds to a fitted model and its file; each class declares only its own."""

    _former_options: ClassVar[Mapping[str, object]] = {}
    """The values of options that did not exist when a file was written."""

    seen_: CodeMatrix
    order_: Order | None = None
    item_counts_: NDArray[np.int64]
    duplicates_: Policy
    users_: Vocabulary | None
    items_: Vocabulary | None
    item_info_: Mapping[str, NDArray[Any]] | None
    n_features_in_: int
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """The capabilities of this family beyond the base: "transform", "similar_users", "explain", "partial_fit"."""

    _derived: Derived

    def __init_subclass__(cls, **kwargs: Any) -> None:
        _name_options_of(cls)
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("fastrec.models."):
            register(cls)

    if not TYPE_CHECKING:  # type checkers know the existing attributes

        def __getattr__(self, name: str) -> Any:
            """Names the right attribute for one of another library: object's own error, and a word more."""
            raise self._no_attribute(name)

    def _no_attribute(self, name: str) -> AttributeError:
        """Returns the error for a missing attribute: object's own, and the right name if another library's is known."""
        try:
            object.__getattribute__(self, name)
        except AttributeError as error:
            declared = () if name.startswith("_") else fields_of(type(self))
            right = None if name.startswith("_") else suggest_option(name, self._list_names(), misspelt=False)
            more = "fit learns it" if name in declared else right and f"here it is called {right!r}"
            return AttributeError(f"{error}; {more}") if more else error
        return AttributeError(name)

    def _list_names(self) -> set[str]:
        """The names of all attributes, those among them that a fit learns."""
        return {*dir(type(self)), *fields_of(type(self)), *vars(self)}

    # -- what a family defines

    @abstractmethod
    def _fit(self, matrix: CodeMatrix) -> None:
        """Learns from the checked matrix `_training` of shape (n_users, n_items), which must not be changed."""

    def _complete(self, matrix: CodeMatrix) -> None:
        """Completes a fit after `_fit`; kinds of models add their part here."""

    # -- learning

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns from interactions.

        Parameters
        ----------
        X
            Interactions, any SciPy sparse matrix or array, or a dense array, of shape (n_users, n_items).
        y
            Not used; accepted because scikit-learn passes it.

        Returns
        -------
        The fitted model itself.

        Raises
        ------
        ValueError, TypeError
            If an option or a value of X is invalid. The model stays unchanged.
        """
        return self._learn(X)

    @warn_once_of_a_kind()
    def _learn(self, X: Any, **options: Any) -> Self:
        """Runs `fit`, with further keywords for the family's `_fit`. After an error or interrupt the model is
        unchanged.
        """
        before, began = dict(self.__dict__), time.perf_counter()
        try:
            self._check_options()
            self._adopt(X)
            if self.needs_order and not self.reads_baskets and isinstance(X, Interactions):
                X.tell_ties(type(self).__name__)
            self._check_factors()
            self._fit(self._training, **options)
            self._complete(self._training)
            freeze(self)
            self._tell_merged(X)
            self._note_seconds(time.perf_counter() - began)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _tell_merged(self, X: Any) -> None:
        """Warns of pairs whose events are merged, unless the model reads each event."""
        if isinstance(X, Interactions) and not self.reads_baskets:
            X.tell_merged(type(self).__name__, self._own_policy)

    def _note_seconds(self, seconds: float) -> None:
        """Remembers the seconds of the fit, until the model changes."""
        self._derived.get(FIT_SECONDS, lambda: seconds)

    def _html_repr(self) -> str:
        """The view of the model in a notebook, where scikit-learn would show its options alone."""
        derived: Derived | None = vars(self).get("_derived")
        return show_model(self, Learner._learned, None if derived is None else derived.peek(FIT_SECONDS))

    def _check_factors(self) -> None:
        """Raises a ValueError if the memory does not hold so many factors, for the rows or for pairs of factors."""
        factors = getattr(self, "factors", None)
        if isinstance(factors, int | np.integer):
            each = 4 * (sum(self.seen_.shape) + int(factors))
            check_size(f"{type(self).__name__}.factors", factors, minimum=0, each=each)

    def _adopt(self, X: Any) -> None:
        """Takes over the data: the matrix, the vocabularies, and the facts about the items."""
        for name in ("duplicates_", "keeps_users", "capabilities"):  # left from another fit, or a stripped model
            self.__dict__.pop(name, None)
        matrix = self._check_matrix(X, copy=True, minimum_rows=1)
        self.duplicates_ = self._policy_of(X)
        if self.reads_order:
            self.order_ = self._order_of(X, matrix)
        if isinstance(X, Interactions):
            self.users_, self.items_, self.item_info_ = X.users, X.items, X.item_info
            self.__dict__.pop("feature_names_in_", None)
        else:
            self.users_ = self.items_ = self.item_info_ = None
            _check_feature_names(self, X, reset=True)
        self._take_matrix(matrix)
        self.clear_derived()

    def _take_matrix(self, matrix: CodeMatrix) -> None:
        """Takes over the users' items, and counts the users of each item that is learned from."""
        self.n_features_in_ = int(matrix.shape[1])
        self.seen_ = matrix
        self.item_counts_ = count_codes(self._select_learned(matrix).indices, matrix.shape[1])

    # -- the data

    def _order_of(self, X: Any, matrix: CodeMatrix) -> Order | None:
        """The order of X, checked already as `matrix`; None if it has none, or the model reads none."""
        if not self.reads_order:
            return None
        if not isinstance(X, Interactions):
            return order_entries(matrix, matrix.data) if self.needs_order else None
        if self.needs_order and X.times is None:
            raise ValueError(
                f"{type(self).__name__} learns from the order of events, but X has no times: make it with "
                "Interactions(..., times=...), or name its column when you read the table"
            )
        return X.order()

    @property
    def _values_are_places(self) -> bool:
        """Tells whether the values of `seen_` are places in an order: in a plain matrix, if the model needs an
        order.
        """
        return self.needs_order and self.users_ is None

    def _read_histories(self, X: Any) -> tuple[CodeMatrix, Order | None]:
        """Reads X as histories with their order. If values are strengths, places of a plain matrix become ones."""
        matrix = self._histories(X)
        order = self._order_of(X, matrix)
        if order is None or isinstance(X, Interactions) or self._values_are_places:
            return matrix, order
        return with_data(matrix, np.ones(matrix.nnz, np.float32)), order

    def user_row(self, code: int) -> HistoryRow:
        """See `Asked.user_row`."""
        seen, order = self.seen_, self.order_
        start, stop = seen.indptr.item(code), seen.indptr.item(code + 1)
        return HistoryRow(seen.indices[start:stop], seen.data[start:stop], None if order is None else order[start:stop])

    def _select_learned(self, rows: CodeMatrix) -> CodeMatrix:
        """The entries of rows that the model learns from: all, except zeros in models of implicit feedback."""
        return self._to_form(rows if self.keeps_zeros else drop_zeros(rows))

    def _to_form(self, rows: CodeMatrix) -> CodeMatrix:
        """Rows with their values in the form that is learned from; the same entries."""
        return rows

    @property
    def _training(self) -> CodeMatrix:
        """`_select_learned` of `seen_`, which nearly always is `seen_` itself: then no entry of it is looked at."""
        return self._derived.get(TRAINING, self._find_training)

    def _training_order(self) -> Order | None:
        """The order of the entries of `_training`, if there is one."""
        return drop_zeros_from_order(self.seen_, self.order_, self._training)

    def _find_training(self) -> CodeMatrix:
        whole = self.seen_.nnz == self.item_counts_.sum()
        return self._to_form(self.seen_) if whole else self._select_learned(self.seen_)

    def _check_matrix(self, X: Any, *, copy: bool = False, minimum_rows: int = 0) -> CodeMatrix:
        refuse_table(X, "X")
        return check_matrix(
            X,
            negative="accept" if self.takes_negatives else "refuse",
            zeros="events",
            duplicates=self.duplicate_policy,
            copy=copy,
            minimum_rows=minimum_rows,
        )

    def _histories(self, X: Any) -> CodeMatrix:
        """Returns X, checked as histories of users over the model's items."""
        self._check_fitted()
        if isinstance(X, Interactions):
            check_same_items(self, X)
        else:
            _check_feature_names(self, X, reset=False)
        matrix = self._check_matrix(X)
        if matrix.shape[1] != self.n_features_in_:
            hint = "; it looks transposed" if matrix.shape[0] == self.n_features_in_ else ""
            raise ValueError(
                f"X has {matrix.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                f"features as input, one for each item{hint}"
            )
        return matrix

    @property
    def _own_policy(self) -> Literal["sum", "last"]:
        """The default policy to merge several events of one user and item."""
        return "last" if self.keeps_zeros else "sum"

    @property
    def duplicate_policy(self) -> Policy:
        """See `Asked.duplicate_policy`."""
        return cast("Policy", vars(self).get("duplicates_", self._own_policy))

    def _policy_of(self, X: Any) -> Policy:
        """The policy to merge events of X: that of X, or else the model's."""
        said = X.duplicates if isinstance(X, Interactions) else None
        return self.duplicate_policy if said is None or said == "error" else said

    @property
    def user_vocabulary(self) -> Vocabulary:
        """The ids of the known users: `users_`, or else their codes."""
        return CodeVocabulary(self.seen_.shape[0]) if self.users_ is None else self.users_

    @property
    def item_vocabulary(self) -> Vocabulary:
        """The ids of the known items: `items_`, or else their codes."""
        return CodeVocabulary(self.n_features_in_) if self.items_ is None else self.items_

    @property
    def has_users(self) -> bool:
        """Tells whether the model has users to be asked for by id: private and stripped models have none."""
        return len(self.user_vocabulary) > 0

    def _check_has_users(self, wanted: str, instead: str) -> None:
        """Raises a ValueError if a request needs users, and there are none; the message says what to do instead."""
        if not self.has_users:
            raise ValueError(f"this {type(self).__name__} keeps no users, so {wanted}: {instead}")

    def _drop_users(self) -> None:
        """Drops the users: each array that has a row for each user, or for each of their events."""
        for name, field in fields_of(type(self)).items():
            if field.rows in ("n_users", "entries") and vars(self).get(name) is not None:
                setattr(self, name, _without_rows(vars(self)[name]))
        self.item_counts_ = self.told_counts()
        self.clear_derived()

    def told_counts(self) -> NDArray[np.int64]:
        """The number of users of each item, of shape (n_items,); 0 for items with fewer than `min_support`."""
        return np.where(self.item_counts_ >= self.min_support, self.item_counts_, 0)

    def clear_derived(self) -> None:
        """Drops the values derived from learned ones, before these change; copies of the model keep theirs."""
        self._derived = Derived()

    def derive(self, key: Key[T], make: Callable[[], T]) -> T:
        """See `Asked.derive`."""
        return self._derived.get(key, make)

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            name = type(self).__name__
            raise NotFittedError(f"This {name} instance is not fitted yet. Call 'fit' with the interactions first.")

    def __sklearn_is_fitted__(self) -> bool:
        return "seen_" in vars(self)

    def settle(self) -> None:
        """See `Asked.settle`."""

    # -- scikit-learn, pickle and files

    def _restore(self, *, check: bool) -> None:
        """Completes a loaded model: makes the values that are never saved and, with `check`, checks all.

        Raises a ValueError if the parts do not fit each other, so that no kernel reads a code out of range.
        """
        self.clear_derived()
        if not self.has_users:
            self.__dict__.update(keeps_users=False, capabilities=self.capabilities - OF_USERS)

    def _check_publishable(self) -> None:
        """Raises a ValueError if the model must not be written to a file."""

    def _check_relations(self, *, ranges: bool) -> None:
        """Raises a ValueError if learned values do not fit together, beyond their shapes; with `ranges` checks
        numbers, too.
        """

    def _check_data(self) -> None:
        """Raises a ValueError if `fit` would not have taken the data, or the counts do not follow from it."""
        if not self.has_users:  # there is nothing to count again
            return
        least = self.seen_.data.min(initial=np.inf)
        if least < 0 and not self.takes_negatives:
            raise ValueError(f"seen_.data must hold numbers from 0 on, got {least}")
        if self.order_ is not None and not is_order(self.seen_, self.order_):
            raise ValueError("order_ must number the entries of each row of seen_ from 0 on, each of them once")
        trained = self.seen_ if least > 0 else self._select_learned(self.seen_)
        if not np.array_equal(self.item_counts_, count_codes(trained.indices, self.n_features_in_)):
            raise ValueError(
                "item_counts_ must be the number of users of each item of seen_ that the model learns from"
            )

    def _sizes(self) -> Sizes:
        """The sizes of the symbols in the shapes of `_learned`, as far as other values than arrays tell them: see
        `fields`.
        """
        n_users, n_items = self.seen_.shape
        return {"n_users": n_users, "n_items": n_items, "entries": self.seen_.nnz}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = not self.takes_negatives
        return tags

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        freeze(self)  # unpickled arrays can be written to; kernels are compiled for read-only ones


def _without_rows(value: Any) -> Any:
    """A vocabulary, a matrix or an array of the same kind and width, with no rows."""
    if isinstance(value, Vocabulary):
        return value.picked(np.empty(0, np.int32))
    if isinstance(value, CodeMatrix):
        return pick_rows(value, slice(0, 0))
    return np.empty((0, *value.shape[1:]), value.dtype)


_name_options_of(Learner)
