"""Forgetting users: in a model, its file or its versions, and the journal."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from fastrec.data import Interactions
from fastrec.data.ids import as_sequence
from fastrec.forgetting.batches import take_out
from fastrec.forgetting.journals import Place, list_files, list_unreached, open_journal
from fastrec.forgetting.receipt import UNREACHED, Receipt
from fastrec.forgetting.traces import checksum, find_traces
from fastrec.models import Recommender
from fastrec.online import EventLog, Versions
from fastrec.online.forgetting import find_obstacle, forget_users
from fastrec.online.journal import Id
from fastrec.online.versions import load_published, save_published

NO_USERS = "a private model knows no users"


def forget(
    model: Recommender | Place | None,
    users: Any,
    data: Interactions | None = None,
    *,
    journal: EventLog | Place | None = None,
    versions: Versions | Place | None = None,
    files: Iterable[Place] = (),
    dry_run: bool = False,
) -> Receipt:
    """Removes users from a model and its files, so that none of the given files keeps their data.

    Afterwards the model answers with the bits of a fit to the same data in which these users' rows are empty. Their
    codes stay, as places without an id. For that it is fitted again, to its own data or to `data`; a private model,
    which knows no users, stays unchanged. The journal loses their events and ids, and older versions are removed.

    Parameters
    ----------
    model
        A fitted model, which is changed in place; or its file, which is rewritten; or None, for the current version of
        `versions`.
    users
        One id or a sequence of ids (codes, if the model was fitted with a matrix). Ids unknown to the model are removed
        from the journal all the same.
    data
        The data that the model was fitted with, for models that lack a part of it: `Item2Vec`, `SequenceKNN`,
        `TIFUKNN`, `Blend`, `Reranked`, `Popularity` with a half-life.
    journal
        A journal, or its address: an existing file, or ``postgresql://…``. `unreached` lists what a database keeps
        besides its tables (the write-ahead log, standbys, backups).
    versions
        The versions, or their folder: the model is published there as the next one, and all others are removed.
    files
        Other files. Exports of `recommend_to` lose the rows of these users, and parts of unfinished ones
        (``.<name>.parts``, beside the file or given themselves) are removed. All other files, such as results of
        searches and your own files, are searched and not changed: `traces` lists those that still contain an id.
    dry_run
        Do nothing, and report what would be done.

    Returns
    -------
    Receipt
        The record of what was done, and of the places that were not reached.

    Raises
    ------
    ValueError
        If the model cannot be fitted again without `data`, or a code is out of range. Nothing is done then.
    JournalError, FileNotFoundError
        If the journal cannot be opened. Nothing is done then.

    Examples
    --------
    >>> import fastrec as fr
    >>> data = fr.Interactions([0, 0, 1, 2], [0, 1, 1, 1], users=["anna", "bert", "cleo"], items=["Alien", "Brazil"])
    >>> model = fr.ItemKNN().fit(data)
    >>> receipt = fr.forget(model, "anna")
    >>> receipt.how, receipt.known, "anna" in model.users_, model.item_counts_.tolist()
    ('refit', 1, False, [0, 2])
    """
    folder = Versions(versions) if isinstance(versions, str | os.PathLike) else versions
    target = _Target(model, folder)
    ids: list[Id] = [given.item() if hasattr(given, "item") else given for given in as_sequence(users)]
    codes = _codes_of(target.model, ids)
    how = _plan(target.model, codes, data)
    with open_journal(journal) as log:
        unknown = _count_unknown(target.model, ids, log)
        if dry_run:
            return Receipt(len(ids), len(codes), how, _entries(target.model, how), None, unknown=unknown)
        receipt = _carry_out(target, ids, codes, how, data, log, list(map(Path, files)))
        return replace(receipt, unknown=unknown)


def _carry_out(
    target: "_Target",
    ids: list[Id],
    codes: list[int],
    how: str,
    data: Interactions | None,
    log: EventLog | None,
    others: list[Path],
) -> Receipt:
    """Carries out the plan; returns the receipt."""
    began = time.process_time()
    entries = _entries(target.model, how)
    names = target.model.user_vocabulary.decode(codes).tolist() if codes else []
    before = {path: checksum(path) for path in [*target.files(), *others]}
    if how == "refit":
        fitted = forget_users(target.model, codes, data)
        target.model.__dict__.clear()
        target.model.__dict__.update(fitted.__dict__)
    removed = target.write()
    for user in ids:
        _ = None if log is None else log.delete_user(user)
    looked_at = [*target.files(), *list_files(log), *others]
    for path in others:
        removed += take_out(path, [*ids, *names])
    after = [(str(path), before.get(path, ""), checksum(path)) for path in [*target.files(), *others]]
    traces = find_traces([*ids, *names], looked_at)
    return Receipt(
        len(ids), len(codes), how, entries, time.process_time() - began,
        rewritten=tuple(change for change in after if change[1] != change[2]),
        removed=tuple(map(str, removed)), traces=tuple(map(str, traces)), unreached=UNREACHED + list_unreached(log),
    )  # fmt: skip


class _Target:
    """The model, and its file or versions."""

    def __init__(self, given: Recommender | Place | None, versions: Versions | None) -> None:
        self.versions, self.path = versions, None if isinstance(given, Recommender | None) else Path(given)
        published = None if versions is None else versions.load()
        if self.path is not None:
            published = load_published(self.path, mapped=False)
        if published is None and given is None:
            raise ValueError("forget needs a model, the file of one, or versions")
        self.model: Recommender = given if isinstance(given, Recommender) else published.model  # type: ignore[union-attr]
        self.marks = None if published is None else published.marks

    def files(self) -> list[Path]:
        """The files that hold the model at present."""
        own = [] if self.path is None else [self.path]
        return own + ([] if self.versions is None else sorted(self.versions.folder.glob("*.fastrec")))

    def write(self) -> list[Path]:
        """Writes the model in its place; returns the files that were removed for it."""
        if self.path is not None and self.marks is not None:
            save_published(self.model, self.path, self.marks)
        if self.versions is None:
            return []
        self.versions.publish(self.model, marks=self.marks, force=True)
        return self.versions.remove_others()


def _entries(model: Recommender, how: str) -> int:
    """The number of entries that a plan fits the model to."""
    return int(model.seen_.nnz) if how == "refit" else 0


def _count_unknown(model: Recommender, ids: Sequence[Id], log: EventLog | None) -> int:
    """The number of users that neither the model nor the journal knows."""
    if not model.keeps_users and log is None:
        return 0  # the model knows no users
    return sum(user not in model.user_vocabulary and (log is None or not log.history(user)) for user in ids)


def _codes_of(model: Recommender, ids: Sequence[Id]) -> list[int]:
    """The codes of the ids that the model knows; for a model without ids, the codes in range."""
    check_is_fitted(model)
    if model.users_ is None and model.keeps_users:
        return [int(code) for code in model.user_vocabulary.look_up("users", list(ids))]
    return [code for code in model.user_vocabulary.match(list(ids)) if code >= 0]


def _plan(model: Recommender, codes: Sequence[int], data: Interactions | None) -> str:
    """Plans the changes to the model; raises a ValueError if they are impossible."""
    if not model.keeps_users:
        return f"nothing: {'the model was stripped of its users' if type(model).keeps_users else NO_USERS}"
    if not codes:
        return "nothing: the model knows none of them"
    obstacle = None if data is not None else find_obstacle(model)
    if obstacle is not None:
        raise ValueError(
            f"{type(model).__name__} cannot forget users with its own data alone: {obstacle}. Give "
            "the data of its fit as data="
        )
    return "refit"
