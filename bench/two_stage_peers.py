"""Runs two stages of other libraries, each by a Python of its own, since their requirements exclude each other.

`PYTHON bench/two_stage_peers.py rectools|skrecsys EVENTS.npz LISTS.npz SECONDS` reads users, items, times and who is
asked, and writes the lists of 20 items and the seconds of all processors. The system stops it (SIGXCPU) after SECONDS
of all processors. `cases/ranking.py` calls it.
"""

import resource
import sys
import time
from typing import Any

import numpy as np

K = 20
DAY = 86400
LATEST = 0.1  # the share of the latest events, whose days are the labels of RecTools


def rectools(events: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Runs CandidateRankingModel as in its tutorial: CatBoostReranker, three negatives a user, labels cut in time."""
    import pandas as pd
    from catboost import CatBoostRanker
    from implicit.nearest_neighbours import CosineRecommender
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.model_selection import TimeRangeSplitter
    from rectools.models import EASEModel, ImplicitItemKNNWrapperModel, PopularModel
    from rectools.models.ranking import (
        CandidateGenerator,
        CandidateRankingModel,
        CatBoostReranker,
        PerUserNegativeSampler,
    )

    times = events["times"]
    rows = {
        Columns.User: events["users"], Columns.Item: events["items"], Columns.Weight: np.ones(len(times)),
        Columns.Datetime: pd.to_datetime(times, unit="s"),
    }  # fmt: skip
    dataset = Dataset.construct(pd.DataFrame(rows))
    days = int(-(-(times.max() - np.quantile(times, 1 - LATEST)) // DAY))
    models = [EASEModel(), ImplicitItemKNNWrapperModel(CosineRecommender(100)), PopularModel()]
    model = CandidateRankingModel(
        [CandidateGenerator(one, 100, keep_ranks=True, keep_scores=True) for one in models],
        splitter=TimeRangeSplitter(f"{days}D", n_splits=1),
        reranker=CatBoostReranker(CatBoostRanker(random_state=0, verbose=False)),
        sampler=PerUserNegativeSampler(n_negatives=3, random_state=0),
    )
    began = time.process_time()
    model.fit(dataset)
    found = model.recommend(users=events["asked"], dataset=dataset, k=K, filter_viewed=True)
    seconds = time.process_time() - began
    lists = np.full((len(events["asked"]), K), -1)
    places = {user: place for place, user in enumerate(events["asked"].tolist())}
    rows_of = [places[user] for user in found[Columns.User].tolist()]
    lists[rows_of, found[Columns.Rank].to_numpy() - 1] = found[Columns.Item]
    return lists, seconds


def skrecsys(events: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Runs skrecsys's cascade of three recommenders, its features that need no table, CatBoost, and its own split."""
    from skrecsys.compose import Cascade, ConcatFeatures, GeneratorScores, InteractionCounts
    from skrecsys.integrations.catboost import CatBoostRanker
    from skrecsys.recommendation import EASE, ItemKNNRecommender, RP3Beta

    features = ConcatFeatures([GeneratorScores(), InteractionCounts("item"), InteractionCounts("user")])
    model = Cascade([EASE(), ItemKNNRecommender(), RP3Beta()], features, CatBoostRanker(), time=True)
    began = time.process_time()
    model.fit(np.stack([events["users"], events["items"], events["times"]], axis=1))
    lists, _ = model.recommend(events["asked"], n_recommendations=K)
    return np.asarray(lists), time.process_time() - began


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[4]), resource.RLIM_INFINITY))
    with np.load(sys.argv[2]) as given:
        made, taken = {"rectools": rectools, "skrecsys": skrecsys}[sys.argv[1]](dict(given))
    np.savez(sys.argv[3], lists=made.astype(np.int32), seconds=taken)
