"""A model kept up to date against one refitted and one left alone: ML-1M in the order of time.

    python bench/online.py FOLDER [--days 8] [--output bench/results/online.json]

Test, then train (prequential): for each day's events, each user's are first predicted (NDCG@10 of what is new to the
user), then taken in. FOLDER has ratings as `read_interactions` reads them.
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

import fastrec as fr
from fastrec.data import Interactions
from fastrec.metrics import ndcg
from fastrec.models.rows import pick_rows


def parts_of(data, days):
    """The first part, and the last days' events, a part for each."""
    order = np.argsort(data.times, kind="stable")
    cuts = np.linspace(0.7 * len(order), len(order), days + 1).astype(int)
    whole = [data.select(order[: cuts[0]])]
    return whole + [data.select(order[start:stop]) for start, stop in pairwise(cuts)]


def joined(parts, data):
    """Several parts in one."""
    return Interactions(
        np.concatenate([part.user_codes for part in parts]),
        np.concatenate([part.item_codes for part in parts]),
        users=data.users,
        items=data.items,
        duplicates="max",
    )


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("source", type=Path)
    options.add_argument("--days", type=int, default=8)
    options.add_argument("--factors", type=int, default=64)
    options.add_argument("--output", type=Path)
    given = options.parse_args()
    data = fr.read_interactions(given.source, value=False)
    parts = parts_of(data, given.days)

    def fit(some):
        return fr.ImplicitALS(factors=given.factors, random_state=0).fit(joined(some, data))

    never, updated, refitted = (fit(parts[:1]) for _ in range(3))
    folded = fit(parts[:1])
    curves = {"never updated": [], "users only": [], "checkpoints": [], "refitted": []}
    seconds = {"checkpoints": 0.0, "refitted": 0.0}
    for number, part in enumerate(parts[1:], 1):
        models = dict(zip(curves, (never, folded, updated, refitted), strict=True))
        for name, model in models.items():
            # All are asked about the same users and the same new pairs: those that the refitted one has not seen.
            curves[name].append(asked(model, refitted, part))
        some = joined([part], data)
        users = np.unique(part.user_codes)
        folded.update_users(folded.users_.decode(users), pick_rows(some.matrix, users))
        began = time.perf_counter()
        updated.partial_fit(some)
        seconds["checkpoints"] += time.perf_counter() - began
        began = time.perf_counter()
        refitted = fit(parts[: number + 1])
        seconds["refitted"] += time.perf_counter() - began
        print({name: round(curve[-1], 4) for name, curve in curves.items()}, flush=True)
    means = {name: round(float(np.mean(curve[1:])), 4) for name, curve in curves.items()}
    result = {"means after the first day": means, "seconds": seconds, "curves": curves}
    print(json.dumps({key: result[key] for key in ("means after the first day", "seconds")}, indent=1))
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(json.dumps(result, indent=1))


def asked(model, reference, part):
    """NDCG@10 of the pairs of a part that are new, for the users that the reference knows."""
    rows, columns = part.user_codes, part.item_codes
    seen = reference.seen_
    keys = np.repeat(np.arange(seen.shape[0], dtype=np.int64), np.diff(seen.indptr)) * seen.shape[1] + seen.indices
    new = ~np.isin(rows.astype(np.int64) * seen.shape[1] + columns, keys)
    truth = part.select(new).matrix
    users = np.flatnonzero((np.diff(truth.indptr) > 0) & (np.diff(seen.indptr) > 0)).astype(np.int32)
    # Everybody leaves out the same: what the user has seen by now.
    top = model.recommend(model.users_.decode(users), 10, exclude_seen=False, deny=pick_rows(seen, users))
    return float(np.mean(ndcg(top.codes, pick_rows(truth, users), 10)))


if __name__ == "__main__":
    main()
