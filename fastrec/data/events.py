"""Kinds of events, such as views and purchases: the weight of each kind, and the choice of rows of a table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from fastrec.data.columns import read_ids
from fastrec.data.frames import decoded
from fastrec.data.ids import as_sequence
from fastrec.data.text_columns import TextColumn
from fastrec.notices import warn_caller
from fastrec.validation import check_number

# The spellings of yes and no in files. A column with only such labels holds flags.
FLAGS = {**dict.fromkeys(("true", "t", "yes", "y", "1"), True), **dict.fromkeys(("false", "f", "no", "n", "0"), False)}

# A column with more labels than these does not hold kinds of events.
MOST_KINDS = 50


class EventKindsWarning(UserWarning):
    """A warning: a table has several kinds of events, and the caller has not said the weight of each."""


class Labels(NamedTuple):
    """A column of labels: its distinct texts in ascending order, and the place of each row's label among them."""

    texts: list[str]
    codes: NDArray[np.int32]

    def counts(self) -> dict[str, int]:
        """The number of rows of each label, the most frequent first.

        >>> Labels(["buy", "view"], np.array([1, 0, 1])).counts()
        {'view': 2, 'buy': 1}
        """
        numbers = np.bincount(self.codes, minlength=len(self.texts)).tolist()
        return dict(sorted(zip(self.texts, numbers, strict=True), key=lambda pair: -pair[1]))

    def among(self, rows: NDArray[np.bool_]) -> "Labels":
        """Returns the labels of some rows, without labels that none of them has.

        >>> Labels(["buy", "cart", "view"], np.array([1, 0, 2])).among(np.array([True, False, True]))
        Labels(texts=['cart', 'view'], codes=array([0, 1], dtype=int32))
        """
        places, codes = np.unique(self.codes[rows], return_inverse=True)
        return Labels([self.texts[place] for place in places.tolist()], codes.astype(np.int32))

    def find(self, wanted: str) -> list[int]:
        """Returns the places of a label; in a column of flags, those of all spellings of its meaning.

        >>> Labels(["FALSE", "TRUE"], np.array([1, 0])).find("true"), Labels(["buy", "true"], np.array([0])).find("1")
        ([1], [])
        """
        meant = FLAGS.get(wanted.lower())
        meanings = [FLAGS.get(text.lower()) for text in self.texts]
        has_flags = all(text.lower() in FLAGS for text in self.texts if text)
        if meant is None or not has_flags:
            return [place for place, text in enumerate(self.texts) if text == wanted]
        return [place for place, meaning in enumerate(meanings) if meaning is meant]


def read_labels(column: Any, name: str) -> Labels:
    """Reads a column of strings, integers or flags as labels, each as it is written, a missing one as "".

    Raises
    ------
    TypeError
        If the column holds anything else.
    """
    if isinstance(column, nw.Series):
        column = decoded(column)
        if column.dtype == nw.Boolean and not column.is_null().any():
            return Labels(["False", "True"], column.to_numpy().astype(np.int32))
        if column.dtype == nw.String:
            column = column.fill_null("")
    if isinstance(column, TextColumn):
        return Labels(*column.distinct())
    vocabulary, codes = read_ids(column, name, kind="str")
    return Labels(list(map(str, vocabulary.ids.tolist())), codes)


def check_where(where: Any) -> dict[str | int, list[str]]:
    """Checks the wanted labels, by column.

    >>> check_where({"event": "buy", 3: [1, 2], "verified": True})
    {'event': ['buy'], 3: ['1', '2'], 'verified': ['True']}

    Raises
    ------
    TypeError, ValueError
        If the value is no mapping of columns to labels, or names no label.
    """
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        raise TypeError(f"where must be a mapping of columns to the wanted labels, got {where!r}")
    wanted: dict[str | int, list[str]] = {}
    for column, labels in where.items():
        if isinstance(column, bool) or not isinstance(column, str | int):
            raise TypeError(f"where must name columns by name or number, got {column!r}")
        single = isinstance(labels, str | int | np.integer | np.bool_)
        wanted[column] = list(map(str, [labels] if single else as_sequence(labels)))
        if not wanted[column]:
            raise ValueError(f"where[{column!r}] must name at least one label")
    return wanted


def pick_rows(labels: Labels, wanted: Sequence[str], name: str) -> NDArray[np.bool_]:
    """Marks the rows whose label is wanted.

    Raises
    ------
    ValueError
        If no row has a wanted label; the message names the labels of the column.
    """
    kept = np.isin(labels.codes, [place for text in wanted for place in labels.find(text)])
    if not kept.any():
        raise ValueError(f"no row has {_list_in_words(wanted)} in {name}: its labels are {_count_in_words(labels)}")
    return kept


