"""Makes the first table of docs/explanation/benchmarks.md: each race in a line, by figures of bench/results/."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

Record = dict[str, Any]


class Race(NamedTuple):
    """A race beside a peer, and the place of its figures: `ratio` reads how many times as fast fastrec is."""

    what: str
    peer: str
    answers: str
    result: str
    ratio: Callable[[Record], float | None]
    caution: str


def _column(name: str, **wanted: object) -> Callable[[Record], float | None]:
    """Returns a function that reads the ratio in a column of the records with the wanted entries."""
    return lambda record: record.get(name) if all(record.get(key) == value for key, value in wanted.items()) else None


def _updates(record: Record) -> float:
    return float(record["fastrec users/s"] / record["implicit users/s"])


RACES = [
    Race("iALS: training", "implicit", "to implicit's final loss", "als-race", _column("ratio"),
         "the gain falls with the factors: least at 256"),
    Race("iALS: training", "irspack, CG", "the same loss function and epochs", "compiled-als_quality",
         _column("CPU times", library="irspack, CG"),
         "at 64 factors irspack's lists are slightly better, and at 256 it takes half the memory"),
    Race("iALS: training", "implicit", "to the lower loss of 15 iterations of both peers", "compiled-als_loss",
         _column("CPU times", library="implicit"), "one run"),
    Race("iALS: training", "rusket", "the same loss", "compiled-als_loss", _column("CPU times", library="rusket"),
         "one run; rusket takes less memory"),
    Race("iALS: users folded in", "implicit", "the same equations", "als-fold_in", _column("ratio"), ""),
    Race("iALS: users updated", "implicit", "the same equations", "updating-users", _updates,
         ""),
    Race("the best 10 for all users, exact", "implicit", "exact, both", "topk-recommend", _column("model ratio"),
         "two threads"),
    Race("exact search, batches", "faiss, flat index", "exact, both", "topk-search", _column("int8 ratio"),
         "one thread; most at a million vectors"),
    Race("exact search, one query", "faiss, flat index", "exact, both", "topk-single", _column("int8 ratio"), ""),
    Race("search at recall .99, batches of a million vectors", "the best of seven", "recall .99", "ann-million",
         _column("ratio", what="batch", **{"recall@10": 0.99}), "one thread; vectors of iALS, which suit lists"),
    Race("search at recall .95, one query of 41 000", "the best of seven", "recall .95", "ann-als",
         _column("ratio", what="single", **{"recall@10": 0.95}), "ScaNN is close behind at 64 factors"),
    Race("cosine neighbours: fit", "implicit", "20 neighbours each", "neighbors-race", _column("CPU ratio"), ""),
    Race("cosine neighbours: fit", "rusket", "20 neighbours each", "compiled-neighbors_fit",
         _column("CPU times", library="rusket"), "one run"),
    Race("cosine neighbours: lists for all", "skrecsys", "recall equal to .0001", "compiled-neighbors_answers",
         _column("CPU times", library="skrecsys"), ""),
    Race("SLIM: fit", "irspack", "the same NDCG", "compiled-item_weights", _column("CPU times", library="irspack"),
         "one run; EASE has a higher NDCG in less time on this set"),
    Race("SLIM: fit", "fastslim", "the same NDCG", "compiled-item_weights", _column("CPU times", library="fastslim"),
         "one run"),
    Race("BPR: samples a second", "implicit", "NDCG@20 .117 beside .043", "sgd-bpr", _column("ratio of CPU time"), ""),
    Race("BPR: to an NDCG", "rusket", "a higher NDCG", "compiled-bpr", _column("CPU times", library="rusket"),
         "one epoch beside 20 and 60: most of the NDCG comes from the first rows"),
    Race("WARP: samples a second", "LightFM", "ten draws at most", "sgd-warp", _column("ratio of CPU time"), ""),
    Race("Item2Vec", "gensim", "the same settings", "sgd-item2vec", _column("ratio of CPU time"), ""),
    Race("EASE: the inverse of 24 000 items", "LAPACK", "the same", "neighbors-dense",
         lambda record: 1 / record["fit / LAPACK"] if "fit / LAPACK" in record else None,
         "**slower**; at 41 000 items LAPACK ends in a fault here, and fastrec does not"),
]  # fmt: skip


def summary(results: Path) -> str:
    """Returns the table of all races; their figures are the least and the greatest median of their settings."""
    lines = ["| what | beside | the answers | times as fast | mind |", "|---|---|---|---:|---|"]
    for race in RACES:
        ratios = _medians(json.loads((results / f"{race.result}.json").read_text())["records"], race.ratio)
        low, high = _times(min(ratios)), _times(max(ratios))
        shown = low if low == high else f"{low} to {high}"
        lines.append(f"| {race.what} | {race.peer} | {race.answers} | {shown} | {race.caution} |")
    return "\n".join(lines)


def _medians(records: list[Record], ratio: Callable[[Record], float | None]) -> list[float]:
    settings: dict[str, list[float]] = {}
    for record in records:
        found = ratio(record)
        if found is not None:
            key = json.dumps([record.get(name) for name in ("data", "factors", "what", "recall@10")])
            settings.setdefault(key, []).append(found)
    return [median(found) for found in settings.values()]


def _times(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
