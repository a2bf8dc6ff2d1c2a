"""The network of `fastrec.solvers.network_layout` and dense Adam, in plain NumPy and float64."""

import numpy as np


def logits(layout, named, users, items):
    """Returns the network's output for rows of vectors without padding; batch normalization is over all rows."""
    factors, out = layout.factors, 0.0
    if layout.product:
        products = users[:, :factors] * items[:, :factors]
        out = products.sum(axis=1) * named["product"] if layout.architecture == "dot" else products @ named["product"]
    if layout.tower:
        h = np.concatenate([users[:, -factors:], items[:, -factors:]], axis=1)
        for index in range(len(layout.layers)):
            h = h @ named[f"kernel{index}"] + named[f"bias{index}"]
            if layout.normalization:
                axis = 0 if layout.normalization == "batch" else 1
                h = (h - h.mean(axis, keepdims=True)) / np.sqrt(h.var(axis, keepdims=True) + 1e-5)
                h = h * named[f"gain{index}"] + named[f"shift{index}"]
            h = np.maximum(h, 0)
        out = out + h @ named["output"]
    return out + named["bias"][0]


def loss(kind, out, targets, weights):
    """Returns the sum of the losses."""
    each = np.logaddexp(0, out) - targets * out if kind == "logistic" else (out - targets) ** 2
    return (weights * each).sum()


def slopes(function, point, step=1e-6):
    """Returns the gradient of a function of one array, by central differences."""
    gradient = np.empty(point.shape)
    for index in np.ndindex(point.shape):
        there, back = point.copy(), point.copy()
        there[index] += step
        back[index] -= step
        gradient[index] = (function(there) - function(back)) / (2 * step)
    return gradient


class Adam:
    """Dense Adam with decoupled weight decay, as in PyTorch's AdamW."""

    def __init__(self, values, learning_rate, decay=0.0):
        self.values = values.astype(np.float64)
        self.first, self.second = np.zeros_like(self.values), np.zeros_like(self.values)
        self.learning_rate, self.decay, self.steps = learning_rate, decay, 0

    def step(self, slopes):
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * slopes
        self.second = 0.999 * self.second + 0.001 * slopes**2
        mean, square = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        self.values *= 1 - self.learning_rate * self.decay
        self.values -= self.learning_rate * mean / (np.sqrt(square) + 1e-8)
