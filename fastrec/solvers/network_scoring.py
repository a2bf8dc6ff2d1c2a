"""Answers of a trained network: scores of items for users, and vectors of users from their histories."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.layers import add_products
from fastrec.kernels.network import BLOCK, score_items, score_pairs
from fastrec.kernels.network_folding import fold_in_rows
from fastrec.matrix.arrays import Floats, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.parallel import run_pieces
from fastrec.solvers.network_layout import NetworkLayout


class Scorer:
    """The scores of a trained network for users given by their vectors.

    Parameters
    ----------
    layout, weights, moments
        The network, its padded parameters, and the moments of batch normalization or None.
    items
        The items' vectors, without padding, of shape (n_items, width).
    loss
        "logistic": scores are probabilities. "squared": scores are the network's outputs.
    """

    def __init__(
        self, layout: NetworkLayout, weights: Floats, moments: Floats | None, items: Floats, loss: str
    ) -> None:
        self.layout, weights = layout.without_batches(weights, moments)
        self.network = self.layout.network(weights, loss)
        self.n_items = len(items)
        self.items = readonly(self.layout.pad_rows(items))
        self.its, self.second = map(readonly, self._halves(self.items, 1))

    def _halves(self, flat: Floats, side: int) -> tuple[Floats, Floats]:
        """The multiplied part, and the part that each vector adds to the first layer (with the bias for users)."""
        layout = self.layout
        width = layout.product + layout.tower
        n = len(flat) // width
        product = np.ascontiguousarray(flat.reshape(n, width)[:, : layout.product]).reshape(-1)
        if not len(layout.table):
            return product, np.empty(0, np.float32)
        inputs, outputs, _, at = layout.table[0].tolist()
        sums = np.zeros((n, outputs), np.float32)
        if side == 0:
            sums[:] = self.network.weights[at + inputs * outputs : at + inputs * outputs + outputs]
        sums = sums.reshape(-1)
        add_products(
            readonly(flat), layout.product, width, 1, self.network.weights, at + side * layout.tower * outputs, sums, 0,
            n, layout.tower, outputs,
        )  # fmt: skip
        return product, sums

    def score_all(self, users: Floats, n_jobs: int) -> Floats:
        """Scores of all items, of shape (n, n_items), for users' vectors of shape (n, width)."""
        n = len(users)
        mine, first = map(readonly, self._halves(self.layout.pad_rows(users), 0))
        scores = np.empty((n, self.n_items), np.float32)
        flat = scores.reshape(-1)
        cuts = np.linspace(0, n, min(n, 4 * n_jobs) + 1).astype(int).tolist() if n else [0]

        def score(piece: int) -> None:
            score_items(
                self.network, cuts[piece], cuts[piece + 1], self.n_items, mine, first, self.its, self.second,
                self.layout.make_work(), flat,
            )  # fmt: skip

        run_pieces(score, range(len(cuts) - 1), n_jobs)
        return scores

    def score_pairs(self, users: Floats, rows: NDArray[np.int32], codes: NDArray[np.int32], n_jobs: int) -> Floats:
        """Scores of pairs, of shape (n,): a row of `users` and the code of an item for each."""
        mine, first = map(readonly, self._halves(self.layout.pad_rows(users), 0))
        scores = np.empty(len(rows), np.float32)
        cuts = [*range(0, len(rows), 1 << 15), len(rows)]
        rows, codes = readonly(rows), readonly(codes)

        def score(piece: int) -> None:
            score_pairs(
                self.network, cuts[piece], cuts[piece + 1], rows, codes, mine, first, self.its, self.second,
                self.layout.make_work(), scores,
            )  # fmt: skip

        run_pieces(score, range(len(cuts) - 1), n_jobs)
        return scores

    def fold_in(
        self,
        matrix: CodeMatrix,
        seeds: NDArray[np.uint64],
        center: Floats,
        *,
        negatives: int,
        steps: int,
        rate: float,
        decay: float,
        n_jobs: int,
    ) -> Floats:
        """Folds users in by their rows; returns vectors of shape (n, width), by steps of Adam from `center` with a
        fixed network.
        """
        layout = self.layout
        width = layout.product + layout.tower
        n = matrix.shape[0]
        out = np.zeros(n * width, np.float32)
        center = readonly(layout.pad_rows(center[None]))
        indptr, indices, values, seeds = map(readonly, (matrix.indptr, matrix.indices, matrix.data, seeds))
        cuts = np.linspace(0, n, min(n, 16 * n_jobs) + 1).astype(int).tolist() if n else [0]

        def fold(piece: int) -> None:
            fold_in_rows(
                self.network, cuts[piece], cuts[piece + 1], indptr, indices, values, seeds, negatives, self.items,
                self.n_items, center, steps, np.float32(rate), np.float32(1 - rate * decay), layout.make_work(),
                np.empty(2 * BLOCK * width, np.float32), out,
            )  # fmt: skip

        run_pieces(fold, range(len(cuts) - 1), n_jobs)
        return layout.unpad_rows(out)
