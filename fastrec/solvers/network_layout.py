"""The layout of a small neural network's parameters over pairs of vectors, padded for kernels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.layers import EPSILON, transpose_kernels
from fastrec.kernels.network import BATCH, BLOCK, LAYER, Network, Work
from fastrec.kernels.network_samples import LOGISTIC, SQUARED
from fastrec.matrix.arrays import Floats, readonly

ARCHITECTURES = ("dot", "gmf", "mlp", "neumf")
NORMALIZATIONS = {None: 0, "batch": BATCH, "layer": LAYER}
LOSSES = {"logistic": LOGISTIC, "squared": SQUARED}


@dataclass(frozen=True)
class NetworkLayout:
    """The layout of a network's parameters, with and without the padding for kernels.

    Parameters
    ----------
    architecture
        "dot": the inner product of the two vectors, times one weight. "gmf": their products, each with its own weight.
        "mlp": dense layers over the concatenated vectors. "neumf": both, each over its own vectors.
    factors
        The width of a vector.
    layers
        The widths of the dense layers; empty for "dot" and "gmf".
    normalization
        None, "batch" or "layer".

    Examples
    --------
    >>> layout = NetworkLayout("mlp", 2, (3,), None)
    >>> {name: shape for name, _, shape in layout.parts()}
    {'kernel0': (4, 3), 'bias0': (3,), 'output': (3,), 'bias': (1,)}
    """

    architecture: str
    factors: int
    layers: tuple[int, ...]
    normalization: str | None

    @property
    def product(self) -> int:
        """The padded width of the part that is multiplied."""
        return 0 if self.architecture == "mlp" else padded_width(self.factors)

    @property
    def tower(self) -> int:
        """The padded width of the part that is concatenated."""
        return padded_width(self.factors) if self.architecture in ("mlp", "neumf") else 0

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """A row for each layer, of shape (n, 4): padded inputs and outputs, outputs, the place of the parameters."""
        rows, at, inputs = [], 0, 2 * self.tower
        for width in self.layers if self.tower else ():
            outputs = padded_width(width)
            rows.append((inputs, outputs, width, at))
            at += outputs * (inputs + (1 if self.normalization is None else 3))
            inputs = outputs
        return np.array(rows, np.int64).reshape(-1, 4)

    @property
    def output(self) -> int:
        """The place of the last weights."""
        if not len(self.table):
            return 0
        inputs, outputs, _, at = self.table[-1].tolist()
        return int(at + outputs * (inputs + (1 if self.normalization is None else 3)))

    @property
    def last(self) -> int:
        """The padded width of the last layer."""
        return int(self.table[-1, 1]) if len(self.table) else 0

    @property
    def size(self) -> int:
        """The number of parameters with padding."""
        return self.output + self.product + self.last + LANES

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """The places of a vector's numbers in its padded row."""
        own = np.arange(self.factors)
        parts = [own] * bool(self.product) + [self.product + own] * bool(self.tower)
        return np.concatenate(parts)

    def parts(self) -> Iterator[tuple[str, NDArray[np.int64], tuple[int, ...]]]:
        """Name, places of the true parameters and their shape, in the order in which they are kept."""
        own = np.concatenate([np.arange(self.factors), self.tower + np.arange(self.factors)])
        for index, (inputs, outputs, width, at) in enumerate(self.table.tolist()):
            yield f"kernel{index}", (at + own[:, None] * outputs + np.arange(width)).ravel(), (len(own), width)
            bias = at + inputs * outputs
            for number, name in enumerate(("bias",) if self.normalization is None else ("bias", "gain", "shift")):
                yield f"{name}{index}", bias + number * outputs + np.arange(width), (width,)
            own = np.arange(width)
        if self.product:
            n = 1 if self.architecture == "dot" else self.factors
            yield "product", self.output + np.arange(n), (n,)
        if self.last:
            n = int(self.table[-1, 2])
            yield "output", self.output + self.product + np.arange(n), (n,)
        yield "bias", np.array([self.output + self.product + self.last]), (1,)

    @property
    def width(self) -> int:
        """The number of numbers of a vector: the length of `columns`."""
        return self.factors * (bool(self.product) + bool(self.tower))

    @property
    def n_parameters(self) -> int:
        """The number of true parameters: the length of `places`."""
        inputs, n = 2 * self.factors, 1
        for width in self.layers if self.tower else ():
            n += inputs * width + width * (1 if self.normalization is None else 3)
            inputs = width
        last = inputs if self.tower and self.layers else 0
        return n + last + bool(self.product) * (1 if self.architecture == "dot" else self.factors)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The places of all true parameters."""
        return np.concatenate([places for _, places, _ in self.parts()])

    def pad(self, parameters: Floats) -> Floats:
        """Pads parameters for kernels, of shape (size,)."""
        full = np.zeros(self.size, np.float32)
        full[self.places] = parameters
        return full

    def pad_rows(self, vectors: Floats) -> Floats:
        """Pads vectors for kernels, flat."""
        width = self.product + self.tower
        if vectors.shape[1] == width:
            return vectors.reshape(-1)
        rows = np.zeros((len(vectors), width), np.float32)
        rows[:, self.columns] = vectors
        return rows.reshape(-1)

    def unpad_rows(self, flat: Floats) -> Floats:
        """The vectors of a flat padded array, of shape (n, columns)."""
        rows = flat.reshape(-1, self.product + self.tower)
        return rows if rows.shape[1] == len(self.columns) else np.ascontiguousarray(rows[:, self.columns])

    def named(self, parameters: Floats) -> dict[str, Floats]:
        """Views of parameters without padding, by name."""
        views, at = {}, 0
        for name, places, shape in self.parts():
            views[name] = parameters[at : at + len(places)].reshape(shape)
            at += len(places)
        return views

    def start(self, rng: np.random.Generator) -> Floats:
        """The initial parameters, with padding: kernels by He et al. (2015), weights of products 1, the rest 0."""
        own = np.zeros(len(self.places), np.float32)
        for name, values in self.named(own).items():
            if name.startswith("kernel"):
                values[:] = rng.standard_normal(values.shape, np.float32) * np.float32(math.sqrt(2 / len(values)))
            elif name == "output":
                values[:] = rng.standard_normal(values.shape, np.float32) / np.float32(math.sqrt(len(values)))
            elif name == "product" or name.startswith("gain"):
                values[:] = 1
        return self.pad(own)

    def network(self, weights: Floats, loss: str, dropout: float = 0.0, transposed: Floats | None = None) -> Network:
        """The network with these padded weights in the form for kernels."""
        other = np.empty(self.size, np.float32) if transposed is None else transposed
        net = Network(
            readonly(self.table), readonly(weights), readonly(other), self.output, self.product, self.tower,
            int(self.architecture == "dot"), NORMALIZATIONS[self.normalization], LOSSES[loss], np.float32(dropout),
        )  # fmt: skip
        if transposed is None:
            transpose_kernels(net.layers, net.weights, other)
        return net

    def make_work(self) -> Work:
        """Buffers for one thread."""
        widths = [int(width) for width in (2 * self.tower, *self.table[:, 1])]
        normal = BLOCK * sum(widths[1:]) if self.normalization else 0
        scales = len(self.table) * max(BLOCK, *widths)
        sizes = (BLOCK * sum(widths), normal, scales, 2 * BLOCK * max(widths), BLOCK)
        return Work(*(np.empty(size, np.float32) for size in sizes))

    def without_batches(self, weights: Floats, moments: Floats | None) -> tuple["NetworkLayout", Floats]:
        """Returns the same function without batch normalization, whose running means and variances are merged into the
        kernels.

        Weights and moments are padded; means are at the places of the gains, variances at those of the shifts.
        """
        if self.normalization != "batch" or moments is None:
            return self, weights
        plain = NetworkLayout(self.architecture, self.factors, self.layers, None)
        folded = np.zeros(plain.size, np.float32)
        for (inputs, outputs, _, at), (_, _, _, to) in zip(self.table.tolist(), plain.table.tolist(), strict=True):
            bias = at + inputs * outputs
            gain, shift = slice(bias + outputs, bias + 2 * outputs), slice(bias + 2 * outputs, bias + 3 * outputs)
            factor = weights[gain] / np.sqrt(moments[shift] + EPSILON)
            folded[to : to + inputs * outputs] = (weights[at:bias].reshape(inputs, outputs) * factor).ravel()
            moved = (weights[bias : bias + outputs] - moments[gain]) * factor + weights[shift]
            folded[to + inputs * outputs : to + inputs * outputs + outputs] = moved
        folded[plain.output :] = weights[self.output :]
        return plain, folded


def check_depth(name: str, layers: Any, architecture: str) -> None:
    """Raises a ValueError that names `layers` if an architecture needs layers and there are none."""
    if not len(layers) and architecture not in ("dot", "gmf"):
        raise ValueError(f"{name} must have one width at least, got {layers!r}")


def check_decay(name: str, rate: float, regularization: float) -> None:
    """Raises a ValueError that names `regularization` if a step would remove a whole weight."""
    if rate * regularization >= 1:
        raise ValueError(
            f"{name} times learning_rate must be below 1, the share of a weight that a step takes, got "
            f"{regularization} · {rate}"
        )
