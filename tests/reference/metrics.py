"""Metrics as their definitions read: one user at a time, sets and lists, no code shared with the kernels."""

import math

import numpy as np


def _hits(ranking, truth, k):
    """Returns the places (from 1) of the hits among the first k, each relevant item once."""
    found, places = set(), []
    for place, item in enumerate(ranking[:k], start=1):
        if item in truth and item not in found:
            found.add(item)
            places.append(place)
    return places


def recall(ranking, truth, k):
    return len(_hits(ranking, truth, k)) / len(truth)


def recall_capped(ranking, truth, k):
    return len(_hits(ranking, truth, k)) / min(k, len(truth))


def precision(ranking, truth, k):
    return len(_hits(ranking, truth, k)) / k


def f1(ranking, truth, k):
    p, r = precision(ranking, truth, k), recall(ranking, truth, k)
    return 2 * p * r / (p + r) if p + r else 0.0


def hit_rate(ranking, truth, k):
    return 1.0 if _hits(ranking, truth, k) else 0.0


def ndcg(ranking, truth, k):
    dcg = sum(1 / math.log2(place + 1) for place in _hits(ranking, truth, k))
    return dcg / sum(1 / math.log2(place + 1) for place in range(1, min(k, len(truth)) + 1))


def graded_ndcg(ranking, truth, k):
    dcg = sum(truth[ranking[place - 1]] / math.log2(place + 1) for place in _hits(ranking, truth, k))
    best = sorted(truth.values(), reverse=True)[:k]
    return dcg / sum(grade / math.log2(place + 1) for place, grade in enumerate(best, start=1))


def average_precision(ranking, truth, k):
    return sum(n / place for n, place in enumerate(_hits(ranking, truth, k), start=1)) / len(truth)


def average_precision_capped(ranking, truth, k):
    return average_precision(ranking, truth, k) * len(truth) / min(k, len(truth))


def reciprocal_rank(ranking, truth, k):
    return 1 / min(_hits(ranking, truth, k), default=math.inf)


def r_precision(ranking, truth, k):
    return len(_hits(ranking, truth, min(k, len(truth)))) / len(truth)


def auc(ranking, truth, k, n_items):
    """Counts all pairs of a relevant and an irrelevant item; unlisted items share one last place."""
    listed = [item for item in ranking[:k] if item >= 0]
    place = {item: listed.index(item) if item in listed else len(listed) for item in range(n_items)}
    negatives = [item for item in range(n_items) if item not in truth]
    if not negatives:
        return math.nan
    pairs = [(place[p] < place[n]) + 0.5 * (place[p] == place[n]) for p in truth for n in negatives]
    return sum(pairs) / len(pairs)


PER_USER = [
    recall,
    recall_capped,
    precision,
    f1,
    hit_rate,
    ndcg,
    graded_ndcg,
    average_precision,
    average_precision_capped,
    reciprocal_rank,
    r_precision,
]


def per_user(function, ranking, truth, k):
    """Computes `function` for every row, NaN if the truth is empty. `truth` is dense."""
    values = []
    for row, grades in zip(ranking, truth, strict=True):
        relevant = {item: float(grade) for item, grade in enumerate(grades) if grade > 0}
        values.append(function([int(item) for item in row], relevant, k) if relevant else math.nan)
    return np.array(values, dtype=float)


def gini(counts):
    """Computes it by the mean absolute difference between all pairs."""
    counts = np.asarray(counts, dtype=float)
    return np.abs(counts[:, None] - counts[None, :]).sum() / (2 * len(counts) ** 2 * counts.mean())


def diversity(ranking, vectors, k):
    """Computes it pair by pair."""
    items = list(dict.fromkeys(item for item in ranking[:k] if item >= 0))
    unlike = []
    for place, one in enumerate(items):
        for other in items[place + 1 :]:
            a, b = vectors[one], vectors[other]
            norms = np.linalg.norm(a) * np.linalg.norm(b)
            unlike.append(1 - (a @ b / norms if norms else 0.0))
    return sum(unlike) / len(unlike) if unlike else math.nan


def calibration(ranking, history, weights, k, alpha=0.01):
    shares = [row / row.sum() if row.sum() else row for row in weights]
    p = sum((value * shares[item] for item, value in enumerate(history)), np.zeros(weights.shape[1]))
    q = sum((shares[item] for item in dict.fromkeys(ranking[:k]) if item >= 0), np.zeros(weights.shape[1]))
    if not p.sum() or not q.sum():
        return math.nan
    p, q = p / p.sum(), q / q.sum()
    return sum(a * math.log(a / ((1 - alpha) * b + alpha * a)) for a, b in zip(p, q, strict=True) if a > 0)


def serendipity(ranking, truth, expected, k):
    return len(set(ranking[:k]) & set(truth) - set(expected[:k])) / k
