"""Models and metrics whose values are known."""

import numpy as np

import fastrec as fr


def fixed(column):
    users, items = np.zeros((60, 40), np.float32), np.zeros((25, 40), np.float32)
    users[:, 20 + column] = items[:, 20 + column] = 1
    return fr.FixedFactors(users, items)


def marked(column):
    features = np.eye(25, 60, k=20)
    features[:, column] = 1
    return features


def timed(sign):
    users, items = [0, 0, 1, 1] * 30, [0, 1, 2, 3] * 30
    return fr.Interactions(users, items, times=sign * np.arange(120), items=range(25), duplicates="sum")


def als(**options):
    return fr.ImplicitALS(**{"factors": 4, "iterations": 2, "random_state": 0, **options})


def told(found):
    return [(trial.number, trial.options, trial.epochs, trial.score) for trial in found.trials]


class Always:
    """A distribution that is not one of SciPy's."""

    def __init__(self, value):
        self.value = value

    def rvs(self, random_state=None):
        return self.value
