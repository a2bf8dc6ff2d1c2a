"""Searches of a linear filter in NumPy."""

import numpy as np


def spread(history, graph):
    """Takes two steps over the graph, item → user → item, in float64."""
    graph = graph.astype(np.float64)
    return graph.T @ (graph @ history)


def best(signals, graph, vectors, coordinates, degrees, k, excluded):
    """Returns codes and scores of the best k of each row by all scores in float64, ties by the lower code."""
    scores = np.stack([spread(signal, graph) for signal in signals]) + coordinates @ vectors.astype(np.float64).T
    scores = np.where(excluded, -np.inf, scores * degrees)
    codes = np.lexsort((np.broadcast_to(np.arange(scores.shape[1]), scores.shape), -scores))[:, :k]
    found = np.take_along_axis(scores, codes, axis=1)
    return np.where(found > -np.inf, codes, -1), found
