"""Rules of sequences in plain Python: every pair of a history in its turn."""

import numpy as np


def weights(sequences, n_items, window, decay, source_exponent, target_exponent, before=0):
    """Returns the weight of each item (row) for each other one, float64, of shape (n_items, n_items)."""
    sums, counts = np.zeros((n_items, n_items)), np.zeros(n_items)
    for items in sequences:
        for place, item in enumerate(items):
            counts[item] += 1
            for distance, later in enumerate(items[place + 1 : place + 1 + window], 1):
                sums[item, later] += decay ** (distance - 1)
                sums[later, item] += before * decay ** (distance - 1)
    return sums / (1 + counts[:, None]) ** source_exponent / (1 + counts) ** target_exponent


def scores(sequence, weights, recency, last):
    """Returns the score of each item after a sequence, of shape (n_items,)."""
    total = np.zeros(len(weights))
    for age, item in enumerate(reversed(sequence[-last:])):
        total += recency**age * weights[item]
    return total


def pair_sums(sequences, n_items, fades):
    """Returns the sums of pairs of each item (row) and each other one, of shape (n_items, n_items)."""
    sums = np.zeros((n_items, n_items))
    for items in sequences:
        for place, item in enumerate(items):
            for distance, later in enumerate(items[place + 1 : place + fades.shape[1]], 1):
                sums[item, later] += fades[0, distance]
                sums[later, item] += fades[1, distance]
    return sums
