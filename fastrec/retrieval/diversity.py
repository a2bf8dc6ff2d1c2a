"""Re-ranking of a `TopK`: less of the same (MMR), the user's own mix of genres, no more than so many of a group.

Each rule takes a longer list and returns the best `k` of it. The scores stay those of the model, so they are no longer
in descending order. The cost in accuracy and the gain in diversity are shown by ``evaluate({"plain": model, "diverse":
Reranked(model, MMR())}, test, ["ndcg@10", "diversity@10"], item_features=…)``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix
from fastrec.options import Integer, Number, Options, OptionsMixin, Other, check_options
from fastrec.retrieval.topk import TopK
from fastrec.validation import check_size

Floats = NDArray[np.float64]

# about the memory of the candidates' vectors for a batch of users
_BATCH_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class MMR(OptionsMixin):
    r"""Maximal marginal relevance: each place goes to an item that is relevant and unlike the items above it.

    .. math:: \arg\max_i \; (1 - \lambda)\, r_i - \lambda \max_{j \text{ above}} \cos(v_i, v_j)

    with :math:`r_i` the model's score, brought to 0 … 1 over the user's candidates.

    Parameters
    ----------
    trade_off
        :math:`\lambda`, from 0 (the model's order) to 1 (only difference counts).
    vectors
        The vectors that distinguish items, dense or sparse, of shape (n_items, n_features); the name of a column of the
        model's `item_info` with labels between "|"; or None for the model's own `item_factors_` (the last two in a
        `Reranked`).

    References
    ----------
    Carbonell and Goldstein, The use of MMR, SIGIR 1998.

    Examples
    --------
    >>> top = TopK([[0, 1, 2]], [[0.9, 0.8, 0.7]])
    >>> MMR(0.5, vectors=[[1, 0], [1, 0], [0, 1]])(top, k=2).codes
    array([[0, 2]], dtype=int32)
    """

    _options: ClassVar[Options] = {
        "trade_off": Number(0, 1),
        "vectors": Other("array or sparse matrix of shape (n_items, n_features), str,", also=(None,)),
    }

    trade_off: float = 0.3
    vectors: Any = None

    def __call__(self, top: TopK, k: int = 10, histories: Any = None) -> TopK:
        """The best `k` of each row of a longer list."""
        self._check_options()
        listed, places = _list_places(top)
        vectors = _dense(self.vectors, "MMR.vectors", listed)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)

        def pick(rows: slice, relevance: Floats, count: int) -> NDArray[np.int64]:
            return _pick_marginal(unit[places[rows]], relevance, float(self.trade_off), count)

        return _rerank(top, check_size("k", k), unit.shape[1], pick)


def _pick_marginal(vectors: Floats, relevance: Floats, share: float, count: int) -> NDArray[np.int64]:
    """Picks candidates one by one; returns their places, of shape (b, count)."""
    everyone = np.arange(len(relevance))
    left = _scale(relevance, 1 - share)
    nearest = np.full(relevance.shape, -np.inf)
    picked = np.empty((len(relevance), count), np.int64)
    for step in range(count):
        value = left if step == 0 else left - share * nearest
        picked[:, step] = place = np.argmax(value, axis=1)
        left[everyone, place] = -np.inf
        np.maximum(nearest, np.einsum("bdf,bf->bd", vectors, vectors[everyone, place]), out=nearest)
    return picked


@dataclass(frozen=True, eq=False)
class Calibration(OptionsMixin):
    r"""Lists whose mix of features (genres) is near the mix in the user's history.

    Each place goes to the item for which :math:`(1 - w) \sum r_i - w\, \mathrm{KL}(p, q)` of the list so far is
    highest. Here p is the mix in the history and q the mix in the list, as in `fastrec.metrics.calibration`.

    Parameters
    ----------
    weight
        w, from 0 (the model's order) to 1.
    features
        Weights of at least 0 of shape (n_items, n_features); or, in a `Reranked`, the name of a column of the model's
        `item_info` with labels between "|".

    References
    ----------
    Steck, Calibrated recommendations, RecSys 2018.

    Examples
    --------
    >>> top = TopK([[0, 1, 2]], [[0.9, 0.8, 0.7]])
    >>> genres, history = np.array([[1, 0], [1, 0], [0, 1], [0, 1]]), np.array([[0, 0, 0, 1]])
    >>> Calibration(0.9, features=genres)(top, k=2, histories=history).codes
    array([[2, 0]], dtype=int32)
    """

    _options: ClassVar[Options] = {
        "weight": Number(0, 1),
        "features": Other("array or sparse matrix of shape (n_items, n_features), or str"),
    }

    weight: float = 0.5
    features: Any = "genres"

    def __call__(self, top: TopK, k: int = 10, histories: Any = None) -> TopK:
        """The best `k` of each row of a longer list; `histories` has a row for each."""
        self._check_options()
        if histories is None:
            raise ValueError("Calibration needs histories, a row for each of the list")
        had = check_matrix(histories, name="histories", negative="accept")
        met, local = np.unique(had.indices, return_inverse=True)
        listed, places = _list_places(top)
        features = _dense(self.features, "Calibration.features", np.concatenate([listed, met]))
        if had.shape != (len(top), np.shape(self.features)[0]):
            raise ValueError(f"histories must be of shape {(len(top), np.shape(self.features)[0])}, got {had.shape}")
        if features.min(initial=0) < 0:
            raise ValueError("Calibration.features must not be negative")
        shares = _to_one(features)
        values = sparse.csr_array((np.maximum(had.data, 0), local, had.indptr), shape=(len(top), len(met)))
        wanted = _to_one(np.asarray(values @ shares[len(listed) : len(listed) + len(met)]))

        def pick(rows: slice, relevance: Floats, count: int) -> NDArray[np.int64]:
            return _pick_calibrated(shares[places[rows]], relevance, wanted[rows], float(self.weight), count)

        return _rerank(top, check_size("k", k), shares.shape[1], pick)


def _pick_calibrated(shares: Floats, relevance: Floats, wanted: Floats, weight: float, count: int) -> NDArray[np.int64]:
    everyone = np.arange(len(relevance))
    left = _scale(relevance, 1 - weight)
    so_far = np.zeros_like(wanted)
    picked = np.empty((len(relevance), count), np.int64)
    # the part of the divergence that depends on the list: the sum of p log(0.99 q + 0.01 p)
    blur = np.where(wanted > 0, 0.01 * wanted, 1.0)[:, None, :]
    for step in range(count):
        mix = so_far[:, None, :] + shares
        sizes = mix.sum(axis=2, keepdims=True)
        mix *= np.divide(0.99, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        mix += blur
        np.log(mix, out=mix)
        picked[:, step] = place = np.argmax(left + weight * np.einsum("bdg,bg->bd", mix, wanted), axis=1)
        left[everyone, place] = -np.inf
        so_far += shares[everyone, place]
    return picked


@dataclass(frozen=True, eq=False)
class GroupCap(OptionsMixin):
    """Limits the items of one group in a list, such as an artist, a brand or a series.

    Parameters
    ----------
    most
        The maximum number of items of each group.
    groups
        A label per item, of shape (n_items,); a matrix (n_items, n_groups) of ones for items in several groups; or, in
        a `Reranked`, the name of a column of the model's `item_info`, with labels between "|". An item without a label
        (None, "") is in no group.

    Examples
    --------
    >>> top = TopK([[0, 1, 2, 3]], [[0.9, 0.8, 0.7, 0.6]])
    >>> GroupCap(1, groups=["Bach", "Bach", "Cage", None])(top, k=3).codes
    array([[0, 2, 3]], dtype=int32)
    """

    _options: ClassVar[Options] = {
        "most": Integer(1),
        "groups": Other("sequence of shape (n_items,), matrix of shape (n_items, n_groups), str,", also=(None,)),
    }

    most: int = 2
    groups: Any = None

    def __call__(self, top: TopK, k: int = 10, histories: Any = None) -> TopK:
        """The first `k` of each row of a longer list that the cap allows."""
        self._check_options()
        k = check_size("k", k)
        groups = self.groups
        if groups is None or isinstance(groups, str):
            raise ValueError("GroupCap.groups must be a label per item or a matrix; a column's name goes in a Reranked")
        member = check_matrix(groups) if _is_matrix(groups) else label_matrix(groups, separator=None)
        _check_items("GroupCap.groups", member.shape[0], top.codes)
        return cap_labels(top, k, member, int(self.most))


def cap_labels(top: TopK, k: int, member: CodeMatrix, most: int | NDArray[Any], before: Sequence[int] = ()) -> TopK:
    """Returns the first `k` of each row of a longer list within the limits of labels.

    Parameters
    ----------
    top
        The longer list.
    k
        The number of items.
    member
        Items × labels.
    most
        The maximum number of items with each label; a number for all, or one for each, of shape (n_labels,).
    before
        Codes of items that count already.

    Examples
    --------
    >>> top = TopK([[0, 1, 2, 3]], [[0.9, 0.8, 0.7, 0.6]])
    >>> labels = check_matrix([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> cap_labels(top, 3, labels, np.array([1, 2])).codes, cap_labels(top, 3, labels, 1, before=[3]).codes
    (array([[0, 2, 3]], dtype=int32), array([[ 0, -1, -1]], dtype=int32))
    """
    kept = np.zeros(top.codes.shape, bool)
    for start in range(0, len(top), 4096):
        rows = slice(start, start + 4096)
        kept[rows] = _within_caps(top.codes[rows], member, most, k, before)
    return _choose(top, np.argsort(~kept, axis=1, kind="stable")[:, :k], np.minimum(kept.sum(axis=1), k), k)


def _within_caps(
    codes: NDArray[np.int32], member: CodeMatrix, most: int | NDArray[Any], k: int, before: Sequence[int]
) -> NDArray[np.bool_]:
    """Chooses the places that stay, from the top: those with no full group, until there are k."""
    kept = np.zeros(codes.shape, bool)
    # only the groups that occur in these lists are counted
    listed = sparse.csr_array((member.data, member.indices, member.indptr), shape=member.shape)[
        np.maximum(codes, 0).ravel()
    ]
    met, local = np.unique(listed.indices, return_inverse=True)
    indptr = listed.indptr
    counts = np.tile(_count_met(met, member, before), (len(codes), 1))
    full_at = np.broadcast_to(most, member.shape[1])[met]
    rows = np.arange(len(codes))
    for place in range(codes.shape[1]):
        flat = rows * codes.shape[1] + place
        lengths = indptr[flat + 1] - indptr[flat]
        row = np.repeat(rows, lengths)
        entries = np.repeat(indptr[flat] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        group = local[entries]
        full = np.bincount(row, counts[row, group] >= full_at[group], len(codes)) > 0
        kept[:, place] = (codes[:, place] >= 0) & ~full & (kept.sum(axis=1) < k)
        counted = kept[row, place]
        counts[row[counted], group[counted]] += 1
    return kept


def _count_met(met: NDArray[Any], member: CodeMatrix, codes: Sequence[int]) -> NDArray[np.int32]:
    """Counts some items for each of the labels that occur."""
    counts = np.zeros(max(len(met), 1), np.int32)
    for code in codes:
        labels = member.indices[member.indptr[code] : member.indptr[code + 1]]
        counts[: len(met)] += np.isin(met, labels)
    return counts


# --- what they share -------------------------------------------------------------------------------------------------


def _rerank(top: TopK, k: int, width: int, pick: Any) -> TopK:
    """Makes lists of the picked places of each row, a batch at a time."""
    count = min(k, top.codes.shape[1])
    order = np.empty((len(top), count), np.int64)
    for rows in _batches(len(top), top.codes.shape[1] * width * 8):
        scores = top.scores[rows].astype(np.float64)
        order[rows] = pick(rows, _relevance(scores, top.valid[rows]), count)
    return _choose(top, order, np.minimum(top.valid.sum(axis=1), count), k)


def _relevance(scores: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Scores brought to 0 … 1 in each row, -inf if there is no item."""
    low = np.where(valid, scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    high = np.where(valid, scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    span = np.where(high > low, high - low, 1.0)
    return np.where(valid, (np.where(valid, scores, 0.0) - np.where(np.isfinite(low), low, 0.0)) / span, -np.inf)


def _scale(relevance: Floats, share: float) -> Floats:
    """Multiplies scores by a share; places without an item stay at -inf, even for a share of 0."""
    there = np.isfinite(relevance)
    return np.where(there, share * np.where(there, relevance, 0.0), -np.inf)


def _batches(n: int, bytes_each: int) -> Iterator[slice]:
    step = max(1, _BATCH_BYTES // max(bytes_each, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _choose(top: TopK, order: NDArray[np.int64], lengths: NDArray[Any], k: int) -> TopK:
    """Takes the places of `order` in each row, as many as there are, then empty ones."""
    codes = np.full((len(top), k), -1, np.int32)
    scores = np.full((len(top), k), -np.inf, np.float32)
    width = order.shape[1]
    there = np.arange(width) < lengths[:, None]
    codes[:, :width] = np.where(there, np.take_along_axis(top.codes, order, axis=1), -1)
    scores[:, :width] = np.where(there, np.take_along_axis(top.scores, order, axis=1), -np.inf)
    return top.replaced(codes, scores)


def _is_matrix(groups: Any) -> bool:
    return sparse.issparse(groups) or np.ndim(groups) == 2


def _list_places(top: TopK) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The codes that a list holds, and the place of each among them; 0 for an empty place."""
    valid = top.valid
    listed, local = np.unique(top.codes[valid], return_inverse=True)
    places = np.zeros(top.codes.shape, np.int64)
    places[valid] = local
    return listed.astype(np.int64), places


def _dense(features: Any, name: str, codes: NDArray[np.int64]) -> Floats:
    """The rows of some items as a dense array, and a zero row for an empty catalogue: lists are short."""
    if features is None or isinstance(features, str):
        raise ValueError(
            f"{name} must be a matrix with a row for each item; a column's name, or None, goes in a Reranked"
        )
    sparsely, given = sparse.issparse(features), cast("Any", features)
    given = given.tocsr() if sparsely else np.asarray(given)
    if given.ndim == 2:
        _check_items(name, given.shape[0], codes)
        some: Any = given[codes]
        matrix: NDArray[Any] = some.toarray() if sparsely else some
    if given.ndim != 2 or matrix.dtype.kind not in "iufb" or not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be a matrix of finite numbers with a row for each item")
    return matrix.astype(np.float64) if len(matrix) else np.zeros((1, given.shape[1]))


def _check_items(name: str, n_items: int, codes: NDArray[Any]) -> None:
    if codes.size and codes.max() >= n_items:
        raise ValueError(f"{name} has {n_items} rows, and the list holds the code {codes.max()}")


def _to_one(weights: Floats) -> Floats:
    sizes = weights.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(weights, sizes, out=np.zeros_like(weights), where=sizes > 0)
    return shares


def label_matrix(labels: Iterable[Any], separator: str | None = "|") -> CodeMatrix:
    """A matrix items × labels, 1 where an item has the label: from texts with separators, or from one label each.

    >>> label_matrix(["Drama|War", "War", ""]).toarray()
    array([[1., 1.],
           [0., 1.],
           [0., 0.]], dtype=float32)
    """
    if separator is None:
        lists = [[] if label is None or label == "" or label != label else [str(label)] for label in labels]
    else:
        lists = [[one for one in str(text).split(separator) if one] for text in labels]
    names = {name: place for place, name in enumerate(sorted({one for item in lists for one in item}))}
    rows = np.repeat(np.arange(len(lists)), [len(item) for item in lists])
    columns = np.array([names[one] for item in lists for one in item], dtype=np.int64)
    ones = np.ones(len(rows), np.float32)
    return check_matrix(sparse.coo_array((ones, (rows, columns)), shape=(len(lists), max(len(names), 1))))


# --- a rule and the model whose lists it re-ranks --------------------------------------------------------------------

_FIELDS: dict[type, str] = {MMR: "vectors", Calibration: "features", GroupCap: "groups"}
RULES = {kind.__name__: kind for kind in _FIELDS}


def field_of_rule(rule: Any) -> str | None:
    """The field of a rule that holds its facts about items; None for a function."""
    return _FIELDS.get(type(rule))


def data_of_rule(rule: Any) -> Any:
    """The facts of a rule about items, or their names; False for a function."""
    field = field_of_rule(rule)
    return False if field is None else getattr(rule, field)


def check_rule(name: str, rule: Any) -> None:
    """Raises a TypeError or ValueError unless the value is a function, or a rule with valid numbers."""
    if type(rule) in _FIELDS:
        check_options(rule)
    elif not callable(rule):
        raise TypeError(f"{name} must be an MMR, a Calibration or a GroupCap, got {rule!r}")


def bound_rule(rule: Any, model: Any) -> Any:
    """The rule with a matrix of the model's items, read-only: its own, or what it names.

    Raises
    ------
    ValueError
        If it names a column that the model lacks, or does not have one row for each of its items.
    """
    field = field_of_rule(rule)
    if field is None:  # a function
        return rule
    name, value = f"{type(rule).__name__}.{field}", getattr(rule, field)
    if value is None and field == "vectors":
        if not hasattr(model, "item_factors_"):
            raise ValueError(f"{type(model).__name__} has no item_factors_: give MMR its vectors")
        # Biases do not distinguish items: these are the columns that `similar_items` compares.
        value = model.alike_vectors() if hasattr(model, "alike_vectors") else np.asarray(model.item_factors_)
    elif isinstance(value, str):
        value = label_matrix(_column_of(name, value, model))
    elif value is None:
        raise ValueError(f"{name} must be a label for each item, a matrix, or the name of a column of item_info")
    matrix = _as_rows(name, value)
    if matrix.shape[0] != model.n_features_in_:
        raise ValueError(f"{name} has {matrix.shape[0]} rows, the model has {model.n_features_in_} items")
    return replace(rule, **{field: matrix})


def _column_of(name: str, column: str, model: Any) -> Any:
    info = model.item_info_ or {}
    if column not in info:
        known = ", ".join(map(repr, info)) or "none"
        raise ValueError(f"{name} names {column!r}, which is not a column of the model's item_info: {known}")
    return info[column]


def _as_rows(name: str, value: Any) -> Any:
    """Returns a row for each item: a matrix unchanged, labels as a matrix of ones."""
    if sparse.issparse(value):
        return check_matrix(value, name=name, negative="accept")
    if not _is_matrix(value):
        if name != "GroupCap.groups":
            raise ValueError(f"{name} must be a matrix with a row for each item, got {np.ndim(value)} dimensions")
        return label_matrix(value, separator=None)
    given = np.asarray(value)
    if given.dtype.kind not in "iufb":
        raise ValueError(f"{name} must be a matrix of finite numbers with a row for each item")
    if given.dtype not in (np.float32, np.float64):
        given = given.astype(np.float64)
    return readonly(given.copy() if given.flags.writeable else given)