def check_weights(weights: Any) -> dict[str, float] | None:
    """Checks the weights of an event of each kind.

    Raises
    ------
    TypeError, ValueError
        If the value is no mapping of kinds to finite numbers.
    """
    if weights is None:
        return None
    if not isinstance(weights, Mapping) or not weights:
        raise TypeError(f'weights must be a mapping such as {{"view": 1, "purchase": 5}}, got {weights!r}')
    return {str(kind): check_number(f"weights[{kind!r}]", weight) for kind, weight in weights.items()}


def weigh_kinds(labels: Labels, weights: Mapping[str, float], name: str) -> NDArray[np.float64]:
    """Returns the weight of each label, of shape (n_labels,).

    Raises
    ------
    ValueError
        If a kind has no weight; the message names the kinds with their numbers of rows.
    """
    of_labels = np.full(len(labels.texts), np.nan)
    for kind, weight in weights.items():
        of_labels[labels.find(kind)] = weight
    missing = [kind for kind, weight in zip(labels.texts, of_labels, strict=True) if np.isnan(weight)]
    if missing:
        empty = '; an empty cell is the kind "", such as weights={"": 0, …}' if "" in missing else ""
        raise ValueError(
            f"weights must name every kind of {name}, and lack {_list_in_words(missing)}: the "
            f"kinds are {_count_in_words(labels)}; a weight of 0 leaves a kind out{empty}"
        )
    return of_labels


def tell_kinds(labels: Labels, name: str) -> None:
    """Warns that events of several kinds all count the same, since the caller has not said otherwise."""
    if 1 < len(labels.texts) <= MOST_KINDS:
        example = ", ".join(f'"{kind}": 1' for kind in list(labels.counts())[:2])
        warn_caller(
            f"{name} has {len(labels.texts)} kinds of events: {_count_in_words(labels)}. Each event "
            f"counts the same. Give weights={{{example}, …}} to weigh them (0 leaves a kind out), or "
            "event=False to ignore the kinds",
            EventKindsWarning,
        )


class Wanted(NamedTuple):
    """The events that a caller wants: labels by the places of columns, and the weights of kinds of events."""

    where: dict[int, list[str]]
    weights: dict[str, float] | None


class Taken(NamedTuple):
    """The chosen rows and their weights, as arrays of shape (n,), and the kinds in words.

    None means all rows, weights of 1, and no kinds.
    """

    rows: NDArray[np.bool_] | None
    weights: NDArray[np.float64] | None
    kinds: str | None


def take_events(columns: Mapping[int, Any], names: Mapping[int, str], event: int | None, wanted: Wanted) -> Taken:
    """Returns the wanted rows of a table, and the weight of each by its kind of event.

    Parameters
    ----------
    columns, names
        The columns by their places, and their names in errors.
    event
        The place of the column with the kinds of events, or None.
    wanted
        The events that the caller asks for.

    Raises
    ------
    ValueError, TypeError
        If no row is wanted, a kind of the wanted rows has no weight, or there are weights and no kinds.
    """
    rows = None
    for place, texts in wanted.where.items():
        picked = pick_rows(read_labels(columns[place], names[place]), texts, names[place])
        rows = picked if rows is None else rows & picked
    if event is None:
        if wanted.weights is not None:
            raise ValueError(
                "weights belong to kinds of events, but the table has no column of kinds: name it with event=…"
            )
        return Taken(rows, None, None)
    labels = read_labels(columns[event], names[event])
    met = labels if rows is None else labels.among(rows)
    if wanted.weights is None:
        if event not in wanted.where:
            tell_kinds(met, names[event])
        return Taken(rows, None, _count_in_words(met))
    of_kinds = weigh_kinds(met, wanted.weights, names[event])
    shown = ", ".join(f"{kind or '(empty)'} × {weight:g}" for kind, weight in zip(met.texts, of_kinds, strict=True))
    weights = np.zeros(len(labels.codes))  # 0 for a row that is not wanted
    weights[slice(None) if rows is None else rows] = of_kinds[met.codes]
    return Taken(weights != 0, weights, shown)


def _list_in_words(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts[:5])) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


def _count_in_words(labels: Labels) -> str:
    counts = labels.counts()
    shown = ", ".join(f"{kind or '(empty)'} {number:,}" for kind, number in list(counts.items())[:8])
    return shown + (f" and {len(counts) - 8} more" if len(counts) > 8 else "")
