"""Stripping: models without their users, to be published or shipped."""

import copy
from typing import Any, TypeVar

from fastrec.models.base.persistence import Team, freeze, share
from fastrec.models.base.recommender import Recommender

Model = TypeVar("Model", bound=Recommender)


def strip(model: Model) -> Model:
    """A copy of a fitted model without its users: no ids, no histories, nothing that was learned of a single user.

    It answers histories as the model does: ``recommend(stripped.histories([["Alien", "Brazil"]]))``, and so
    `predict_pairs`, `transform` and `explain`; `similar_items` where the model has vectors or weights of items. Whoever
    asks it by a user's id gets an error that says so, and so does who updates it. A fit makes it an ordinary model
    again. It is smaller, and names nobody; it is not private, since weights and vectors of items follow from what users
    did (docs/explanation/privacy.md).

    Parameters
    ----------
    model
        A fitted model, compressed, blended or re-ranked too. It stays as it is.

    Returns
    -------
    A model of the same class, that can be saved, loaded and served. Its `seen_` has no rows.

    Raises
    ------
    TypeError
        Where its answers are made of what it holds of its users: of `UserKNN`, `SequenceKNN`, `GraphFilter` and
        `TwoStage`, and of models that have one of these as a member.
    NotFittedError
        Where it is not fitted.

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
    """A copy, and copies of what it is made of, that have dropped their users and share nothing yet."""
    if model.reads_others:
        raise TypeError(
            f"{type(model).__name__} cannot be stripped: its answers are made of what it holds of its users. Publish "
            "another model, EASE or ImplicitALS say"
        )
    stripped = copy.copy(model)
    for name, value in list(vars(model).items()):
        if isinstance(value, Team):
            setattr(stripped, name, type(value)(map(_without_users, value)))
    stripped._drop_users()
    return stripped
