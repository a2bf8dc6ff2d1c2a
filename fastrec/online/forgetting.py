"""Models without some of their users: fitted again to the remaining data, with empty places instead of the users."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fastrec.data import Interactions, Vocabulary
from fastrec.matrix.arrays import readonly
from fastrec.matrix.cells import repeat_by_row
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import empty_rows, mark_rows
from fastrec.models import Blend, Item2Vec, Recommender, Reranked, SequenceKNN
from fastrec.online.training_data import check_refittable, features_of

HOLE = "(forgotten"  # begins the id that stands in the place of a user who was taken out
# The files of these models lack a part of their training data: the times of events, or a part that was held out.
_READ_MORE = (Blend, Item2Vec, Reranked, SequenceKNN)


def find_obstacle(model: Recommender) -> str | None:
    """The reason why a model cannot be fitted again from its own data; None if it can.

    >>> from fastrec.models import Popularity
    >>> find_obstacle(Popularity(half_life="30d"))
    'the times of its events are not in it'
    """
    last = getattr(model, "last", None)  # the model at the end of a Pipeline
    of_last = None if last is None else find_obstacle(last)
    if of_last is not None:
        return of_last
    if getattr(model, "needs_times", False) or isinstance(model, _READ_MORE):
        return "the times of its events are not in it"
    if not getattr(model, "learns", True):
        return "it was not fitted, but made from another model"
    try:
        check_refittable(model)
    except TypeError as error:
        return str(error)
    return None


def forget_users(model: Recommender, codes: Sequence[int], data: Interactions | None = None) -> Recommender:
    """Fits a new model with the same options to the same data, with the rows of some users emptied.

    Parameters
    ----------
    model
        A fitted model; it stays unchanged.
    codes
        The codes of its users. The codes stay taken, but their ids are replaced.
    data
        The data that it was fitted with, if `find_obstacle` finds an obstacle. Its users may have other codes than the
        model's.
    """
    if data is None:
        data = _remaining_data(model, codes)
    else:
        ids = model.user_vocabulary.decode(np.asarray(codes, np.int32)).tolist()
        data = empty_users(data, [code for code in data.users.match(ids) if code >= 0])
    features = features_of(model, data.shape)
    if "user_features" in features:
        features["user_features"] = _without_rows(features["user_features"], codes)
    fitted: Recommender = clone(model).fit(data, **features)
    return fitted


def empty_users(data: Interactions, codes: Sequence[int]) -> Interactions:
    """Returns the data without the events of some users, whose places stay without their ids.

    >>> data = Interactions([0, 1], [0, 0], users=["ann", "bob"], items=["Alien"])
    >>> left = empty_users(data, [0])
    >>> left.n_interactions, left.users.ids.tolist()
    (1, ['(forgotten 0)', 'bob'])
    """
    kept = np.flatnonzero(~np.isin(data.user_codes, codes))
    return data._choose(kept, users=hide_ids(data.users, codes))


def hide_ids(vocabulary: Vocabulary, codes: Sequence[int]) -> Vocabulary:
    """Returns the vocabulary with meaningless ids in place of some ids.

    >>> hide_ids(Vocabulary([17, 42]), [1]).ids.tolist()
    [17, -9223372036854775807]
    """
    ids = vocabulary.ids.copy()
    for code in codes:
        ids[code] = _hole(int(code), vocabulary)
    return Vocabulary(ids)


def _hole(code: int, vocabulary: Vocabulary) -> str | int:
    """Returns an id that nobody has."""
    if vocabulary.kind == "int":
        return int(np.iinfo(np.int64).min) + code
    name = f"{HOLE} {code})"
    while name in vocabulary:
        name += "'"
    return name


def _remaining_data(model: Recommender, codes: Sequence[int]) -> Any:
    """Returns a model's training data without some users: a matrix for a model without ids."""
    seen, order = model.seen_, model.order_
    left = empty_rows(seen, codes)
    if model.users_ is None:
        return left
    info = None if model.item_info_ is None else dict(model.item_info_)
    rows = repeat_by_row(left, np.arange(left.shape[0], dtype=np.int32))
    data = Interactions(
        *map(readonly, (rows, left.indices, left.data)),  # no other code writes to them: they are not copied
        users=hide_ids(model.users_, codes), items=model.items_, item_info=info, duplicates=model.duplicate_policy,
    )  # fmt: skip
    return data if order is None else data._replace(times=order[~mark_rows(seen, codes)].astype(np.int64))


def _without_rows(features: Any, codes: Sequence[int]) -> Any:
    """Returns the features with some rows emptied."""
    if isinstance(features, CodeMatrix):
        return empty_rows(features, codes)
    left: NDArray[Any] = np.array(features)
    left[np.asarray(codes)] = 0
    return left
