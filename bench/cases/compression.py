"""Compressed models: bytes, NDCG@10, recall against the lists of the original, queries a second, by codec."""

from collections.abc import Iterator
from typing import Any

import scipy.sparse as sp
from data import Folder, hide

from fastrec.evaluation import compression_report
from fastrec.models import EASE, ImplicitALS, SGDFactorization

Record = dict[str, Any]
THREADS = 1
FACTORS = 128
CODECS = ("float16", "int8", "int4", "pq", "pq+int4", "pq+int8", "binary", "binary+int4", "binary+int8")
PLAIN_CODECS = ("float16", "int8", "int4")
WITHOUT_USERS = ("int8", "int4", "pq", "pq+int8")  # only the histories of users are kept
MODELS = {
    "ALS": lambda: ImplicitALS(FACTORS, random_state=0, n_jobs=THREADS),
    "BPR": lambda: SGDFactorization(FACTORS, loss="bpr", random_state=0, n_jobs=THREADS),
    "EASE": lambda: EASE(n_jobs=THREADS),
}


def table(
    name: str, train: sp.csr_array, test: sp.csr_array, models: tuple[str, ...], repeats: int
) -> Iterator[Record]:
    """Returns a record for each model and codec."""
    for kind in models:
        model = MODELS[kind]().fit(train)
        reports = {"": compression_report(model, test, PLAIN_CODECS if kind == "EASE" else CODECS, repeats=repeats)}
        if kind != "EASE":
            folded = compression_report(model, test, WITHOUT_USERS, user_codec="histories", repeats=repeats)
            reports[", users folded in"] = folded
        for users, report in reports.items():
            for row in report.rows[bool(users) :]:
                yield {
                    "case": "compression",
                    "data": name,
                    "model": kind,
                    "codec": row.codec + users,
                    "bytes/vector": row.bytes_per_vector,
                    "MB": row.total_bytes / 1e6,
                    "smaller": row.smaller,
                    "NDCG@10": row.ndcg,
                    "change %": 100 * row.change,
                    "recall": row.recall,
                    "queries/s": row.queries_per_second,
                }


def movielens(folder: Folder, repeats: int) -> Iterator[Record]:
    """ML-1M, a fifth of the ratings hidden; 128 factors, all other options as they are by default; one thread."""
    train, test = hide(folder.matrix("ml-1m"), 0.2)
    yield from table("ml-1m", train, test, ("ALS", "BPR", "EASE"), repeats)


def gowalla(folder: Folder, repeats: int) -> Iterator[Record]:
    """Gowalla, the published split; 128 factors, all other options as they are by default; one thread."""
    yield from table("gowalla", *folder.gowalla(), ("ALS", "BPR"), repeats)


PARTS = (movielens, gowalla)
