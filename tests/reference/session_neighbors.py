"""Neighbours among sessions in plain Python: each session compared with a history in its turn."""

import numpy as np


def similarities(history, sessions, shares, most):
    """Returns each session's similarity to a history, float32, and the place of the latest common item, or None."""
    found = [(np.float32(0), None)] * len(sessions)
    for number, session in enumerate(sessions):
        total, place = 0.0, None
        for age, item in enumerate(reversed(history)):
            met = [other for other, items in enumerate(sessions) if item in items][:most]
            if age < len(shares.ages) and number in met:
                total += float(shares.ages[age]) * float(shares.sources[item])
                place = session.index(item) if place is None else place
        found[number] = np.float32(total * float(shares.sessions[number])), place
    return found


def scores(history, sessions, shares, most, k):
    """Returns the score of each item, float64, of shape (n_items,)."""
    found = similarities(history, sessions, shares, most)
    near = sorted((number for number in range(len(found)) if found[number][0] > 0), key=lambda n: (-found[n][0], n))
    total = np.zeros(len(shares.targets))
    for number in near[:k]:
        similarity, shared = found[number]
        for place, item in enumerate(sessions[number]):
            fades, distance = (shares.after, place - shared) if place > shared else (shares.before, shared - place)
            if 0 < distance < len(fades):
                total[item] += float(similarity) * float(fades[distance])
    return total * shares.targets
