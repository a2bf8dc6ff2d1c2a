"""Answers of a trained transformer: vectors of histories."""

import math

import numpy as np

from fastrec.kernels.next_items import encode_sequences
from fastrec.matrix.arrays import Floats, readonly, starts_of
from fastrec.matrix.sequences import Sequences
from fastrec.parallel import balanced_cuts, run_pieces
from fastrec.solvers.attention_layout import AttentionLayout

WORTH = 1024  # events that pay for a thread


def encode(layout: AttentionLayout, weights: Floats, items: Floats, sequences: Sequences, n_jobs: int) -> Floats:
    """Encodes each sequence as the vector after its newest event, of shape (n, factors); zeros for an empty one.

    Parameters
    ----------
    layout, weights
        The network and its parameters.
    items
        The items' vectors, without padding, of shape (n_items, factors).
    sequences
        n sequences; of longer ones than the layout's, the newest events count.
    n_jobs
        Threads. A vector does not depend on their number, nor on the other sequences.
    """
    lengths = np.minimum(np.diff(sequences.starts), layout.length)
    rows = np.flatnonzero(lengths)
    starts = starts_of(lengths[rows])
    places = np.repeat(sequences.starts[rows + 1] - lengths[rows] - starts[:-1], lengths[rows]) + np.arange(starts[-1])
    met, codes = np.unique(sequences.items[places], return_inverse=True)
    vectors = np.zeros((len(met), layout.width), np.float32)
    vectors[:, : layout.factors] = items[met]
    out = np.zeros((len(rows), layout.width), np.float32)
    network, grow = layout.network(weights), np.float32(math.sqrt(layout.factors))
    given = readonly(starts), readonly(codes.reshape(-1).astype(np.int32))
    cuts = balanced_cuts(lengths[rows], min(4 * n_jobs, 1 + int(starts[-1]) // WORTH))

    def run(piece: int) -> None:
        encode_sequences(
            network, layout.gain, *given, cuts[piece], cuts[piece + 1], layout.room, readonly(vectors).reshape(-1),
            grow, layout.make_work(), out.reshape(-1),
        )  # fmt: skip

    run_pieces(run, range(len(cuts) - 1), n_jobs)
    encoded = np.zeros((len(lengths), layout.factors), np.float32)
    encoded[rows] = out[:, : layout.factors]
    return encoded
