"""The cost and the savings of compressing a model: bytes, quality and speed of each codec."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.compression import VectorCodec
from fastrec.data.frames import Backend, make_frame
from fastrec.evaluation.evaluate import evaluate
from fastrec.models.composed.compressed_factors import CompressedFactors
from fastrec.models.composed.compression import compress, original_bytes
from fastrec.notebook import show
from fastrec.notices import warn_once_of_a_kind
from fastrec.plots import compression_tradeoff
from fastrec.tables import Table
from fastrec.validation import check_integer, check_size, name_options

FACTOR_CODECS = ("float16", "int8", "int4", "pq", "pq+int8", "binary", "binary+int8")
WEIGHT_CODECS = ("float16", "int8", "int4")
MOST_ASKED = 10_000  # users whose lists are compared and timed


class Tradeoff(NamedTuple):
    """The bytes, quality and speed of a model with one codec."""

    codec: str
    """The name of the codec; "original" is the model itself."""
    bytes_per_vector: int
    """The bytes of an item's vector, or of a row of weights: its codes and its own steps."""
    total_bytes: int
    """The bytes of all codes of items and users, and of the parts that they share."""
    smaller: float
    """The original's bytes divided by these."""
    ndcg: float
    """The mean NDCG over users."""
    change: float
    """The loss of NDCG, as a share of the original's."""
    recall: float
    """The mean share of the original's list that is in the list."""
    queries_per_second: float
    """Users per second, in one call for all users of the test, on all threads of the model."""


class CompressionReport:
    """The effect of codecs on one model; made by `compression_report`.

    Attributes
    ----------
    rows : tuple of Tradeoff
        A row for the original, and one for each codec.
    k : int
        The length of the lists.
    name : str
        The model's class.
    """

    def __init__(self, rows: Sequence[Tradeoff], k: int, name: str) -> None:
        self.rows = tuple(rows)
        self.k = k
        self.name = name

    def table(self) -> Table:
        """The rows as a table of texts."""
        columns = ["codec", "bytes/vector", "MB", "smaller", f"NDCG@{self.k}", "change", "recall", "queries/s"]
        return Table(columns, [_texts(row) for row in self.rows], f"{self.name}, compressed")

    def __repr__(self) -> str:
        return "\n".join([f"CompressionReport of {self.name}", self.table().text("  ")])

    def _repr_html_(self) -> str:
        return show(self.table())

    def to_frame(self, backend: Backend | None = None) -> Any:
        """Returns a data frame with a row for each codec and the columns of `Tradeoff`.

        Parameters
        ----------
        backend
            "pandas", "polars" or "pyarrow"; None for the first one that is installed.
        """
        columns = zip(Tradeoff._fields, zip(*self.rows, strict=True), strict=True)
        return make_frame(
            {name: np.array(c, dtype=object if name == "codec" else None) for name, c in columns}, backend
        )

    def plot(self, ax: Any = None, *, theme: Any = "light") -> Any:
        """Plots the NDCG of each codec beside its size; see `fastrec.plots.compression_tradeoff`."""
        return compression_tradeoff(self, ax, theme=theme)


