"""Stripping: models without their users, to be published or shipped."""

import copy
from typing import Any, TypeVar

from fastrec.models.base.persistence import Team, freeze, share
from fastrec.models.base.recommender import Recommender

Model = TypeVar("Model", bound=Recommender)


def strip(model: Model) -> Model:
    """Returns a copy of a fitted model without its users: no ids, no histories, nothing learned about a single user.

    It answers histories as the model does: ``recommend(stripped.histories([["Alien", "Brazil"]]))``, and so
    `predict_pairs`, `transform` and `explain`; `similar_items` if the model has vectors or weights of items. A question
    with a user's id is an error, and so is an update. A fit makes it an ordinary model again. It is smaller and names
    nobody. It is not private, since weights and vectors of items follow from the users' histories
    (docs/explanation/privacy.md).

    Parameters
    ----------
    model
        A fitted model; it may be compressed, blended or re-ranked. It stays unchanged.

    Returns
    -------
    A model of the same class that can be saved, loaded and served. Its `seen_` has no rows.

    Raises
    ------
    TypeError
        If its answers come from its users' data: `UserKNN`, `SequenceKNN`, `TIFUKNN`, `GraphFilter` and `TwoStage`, and
        models that have one of these as a member.
    NotFittedError
        If the model is not fitted.

    Examples
    --------
    >>> import fastrec as fr
    >>> data = fr.Interactions([0, 0, 1, 1], [0, 1, 1, 2], users=["ann", "bob"], items=["Alien", "Brazil", "Clue"])
    >>> shipped = fr.strip(fr.ItemKNN().fit(data))
    >>> shipped.recommend(shipped.histories([["Alien"]]), k=1).items
    array([['Brazil']], dtype=object)
    >>> len(shipped.users_), shipped.seen_.shape
    (0, (0, 3))
    """
    if not isinstance(model, Recommender):
        raise TypeError(f"strip takes a fitted model of fastrec, got {type(model).__name__}")
    model._check_fitted()
    stripped: Model = _without_users(model)
    share(stripped)
    stripped._restore(check=False)
    freeze(stripped)
    return stripped


def _without_users(model: Any) -> Any:
    """A copy of the model and of its members that have dropped their users; they share nothing yet."""
    if model.reads_others:
        raise TypeError(
            f"{type(model).__name__} cannot be stripped: its answers come from its users' data. "
            "Publish another model, such as EASE or ImplicitALS"
        )
    stripped = copy.copy(model)
    for name, value in list(vars(model).items()):
        if isinstance(value, Team):
            setattr(stripped, name, type(value)(map(_without_users, value)))
    stripped._drop_users()
    return stripped
