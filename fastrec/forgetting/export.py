"""The data held about one user."""

from typing import Any

from fastrec.forgetting.journals import Place, open_journal
from fastrec.models import Recommender
from fastrec.online import EventLog
from fastrec.online.journal import Id

Record = dict[str, Any]


def export_user(model: Recommender, user: Id, journal: EventLog | Place | None = None) -> Record:
    """Collects all that a model and a journal hold about one user, as values that JSON takes.

    Parameters
    ----------
    model
        A fitted model.
    user
        The user's id (code, if the model was fitted with a matrix).
    journal
        The journal whose events the model follows, or its address: an existing file, or ``postgresql://…``.

    Returns
    -------
    dict
        `user` is the id. `history` is a list of items with values, and the place of each in the user's order if the
        model has one. `vector` is the learned vector of the user, if the model keeps it. `events` are those of the
        journal.

    Raises
    ------
    ValueError
        If neither knows the user.

    Examples
    --------
    >>> import fastrec as fr
    >>> data = fr.Interactions([0, 1], [0, 1], users=["anna", "bert"], items=["Alien", "Brazil"])
    >>> export_user(fr.Popularity().fit(data), "anna")["history"]
    [{'item': 'Alien', 'value': 1.0}]
    """
    code = model.user_vocabulary.match([user])[0]
    with open_journal(journal) as log:
        events = [] if log is None else log.history(user)
    if code < 0 and not events:
        raise ValueError(f"nothing is held about the user {user!r}")
    told: Record = {"user": user, "history": [] if code < 0 else _history(model, code)}
    vectors = getattr(model, "user_factors_", None)
    if code >= 0 and vectors is not None:
        told["vector"] = vectors[code].tolist()
    if journal is not None:
        told["events"] = [
            {"seq": event.seq, "item": event.item, "value": event.value, "time": event.time} for event in events
        ]
    return told


def _history(model: Recommender, code: int) -> list[Record]:
    start, stop = model.seen_.indptr[code : code + 2]
    items = model.item_vocabulary.decode(model.seen_.indices[start:stop]).tolist()
    values = model.seen_.data[start:stop].tolist()
    told: list[Record] = [{"item": item, "value": value} for item, value in zip(items, values, strict=True)]
    for place, one in enumerate(told if model.order_ is not None else []):
        one["place"] = int(model.order_[start + place])  # type: ignore[index]
    return told
