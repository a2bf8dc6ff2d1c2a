"""Compressed factor models: users' and items' vectors in few bytes, which are never decoded as a whole."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if

from fastrec.compression import make_codec
from fastrec.data.vocabulary import CodeVocabulary
from fastrec.fields import Array, Fields, Nothing, fields_of
from fastrec.kernels.codes import Coded, measure_codes, score_pairs_of_codes
from fastrec.matrix.arrays import Codes, Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import pick_rows, rows_of_lists
from fastrec.matrix.sequences import HistoryRow
from fastrec.models.base.asking import Rows, Scores
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.explanation import Explaining, Explanation
from fastrec.models.base.factors import FactorRecommender, Side
from fastrec.models.base.fields import Arrays
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.persistence import freeze
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.scores import SearchedScores
from fastrec.models.base.single import Single
from fastrec.models.base.updating import Change
from fastrec.models.composed.compressed import Compressed
from fastrec.retrieval.coded import CodedIndex
from fastrec.retrieval.filters import ExcludedCodes

ITEMS_AT_ONCE = 1 << 13  # items decoded at a time in fold-in
ENTRIES_AT_ONCE = 1 << 17  # entries of histories at a time, if the histories have no more items than the number above
ROWS_AT_ONCE = 1 << 12  # vectors decoded at a time
FROM_HISTORIES = "histories"  # the `user_codec` that keeps only the histories of users
NO_USERS = "none"  # the `user_codec` that keeps no users


class CompressedFactors(Compressed, FactorRecommender):
    """A factor model whose factors are codes; made by `fastrec.compress`.

    Every family can be updated: changed and new users are folded in, and the learned codec encodes them. Items keep
    their codes, since codes cannot be trained. New items join the catalogue, but are not recommended until the original
    has learned them and is compressed again. A model whose users have features cannot be updated.

    Parameters
    ----------
    n_jobs : int or None
        Threads; None is all cores. The answer does not depend on it.

    Attributes
    ----------
    item_codes_, user_codes_ : uint8 arrays of shape (n_items, bytes), (n_users, bytes)
        The codes of the factors.
    codecs_ : dict of str to VectorCodec
        The codecs of the codes: "item_factors_", "user_factors_", and the model's other arrays with a row for each
        item.
    origin_ : tuple of one model
        The original without its factors: its options, and its other learned values.

    Examples
    --------
    >>> from fastrec.models import ImplicitALS, compress
    >>> small = compress(ImplicitALS(factors=2, random_state=0).fit(np.eye(4)), "float16")
    >>> small.decode_items([0, 3]).shape
    (2, 2)
    >>> small = compress(ImplicitALS(factors=2, random_state=0).fit(np.kron(np.eye(2), np.ones((9, 3)))))
    >>> small.update_users([0], [[0, 0, 0, 1, 1, 0]], how="replace").recommend(0, k=1).codes
    array([[5]], dtype=int32)
    """

    _compresses: ClassVar[Any] = FactorRecommender
    _learned: ClassVar[Fields] = {
        "user_factors_": Nothing(),
        "item_factors_": Nothing(),
        "index_": Nothing(),
        "item_codes_": Array(("n_items", "item_bytes"), "uint8"),
        "user_codes_": Array(("n_users", "user_bytes"), "uint8"),
        "other_codes_": Arrays(),
    }

    item_codes_: NDArray[np.uint8]
    user_codes_: NDArray[np.uint8]
    other_codes_: Mapping[str, NDArray[np.uint8]]

    def _take(self, model: FactorRecommender, codec: Any, user_codec: Any) -> "CompressedFactors":
        items, users = make_codec("codec", codec), None
        told = getattr(model, "users_given_", False) or getattr(model, "user_features_", None) is not None
        folded = not model.has_users or (isinstance(user_codec, str) and user_codec == FROM_HISTORIES)
        if model.has_users and folded and told:
            raise ValueError(
                f"user_codec must not be {FROM_HISTORIES!r} for this {type(model).__name__}: its users' factors do not "
                "follow from histories alone"
            )
        if user_codec is not None and not folded:
            users = make_codec("user_codec", user_codec, besides=(NO_USERS, FROM_HISTORIES))
        elif type(items).__name__ in ("ProductQuantizer", "BinaryCodec", "ResidualCodec"):
            users = make_codec("user_codec", "int8")
        arrays = {name: getattr(model, name) for name in model._by_item}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        width = int(model._comparable(model.item_factors_[:1]).shape[1])  # biases are the last columns
        whole, warm, answered = model._whole(), model.recommendable_items(), _mask_answered(model)
        self._adopt_model(model, ("user_factors_", "index_", *arrays, *model._spare))
        self.kept_ = {f"whole/{name}": array for name, array in whole.items()}
        self.kept_ |= {} if warm is None else {"warm": warm}
        self.kept_ |= {} if answered is None else {"answered": answered}
        self.codecs_, codes = {}, {}
        for name, array in {**arrays, **({} if folded else {"user_factors_": model.user_factors_})}.items():
            own = make_codec("codec", items if name != "user_factors_" or users is None else users)
            self.codecs_[name] = own.fit(array, exact_columns=max(0, array.shape[1] - width))
            codes[name] = own.transform(array)
        self.item_codes_ = codes.pop("item_factors_")
        self.user_codes_ = codes.pop("user_factors_", np.empty((len(model.user_factors_), 0), np.uint8))
        self.other_codes_ = {name: readonly(rows) for name, rows in codes.items()}
        freeze(self)
        return self

    def _drop_users(self) -> None:
        """See `Learner._drop_users`."""
        super()._drop_users()
        self.codecs_ = {name: codec for name, codec in self.codecs_.items() if name != "user_factors_"}
        self.user_codes_ = np.empty((0, 0), np.uint8)

    def _update(self, change: Change) -> None:
        old = self._origin
        if getattr(old, "user_features_", None) is not None:
            raise TypeError(
                f"a compressed {type(old).__name__} whose users have features cannot be updated: update the original "
                "and compress it again"
            )
        self._follow_data()
        self._grow_items()
        n_users, codec = self.seen_.shape[0], self.codecs_.get("user_factors_")
        changed = np.union1d(change.users, np.arange(len(self.user_codes_), n_users)).astype(np.int32)
        codes = _extend_rows(self.user_codes_, n_users)
        if codec is not None:
            for rows in (changed[at : at + ROWS_AT_ONCE] for at in range(0, len(changed), ROWS_AT_ONCE)):
                codes[rows] = codec.transform(codec.shorten(self._factors_of(rows)))
        self.user_codes_ = codes
        if "answered" in self.kept_:
            answered = _extend_rows(self.kept_["answered"], n_users)
            answered[change.users] = False
            self.kept_ = {**self.kept_, "answered": answered}

    def _grow_items(self) -> None:
        """Gives new items the codes of zero vectors."""
        n_items = self.n_features_in_
        more = n_items - len(self.item_codes_)
        if not more:
            return
        self.item_codes_ = self._with_nothing("item_factors_", more)
        self.other_codes_ = {name: readonly(self._with_nothing(name, more)) for name in self.other_codes_}
        warm = self.kept_.get("warm", np.ones(n_items - more, bool))
        self.kept_ = {**self.kept_, "warm": _extend_rows(warm, n_items)}

    def _with_nothing(self, name: str, more: int) -> NDArray[np.uint8]:
        codec = self.codecs_[name]
        return np.concatenate([self._rows(name), codec.transform(np.zeros((more, codec.n_features_in_), np.float32))])

    def decode_items(self, items: Any) -> Floats:
        """Decodes the factors of some items; compression makes them approximate.

        Parameters
        ----------
        items
            Codes of n items.

        Returns
        -------
        ndarray of float32, of shape (n, factors)
        """
        return self._decode("item_factors_", CodeVocabulary(self.n_features_in_).look_up("items", items))

    def decode_users(self, users: Any) -> Floats:
        """Decodes the factors of some users of the training data; see `decode_items`."""
        return self._known_users(CodeVocabulary(self.seen_.shape[0]).look_up("users", users))

    def _decode(self, name: str, codes: Codes) -> Floats:
        return self.codecs_[name].decode(self._codes_of(name), codes)

    def _codes_of(self, name: str) -> Coded:
        key: Key[Coded] = Key(f"codes of {name}")
        return self._derived.get(key, lambda: self.codecs_[name].coded(self._rows(name)))

    def _all_rows(self) -> list[NDArray[np.uint8]]:
        return [self._rows(name) for name in self.codecs_]

    def _rows(self, name: str) -> NDArray[np.uint8]:
        own = {"item_factors_": self.item_codes_, "user_factors_": self.user_codes_}
        return own[name] if name in own else self.other_codes_[name]

    # -- folding in

    def _fold_in(self, matrix: CodeMatrix) -> Floats:
        factors = np.zeros((matrix.shape[0], self._n_features_out), np.float32)
        few = self.n_features_in_ <= ITEMS_AT_ONCE
        for rows in _runs(matrix, ENTRIES_AT_ONCE if few else ITEMS_AT_ONCE):
            some = pick_rows(matrix, rows)
            part, places, _ = self._part_of(some.indices)
            factors[rows] = part._fold_in(assemble_csr(some.data, places, some.indptr, some.shape))
        return factors

    def _part_of(self, indices: Codes, item: int | None = None) -> tuple[Any, Codes, int]:
        """A copy of the original with the vectors of some items, the places of the indices in it, and that of one
        more item.
        """
        whole = {name.removeprefix("whole/"): array for name, array in self.kept_.items() if name.startswith("whole/")}
        origin = self._origin
        extra = origin._items_to_fold(whole)
        items = np.unique(np.concatenate([indices, extra, [] if item is None else [item]])).astype(np.int32)
        if not len(items):
            items = np.zeros(min(1, self.n_features_in_), np.int32)
        arrays = {name: readonly(self._decode(name, items)) for name in self.codecs_ if name != "user_factors_"}
        part = origin._with_items(items, arrays, whole)
        part.n_jobs = self.n_jobs
        places = np.searchsorted(items, indices).astype(np.int32)
        return part, places, -1 if item is None else int(np.searchsorted(items, item))

    # -- answering

    def _known_users(self, codes: Codes) -> Floats:
        """The vectors of users of the training data: decoded, or folded in if the model keeps none."""
        if "user_factors_" in self.codecs_:
            return self._decode("user_factors_", codes)
        return self._factors_of(codes)

    def _known_user(self, code: int) -> Floats:
        return readonly(self._known_users(np.array([code], np.int32))[0])

    def build_index(self, index: Any = None) -> Self:
        """Refuses: searches read the codes.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            f"{type(self).__name__} takes no index, since it would keep the items' vectors beside "
            "their codes, and searches read the codes. Build one for the original model"
        )

    def _search(self, audience: Audience, k: int, wanted: ItemFilter) -> tuple[Codes, NDArray[np.float32]]:
        index, n = self._index_of_codes("item_factors_", "ip"), len(audience)
        codes, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        for start in range(0, n, ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, n))
            vectors = self._vectors(audience.part(rows))
            exclude, allow = wanted.part(rows)
            top = index.search(vectors, k, exclude, allow=allow)
            codes[rows], scores[rows] = top.codes, top.scores
        return codes, scores

    def _search_one(
        self, who: Single, row: HistoryRow, k: int, only: NDArray[np.bool_] | None
    ) -> tuple[Codes, Floats] | None:
        index = self._index_of_codes("item_factors_", "ip")
        exclude = ExcludedCodes(np.array([0, len(row.codes)]), row.codes)
        top = index.search(self._vector_of_one(who)[None], k, exclude, allow=self._mask_within(only))
        return top.codes[0], top.scores[0]

    def scores(self, audience: Audience) -> Scores:
        """See `Asked.scores`."""
        return SearchedScores(self._search, self.pair_scores, audience)

    def _index_of_codes(self, side: Side, metric: str) -> CodedIndex:
        key: Key[CodedIndex] = Key(f"codes by {metric} of {side}")
        index = self._derived.get(key, lambda: self._make_index(side, metric))
        index.n_jobs = self.n_jobs
        return index

    def _make_index(self, side: Side, metric: str) -> CodedIndex:
        norms = self._norms(side) if metric == "cosine" else None
        return CodedIndex(self.codecs_[side], self._rows(side), norms, self.n_jobs)

    def _norms(self, side: Side) -> Floats:
        """The norms of one side's vectors over the compared columns; the vectors are decoded in parts."""
        n, width = len(self._rows(side)), self._n_compared
        if width == self._n_features_out:
            norms = np.empty(n)
            measure_codes(self._codes_of(side), np.empty(width, np.float32), norms)
            return norms.astype(np.float32)
        parts = [
            np.linalg.norm(self._decode(side, codes)[:, :width].astype(np.float64), axis=1)
            for codes in (np.arange(s, min(s + ROWS_AT_ONCE, n), dtype=np.int32) for s in range(0, n, ROWS_AT_ONCE))
        ]
        return np.concatenate([*parts, np.empty(0)]).astype(np.float32)

    @property
    def _n_compared(self) -> int:
        """The number of columns that similarities compare: the first ones; biases are the last."""
        return int(self._origin._comparable(np.zeros((1, self._n_features_out), np.float32)).shape[1])

    def _similar_items(self, items: Codes, k: int) -> tuple[Codes, NDArray[np.float32]]:
        side = self._alike_side()
        return self._nearest(side, self._decode(side, items), items, k, self.recommendable_items())

    def _alike_side(self) -> Side:
        sides: tuple[Side, ...] = self._origin._alike_by
        return next(side for side in sides if side in self.codecs_)

    def _nearest(
        self,
        side: Side,
        vectors: NDArray[np.float32],
        itself: Codes | None,
        k: int,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[Codes, NDArray[np.float32]]:
        if side not in self.codecs_:
            raise TypeError(
                "similar_users needs the vectors of all users, and this model keeps none: compress "
                f"the original with another user_codec than {FROM_HISTORIES!r}"
            )
        index = self._index_of_codes(side, "cosine")
        vectors = vectors.copy()
        vectors[:, self._n_compared :] = 0
        known = index.norms > 0
        if allowed is not None:
            known &= allowed
        exclude = None if itself is None else rows_of_lists(itself, np.ones(len(itself), np.int64), len(index.norms))
        top = index.search(vectors, k, exclude, allow=None if known.all() else known)
        nothing = ~vectors.any(axis=1)
        codes, scores = top.codes.copy(), top.scores.copy()
        codes[nothing], scores[nothing] = -1, -np.inf
        return codes, scores

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """See `Asked.pair_scores`."""
        return Recommender.pair_scores(self, audience, rows, items)

    def _score_pairs(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        scores, queries = np.empty(len(items), np.float32), self.codecs_["item_factors_"].turn(self._vectors(audience))
        coded, buffer = self._codes_of("item_factors_"), np.empty(self._n_features_out, np.float32)
        for start in range(0, len(items), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            score_pairs_of_codes(coded, readonly(items[some]), queries[rows[some]], buffer, scores[some])
        return scores

    def _helpless(self, audience: Audience, on_empty: str) -> NDArray[np.bool_] | None:
        answered = self.kept_.get("answered")
        if answered is None or audience.codes is None:
            return super()._helpless(audience, on_empty)
        rest = ~((audience.codes >= 0) & answered[np.maximum(audience.codes, 0)])
        among = super()._helpless(audience.part(rest), on_empty) if rest.any() else None
        if among is None:
            return None
        helpless = np.zeros(len(audience), bool)
        helpless[rest] = among
        return helpless

    @available_if(lambda self: hasattr(self, "origin_") and "explain" in self._origin.capabilities)  # type: ignore[untyped-decorator]
    def explain(self, user: Any, item: Any, k: int | None = None) -> Explanation:
        """Explains the score of one item by the contribution of each item of a user's history, as the original does.

        Parameters
        ----------
        user
            The id of a user of the training data, or a history, as Interactions or a matrix of one row.
        item
            The id of the item.
        k
            Only the largest `k` contributions; None is all.

        Returns
        -------
        Explanation
            `score`, the score of the folded-in history, and `items` with their `contributions`.
        """
        return Explaining.explain(self, user, item, k)

    def contributions(self, audience: Audience, item: int) -> NDArray[np.float64]:
        """See `Explaining.contributions`: those of the original."""
        history = self._weigh(audience)
        part, places, place = self._part_of(history.indices, item)
        local = assemble_csr(history.data, places, history.indptr, history.shape)
        return np.asarray(part._contributions(local, place), np.float64)

    @property
    def _n_features_out(self) -> int:
        return self.codecs_["item_factors_"].n_features_in_

    def _check_relations(self, *, ranges: bool) -> None:
        super()._check_relations(ranges=ranges)
        if "item_factors_" not in self.codecs_:
            raise ValueError("codecs_ lacks that of item_factors_")
        for name in self._origin._by_item:
            kept = name in vars(self._origin) or fields_of(type(self._origin))[name].absent
            if name in vars(self._origin) if name in self.codecs_ else not kept:
                raise ValueError(f"{name} must be among the codes or in the original model")
        users = self.codecs_.get("user_factors_")
        if users is not None and users.n_features_in_ != self._n_features_out:
            raise ValueError("its users' and items' factors must have the same width")
        if users is None and self.user_codes_.shape[1]:
            raise ValueError("user_codes_ must have a codec")


def _mask_answered(model: FactorRecommender) -> NDArray[np.bool_] | None:
    """Marks the users whom the model answers without a history, if it does that at all."""
    everyone = np.arange(model.seen_.shape[0], dtype=np.int32)
    helpless = model._helpless(Audience(model, everyone, everyone, None), "popular")
    empty = np.diff(model._training.indptr) == 0
    answered: NDArray[np.bool_] = empty if helpless is None else empty & ~helpless
    return answered if answered.any() and model.needs_history else None


def _extend_rows(array: NDArray[Any], n: int) -> NDArray[Any]:
    """A copy with n rows; the new ones are zeros."""
    grown = np.zeros((n, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _runs(matrix: CodeMatrix, entries: int) -> list[slice]:
    """Runs of successive rows with at most so many entries together, and at least one row in each run."""
    runs, start = [], 0
    while start < matrix.shape[0]:
        stop = int(np.searchsorted(matrix.indptr, matrix.indptr[start] + entries, side="right")) - 1
        stop = max(start + 1, stop)
        runs.append(slice(start, min(stop, matrix.shape[0])))
        start = stop
    return runs
