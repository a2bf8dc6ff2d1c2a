"""The layout of a causal transformer's parameters, padded for kernels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.attention import Heads, Scratch, make_fence
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.layers import transpose_kernels
from fastrec.kernels.transformer import Passing, Transformer
from fastrec.matrix.arrays import Floats, readonly

# The events that pass the network together, unless a single sequence is longer: their buffers must stay in a core's own
# cache. A network that does not fit there itself is read once for more events.
ROOM, MORE_ROOM = 128, 512
CACHED = 1 << 17  # parameters


@dataclass(frozen=True)
class AttentionLayout:
    """The layout of a transformer's parameters in one flat array, and the sizes of its buffers.

    Parameters
    ----------
    factors
        The width of the vectors.
    blocks
        The number of blocks; 0 is a weighted mean.
    heads
        The number of heads of each block; `factors` is cut into so many parts, the width rounded up.
    hidden
        The width of the hidden layers.
    length
        The maximum number of events of a sequence.

    Examples
    --------
    >>> layout = AttentionLayout(factors=8, blocks=2, heads=2, hidden=16, length=10)
    >>> layout.width, layout.span, layout.gain == 2 * layout.block_size
    (16, 16, True)
    """

    factors: int
    blocks: int
    heads: int
    hidden: int
    length: int

    @property
    def width(self) -> int:
        """The padded width of the vectors."""
        return padded_width(self.factors)

    @property
    def span(self) -> int:
        """The number of biases of a head."""
        return padded_width(self.length)

    @property
    def inner(self) -> int:
        """The padded width of all heads."""
        return self.heads * padded_width(-(-self.factors // self.heads)) if self.blocks else self.width

    @property
    def block_size(self) -> int:
        """The number of parameters of a block; of the mean, if there is none."""
        return self.biases + (self.heads if self.blocks else 1) * self.span

    @property
    def biases(self) -> int:
        """The place of the biases in a block."""
        return (4 * self.inner + 2 * padded_width(self.hidden)) * self.width if self.blocks else 0

    @property
    def gain(self) -> int:
        """The place of the gain, the factor of the network's output."""
        return max(1, self.blocks) * self.block_size

    @property
    def size(self) -> int:
        """The number of parameters with padding; lanes behind the last biases reach beyond their end."""
        return self.gain + self.width + LANES

    def matrices(self) -> Iterator[tuple[int, int, int, NDArray[np.int64], NDArray[np.int64]]]:
        """Of each matrix: padded inputs and outputs, its place, and which inputs and outputs are no padding."""
        width, inner, hidden = self.width, self.inner, padded_width(self.hidden)
        own, layer = np.arange(self.factors), np.arange(self.hidden)
        head, each = -(-self.factors // self.heads), padded_width(-(-self.factors // self.heads))
        heads = (np.arange(self.heads)[:, None] * each + np.arange(head)).ravel()
        mixed = (np.arange(3)[:, None] * inner + heads).ravel()
        shapes = ((width, 3 * inner, own, mixed), (inner, width, heads, own), (width, hidden, own, layer))
        for block in range(self.blocks):
            at = block * self.block_size
            for inputs, outputs, rows, columns in (*shapes, (hidden, width, layer, own)):
                yield inputs, outputs, at, rows, columns
                at += inputs * outputs

    def start(self, rng: np.random.Generator) -> Floats:
        """The initial parameters: matrices that preserve the size of their inputs, biases 0, the gain 1."""
        flat = np.zeros(self.size, np.float32)
        for inputs, outputs, at, rows, columns in self.matrices():
            drawn = rng.standard_normal((len(rows), len(columns)), np.float32) / np.float32(math.sqrt(len(rows)))
            flat[at : at + inputs * outputs].reshape(inputs, outputs)[np.ix_(rows, columns)] = drawn
        flat[self.gain : self.gain + self.factors] = 1
        return flat

    def network(self, weights: Floats, transposed: Floats | None = None) -> Transformer:
        """The network with these parameters in the form for kernels; `transposed` serves the backward pass, see
        `transpose`.
        """
        heads, factors = (self.heads, -(-self.factors // self.heads)) if self.blocks else (1, self.factors)
        shape = Heads(heads, self.inner // heads, np.float32(1 / math.sqrt(factors)), self.span)
        return Transformer(
            self.blocks, self.block_size, self.biases, self.width, self.factors, padded_width(self.hidden), shape,
            readonly(weights), readonly(weights if transposed is None else transposed),
        )  # fmt: skip

    def transpose(self, weights: Floats, transposed: Floats) -> None:
        """Writes the matrices transposed, at the same places."""
        table = [(inputs, outputs, outputs, at) for inputs, outputs, at, _, _ in self.matrices()]
        transpose_kernels(readonly(np.array(table, np.int64).reshape(-1, 4)), readonly(weights), transposed)

    @property
    def room(self) -> int:
        """The events for which the buffers are made."""
        return max(ROOM if self.size <= CACHED else MORE_ROOM, self.span)

    def make_work(self) -> Passing:
        """Buffers for one thread."""
        rows, some, hidden = self.room, max(1, self.blocks), padded_width(self.hidden)
        heads = self.heads if self.blocks else 1
        widest = max(self.width, 3 * self.inner, hidden)
        across, slopes = _buffers(self.inner // heads * self.span, self.span * self.span)
        scratch = Scratch(across, slopes, make_fence())
        x, normal, scales, mixed, shares, heard, layer, change, other = _buffers(
            rows * self.width, (2 * self.blocks + 1) * rows * self.width, (2 * self.blocks + 1) * rows,
            some * rows * 3 * self.inner, some * heads * rows * self.span, some * rows * self.inner,
            some * rows * hidden, rows * widest, rows * widest,
        )  # fmt: skip
        return Passing(x, normal, scales, mixed, shares, heard, layer, change, other, scratch)


def _buffers(*sizes: int) -> list[Floats]:
    return [np.empty(size, np.float32) for size in sizes]
