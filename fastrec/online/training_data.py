"""The data of a new model: those of the model before it, and the events since."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions, Vocabulary
from fastrec.matrix.cells import row_numbers
from fastrec.models import CompressedFactors, CompressedWeights, Recommender
from fastrec.models.base.updating import pad_facts, resize
from fastrec.online.acceptance import select_takeable
from fastrec.online.journal import Entry, Event, Id


def interactions_of(model: Recommender, entries: Sequence[Entry], policy: Any, time_unit: Any = None) -> Interactions:
    """Returns the events as Interactions for the model's `partial_fit`, without those that it could never take."""
    events = select_takeable(model, entries)
    if policy == "last":  # the last one by the journal's own order, which no clock changes
        events = list({(event.user, event.item): event for event in events}.values())
    users, user_codes = _number_ids([event.user for event in events], model.users_)
    items, item_codes = _number_ids([event.item for event in events], model.items_)
    known = _fill_times(events)
    values = np.array([event.value for event in events], np.float32)
    data = Interactions(user_codes, item_codes, values, users=users, items=items, duplicates=policy)
    # A few moments may have many events here: these are times, even if they look like a flag.
    return data if known is None else data._replace(times=known, time_unit=time_unit)


def training_data(
    model: Recommender, entries: Sequence[Entry], gone: list[int], policy: Any, time_unit: Any = None
) -> Any:
    """Returns the data of a model, without deleted users, and the events since; a matrix for a model without ids."""
    new = interactions_of(model, entries, policy, time_unit)
    users, items = model.user_vocabulary, model.item_vocabulary
    all_users, all_items = users.extended(new.users.ids), items.extended(new.items.ids)
    rows, columns, values = _training_events(model)
    kept = ~np.isin(rows, gone)
    ones = np.ones(new.n_interactions, np.float32) if new.values is None else new.values
    info = model.item_info_
    if info is not None:
        more = len(all_items) - len(items)
        info = {name: pad_facts(column, more) for name, column in info.items()}
    data = Interactions(
        np.concatenate([rows[kept], all_users.encode(new.users.ids)[new.user_codes]]),
        np.concatenate([columns[kept], all_items.encode(new.items.ids)[new.item_codes]]),
        np.concatenate([values[kept], ones]),
        users=all_users,
        items=all_items,
        item_info=info,
        duplicates=policy,
    )
    return data if model.users_ is not None else data.matrix


def _training_events(model: Recommender) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Returns the entries that a model was made from: user codes, item codes and values."""
    seen = model.seen_
    return row_numbers(seen).astype(np.int32), seen.indices, seen.data


def check_updatable(model: Recommender) -> None:
    """Refuses a model that a checkpoint cannot update."""
    if not model.has_users:
        raise TypeError(f"{type(model).__name__} keeps no users, so a checkpoint cannot update it: publish a new model")
    if "partial_fit" not in model.capabilities:
        raise TypeError(f"{type(model).__name__} has no partial_fit, which a checkpoint needs: refit it instead")


def check_refittable(model: Recommender) -> None:
    """Refuses a model that cannot be fitted again from its own data: a compressed one, or one with features not
    kept.
    """
    name = type(model).__name__
    if isinstance(model, CompressedFactors | CompressedWeights):
        raise TypeError(f"{name} cannot be fitted again: refit the original, compress it and publish it")
    if not model.keeps_users:
        raise TypeError(f"{name} keeps no users, so it cannot be fitted again: fit it with the data and publish it")
    warm = model.recommendable_items()
    cold_are_answered = bool(((model.item_counts_ == 0) & (True if warm is None else warm)).any())
    if cold_are_answered and getattr(model, "item_features_", None) is None:
        raise TypeError(f"{name} was fitted with features that it does not keep: fit it with them and publish it")


def features_of(model: Recommender, shape: tuple[int, int]) -> dict[str, Any]:
    """Returns the features of users and items of a model's fit, padded for a fit to more of them."""
    options: dict[str, Any] = {}
    for name, n in (("user_features", shape[0]), ("item_features", shape[1])):
        features = getattr(model, f"{name}_", None)
        if features is None or not getattr(model, "features_given_", True):
            continue
        more = n - features.shape[0]
        if isinstance(features, np.ndarray):
            options[name] = np.concatenate([features, np.zeros((more, features.shape[1]), features.dtype)])
        else:
            options[name] = resize(features, (n, features.shape[1]))
    return options


def _fill_times(events: Sequence[Event]) -> NDArray[np.int64] | None:
    """Returns the time of each event; a missing one is that of the event before it, or after it. None if none has
    any.
    """
    given = [event.time for event in events if event.time is not None]
    if not given:
        return None
    last, times = given[0], []
    for event in events:
        last = last if event.time is None else event.time
        times.append(last)
    return np.array(times, np.int64)


def _number_ids(ids: list[Id], vocabulary: Vocabulary | None) -> tuple[Vocabulary, list[int]]:
    """Returns a vocabulary of the ids in the order of their arrival, and a code for each."""
    codes: dict[Id, int] = {}
    numbers = [codes.setdefault(given, len(codes)) for given in ids]
    kind: Any = object if vocabulary is not None and vocabulary.kind == "str" else np.int64
    return Vocabulary(np.array(list(codes), kind)), numbers
