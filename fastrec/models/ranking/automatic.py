"""The default features: scores and counts always, the rest if data has times and items have facts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.models.ranking.activity import Activity
from fastrec.models.ranking.affinity import Affinity, read_categories
from fastrec.models.ranking.category_counts import CategoryCounts
from fastrec.models.ranking.counts import Counts
from fastrec.models.ranking.facts import Facts, count_known, read_numbers
from fastrec.models.ranking.feature import Feature
from fastrec.models.ranking.scores import RecentScores, Scores

READ = 0.9  # the share of known values that must be numbers in a column of numbers
FEW = 128  # categories whose cosine is taken; of more, such as authors, the user's items are counted
SHARED = 0.2  # the share of items with categories that must share one with others: most authors have one book


def choose_features(item_info: Mapping[str, NDArray[Any]], has_order: bool) -> list[Feature]:
    """Returns the features of `features="auto"`.

    >>> info = {"year": np.array([1990.0, 2000.0]), "genres": np.array(["war|drama", "war"], object)}
    >>> choose_features(info, has_order=False)
    [Scores(), Counts(), Activity(), Facts(column='year'), Affinity(column='genres')]
    """
    features: list[Feature] = [Scores(), Counts(), Activity()]
    if has_order:
        features.append(RecentScores())
    for column, values in item_info.items():
        if is_of_numbers(values):
            features.append(Facts(column))
        elif values.dtype.kind in "OUT" and (count := count_categories(values)):
            features.append(Affinity(column) if count <= FEW else CategoryCounts(column))
    return features


def is_of_numbers(values: NDArray[Any]) -> bool:
    """Tells whether nearly all known values of a column are numbers, or texts of numbers, and not all equal."""
    numbers = read_numbers(values)
    there = numbers[~np.isnan(numbers)]
    return len(there) >= max(2, READ * count_known(values)) and len(np.unique(there)) > 1


def count_categories(values: NDArray[Any]) -> int:
    """Counts the categories of a column; 0 if hardly any items share one, as titles and texts do."""
    lists = [categories for categories in read_categories(values) if categories]
    counts = Counter(category for categories in lists for category in set(categories))
    shared = sum(any(counts[category] > 1 for category in categories) for categories in lists)
    return len(counts) if shared >= SHARED * len(lists) else 0