@name_options
@warn_once_of_a_kind()
def compression_report(
    model: Any,
    test: Any,
    codecs: Sequence[Any] | Mapping[str, Any] | None = None,
    k: int = 10,
    *,
    user_codec: Any = None,
    repeats: int = 3,
) -> CompressionReport:
    """Measures the bytes that each codec saves for a fitted model, and its cost in NDCG, recall and speed.

    Parameters
    ----------
    model
        A fitted model that `fastrec.compress` takes.
    test
        The interactions to find: `Interactions`, or a matrix of the training data's shape; as in `fastrec.evaluate`.
    codecs
        Names or codecs, or a dictionary from names for the report to codecs. None is all codecs that suit the model.
    k
        The length of the lists.
    user_codec
        As in `fastrec.compress`.
    repeats
        The number of timings of the lists; the fastest counts.

    Returns
    -------
    CompressionReport

    Raises
    ------
    TypeError, ValueError
        As in `fastrec.compress` and `fastrec.evaluate`.

    Examples
    --------
    >>> import fastrec as fr
    >>> X = (np.random.default_rng(0).random((80, 50)) < 0.2).astype(np.float32)
    >>> hidden = np.random.default_rng(1).random(X.shape) < 0.2
    >>> model = fr.ImplicitALS(factors=16, random_state=0).fit(X * ~hidden)
    >>> report = compression_report(model, X * hidden, ["float16", "int8"])
    >>> [(row.codec, row.bytes_per_vector) for row in report.rows]
    [('original', 64), ('float16', 32), ('int8', 20)]
    """
    k, repeats = check_size("k", k), check_integer("repeats", repeats, minimum=1)
    named = _name_codecs(codecs, hasattr(model, "item_factors_"))
    models = {
        "original": model,
        **{name: compress(model, codec, **_users(user_codec)) for name, codec in named.items()},
    }
    metric = f"ndcg@{k}"
    report = evaluate(models, test, [metric])
    users = report.users if len(report.users) <= MOST_ASKED else _spread(report.users, MOST_ASKED)
    lists, speeds = _time_lists(list(models.values()), users, k, repeats)
    whole, best = original_bytes(model), report.mean(metric, "original")
    rows = []
    for (name, one), codes, speed in zip(models.items(), lists, speeds, strict=True):
        size, total = (one.compressed_bytes_, one) if name != "original" else (whole, model)
        ndcg = report.mean(metric, name)
        change = ndcg / best - 1 if best > 0 else 0.0
        rows.append(
            Tradeoff(name, _per_vector(total), size, whole / size, ndcg, change, _recall(lists[0], codes), speed)
        )
    return CompressionReport(rows, k, type(model).__name__)


def _name_codecs(codecs: Any, factors: bool) -> dict[str, Any]:
    if isinstance(codecs, Mapping):
        if "original" in codecs:
            raise ValueError("codecs must not call one 'original', as the model itself is called: give it another name")
        return dict(codecs)
    if codecs is None:
        codecs = FACTOR_CODECS if factors else WEIGHT_CODECS
    elif isinstance(codecs, str | VectorCodec):
        codecs = [codecs]
    named = {codec if isinstance(codec, str) else repr(codec): codec for codec in codecs}
    if len(named) < len(codecs):
        raise ValueError(f"codecs must differ, got {len(codecs)} of which {len(named)} do: {', '.join(named)}")
    return named


def _users(user_codec: Any) -> dict[str, Any]:
    return {} if user_codec is None else {"user_codec": user_codec}


def _spread(users: NDArray[Any], n: int) -> NDArray[Any]:
    """Returns some of the users, evenly spread."""
    return users[np.linspace(0, len(users) - 1, n).astype(np.int64)]


def _time_lists(
    models: Sequence[Any], users: NDArray[Any], k: int, repeats: int
) -> tuple[list[NDArray[np.int32]], list[float]]:
    """Returns the lists of each model, and its lists per second. Models take turns, so that a busy machine slows
    all alike.
    """
    lists, quickest = [], [np.inf] * len(models)
    for model in models:
        model.recommend(users[:64], k)  # compile, and prepare the model
        lists.append(model.recommend(users, k).codes)
    for _ in range(repeats):
        for place, model in enumerate(models):
            began = time.perf_counter()
            model.recommend(users, k)
            quickest[place] = min(quickest[place], time.perf_counter() - began)
    return lists, [len(users) / seconds for seconds in quickest]


def _recall(exact: NDArray[np.int32], found: NDArray[np.int32]) -> float:
    """Returns the mean share of each exact list that was found."""
    valid = exact >= 0
    hits = np.zeros(len(exact), np.int64)
    for place in range(found.shape[1]):  # one place at a time: k × k of all users would take gigabytes
        hits += ((exact == found[:, place, None]) & valid).sum(axis=1)
    asked = valid.any(axis=1)
    return float((hits[asked] / valid.sum(axis=1)[asked]).mean()) if asked.any() else 1.0


def _per_vector(model: Any) -> int:
    if isinstance(model, CompressedFactors):
        return int(model.item_codes_.shape[1])
    if hasattr(model, "weight_codes_"):
        return int(model.weight_codes_.shape[1])
    array = model.item_factors_ if hasattr(model, "item_factors_") else model.weights_
    return int(array.itemsize * array.shape[1])


def _texts(row: Tradeoff) -> list[str]:
    return [
        row.codec,
        f"{row.bytes_per_vector:,}",
        f"{row.total_bytes / 1e6:,.2f}",
        f"{row.smaller:.1f} ×",
        f"{row.ndcg:.4f}",
        "" if row.codec == "original" else f"{100 * row.change:+.2f} %",
        f"{row.recall:.3f}",
        f"{row.queries_per_second:,.0f}",
    ]
